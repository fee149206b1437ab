import { EventFinder, type EventFunction } from "./events.ts";
import { Rk4 } from "./rk4.ts";
import { ATTEMPT, type VectorField } from "./stepper.ts";
import type { Trajectory } from "./trajectory.ts";
import { grewTooLarge, largest, LOOK_EVERY, type WalkStatus } from "./walk.ts";
import { withWorkSpace, type WorkSpace } from "./work_space.ts";

/** What is asked of steps from row to row. */
export interface GridOptions {
  readonly t0: number;
  readonly y0: Float64Array;
  /** Of the rows, from t0 onwards in the direction of the walk. */
  readonly times: Float64Array;
  readonly events?: readonly EventFunction[];
  readonly stop?: (t: number, steps: number) => "timeout" | "cancelled" | null;
}

/** The classical method with one step from each of the times to the next, as old clients ask for it. */
export function solveOnGrid(field: VectorField, options: GridOptions): Trajectory {
  return withWorkSpace(field, (space) => gridWithin(space, field, options));
}

function gridWithin(space: WorkSpace, field: VectorField, options: GridOptions): Trajectory {
  const { t0, y0, times, events = [], stop } = options, n = field.dimension;
  const values = new Float64Array(times.length * n), size0 = largest(y0);
  const stepper = new Rk4(field, space), finder = new EventFinder(space.take(n), events);
  const end = { status: "ok" as WalkStatus, message: "", tStop: t0, rows: 0 };
  stepper.begin(t0, y0, times.at(-1)! - t0);
  for (let row = 0; row < times.length && end.status === "ok"; row++) {
    if (times[row] !== t0) step(row);
    if (end.status !== "ok") break;
    values.set(stepper.y, row * n);
    end.rows++;
    end.tStop = times[row]!;
    if (largest(stepper.y) > grewTooLarge(size0)) {
      ended("blow_up", "The solution grows without bound", stepper.t);
    }
  }
  return {
    ...end,
    methodUsed: "RK4",
    stiffAt: null,
    counts: stepper.counts,
    values: values.subarray(0, end.rows * n),
    events: finder.hits,
  };

  function step(row: number): void {
    const stopped = row % LOOK_EVERY === 0 ? stop?.(stepper.t, row) : null;
    if (stopped != null) {
      return ended(stopped, stopped === "timeout" ? "The time was up" : "Cancelled", stepper.t);
    }
    if (stepper.attempt(times[row]!, Infinity) !== ATTEMPT.accepted) {
      const grows = largest(stepper.y) > 1e3 * (1 + size0);
      if (grows) return ended("blow_up", "The solution grows without bound", stepper.t);
      return ended("domain_error", `A right side is not a finite number after t = ${stepper.t}`, stepper.t);
    }
    const hit = finder.visit(stepper);
    if (hit !== null) ended("event", "", hit);
  }

  function ended(status: WalkStatus, message: string, tStop: number): void {
    Object.assign(end, { status, message, tStop });
  }
}
