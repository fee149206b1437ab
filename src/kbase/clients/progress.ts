import type { Clock } from "../../core/host.ts";

/** How far something long has come. */
export interface Progress {
  /** What is under way, as in `upload genome.zip`. */
  readonly what: string;
  readonly elapsedMs: number;
  /** Null where only the other side knows. */
  readonly bytes: number | null;
  /** Null where it is not known beforehand. */
  readonly bytesTotal: number | null;
  readonly bytesPerSecond: number | null;
  readonly isDone: boolean;
}

export type Watcher = (progress: Progress) => void | Promise<void>;

const FIRST_MS = 1_000;
const EVERY_MS = 5_000;

/** Tells a watcher now and then how far something is, so that it never looks like a hang: after a second first. */
export class Meter {
  readonly #clock: Clock;
  readonly #watcher: Watcher;
  readonly #what: string;
  readonly #bytesTotal: number | null;
  readonly #startedMs: number;
  readonly #everyMs: number;
  readonly #ended = new AbortController();
  #bytes: number | null = null;
  #isTold = false;

  constructor(
    clock: Clock,
    watcher: Watcher,
    what: string,
    { bytesTotal = null, everyMs = EVERY_MS }: { bytesTotal?: number | null; everyMs?: number } = {},
  ) {
    this.#clock = clock;
    this.#watcher = watcher;
    this.#what = what;
    this.#bytesTotal = bytesTotal;
    this.#startedMs = clock.monotonicMs();
    this.#everyMs = everyMs;
    // Whoever cannot be told of progress will hear of the end, or of what keeps it from being told.
    void this.#run().catch(() => undefined);
  }

  add(bytes: number): void {
    this.#bytes = (this.#bytes ?? 0) + bytes;
  }

  /** What passed so far is sent once more. */
  restart(): void {
    this.#bytes = null;
  }

  /** Counts what passes. */
  async *through(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      this.add(piece.length);
      yield piece;
    }
  }

  /** Tells the end too, of what was told about before and of every transfer. */
  async end(): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    if (this.#isTold || this.#bytes !== null) await this.#watcher(this.#progress(true));
  }

  /** Ends without a word, for what failed. */
  drop(): void {
    this.#ended.abort();
  }

  #progress(isDone: boolean): Progress {
    const elapsedMs = Math.round(this.#clock.monotonicMs() - this.#startedMs);
    const bytes = this.#bytes;
    const bytesPerSecond = bytes === null || elapsedMs === 0 ? null : Math.round(bytes / (elapsedMs / 1000));
    return { what: this.#what, elapsedMs, bytes, bytesTotal: this.#bytesTotal, bytesPerSecond, isDone };
  }

  async #run(): Promise<void> {
    for (let waitMs = Math.min(FIRST_MS, this.#everyMs);; waitMs = this.#everyMs) {
      await this.#clock.sleep(waitMs, this.#ended.signal);
      if (this.#ended.signal.aborted) return;
      this.#isTold = true;
      await this.#watcher(this.#progress(false));
    }
  }
}

/** A progress as one line for people. */
export function progressText(
  { what, elapsedMs, bytes, bytesTotal, bytesPerSecond, isDone }: Progress,
): string {
  const time = `${(elapsedMs / 1000).toFixed(1)} s`;
  const amount = bytes === null
    ? ""
    : ` · ${megabytes(bytes)}${bytesTotal === null ? "" : ` of ${megabytes(bytesTotal)}`}`;
  const rate = bytesPerSecond === null ? "" : ` · ${megabytes(bytesPerSecond)}/s`;
  return `${what}: ${isDone ? "done after" : "under way for"} ${time}${amount}${rate}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
