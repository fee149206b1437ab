import { GlassboxError } from "../core/errors.ts";
import type { Clock } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { Turns } from "./turns.ts";

/** A watcher's place. Its signal aborts when the watcher has left or the server stops. */
export interface Place {
  readonly signal: AbortSignal;
  /** True when the server, and not the watcher, ended it. */
  readonly isStopped: boolean;
  /** Resolves when it may tell so much: all watchers of a server together must leave it time for its callers. */
  turn(work: number): Promise<void>;
  leave(): void;
}

/** Who watches jobs over this server: bounded in number, and all told when the server stops. */
export class Watchers {
  readonly #open = new Set<AbortController>();
  readonly #turns: Turns;
  #stopped = false;

  constructor(clock: Clock) {
    this.#turns = new Turns(clock);
  }

  get count(): number {
    return this.#open.size;
  }

  /** Throws when there is no place to take. */
  checkRoom(): void {
    if (this.#stopped) {
      throw new GlassboxError("shutting_down", "Cannot watch as this server is shutting down");
    }
    if (this.#open.size >= LIMITS.watchersMax) {
      throw new GlassboxError(
        "too_many_watchers",
        `Cannot watch as ${LIMITS.watchersMax} watchers are connected, which is as many as there may be`,
      );
    }
  }

  /** Takes a place, to be left by `leave`; throws when there is none. */
  enter(): Place {
    this.checkRoom();
    const gone = new AbortController();
    this.#open.add(gone);
    const isOpen = () => this.#open.has(gone);
    return {
      signal: gone.signal,
      // One who is still in the set was aborted by `stop`; one who left by itself is not.
      get isStopped() {
        return gone.signal.aborted && isOpen();
      },
      turn: (work) => this.#turns.take(work),
      leave: () => {
        this.#open.delete(gone);
        gone.abort();
      },
    };
  }

  /** Ends every watch; none begins any more. */
  stop(): void {
    this.#stopped = true;
    for (const gone of this.#open) gone.abort();
  }
}
