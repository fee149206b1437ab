/** SQLite files that strangers made: opened for reading only, checked first, and read with no trust in their text. */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import * as fs from "node:fs/promises";
import { clearTimeout, setTimeout } from "node:timers";
import type { Database } from "libsql";
import { EMPTY_BYTES } from "../core/bytes.ts";
import { textOfBytes } from "../core/byte_text.ts";
import { GlassboxError, messageOf } from "../core/errors.ts";
import type { ForeignColumn, ForeignDatabase, ForeignQuery, ForeignRow, PackedRows } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";

/**
 * `trusted_schema` keeps what the file's own schema calls from doing harm; the limit holds for the whole process. The
 * library's authorizer cannot be used beside them: it denies every function, also those that rows are packed with, and
 * is asked again for statements that were prepared before. All SQL is ours and names plain tables only.
 */
const PRAGMAS = [
  "query_only = ON",
  "trusted_schema = OFF",
  "cell_size_check = ON",
  "mmap_size = 0",
  "ignore_check_constraints = ON",
  "temp_store = MEMORY",
  `hard_heap_limit = ${LIMITS.foreignHeapBytesMax}`,
];

/** Few enough for their text to stay small, many enough for a call to cost nothing beside them. */
const ROWS_AT_ONCE = 2_000;

/** A function of SQLite takes 100 arguments; a text column needs three of them. */
const COLUMNS_IN_ONE_CALL = 30;

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

/** What is used of the library, whose own types say less. */
interface BackgroundDatabase {
  exec(sql: string): Promise<void>;
  prepare(sql: string): Promise<BackgroundStatement>;
  interrupt(): void;
  close(): void;
}

interface BackgroundStatement {
  raw(): BackgroundStatement;
  all(args: readonly string[]): Promise<PieceRow[]>;
}

interface Piece {
  readonly bytes: Uint8Array;
  /** How many values are of a type that is refused. */
  readonly odd: number;
  /** The id of the last row, or empty when the table has been read to its end. */
  readonly last: string;
}

/** A connection whose work is done by a thread of the library's; one statement at a time. */
class Lane {
  readonly #database: BackgroundDatabase;
  readonly #prepared = new Map<string, BackgroundStatement>();
  #isBusy = false;
  #done: Promise<unknown> = Promise.resolve();

  constructor(database: BackgroundDatabase) {
    this.#database = database;
  }

  async setUp(): Promise<this> {
    for (const pragma of PRAGMAS) await this.#database.exec(`PRAGMA ${pragma}`);
    return this;
  }

  piece(sql: string, args: readonly string[]): Promise<Piece> {
    const piece = this.#piece(sql, args);
    this.#isBusy = true;
    this.#done = piece.catch(() => {}).finally(() => this.#isBusy = false);
    return piece;
  }

  /** A process that ended while another of its threads is inside the library would end by a signal. */
  async close(): Promise<void> {
    await this.stop();
    this.#database.close();
  }

