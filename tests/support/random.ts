/** Random numbers that a seed repeats. */
export interface SeededRandom {
  readonly seed: number;
  /** 0 to 1, without 1. */
  next(): number;
  /** A whole number from `from` to `to`, both included. */
  int(from: number, to: number): number;
  bytes(length: number): Uint8Array;
  pick<T>(items: readonly T[]): T;
}

/** The seed of this run: GLASSBOX_SEED, or a new one. It is printed, so that a failing run can be repeated. */
export function seededRandom(what: string): SeededRandom {
  const seed = Number(Deno.env.get("GLASSBOX_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]) >>> 0;
  console.log(`${what}: seed ${seed} (GLASSBOX_SEED=${seed} repeats it)`);
  return randomOf(seed);
}

/** mulberry32: small, quick, and the same everywhere. */
export function randomOf(seed: number): SeededRandom {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));
  return {
    seed,
    next,
    int,
    bytes: (length) => Uint8Array.from({ length }, () => int(0, 255)),
    pick: (items) => items[int(0, items.length - 1)]!,
  };
}
