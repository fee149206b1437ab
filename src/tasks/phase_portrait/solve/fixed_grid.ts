import { Rk4 } from "./rk4.ts";
import { ATTEMPT, type VectorField } from "./stepper.ts";
import type { Trajectory } from "./trajectory.ts";
import { withWorkSpace } from "./work_space.ts";

/** The classical method with one step from each of the times to the next, as old clients ask for it. */
export function solveOnGrid(field: VectorField, y0: Float64Array, times: Float64Array): Trajectory {
  return withWorkSpace(field, (space) => {
    const n = field.dimension, values = new Float64Array(times.length * n), t0 = times[0]!;
    const stepper = new Rk4(field, space), span = times.at(-1)! - t0;
    stepper.begin(t0, y0, span);
    values.set(y0);
    let rows = 1;
    while (rows < times.length && stepper.attempt(times[rows]!, Infinity) === ATTEMPT.accepted) {
      values.set(stepper.y, rows * n);
      rows++;
    }
    const done = rows === times.length;
    return {
      status: done ? "ok" : "domain_error",
      tStop: stepper.t,
      message: done ? "" : `A right side is not a finite number after t = ${stepper.t}`,
      methodUsed: "RK4",
      stiffAt: null,
      counts: stepper.counts,
      rows,
      values: values.subarray(0, rows * n),
      events: [],
    };
  });
}
