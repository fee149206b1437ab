/** One real libSQL database in memory, met by all simulated processes, with the mishaps of disks and networks. */
import Library from "libsql";
import { MIGRATIONS } from "../../../src/store/migrations.gen.ts";
import type { Driver, Result, Row, SqlValue, Statement } from "../../../src/store/driver.ts";

/** What goes wrong with one call: nothing happens, or it happens and nobody learns of it. */
export interface Mishap {
  readonly when: "before" | "after";
  readonly error: Error;
}

/** The process that makes a call. */
export interface Caller {
  /** Runs one call, which may be kept waiting, go wrong, or never be answered as its process has died. */
  call<T>(kind: "read" | "write", work: () => T): Promise<T>;
}

interface Prepared {
  readonly reader: boolean;
  all(args: readonly SqlValue[]): unknown[];
  run(args: readonly SqlValue[]): { changes: number };
}

const WORTH_KEEPING = /^\s*(SELECT|INSERT|UPDATE|DELETE)\b/;
const TABLES = [
  "artifact_parts",
  "artifacts",
  "partial_lines",
  "lines",
  "events",
  "attempts",
  "jobs",
  "workers",
  "queues",
  "schedules",
  "meta",
] as const;

/** A job as it was when retention let it go. */
export interface PrunedJob {
  readonly state: string;
  readonly key: string | null;
  readonly maxAttempts: number;
}

/**
 * The database is made once and emptied for each world, as making it takes longer than most of a world. Each call is
 * one piece for all other processes, as it is for a file under its lock and for a server's batch.
 */
export class SimulatedDatabase {
  readonly #library = new Library(":memory:");
  readonly #prepared = new Map<string, Prepared>();
  #commits = 0;
  /** Jobs that retention has deleted in this world. */
  readonly pruned = new Map<string, PrunedJob>();

  constructor() {
    for (const { statements } of MIGRATIONS) for (const sql of statements) this.#library.exec(sql);
    this.#library.exec(
      "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    );
    this.#library.exec("PRAGMA foreign_keys = ON");
  }

  /** Empties it and gives it the identity of a new world. */
  reset(id: string): void {
    for (const table of TABLES) this.#library.exec(`DELETE FROM ${table}`);
    this.pruned.clear();
    this.#commits = 0;
    for (const [name, value] of [["database_id", id], ["schema", String(MIGRATIONS.length)]] as const) {
      this.run({ sql: "INSERT INTO meta VALUES (?, ?)", args: [name, value] });
    }
  }

  /** The way to it for one process. */
  driver(caller: Caller): Driver {
    let own = 0;
    return {
      connections: 1,
      isConnected: true,
      execute: (query) =>
        caller.call("read", () => {
          if (query.sql === "PRAGMA data_version") return rows([{ data_version: this.#commits - own }]);
          if (query.sql === "PRAGMA journal_mode") return rows([{ journal_mode: "wal" }]);
          return this.run(query);
        }),
      batch: (statements, mode) =>
        caller.call(mode, () => {
          if (mode === "read") return statements.map((one) => this.run(one));
          const results = this.#transact(statements);
          this.#commits++;
          own++;
          return results;
        }),
      disconnect: () => undefined,
      setAside: () => undefined,
      close: () => undefined,
    };
  }

  /** Runs one statement at once. */
  run({ sql, args }: Statement): Result {
    if (sql.startsWith("DELETE FROM jobs")) this.#notePruned(sql, args);
    const prepared = this.#prepare(sql);
    if (prepared.reader) return rows(prepared.all(args) as Row[]);
    return { rows: [], rowsAffected: prepared.run(args).changes };
  }

  #transact(statements: readonly Statement[]): Result[] {
    this.#library.exec("BEGIN IMMEDIATE");
    try {
      const results = statements.map((one) => this.run(one));
      this.#library.exec("COMMIT");
      return results;
    } catch (error) {
      if (this.#library.inTransaction) this.#library.exec("ROLLBACK");
      throw error;
    }
  }

  #notePruned(sql: string, args: readonly SqlValue[]): void {
    const found = this.#prepare(
      sql.replace("DELETE FROM jobs", "SELECT id, state, key, max_attempts FROM jobs"),
    ).all(args) as Row[];
    for (const { id, state, key, max_attempts } of found) {
      this.pruned.set(String(id), {
        state: String(state),
        key: key === null ? null : String(key),
        maxAttempts: Number(max_attempts),
      });
    }
  }

  #prepare(sql: string): Prepared {
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    const made = this.#library.prepare(sql) as unknown as Prepared;
    // Asking whether it gives rows costs a call of its own each time.
    const prepared = { reader: made.reader, all: made.all.bind(made), run: made.run.bind(made) };
    if (WORTH_KEEPING.test(sql)) this.#prepared.set(sql, prepared);
    return prepared;
  }
}

function rows(found: readonly Row[]): Result {
  return { rows: found, rowsAffected: 0 };
}