  /** Ends what is under way; it fails with SQLITE_INTERRUPT. */
  async stop(): Promise<void> {
    while (this.#isBusy) {
      // It only ends what has begun.
      this.#database.interrupt();
      await Promise.race([this.#done, new Promise((resolve) => setTimeout(resolve, INTERRUPT_AGAIN_MS))]);
    }
  }

  /** Text leaves SQLite only as bytes: the library ends the process for what is no UTF-8, and cuts text at a NUL. */
  async #piece(sql: string, args: readonly string[]): Promise<Piece> {
    const statement = this.#prepared.get(sql) ?? (await this.#database.prepare(sql)).raw();
    this.#prepared.set(sql, statement);
    // The first row, of which there is only one, is made by the time the promise is fulfilled.
    return pieceOf(await statement.all([...args]));
  }
}

const INTERRUPT_AGAIN_MS = 10;

type PieceRow = readonly [bytes: Uint8Array | null, odd: number | null, last: string | null];

function pieceOf([row]: readonly PieceRow[]): Piece {
  const [bytes, odd, last] = row ?? [null, 0, ""];
  return { bytes: bytes ?? EMPTY_BYTES, odd: odd ?? 0, last: last ?? "" };
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
    for await (const bytes of this.#pieces(query)) unpack(latin1(bytes), query.columns, visit);
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
    unpack(latin1(found.bytes), [{ name: "quick_check", as: "text" }], ([first]) => answer ??= first);
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
    unpack(latin1(pieceOf(rows).bytes), columns, visit);
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

function packedSql(rowsSql: string): string {
  return rowsSql.replace(/^SELECT (.*) FROM/, "SELECT CAST(group_concat($1, '') AS BLOB), 0, '' FROM");
}

/** A table may have columns of these names, which then no longer mean the row's own number. */
function rowIdOf(columns: readonly string[]): string | null {
  const taken = new Set(columns.map((name) => name.toLowerCase()));
  return ["rowid", "_rowid_", "oid"].find((name) => !taken.has(name)) ?? null;
}

function selectOf(
  { table, columns, where, order }: ForeignQuery,
  rowId: string | null,
  after: boolean,
): string {
  const packs = columns.map(packOf);
  const calls: string[] = [];
  for (let at = 0; at < packs.length; at += COLUMNS_IN_ONE_CALL) {
    calls.push(`concat(${packs.slice(at, at + COLUMNS_IN_ONE_CALL).join(",")})`);
  }
  const odd = columns.map(oddOf).filter((one) => one !== null).map((one) => `(${one})`).join("+") || "0";
  const row = calls.join("||");
  const source = quotedName(table);
  if (order === "natural" || where !== undefined || rowId === null) {
    const condition = where === undefined ? "" : ` WHERE ${quotedName(where.column)} = ?`;
    return `SELECT CAST(group_concat(${row}, '') AS BLOB), max(${odd}), '' FROM ${source}${condition}`;
  }
  return `SELECT CAST(group_concat(p, '') AS BLOB), max(o), CAST(max(r) AS TEXT) FROM (
    SELECT ${rowId} r, ${row} p, ${odd} o FROM ${source}
    ${after ? `WHERE ${rowId} > CAST(? AS INTEGER)` : ""} ORDER BY ${rowId} LIMIT ${ROWS_AT_ONCE})`;
}

/** `5:hello`, or `:` for null; a number and a semicolon, or a semicolon alone. */
function packOf({ name, as }: ForeignColumn): string {
  const column = quotedName(name);
  if (as === "text") return `octet_length(${column}),':',${column}`;
  return `CASE typeof(${column}) WHEN 'integer' THEN ${column} WHEN 'real' THEN quote(${column}) END,';'`;
}

/** The condition under which a value is refused. */
function oddOf({ name, as }: ForeignColumn): string | null {
  const column = quotedName(name);
  if (as === "text") return `typeof(${column}) = 'blob'`;
  if (as === "numberOrNull") return null;
  return `typeof(${column}) = 'blob' OR (typeof(${column}) = 'text' AND trim(${column}) <> '')`;
}

function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

// deno-lint-ignore no-control-regex
const NOT_ASCII = /[^\x00-\x7f]/;

/** The row is overwritten by the next: of most rows only a word or two is kept. */
function unpack(packed: string, columns: readonly ForeignColumn[], visit: (row: ForeignRow) => void): void {
  const isText = columns.map(({ as }) => as === "text");
  const isPlain = !NOT_ASCII.test(packed);
  const row: (string | number | null)[] = columns.map(() => null);
  for (let at = 0; at < packed.length;) {
    for (let column = 0; column < isText.length; column++) {
      const text = isText[column]!;
      const end = packed.indexOf(text ? ":" : ";", at);
      const isNull = end === at;
      const number = isNull ? 0 : numberOf(packed.slice(at, end));
      at = end + 1;
      if (isNull || !text) {
        row[column] = isNull ? null : number;
        continue;
      }
      const value = packed.slice(at, at + number);
      row[column] = isPlain ? value : textOfBytes(value);
      at += number;
    }
    visit(row);
  }
}

function latin1({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("latin1");
}

const [ZERO, NINE, COLON, SEMICOLON] = [48, 57, 58, 59];

/** Finds the values of packed rows without making anything of them. */
class PackedReader {
  readonly #isText: readonly boolean[];
  #starts = new Int32Array(0);
  #ends = new Int32Array(0);
  #numbers = new Float64Array(0);

  constructor(columns: readonly ForeignColumn[]) {
    this.#isText = columns.map(({ as }) => as === "text");
  }

  read(bytes: Uint8Array): PackedRows {
    const width = this.#isText.length;
    let count = 0;
    for (let at = 0; at < bytes.length; count++) {
      if ((count + 1) * width > this.#starts.length) this.#grow();
      for (let column = 0; column < width; column++) {
        at = this.#isText[column]
          ? this.#text(bytes, at, count * width + column)
          : this.#number(bytes, at, count * width + column);
      }
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return { count, bytes: view, starts: this.#starts, ends: this.#ends, numbers: this.#numbers };
  }

  #text(bytes: Uint8Array, from: number, place: number): number {
    let length = 0;
    let at = from;
    for (; bytes[at] !== COLON; at++) length = length * 10 + bytes[at]! - ZERO;
    const isNull = at === from;
    this.#starts[place] = at + 1;
    this.#ends[place] = isNull ? -1 : at + 1 + length;
    return at + 1 + length;
  }

  #number(bytes: Uint8Array, from: number, place: number): number {
    let at = from;
    let whole = 0;
    let isWhole = true;
    for (; bytes[at] !== SEMICOLON; at++) {
      const byte = bytes[at]!;
      isWhole &&= byte >= ZERO && byte <= NINE && at - from < 15;
      if (isWhole) whole = whole * 10 + byte - ZERO;
    }
    this.#numbers[place] = at === from ? NaN : isWhole ? whole : numberOf(latin1(bytes.subarray(from, at)));
    return at + 1;
  }

  #grow(): void {
    const size = Math.max(1024, this.#starts.length * 2);
    const grown = <Kind extends Int32Array | Float64Array>(to: Kind, from: Kind): Kind => (to.set(from), to);
    this.#starts = grown(new Int32Array(size), this.#starts);
    this.#ends = grown(new Int32Array(size), this.#ends);
    this.#numbers = grown(new Float64Array(size), this.#numbers);
  }
}

/** SQLite writes infinity as `Inf`. */
function numberOf(text: string): number {
  const number = Number(text);
  return Number.isNaN(number) ? Number(text.replace("Inf", "Infinity")) : number;
}
