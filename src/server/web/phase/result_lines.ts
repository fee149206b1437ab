import type { Result } from "./jobs.ts";
import type { Traced } from "./protocol.ts";

/** The rows of a job's result as lines; null where it has none. */
export function tracedFrom(result: Result | null, n: number): Traced | null {
  if (result?.trajectories == null || result.times === null) return null;
  const { times, trajectories, meta } = result;
  const rows = trajectories.map((one) => one.length), offsets = new Int32Array(rows.length + 1);
  rows.forEach((count, k) => offsets[k + 1] = offsets[k]! + count);
  const total = offsets.at(-1)!, allTimes = new Float64Array(total), states = new Float64Array(total * n);
  trajectories.forEach((one, k) => {
    const first = meta.ic_status[k]?.first_row ?? 0;
    one.forEach((row, index) => {
      allTimes[offsets[k]! + index] = times[first + index]!;
      states.set(row, (offsets[k]! + index) * n);
    });
  });
  const starts = meta.ic_status.map(({ status, message, t_stop: tStop }, k) => ({
    status,
    message,
    tStop,
    methodUsed: meta.method_used,
    stiffAt: null,
    steps: k === 0 ? meta.stats.steps : 0,
  }));
  return { times: allTimes, states, offsets, starts, tookMs: meta.stats.wall_ms };
}
