/** SQLite files that strangers made: opened for reading only, checked first, and read with no trust in their text. */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import * as fs from "node:fs/promises";
import { clearTimeout, setTimeout } from "node:timers";
import type { Database } from "libsql";
import { GlassboxError, messageOf } from "../core/errors.ts";
import type { ForeignColumn, ForeignDatabase, ForeignQuery, ForeignRow, PackedRows } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { Lane, type Piece, pieceOf, type PieceRow, PRAGMAS } from "./foreign_lane.ts";
import { PackedReader, unpack } from "./packed_rows.ts";
import { oddOf, packedSql, quotedName, rowIdOf, selectOf } from "./packed_sql.ts";

const MAGIC = "SQLite format 3\0";

export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece as Uint8Array);
  return hash.digest("hex");
}

/** Opens the file at `path`; every fault is told as one of the file that is called `display`. */
export async function openForeign(
  path: string,
  display: string,
  withinMs: number = LIMITS.foreignReadMsMax,
): Promise<ForeignDatabase> {
  const sizeBytes = await demandDatabase(path, display);
  const [{ default: Library }, { default: Background }] = await Promise.all([
    import("libsql"),
    import("libsql/promise"),
  ]);
  const file = { display, sizeBytes };
  try {
    const address = await addressOf(path);
    const database = new Library(address);
    for (const pragma of PRAGMAS) database.exec(`PRAGMA ${pragma}`);
    return new ForeignFile(
      database,
      { ...file, withinMs },
      () => new Lane(new Background(address, {})).setUp(),
    );
  } catch (error) {
    throw asFileFault(error, file);
  }
}

interface FileName {
  readonly display: string;
  readonly sizeBytes: number;
}

async function demandDatabase(path: string, display: string): Promise<number> {
  const handle = await fs.open(path, "r").catch((error) => {
    const denied = ["EACCES", "EPERM"].includes((error as { code?: string }).code ?? "");
    const why = denied ? "permission is denied" : "there is no such file";
    throw new GlassboxError(
      denied ? "input_denied" : "input_missing",
      `Cannot read database ${display}: ${why}`,
    );
  });
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw refused(display, "a file", "a directory or a device");
    const { size } = stats;
    if (size > LIMITS.foreignDatabaseBytesMax) {
      throw refused(display, `at most ${LIMITS.foreignDatabaseBytesMax} bytes`, `${size} bytes`);
    }
    const head = Buffer.alloc(100);
    await handle.read(head, 0, 100, 0);
    if (head.toString("latin1", 0, 16) !== MAGIC) {
      throw refused(
        display,
        "an SQLite database that is not encrypted",
        `${size} bytes of something else (SQLITE_NOTADB)`,
      );
    }
    const encoding = head.readUInt32BE(56);
    if (encoding > 1) throw refused(display, "a database whose text is UTF-8", "UTF-16");
    return size;
  } finally {
    await handle.close();
  }
}

/** A file with nothing beside it cannot change while we read, so that no lock and no shared memory file is made. */
async function addressOf(path: string): Promise<string> {
  const beside = await Promise.all(["-wal", "-journal"].map((end) => fs.stat(path + end).catch(() => null)));
  const isAlone = beside.every((stats) => stats === null || stats.size === 0);
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  return `file:${encoded}?mode=ro${isAlone ? "&immutable=1" : ""}`;
}

function refused(display: string, wanted: string, seen: string): GlassboxError {
  return new GlassboxError(
    "invalid_input",
    `Cannot read database ${display} as it must be ${wanted}: it is ${seen}`,
  );
}

