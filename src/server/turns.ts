import type { Clock } from "../core/host.ts";

/** So much is done in one turn of the event loop by all together: some milliseconds. A short line is one. */
const TURN_WORK = 500;
/** After so much of it the rest of the process has a moment for itself: not every engine looks at sockets at each turn. */
const REST_AFTER_WORK = 2_500;
const REST_MS = 1;

/**
 * Turns of the event loop for those who could fill it for seconds together: each does a bounded piece of work, and
 * waits for its next turn behind all the others.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #waiting: (() => void)[] = [];
  #inTurn = 0;
  #sinceRest = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when work of such a size may be done, which is to be done at once. */
  async take(work: number): Promise<void> {
    if (this.#inTurn >= TURN_WORK || this.#waiting.length > 0) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        if (this.#waiting.length === 1) void this.#give();
      });
    }
    this.#inTurn += work;
    this.#sinceRest += work;
  }

  async #give(): Promise<void> {
    while (this.#waiting.length > 0) {
      if (this.#sinceRest >= REST_AFTER_WORK) {
        this.#sinceRest = 0;
        await this.#clock.sleep(REST_MS);
      }
      await this.#clock.turn();
      this.#inTurn = 0;
      this.#waiting.shift()!();
    }
  }
}
