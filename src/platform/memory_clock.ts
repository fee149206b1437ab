/** Virtual time and seeded randomness, for tests that must run the same way twice. */

import { setImmediate } from "node:timers";
import type { Clock, Random } from "../core/host.ts";
import { toHex } from "../core/bytes.ts";

/** A program that only ever gives way, without waiting for time, would otherwise keep a test busy for ever. */
const TURNS_MAX = 100_000;
/** Real work off the event loop, such as a digest, may take this many turns before it counts as never. */
const IDLE_TURNS_MAX = 2_000;

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until it is moved; equal seeds and equal moves give equal runs. */
export class VirtualClock implements Clock {
  readonly #startedAtMs: number;
  readonly #sleepers: Sleeper[] = [];
  #passedMs = 0;
  #turnsAsked = 0;

  /** `startedAtMs` is the wall time at which the monotonic clock reads zero. */
  constructor(startedAtMs: number) {
    this.#startedAtMs = startedAtMs;
  }

  /** Whole, as every machine's wall clock is, though sleeps need not be. */
  nowMs(): number {
    return Math.floor(this.#startedAtMs + this.#passedMs);
  }

  monotonicMs(): number {
    return this.#passedMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    if (ms <= 0) return this.turn();
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener("abort", wake);
        this.#forget(sleeper);
        resolve();
      };
      const sleeper = { atMs: this.#passedMs + ms, wake };
      signal?.addEventListener("abort", wake, { once: true });
      this.#add(sleeper);
    });
  }

  turn(): Promise<void> {
    this.#turnsAsked++;
    return oneTurn();
  }

  /** How many sleeps are under way. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** Moves time forward by `ms`, waking sleepers in the order of their time and letting each finish its step. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#passedMs + ms;
    await this.settle();
    while ((this.#sleepers[0]?.atMs ?? Infinity) <= untilMs) await this.#wakeFirst();
    this.#passedMs = untilMs;
  }

  /** Moves time forward, from sleeper to sleeper, until `promise` has settled; throws when nothing can settle it. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = () => settled = true;
    promise.then(done, done);
    for (let idle = 0; !settled; idle++) {
      await this.settle();
      if (settled) break;
      if (this.#sleepers.length > 0) {
        await this.#wakeFirst();
        idle = 0;
      } else if (idle > IDLE_TURNS_MAX) {
        throw new Error("Cannot wait any longer as nothing sleeps: what is waited for can never happen");
      }
    }
    return await promise;
  }

  /** Lets everything run that needs no time to pass. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < TURNS_MAX; turns++) {
      const asked = this.#turnsAsked;
      await oneTurn();
      if (asked === this.#turnsAsked) return;
    }
    throw new Error(
      `Cannot settle as something has given way ${TURNS_MAX} times without waiting for time to pass`,
    );
  }

  async #wakeFirst(): Promise<void> {
    const first = this.#sleepers[0]!;
    this.#passedMs = first.atMs;
    first.wake();
    await this.settle();
  }

  /** Sleepers of equal time stay in the order in which they lay down. */
  #add(sleeper: Sleeper): void {
    const at = this.#sleepers.findIndex((other) => other.atMs > sleeper.atMs);
    this.#sleepers.splice(at < 0 ? this.#sleepers.length : at, 0, sleeper);
  }

  #forget(sleeper: Sleeper): void {
    const at = this.#sleepers.indexOf(sleeper);
    if (at >= 0) this.#sleepers.splice(at, 1);
  }
}

function oneTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Random numbers that follow from `seed` alone (mulberry32): for tests, never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const nextByte = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) >>> 24;
  };
  const bytes = (length: number) => Uint8Array.from({ length }, nextByte);
  return { bytes, uuid: () => uuidOf(bytes(16)) };
}

function uuidOf(bytes: Uint8Array): string {
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
