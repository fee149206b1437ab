import { EventFinder, type EventFunction, type EventHit } from "./events.ts";
import type { StepCounts, Stepper, VectorField } from "./stepper.ts";
import { withWorkSpace, type WorkSpace } from "./work_space.ts";
import { walk, type WalkOptions, type WalkStatus } from "./walk.ts";

/** One solved trajectory: a row of states for each time that was reached. */
export interface Trajectory {
  readonly status: WalkStatus;
  readonly tStop: number;
  readonly message: string;
  readonly methodUsed: string;
  readonly stiffAt: number | null;
  readonly counts: StepCounts;
  /** As many of the times asked for as were reached. */
  readonly rows: number;
  /** rows × dimension, a row after the other. */
  readonly values: Float64Array;
  readonly events: readonly EventHit[];
}

/**
 * Solves from one initial state and gives the states at `times`, which go from t0 towards tEnd. The rows come from
 * the method's interpolant, so they shorten no step; a row at the end of a step is that step's end bit for bit. They are written to the
 * beginning of `into`.
 */
export function solveTrajectory(
  field: VectorField,
  options: WalkOptions,
  times: Float64Array,
  events: readonly EventFunction[] = [],
  into: Float64Array = new Float64Array(times.length * field.dimension),
): Trajectory {
  return withWorkSpace(field, (space) => solveWithin(space, field, options, times, events, into));
}

function solveWithin(
  space: WorkSpace,
  field: VectorField,
  options: WalkOptions,
  times: Float64Array,
  events: readonly EventFunction[],
  into: Float64Array,
): Trajectory {
  const rows = new RowWriter(space.take(field.dimension), options, times, into);
  const finder = new EventFinder(space.take(field.dimension), events);
  const end = walk(field, options, (stepper) => {
    const tStop = finder.visit(stepper);
    rows.visit(stepper, tStop ?? stepper.t);
    return tStop === null;
  });
  const last = finder.hits.at(-1);
  return {
    status: end.status,
    tStop: end.status === "event" && last !== undefined ? last.t : end.t,
    message: end.message,
    methodUsed: end.methodUsed,
    stiffAt: end.stiffAt,
    counts: end.counts,
    rows: end.status === "domain_error" && end.counts.steps === 0 ? 0 : rows.count,
    values: rows.values(end.status === "domain_error" && end.counts.steps === 0 ? 0 : rows.count),
    events: finder.hits,
  };
}

class RowWriter {
  count = 0;
  readonly #times: Float64Array;
  readonly #values: Float64Array;
  readonly #n: number;
  readonly #point: Float64Array;
  readonly #forward: boolean;

  constructor(point: Float64Array, options: WalkOptions, times: Float64Array, into: Float64Array) {
    this.#n = point.length;
    this.#forward = options.tEnd > options.t0;
    this.#times = times;
    this.#values = into;
    this.#point = point;
    while (this.count < times.length && times[this.count] === options.t0) this.#write(options.y0);
  }

  /** Writes the rows up to `tLast` within the last step. */
  visit(stepper: Stepper, tLast: number): void {
    const times = this.#times, forward = this.#forward;
    while (this.count < times.length) {
      const t = times[this.count]!;
      if (forward ? t > tLast : t < tLast) return;
      if (t === stepper.t) this.#write(stepper.y);
      else {
        stepper.interpolate(t, this.#point);
        this.#write(this.#point);
      }
    }
  }

  values(rows: number): Float64Array {
    return this.#values.subarray(0, rows * this.#n);
  }

  #write(y: Float64Array): void {
    const values = this.#values, n = this.#n, at = this.count++ * n;
    for (let i = 0; i < n; i++) values[at + i] = y[i]!;
  }
}

/** `count` even times from t0 to tEnd, both exact. */
export function evenTimes(t0: number, tEnd: number, count: number): Float64Array {
  const times = new Float64Array(count);
  for (let row = 0; row < count; row++) times[row] = t0 + ((tEnd - t0) * row) / (count - 1);
  times[count - 1] = tEnd;
  return times;
}
