import type { Clock } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import type { Workers } from "../store/workers.ts";

const BEAT_EVERY_MS = LIMITS.leaseMs / 5;
const CHECK_EVERY_MS = LIMITS.leaseMs / 20;

/** Others may take over after a whole lease; by then whoever is silent must have stopped, with time to spare. */
const OWN_SILENCE_MAX_MS = LIMITS.leaseMs * 2 / 3;

/**
 * A worker's hold on its jobs over a database server: heartbeats, and the rule that a worker which cannot beat stops
 * by itself before anyone else may take its jobs. Counted from before each heartbeat was sent, on a clock that also
 * goes on while this process is stopped, so that one that wakes after a long sleep finds its lease over.
 */
export class Lease {
  #clock: Clock;
  #workers: Workers;
  #id: string;
  #ended = new AbortController();
  #acknowledgedMs: number;
  #isLost = false;
  #onLost: (why: string) => void;

  /**
   * `sinceMs` is the monotonic time at which the worker's registration was sent. `onLost` is called once, when the jobs
   * of this worker are no longer its own.
   */
  constructor(clock: Clock, workers: Workers, id: string, sinceMs: number, onLost: (why: string) => void) {
    this.#clock = clock;
    this.#workers = workers;
    this.#id = id;
    this.#onLost = onLost;
    this.#acknowledgedMs = sinceMs;
  }

  /**
   * Resolves when nobody can have taken over since the registration, or when the lease is lost. A registration whose
   * answer was long on its way says nothing about now: then a heartbeat has to be acknowledged before anything starts.
   */
  async begin(): Promise<void> {
    // A lost lease has ended as well; after its end no sleep would wait any more.
    while (!this.#ended.signal.aborted && this.#silentMs > OWN_SILENCE_MAX_MS) {
      await this.#beat();
      if (this.#silentMs > OWN_SILENCE_MAX_MS) await this.#clock.sleep(BEAT_EVERY_MS, this.#ended.signal);
    }
  }

  /** Beats until `end`, or until the lease is lost. */
  async keep(): Promise<void> {
    const watching = this.#watch();
    while (!this.#ended.signal.aborted) {
      await this.#beat();
      await this.#clock.sleep(BEAT_EVERY_MS, this.#ended.signal);
    }
    await watching;
  }

  end(): void {
    this.#ended.abort();
  }

  get #silentMs(): number {
    return this.#clock.monotonicMs() - this.#acknowledgedMs;
  }

  async #beat(): Promise<void> {
    const askedMs = this.#clock.monotonicMs();
    // An unknown outcome counts as no heartbeat: at worst we stop too early.
    const alive = await this.#workers.beat(this.#id).catch(() => null);
    if (alive === true) this.#acknowledgedMs = askedMs;
    if (alive === false) this.#lose("it was declared dead after a long silence");
  }

  /** Apart from the beating, as a heartbeat that hangs must not keep this worker from noticing. */
  async #watch(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await this.#clock.sleep(CHECK_EVERY_MS, this.#ended.signal);
      if (this.#silentMs > OWN_SILENCE_MAX_MS) {
        this.#lose(`its heartbeats were not acknowledged for ${Math.round(this.#silentMs)} ms`);
      }
    }
  }

  #lose(why: string): void {
    if (this.#isLost || this.#ended.signal.aborted) return;
    this.#isLost = true;
    this.#onLost(why);
    this.end();
  }
}
