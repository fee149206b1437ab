import { GlassboxError } from "../core/errors.ts";
import type { Clock } from "../core/host.ts";

/** How much a server accepts. */
export interface IntakeBounds {
  /** Jobs that may wait. */
  readonly queuedMax: number;
  /** Jobs in a second, and at once after a pause; null for no bound. */
  readonly submitRate: number | null;
}

/** Counts what is submitted: a bucket of places that fills at the rate set, and holds a second's worth. */
export class Intake {
  readonly queuedMax: number;
  readonly #rate: number | null;
  readonly #clock: Clock;
  #places: number;
  #filledMs: number;

  constructor(clock: Clock, { queuedMax, submitRate }: IntakeBounds) {
    this.queuedMax = queuedMax;
    this.#rate = submitRate;
    this.#clock = clock;
    this.#places = submitRate ?? 0;
    this.#filledMs = clock.monotonicMs();
  }

  /** Takes a place for one job, or throws `rate_limited`. */
  take(): void {
    if (this.#rate === null) return;
    const nowMs = this.#clock.monotonicMs();
    this.#places = Math.min(this.#rate, this.#places + (nowMs - this.#filledMs) * this.#rate / 1_000);
    this.#filledMs = nowMs;
    if (this.#places < 1) {
      throw new GlassboxError(
        "rate_limited",
        `Cannot accept more than ${this.#rate} jobs a second: submit it again a little later`,
      );
    }
    this.#places--;
  }
}
