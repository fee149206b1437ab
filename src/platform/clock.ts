/** Real time and real randomness. */

import { setImmediate } from "node:timers";
import type { Clock, Random } from "../core/host.ts";

/** Timers hold 31 bits of milliseconds; a longer wait is made of several. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const RANDOM_BYTES_MAX = 65_536;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, signal),
  turn: () => new Promise((resolve) => void setImmediate(resolve)),
};

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const endsMs = performance.now() + ms;
    let timer: ReturnType<typeof setTimeout>;
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const wait = (remainingMs: number) => {
      if (remainingMs <= TIMER_MS_MAX) timer = setTimeout(finish, Math.max(remainingMs, 0));
      else timer = setTimeout(() => wait(endsMs - performance.now()), TIMER_MS_MAX);
    };
    signal?.addEventListener("abort", finish, { once: true });
    wait(ms);
  });
}

export const systemRandom: Random = {
  bytes(length) {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += RANDOM_BYTES_MAX) {
      crypto.getRandomValues(bytes.subarray(at, Math.min(at + RANDOM_BYTES_MAX, length)));
    }
    return bytes;
  },
  uuid: () => crypto.randomUUID(),
};
