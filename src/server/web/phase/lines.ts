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

/** Its first rows, without a copy. */
export function beginningOf({ times, states }: Trajectory, n: number, rows: number): Trajectory {
  return { times: times.subarray(0, rows), states: states.subarray(0, rows * n) };
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

/**
 * One state over time as x, y of points on the screen: where many rows share a column of pixels, the first, the lowest,
 * the highest and the last of them, which look the same as all.
 */
export function overTime(
  { times, states }: Trajectory,
  n: number,
  state: number,
  x: (t: number) => number,
  y: (value: number) => number,
): Float64Array {
  const points: number[] = [];
  for (let from = 0; from < times.length;) {
    const column = Math.floor(x(times[from]!));
    let to = from + 1, low = from, high = from;
    for (; to < times.length && Math.floor(x(times[to]!)) === column; to++) {
      const value = states[to * n + state]!;
      if (value < states[low * n + state]!) low = to;
      if (value > states[high * n + state]!) high = to;
    }
    const rows = [from, Math.min(low, high), Math.max(low, high), to - 1];
    for (const [k, row] of rows.entries()) {
      if (k === 0 || row !== rows[k - 1]) points.push(x(times[row]!), y(states[row * n + state]!));
    }
    from = to;
  }
  return Float64Array.from(points);
}
