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

/** The trajectories of several parts, one after the other. */
export function joinTraced(parts: readonly Traced[]): Omit<Traced, "tookMs"> {
  const total = parts.reduce((sum, { times }) => sum + times.length, 0);
  const width = parts.reduce((sum, { states }) => sum + states.length, 0);
  const count = parts.reduce((sum, { starts }) => sum + starts.length, 0);
  const times = new Float64Array(total),
    states = new Float64Array(width),
    offsets = new Int32Array(count + 1);
  let at = 0, stateAt = 0, k = 0;
  for (const part of parts) {
    times.set(part.times, at);
    states.set(part.states, stateAt);
    for (let i = 1; i < part.offsets.length; i++) offsets[++k] = at + part.offsets[i]!;
    at += part.times.length;
    stateAt += part.states.length;
  }
  return { times, states, offsets, starts: parts.flatMap(({ starts }) => starts) };
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
  // The plane of a system in the plane: nothing to choose, nothing to copy.
  if (width === n && axes.every((axis, k) => axis === k)) return states;
  const points = new Float64Array(width * count);
  for (let row = 0; row < count; row++) {
    for (let k = 0; k < width; k++) {
      const axis = axes[k]!;
      points[row * width + k] = axis < 0 ? times[row]! : states[row * n + axis]!;
    }
  }
  return points;
}
