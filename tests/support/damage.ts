/** Databases that are damaged on purpose, and what of their rows another database holds. */
import { readFile } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";

const TABLES = [
  "jobs",
  "workers",
  "attempts",
  "events",
  "lines",
  "partial_lines",
  "artifacts",
  "artifact_parts",
];

/** Every row of every table that jobs fill, as text, with how often it is there. */
export function rowsOf(path: string): Map<string, number> {
  using database = new Reader(path);
  const rows = new Map<string, number>();
  for (const table of TABLES) {
    for (const row of database.all(`SELECT * FROM ${table}`)) {
      const text = `${table} ${JSON.stringify(row, asText)}`;
      rows.set(text, (rows.get(text) ?? 0) + 1);
    }
  }
  return rows;
}

function asText(_: string, value: unknown): unknown {
  return value instanceof Uint8Array ? `x${Array.from(value, (byte) => byte.toString(16)).join(" ")}` : value;
}

/** Rows of the first that the second does not have; events of a repair do not count. */
export function addedRows(
  copy: ReadonlyMap<string, number>,
  original: ReadonlyMap<string, number>,
): string[] {
  return [...copy].filter(([row, count]) => count > (original.get(row) ?? 0))
    .map(([row]) => row).filter((row) => !/^events .*"kind":"repaired"/.test(row));
}

/** The pages of a table or index, as SQLite counts them: the first is 1. */
export function pagesOf(path: string, name: string, type: "leaf" | "internal" | "overflow"): number[] {
  using database = new Reader(path);
  return database.all(
    `SELECT pageno FROM dbstat WHERE name = '${name}' AND pagetype = '${type}' ORDER BY path`,
  )
    .map((row) => Number(row.pageno));
}

class Reader implements Disposable {
  readonly #database: DatabaseSync;

  constructor(path: string) {
    this.#database = new DatabaseSync(path, { readOnly: true });
  }

  all(sql: string): Record<string, unknown>[] {
    return this.#database.prepare(sql).all() as Record<string, unknown>[];
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

/** Moves what the write-ahead log holds into the file, which is then the whole database, free pages and all. */
export function foldLog(path: string): void {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
}

export const PAGE_BYTES = 4096;

/** The file's bytes with these pages full of 0xff. */
export async function withoutPages(path: string, pages: readonly number[]): Promise<Uint8Array> {
  const bytes = new Uint8Array(await readFile(path));
  for (const page of pages) bytes.fill(0xff, (page - 1) * PAGE_BYTES, page * PAGE_BYTES);
  return bytes;
}

/** Where a text begins that is there once; throws when it is not. */
export function placeOf(bytes: Uint8Array, text: string): number {
  const whole = new TextDecoder("latin1").decode(bytes), at = whole.indexOf(text);
  if (at === -1 || whole.includes(text, at + 1)) throw new Error(`Cannot find ${text} exactly once`);
  return at;
}

/** The bytes with every occurrence of a text replaced by one of the same length; throws when there is none. */
export function withText(bytes: Uint8Array, text: string, other: Uint8Array): Uint8Array {
  const wanted = new TextEncoder().encode(text);
  if (wanted.length !== other.length) {
    throw new Error(`Cannot put ${other.length} bytes in the place of ${text}`);
  }
  const changed = bytes.slice();
  let count = 0;
  for (let at = changed.indexOf(wanted[0]!); at !== -1; at = changed.indexOf(wanted[0]!, at + 1)) {
    if (!wanted.every((byte, index) => changed[at + index] === byte)) continue;
    changed.set(other, at);
    count++;
  }
  if (count === 0) throw new Error(`Cannot find ${text}`);
  return changed;
}
