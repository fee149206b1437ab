import type { Clock, SignalName } from "../core/host.ts";

/** Why an attempt was stopped from outside. */
export type StopReason = "cancel" | "timeout" | "fenced" | "storage";

/**
 * Stops one attempt: asks (TERM to its whole process group, and the abort signal), waits the grace period, then
 * insists (KILL). The first reason stands, whatever comes after it.
 */
export class Stopper {
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #abort = new AbortController();
  readonly #ended = new AbortController();
  readonly #insisted = new AbortController();
  #reason: StopReason | null = null;
  #cause: unknown = null;
  #signalGroup: ((signal: SignalName) => void) | null = null;

  constructor(clock: Clock, graceMs: number) {
    this.#clock = clock;
    this.#graceMs = graceMs;
  }

  get reason(): StopReason | null {
    return this.#reason;
  }

  /** What went wrong, for `fenced` and `storage`. */
  get cause(): unknown {
    return this.#cause;
  }

  /** Aborts when stopping begins. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The child to stop from now on; one that was told to stop before it started is told at once. */
  attach(signalGroup: (signal: SignalName) => void): void {
    this.#signalGroup = signalGroup;
    if (this.#reason !== null) void this.#escalate();
  }

  stop(reason: StopReason, cause: unknown = null): void {
    if (this.#reason !== null || this.#ended.signal.aborted) return;
    this.#reason = reason;
    this.#cause = cause;
    this.#abort.abort();
    if (this.#signalGroup !== null) void this.#escalate();
  }

  /** Kills at once, without the rest of the grace period. */
  insist(): void {
    this.#insisted.abort();
    this.#signalGroup?.("SIGKILL");
  }

  /** Aborts when the grace period is over, for all that the attempt started. */
  get insisted(): AbortSignal {
    return this.#insisted.signal;
  }

  /** Stops after `ms` unless the attempt has ended by then; null never does. */
  async deadline(ms: number | null): Promise<void> {
    if (ms === null) return;
    await this.#clock.sleep(ms, this.#ended.signal);
    if (!this.#ended.signal.aborted) this.stop("timeout");
  }

  /** The attempt is over: nothing more will be signalled. */
  end(): void {
    this.#ended.abort();
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  async #escalate(): Promise<void> {
    // An attempt that has lost its job may not go on for a grace period beside its successor.
    if (this.#reason === "fenced") return this.insist();
    this.#signalGroup?.("SIGTERM");
    await this.#clock.sleep(this.#graceMs, this.#ended.signal);
    if (!this.#ended.signal.aborted) this.insist();
  }
}
