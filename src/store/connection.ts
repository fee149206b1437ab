import type { Client, InValue, ResultSet, Row } from "@libsql/client";
import { GlassboxError } from "../core/errors.ts";
import type { Clock } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { isBusy, storageError } from "./failures.ts";

export interface Statement {
  readonly sql: string;
  readonly args: readonly InValue[];
}

export type { Row };

/** Builds a statement. Booleans are refused by type: libSQL would store them as REAL. */
export function statement(sql: string, ...args: (string | number | null | Uint8Array)[]): Statement {
  return { sql, args };
}

export interface ConnectionOptions {
  readonly url: string;
  readonly token: string | null;
  /** The file of an embedded database; null for a server. */
  readonly path: string | null;
  /** The path or URL as messages show it. */
  readonly display: string;
}

/** What every new connection is told, and what it must answer when asked back. */
const PRAGMAS: readonly (readonly [name: string, value: string, answer: string | number])[] = [
  // Acknowledged work survives a power cut only under FULL.
  ["synchronous", "FULL", 2],
  ["foreign_keys", "ON", 1],
  ["trusted_schema", "OFF", 0],
  ["cell_size_check", "ON", 1],
  ["mmap_size", "0", 0],
];

/** The client waits this long inside one synchronous call; longer waits are ours, so that the event loop turns. */
const BUSY_WAIT_INSIDE_MS = 20;

/** Embedded calls never leave the microtask queue by themselves; after so many the event loop gets a turn. */
const CALLS_PER_TURN = 100;

/**
 * One libSQL connection that keeps its promises. A single SQLITE_BUSY poisons a local libSQL client and leaves
 * its write lock taken, and a reconnected one forgets its pragmas; so every BUSY is followed by a reconnect,
 * and no write runs before the pragmas of the present connection were set and read back.
 */
export class Connection {
  readonly display: string;
  readonly isEmbedded: boolean;
  #client: Client;
  #clock: Clock;
  #ready = false;
  #calls = 0;
  #reconnects = 0;
  #last: Promise<void> = Promise.resolve();

  private constructor(client: Client, clock: Clock, options: ConnectionOptions) {
    this.#client = client;
    this.#clock = clock;
    this.display = options.display;
    this.isEmbedded = options.path !== null;
  }

  /** Opens the client; loads the native addon only now, as that costs more than the rest of a start. */
  static async open(options: ConnectionOptions, clock: Clock): Promise<Connection> {
    const { createClient } = await import("@libsql/client");
    try {
      const client = createClient({
        url: options.url,
        ...(options.token === null ? {} : { authToken: options.token }),
        ...(options.path === null ? {} : { concurrency: 1, timeout: BUSY_WAIT_INSIDE_MS }),
      });
      return new Connection(client, clock, options);
    } catch (error) {
      throw storageError(error, { display: options.display, isEmbedded: options.path !== null });
    }
  }

  /** Runs one reading statement. */
  async read(query: Statement): Promise<Row[]> {
    const result = await this.#patiently(() =>
      this.#client.execute({ sql: query.sql, args: [...query.args] })
    );
    return result.rows;
  }

  /** Runs several reading statements on one snapshot of the database. */
  async readTogether(queries: readonly Statement[]): Promise<Row[][]> {
    const batch = queries.map(({ sql, args }) => ({ sql, args: [...args] }));
    const results = await this.#patiently(() => this.#client.batch(batch, "read"));
    return results.map((result) => result.rows);
  }

  /** Runs statements as one write transaction: all or none. */
  async transact(statements: readonly Statement[]): Promise<ResultSet[]> {
    const batch = statements.map(({ sql, args }) => ({ sql, args: [...args] }));
    return await this.#patiently(async () => {
      await this.#checkDurability();
      return await this.#client.batch(batch, "write");
    });
  }

  /** Differs after commits of *other* connections on an embedded file; null for a server, which cannot say. */
  async dataVersion(): Promise<number | null> {
    if (!this.isEmbedded) return null;
    const rows = await this.read(statement("PRAGMA data_version"));
    // Every connection counts from the same start, so the counts of two of them must not be taken for one.
    return this.#reconnects * 2 ** 32 + Number(rows[0]?.data_version ?? 0);
  }

  /** True when the file is in write-ahead logging already; copies made with VACUUM INTO are not. */
  async hasWal(): Promise<boolean> {
    const rows = await this.read(statement("PRAGMA journal_mode"));
    return String(rows[0]?.journal_mode ?? "") === "wal";
  }

  /** Switches the file to write-ahead logging, which stays with the file. */
  async enableWal(): Promise<void> {
    const rows = await this.read(statement("PRAGMA journal_mode = WAL"));
    const mode = String(rows[0]?.journal_mode ?? "");
    if (mode !== "wal") {
      throw new GlassboxError(
        "configuration",
        `Cannot use the database ${this.display} as its file system does not allow write-ahead logging ` +
          `(journal mode is ${mode}): put it on a local disk with --db`,
      );
    }
  }

  close(): void {
    this.#client.close();
  }

  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const start = this.#clock.monotonicMs();
    for (let pauseMs = 5;; pauseMs = Math.min(pauseMs * 2, 250)) {
      try {
        return await (this.isEmbedded ? this.#alone(work) : work());
      } catch (error) {
        if (!isBusy(error) || this.#clock.monotonicMs() - start > LIMITS.storageBusyMs) {
          throw storageError(error, this);
        }
        await this.#clock.sleep(pauseMs);
      }
    }
  }

  /**
   * One call at a time, prepared before it and healed after it: else a reconnect after one call's BUSY would close
   * the connection under another, or hand it one without pragmas. Nothing is lost, as embedded calls block anyway.
   */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const turn = Promise.withResolvers<void>();
    this.#last = turn.promise;
    await before;
    try {
      if (++this.#calls % CALLS_PER_TURN === 0) await this.#clock.turn();
      if (!this.#ready) await this.#prepare();
      return await work();
    } catch (error) {
      if (isBusy(error)) await this.#reconnect();
      throw error;
    } finally {
      turn.resolve();
    }
  }

  async #reconnect(): Promise<void> {
    this.#ready = false;
    this.#reconnects++;
    await this.#client.reconnect();
  }

  async #prepare(): Promise<void> {
    for (const [name, value, answer] of PRAGMAS) {
      await this.#client.execute(`PRAGMA ${name} = ${value}`);
      const rows = (await this.#client.execute(`PRAGMA ${name}`)).rows;
      // SQLite answers nothing at all for a pragma it was built without; only a wrong answer is a fault.
      const got = rows[0]?.[name];
      if (got !== undefined && Number(got) !== answer) {
        throw new GlassboxError(
          "storage_io",
          `Cannot set ${name} of ${this.display} to ${value}: it stays ${got}`,
        );
      }
    }
    this.#ready = true;
  }

  /** The client may replace its connection without telling; one that is not FULL must never acknowledge. */
  async #checkDurability(): Promise<void> {
    if (!this.isEmbedded) return;
    const rows = (await this.#client.execute("PRAGMA synchronous")).rows;
    if (Number(rows[0]?.synchronous) !== 2) await this.#prepare();
    const [foreignKeys] = (await this.#client.execute("PRAGMA foreign_keys")).rows;
    if (Number(foreignKeys?.foreign_keys) !== 1) await this.#prepare();
  }
}
