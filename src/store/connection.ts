import { GlassboxError } from "../core/errors.ts";
import type { Clock } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { type Driver, type Result, type Row, type SqlValue, type Statement, statement } from "./driver.ts";
import { openEmbedded } from "./embedded.ts";
import { isBusy, isIoFault, storageError } from "./failures.ts";

export { type Row, type Statement, statement } from "./driver.ts";

export interface ConnectionOptions {
  readonly url: string;
  readonly token: string | null;
  /** The file of an embedded database; null for a server. */
  readonly path: string | null;
  /** The path or URL as messages show it. */
  readonly display: string;
  /** Another way to the database than by its path or URL: a simulation brings its own. */
  readonly openDriver?: () => Promise<Driver>;
}

/** Embedded calls never leave the microtask queue by themselves; after so many the event loop gets a turn. */
const CALLS_PER_TURN = 100;

/**
 * A database that is patient: while another program holds it, calls wait without stopping the event loop, and every
 * BUSY is answered with a new connection, as nobody knows what a refused call left undone on the old one.
 */
export class Connection {
  readonly display: string;
  readonly isEmbedded: boolean;
  #driver: Driver;
  #clock: Clock;
  #calls = 0;
  #last: Promise<void> = Promise.resolve();
  /** Asked before a connection is made anew: by then another file may have taken the name. */
  #beforeOpening: () => Promise<void>;

  private constructor(
    driver: Driver,
    clock: Clock,
    options: ConnectionOptions,
    beforeOpening: () => Promise<void>,
  ) {
    this.#beforeOpening = beforeOpening;
    this.#driver = driver;
    this.#clock = clock;
    this.display = options.display;
    this.isEmbedded = options.path !== null;
  }

  static async open(
    options: ConnectionOptions,
    clock: Clock,
    beforeOpening: () => Promise<void> = () => Promise.resolve(),
  ): Promise<Connection> {
    try {
      return new Connection(await openDriver(options, clock), clock, options, beforeOpening);
    } catch (error) {
      throw storageError(error, { display: options.display, isEmbedded: options.path !== null });
    }
  }

  /** Runs one reading statement. */
  async read(query: Statement): Promise<readonly Row[]> {
    const result = await this.#patiently(() => this.#driver.execute(query));
    return result.rows;
  }

  /** Runs several reading statements on one snapshot of the database. */
  async readTogether(queries: readonly Statement[]): Promise<(readonly Row[])[]> {
    const results = await this.#patiently(() => this.#driver.batch(queries, "read"));
    return results.map((result) => result.rows);
  }

  /** Runs statements as one write transaction: all or none. */
  async transact(
    statements: readonly Statement[],
    patienceMs: number = LIMITS.storageBusyMs,
  ): Promise<Result[]> {
    return await this.#patiently(() => this.#driver.batch(statements, "write"), patienceMs);
  }

