import type { Database } from "libsql";
import { GlassboxError } from "../core/errors.ts";
import type { Driver, Result, Row, SqlValue, Statement } from "./driver.ts";

/** What every new connection is told, and what it must answer when asked back. */
const PRAGMAS: readonly (readonly [name: string, value: string, answer: number])[] = [
  // Acknowledged work survives a power cut only under FULL.
  ["synchronous", "FULL", 2],
  ["foreign_keys", "ON", 1],
  ["trusted_schema", "OFF", 0],
  ["cell_size_check", "ON", 1],
  ["mmap_size", "0", 0],
];

/** The library waits this long inside one synchronous call; longer waits are ours, so that the event loop turns. */
const BUSY_WAIT_INSIDE_MS = 20;

/** The SQL of this program is a few dozen texts; more come only from copying a job. */
const PREPARED_MAX = 200;

/** A pragma must not be kept: it answers for ever what was true when it was prepared. */
const WORTH_KEEPING = /^\s*(SELECT|INSERT|UPDATE|DELETE)\b/;

const BEGIN = { read: "BEGIN TRANSACTION READONLY", write: "BEGIN IMMEDIATE" } as const;

/** Opens the file; loads the native addon only now, as that costs more than the rest of a start. */
export async function openEmbedded(path: string, display: string): Promise<Driver> {
  const { default: Library } = await import("libsql");
  return new EmbeddedDatabase(() => new Library(path, { timeout: BUSY_WAIT_INSIDE_MS }), display);
}

/**
 * Connections of a disk that failed to the end. They are kept from being closed, also by the garbage collector: the
 * end of the process takes them, and leaves the log to whoever opens the file next.
 */
const LEFT_OPEN: (Database | null)[] = [];

/** A prepared statement, as far as it is used here. */
interface Prepared {
  readonly reader: boolean;
  all(args: readonly SqlValue[]): unknown[];
  run(args: readonly SqlValue[]): { changes: number };
}

/**
 * One connection to a database file at a time, and none without its pragmas. Statements are prepared once, as
 * @libsql/client does not: that takes several times as long as running them. Transactions begin and end by `exec`,
 * which leaves nothing behind when the database is busy; a prepared BEGIN would stay half done and poison the rest.
 */
class EmbeddedDatabase implements Driver {
  readonly #open: () => Database;
  readonly #display: string;
  readonly #prepared = new Map<string, Prepared>();
  /** Null when there is none: a look into a closed one would end the process. */
  #database: Database | null;
  #isReady = false;
  #isClosed = false;
  #connections = 1;
  /** True once the connection has done anything for us. */
  #isProven = false;
  /** True from a fault of the disk on until a connection is proven again. */
  #hasFailed = false;
  /** Kept open until another connection is proven: then that one, and not this, will be the last to close the file. */
  #aside: Database | null = null;

  constructor(open: () => Database, display: string) {
    this.#open = open;
    this.#display = display;
    this.#database = open();
  }

  get connections(): number {
    return this.#connections;
  }

  get isConnected(): boolean {
    return this.#database !== null;
  }

  // Async, so that what the library throws becomes a rejection.
  // deno-lint-ignore require-await
  async execute(query: Statement): Promise<Result> {
    const result = this.#run(this.#connected(), query);
    this.#prove();
    return result;
  }

  // deno-lint-ignore require-await
  async batch(statements: readonly Statement[], mode: "read" | "write"): Promise<Result[]> {
    const database = this.#connected();
    database.exec(BEGIN[mode]);
    try {
      const results = statements.map((one) => this.#run(database, one));
      database.exec("COMMIT");
      this.#prove();
      return results;
    } catch (error) {
      this.#rollBack(database);
      throw error;
    }
  }

  disconnect(): void {
    closeQuietly(this.#forget());
  }

  setAside(): void {
    this.#hasFailed = true;
    const failed = this.#forget();
    // The first of them has done its work before: as long as it is open no other closes the file as the last.
    if (this.#aside === null) this.#aside = failed;
    else closeQuietly(failed);
  }

  close(): void {
    this.#isClosed = true;
    if (!this.#hasFailed) return this.disconnect();
    LEFT_OPEN.push(this.#aside, this.#forget());
  }

  #forget(): Database | null {
    const database = this.#database;
    this.#database = null;
    this.#isReady = false;
    this.#isProven = false;
    this.#prepared.clear();
    return database;
  }

  #prove(): void {
    if (this.#isProven) return;
    this.#isProven = true;
    this.#hasFailed = false;
    closeQuietly(this.#aside);
    this.#aside = null;
  }

  #run(database: Database, { sql, args }: Statement): Result {
    const prepared = this.#prepare(database, sql);
    if (prepared.reader) return { rows: prepared.all(args) as Row[], rowsAffected: 0 };
    return { rows: [], rowsAffected: prepared.run(args).changes };
  }

  #prepare(database: Database, sql: string): Prepared {
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    const made = database.prepare(sql) as unknown as Prepared;
    // Asking whether it gives rows is a call into the library each time.
    const prepared = {
      reader: made.reader,
      all: (args: readonly SqlValue[]) => made.all(args),
      run: (args: readonly SqlValue[]) => made.run(args),
    };
    if (!WORTH_KEEPING.test(sql)) return prepared;
    if (this.#prepared.size === PREPARED_MAX) this.#prepared.clear();
    this.#prepared.set(sql, prepared);
    return prepared;
  }

  /** A full disk and the like have ended the transaction already; one that can't be ended goes with its connection. */
  #rollBack(database: Database): void {
    try {
      if (database.inTransaction) database.exec("ROLLBACK");
    } catch {
      this.disconnect();
    }
  }

  #connected(): Database {
    if (this.#isClosed) throw Object.assign(new Error("The connection is closed"), { code: "CLIENT_CLOSED" });
    if (this.#database === null) {
      this.#database = this.#open();
      this.#connections++;
    }
    if (!this.#isReady) this.#setPragmas(this.#database);
    this.#isReady = true;
    return this.#database;
  }

  #setPragmas(database: Database): void {
    for (const [name, value, answer] of PRAGMAS) {
      database.exec(`PRAGMA ${name} = ${value}`);
      const [row] = database.prepare(`PRAGMA ${name}`).all([]) as Row[];
      // SQLite answers nothing at all for a pragma it was built without; only a wrong answer is a fault.
      const got = row?.[name];
      if (got === undefined || Number(got) === answer) continue;
      throw new GlassboxError(
        "storage_io",
        `Cannot set ${name} of ${this.#display} to ${value}: it stays ${got}`,
      );
    }
  }
}

function closeQuietly(database: Database | null): void {
  try {
    database?.close();
  } catch {
    // It is given up in any case.
  }
}