function asFileFault(error: unknown, { display, sizeBytes }: FileName): unknown {
  if (error instanceof GlassboxError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  const why = typeof code === "string" ? `${messageOf(error)} (${code})` : messageOf(error);
  return new GlassboxError("invalid_input", `Cannot read database ${display} of ${sizeBytes} bytes: ${why}`, {
    cause: error,
  });
}

const QUICK_CHECK = packedSql(
  "SELECT concat(octet_length(quick_check),':',quick_check) FROM pragma_quick_check(1)",
);

class ForeignFile implements ForeignDatabase {
  readonly #database: Database;
  readonly #file: FileName & { readonly withinMs: number };
  readonly #openLane: () => Promise<Lane>;
  readonly #freeLanes: Lane[] = [];
  readonly #lanes: Promise<Lane>[] = [];
  readonly #columns = new Map<string, readonly string[] | null>();
  readonly #isSound: Promise<void>;
  #isClosed = false;

  readonly #overdue: ReturnType<typeof setTimeout>;
  #isOverdue = false;
  #damage: unknown = null;

  constructor(
    database: Database,
    file: FileName & { readonly withinMs: number },
    openLane: () => Promise<Lane>,
  ) {
    this.#database = database;
    this.#file = file;
    this.#openLane = openLane;
    this.#overdue = setTimeout(() => void this.#giveUp(), file.withinMs).unref();
    this.#isSound = this.#check();
    // A damaged file may have no end; what reads it is ended as soon as the damage is known.
    this.#isSound.catch((error) => {
      this.#damage = error;
      return this.#eachLane((lane) => lane.stop());
    });
  }

  sound(): Promise<void> {
    return this.#isSound;
  }

  columns(table: string): readonly string[] | null {
    const known = this.#columns.get(table);
    if (known !== undefined) return known;
    const columns = this.#guarded(() => this.#readColumns(table));
    this.#columns.set(table, columns);
    return columns;
  }

  async each(query: ForeignQuery, visit: (row: ForeignRow) => void): Promise<void> {
    for await (const bytes of this.#pieces(query)) unpack(bytes, query.columns, visit);
  }

  async *packed(query: ForeignQuery): AsyncGenerator<PackedRows> {
    const reader = new PackedReader(query.columns);
    for await (const bytes of this.#pieces(query)) yield reader.read(bytes);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#overdue);
    await this.#eachLane((lane) => lane.close());
    this.#database.close();
  }

  async #giveUp(): Promise<void> {
    this.#isOverdue = true;
    await this.#eachLane((lane) => lane.stop());
  }

  async #eachLane(work: (lane: Lane) => Promise<void>): Promise<void> {
    const lanes = await Promise.allSettled(this.#lanes);
    for (const lane of lanes) if (lane.status === "fulfilled") await work(lane.value);
  }

  /** Fulfilled when SQLite finds the structure of the file sound; every page is read for that. */
  async #check(): Promise<void> {
    const found = await this.#inLane((lane) => lane.piece(QUICK_CHECK, []));
    let answer: unknown = null;
    unpack(found.bytes, [{ name: "quick_check", as: "text" }], ([first]) => answer ??= first);
    if (answer === "ok") return;
    const { display, sizeBytes } = this.#file;
    const what = String(answer ?? "no answer").slice(0, 200);
    throw new GlassboxError(
      "invalid_input",
      `Cannot read database ${display} of ${sizeBytes} bytes as it is damaged (SQLITE_CORRUPT): ${what}`,
    );
  }

  /** The next piece is fetched while the caller digests this one. */
  async *#pieces(query: ForeignQuery): AsyncGenerator<Uint8Array> {
    const rowId = this.#rowIdOf(query.table);
    const lane = await this.#takeLane();
    const fetch = (after: string | null): Promise<Piece> => {
      this.#demandOpen();
      const args = after !== null ? [after] : query.where === undefined ? [] : [query.where.is];
      const piece = lane.piece(selectOf(query, rowId, after !== null), args);
      piece.catch(() => {});
      return piece;
    };
    let next: Promise<Piece> | null = fetch(null);
    while (next !== null) {
      const { bytes, odd, last }: Piece = await this.#faultsOf(next);
      if (odd > 0) throw this.#wrongType(query);
      next = last === "" ? null : fetch(last);
      yield bytes;
    }
    this.#freeLanes.push(lane);
  }

  async #inLane<T>(work: (lane: Lane) => Promise<T>): Promise<T> {
    const lane = await this.#takeLane();
    this.#demandOpen();
    const done = await this.#faultsOf(work(lane));
    this.#freeLanes.push(lane);
    return done;
  }

  async #takeLane(): Promise<Lane> {
    this.#demandOpen();
    const free = this.#freeLanes.pop();
    if (free !== undefined) return free;
    const lane = this.#openLane();
    this.#lanes.push(lane);
    return await this.#faultsOf(lane);
  }

  #demandOpen(): void {
    if (this.#isOverdue) throw this.#tooLate();
    if (this.#damage !== null) throw this.#damage;
    if (this.#isClosed) throw new Error(`Cannot read database ${this.#file.display} as it was closed`);
  }

  async #faultsOf<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw this.#isOverdue ? this.#tooLate() : this.#damage ?? asFileFault(error, this.#file);
    }
  }

  #tooLate(): GlassboxError {
    const { display, sizeBytes, withinMs } = this.#file;
    return new GlassboxError(
      "invalid_input",
      `Cannot read database ${display} of ${sizeBytes} bytes as that must take at most ${withinMs / 1000} s`,
    );
  }

  #readColumns(table: string): string[] | null {
    let found: ForeignRow | null = null;
    const kinds =
      "SELECT concat(octet_length(type),':',type, rootpage > 0, ';') FROM sqlite_schema WHERE lower(name) = ?";
    this.#eachAtOnce(
      kinds,
      table,
      [{ name: "type", as: "text" }, { name: "stored", as: "number" }],
      (row) => {
        if (found === null && (row[0] === "table" || row[0] === "view")) found = [...row];
      },
    );
    if (found === null) return null;
    if (found[0] !== "table" || found[1] !== 1) {
      throw refused(
        this.#file.display,
        `one with a plain table ${table}`,
        `one where ${table} is a view or virtual`,
      );
    }
    const columns: string[] = [];
    const all = "SELECT concat(octet_length(name),':',name, hidden, ';') FROM pragma_table_xinfo(?)";
    this.#eachAtOnce(all, table, [{ name: "name", as: "text" }, { name: "hidden", as: "number" }], (row) => {
      if (row[1] === 0) columns.push(String(row[0]));
    });
    return columns;
  }

  /** Null for a table that has no row ids, and for one whose columns have taken all their names. */
  #rowIdOf(table: string): string | null {
    let isPlain = true;
    const kinds = "SELECT concat(wr, ';') FROM pragma_table_list WHERE schema = 'main' AND lower(name) = ?";
    this.#eachAtOnce(kinds, table, [{ name: "wr", as: "number" }], ([wr]) => isPlain &&= wr === 0);
    return isPlain ? rowIdOf(this.columns(table) ?? []) : null;
  }

  #eachAtOnce(
    sql: string,
    arg: string,
    columns: readonly ForeignColumn[],
    visit: (row: ForeignRow) => void,
  ): void {
    const rows = this.#database.prepare(packedSql(sql)).raw().all([arg]) as unknown as PieceRow[];
    unpack(pieceOf(rows).bytes, columns, visit);
  }

  #guarded<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw asFileFault(error, this.#file);
    }
  }

  #wrongType({ table, columns }: ForeignQuery): GlassboxError {
    const rowId = this.#rowIdOf(table);
    for (const column of columns) {
      const odd = oddOf(column);
      if (odd === null || rowId === null) continue;
      const [row] = this.#database.prepare(
        `SELECT CAST(${rowId} AS TEXT), typeof(${quotedName(column.name)}) FROM ${
          quotedName(table)
        } WHERE ${odd} LIMIT 1`,
      ).raw().all([]) as unknown as [string, string][];
      if (row === undefined) continue;
      return refused(
        this.#file.display,
        `one with only ${column.as === "text" ? "text" : "numbers"} in ${table}.${column.name}`,
        `one with a ${row[1]} there in row ${row[0]}`,
      );
    }
    return refused(
      this.#file.display,
      `one with values of the declared types in ${table}`,
      "one with others",
    );
  }
}