  /** Differs after commits of *other* connections on an embedded file; null for a server, which cannot say. */
  async dataVersion(): Promise<number | null> {
    if (!this.isEmbedded) return null;
    const rows = await this.read(statement("PRAGMA data_version"));
    // Every connection counts from the same start, so the counts of two of them must not be taken for one.
    return this.#driver.connections * 2 ** 32 + Number(rows[0]?.data_version ?? 0);
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

  /** Moves all that write-ahead logging holds into the file and ends it: the file alone is then the database. */
  async disableWal(): Promise<void> {
    const rows = await this.read(statement("PRAGMA journal_mode = DELETE"));
    const mode = String(rows[0]?.journal_mode ?? "");
    if (mode === "delete") return;
    throw new GlassboxError(
      "storage_busy",
      `Cannot make ${this.display} one file as something else uses it (journal mode is ${mode}): try again`,
    );
  }

  /**
   * Moves what the write-ahead log holds into the file and leaves the log empty, for a file that is no longer at its
   * path: whatever is there now must not find the log of another. Without success it stays as it is.
   */
  async emptyWal(): Promise<void> {
    if (!this.#driver.isConnected) return;
    await this.#driver.execute(statement("PRAGMA wal_checkpoint(TRUNCATE)")).catch(() => undefined);
  }

  close(): void {
    this.#driver.close();
  }

  async #patiently<T>(work: () => Promise<T>, patienceMs: number = LIMITS.storageBusyMs): Promise<T> {
    const start = this.#clock.monotonicMs();
    for (let pauseMs = 5;; pauseMs = Math.min(pauseMs * 2, 250)) {
      try {
        return await (this.isEmbedded ? this.#alone(work) : work());
      } catch (error) {
        if (!isBusy(error) || this.#clock.monotonicMs() - start >= patienceMs) {
          throw storageError(error, this);
        }
        await this.#clock.sleep(pauseMs);
      }
    }
  }

  /**
   * One call at a time: else the disconnect after one call's BUSY would close the connection under another. Nothing
   * is lost, as embedded calls block anyway.
   */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const turn = Promise.withResolvers<void>();
    this.#last = turn.promise;
    await before;
    try {
      if (++this.#calls % CALLS_PER_TURN === 0) await this.#clock.turn();
      if (!this.#driver.isConnected) await this.#beforeOpening();
      return await work();
    } catch (error) {
      if (isBusy(error)) this.#driver.disconnect();
      // After a failed read or sync nobody knows what the connection holds in memory.
      else if (isIoFault(error)) this.#driver.setAside();
      throw error;
    } finally {
      turn.resolve();
    }
  }
}

function openDriver(options: ConnectionOptions, clock: Clock): Promise<Driver> {
  if (options.openDriver !== undefined) return options.openDriver();
  return options.path === null ? openServer(options, clock) : openEmbedded(options.path, options.display);
}

/** A database server, by the client that knows its protocols. */
async function openServer({ url, token }: ConnectionOptions, clock: Clock): Promise<Driver> {
  const { createClient } = await import("@libsql/client");
  const client = createClient({
    url,
    ...(token === null ? {} : { authToken: token }),
    fetch: sendOnce(clock),
  });
  const taken = ({ sql, args }: Statement) => ({ sql, args: [...args] satisfies SqlValue[] });
  // Writes are sent one after the other anyway; they, and heartbeats with them, never wait for readers.
  const amongFew = atMost(LIMITS.serverReadsMax);
  return {
    connections: 1,
    execute: (query) => amongFew(() => client.execute(taken(query))),
    batch: (statements, mode) => {
      const send = () => client.batch(statements.map(taken), mode);
      return mode === "read" ? amongFew(send) : send();
    },
    isConnected: true,
    disconnect: () => undefined,
    setAside: () => undefined,
    close: () => client.close(),
  };
}

/**
 * The `fetch` for a database server. Deno sends a request again by itself when its connection ended before the
 * answer, which would do a transaction twice; a body that is a stream can be sent but once. And a server that
 * never answers must not be waited for without end.
 */
function sendOnce(clock: Clock): (request: Request) => Promise<Response> {
  return async (request) => {
    const { url, method, headers } = request;
    const sent = request.body === null ? null : await request.arrayBuffer();
    const waitMs = answerMs(sent?.byteLength ?? 0);
    const answered = new AbortController();
    const late = new AbortController();
    void clock.sleep(waitMs, answered.signal).then(() => {
      if (!answered.signal.aborted) late.abort();
    });
    try {
      // The stream must be of our own making: Deno would see through the request's own to the bytes behind it.
      const body = sent === null ? {} : { body: streamOf(sent), duplex: "half" };
      const response = await fetch(url, { method, headers, signal: late.signal, ...body });
      const bytes = await response.arrayBuffer();
      return new Response(bytes.byteLength === 0 ? null : bytes, response);
    } catch (error) {
      if (!late.signal.aborted) throw error;
      throw new TypeError(`no answer within ${Math.round(waitMs / 1000)} s`, { cause: error });
    } finally {
      answered.abort();
    }
  };
}

/** A large request may take as long as it needs on a slow line, within reason. */
function answerMs(bytes: number): number {
  return Math.min(LIMITS.serverAnswerMs + bytes / LIMITS.serverBytesPerMs, LIMITS.storageBusyMs);
}

/** Lets at most `max` pieces of work run at once; the others wait for their turn. */
function atMost(max: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running === max) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      // The place goes to the next in line, or is given back.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}

function streamOf(bytes: ArrayBuffer): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(bytes));
      controller.close();
    },
  });
}
