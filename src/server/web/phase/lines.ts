import type { Traced } from "./protocol.ts";

/** One trajectory of a solution, without a copy. */
export interface Trajectory {
  readonly times: Float64Array;
  readonly states: Float64Array;
}

/** Trajectory `k` of what was traced. */
export function trajectoryOf({ times, states, offsets }: Traced, k: number, n: number): Trajectory {
  const [from, to] = [offsets[k]!, offsets[k + 1]!];
  return { times: times.subarray(from, to), states: states.subarray(from * n, to * n) };
}

/** Where a trajectory is at a time: writes the state into `out`; false before its start and after its end. */
export function stateAt({ times, states }: Trajectory, t: number, out: Float64Array): boolean {
  const count = times.length, n = out.length;
  if (count === 0 || t < times[0]! || t > times[count - 1]!) return false;
  const after = Math.min(count - 1, Math.max(1, firstAfter(times, t))), before = Math.max(0, after - 1);
  const span = times[after]! - times[before]!, share = span > 0 ? (t - times[before]!) / span : 0;
  for (let i = 0; i < n; i++) {
    const a = states[before * n + i]!, b = states[after * n + i]!;
    out[i] = a + (b - a) * share;
  }
  return true;
}

/** The index of the first time above `t`. */
export function firstAfter(times: Float64Array, t: number): number {
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! > t) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The states of a trajectory by two axes (-1 for time), one point after the other. */
export function projected({ times, states }: Trajectory, n: number, axes: readonly number[]): Float64Array {
  const count = times.length, width = axes.length;
  const points = new Float64Array(width * count);
  for (let row = 0; row < count; row++) {
    for (let k = 0; k < width; k++) {
      const axis = axes[k]!;
      points[row * width + k] = axis < 0 ? times[row]! : states[row * n + axis]!;
    }
  }
  return points;
}
