/** Threads of the library that read a stranger's database, each by a connection of its own. */

import { setTimeout } from "node:timers";
import { EMPTY_BYTES } from "../core/bytes.ts";
import { LIMITS } from "../core/limits.ts";

/**
 * `trusted_schema` keeps what the file's own schema calls from doing harm; the limit holds for the whole process. The
 * library's authorizer cannot be used beside them: it denies every function, also those that rows are packed with, and
 * is asked again for statements that were prepared before. All SQL is ours and names plain tables only.
 */
export const PRAGMAS = [
  "query_only = ON",
  "trusted_schema = OFF",
  "cell_size_check = ON",
  "mmap_size = 0",
  "ignore_check_constraints = ON",
  "temp_store = MEMORY",
  `hard_heap_limit = ${LIMITS.foreignHeapBytesMax}`,
];

/** What is used of the library, whose own types say less. */
export interface BackgroundDatabase {
  exec(sql: string): Promise<void>;
  prepare(sql: string): Promise<BackgroundStatement>;
  interrupt(): void;
  close(): void;
}

interface BackgroundStatement {
  raw(): BackgroundStatement;
  all(args: readonly string[]): Promise<PieceRow[]>;
}

export interface Piece {
  readonly bytes: Uint8Array;
  /** How many values are of a type that is refused. */
  readonly odd: number;
  /** The id of the last row, or empty when the table has been read to its end. */
  readonly last: string;
}

/** A connection whose work is done by a thread of the library's; one statement at a time. */
export class Lane {
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

export type PieceRow = readonly [bytes: Uint8Array | null, odd: number | null, last: string | null];

export function pieceOf([row]: readonly PieceRow[]): Piece {
  const [bytes, odd, last] = row ?? [null, 0, ""];
  return { bytes: bytes ?? EMPTY_BYTES, odd: odd ?? 0, last: last ?? "" };
}
