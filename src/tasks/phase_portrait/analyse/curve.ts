import type { Stepper, VectorField } from "../solve/stepper.ts";
import { walk, type WalkStatus } from "../solve/walk.ts";
import { scaledDistance, type View, viewSize, widened } from "./view.ts";

/** A trajectory as it is drawn: as many points as its bends need. */
export interface Curve {
  readonly times: Float64Array;
  /** A state after the other. */
  readonly states: Float64Array;
  /** Where the start is, when that is not the first row. */
  readonly startRow?: number;
  readonly status: WalkStatus;
}

/** How a curve is traced. */
export interface CurveOptions {
  readonly t0: number;
  readonly tEnd: number;
  readonly start: Float64Array;
  readonly view: View;
  /** Relative; the absolute tolerance is this share of the view. Default 1e-9. */
  readonly rtol?: number;
  /** How far beyond the view it is followed, in views. Default 50. */
  readonly escapeViews?: number;
  /** It also ends when it is this near to one of these points, as a share of the view. */
  readonly attractors?: readonly Float64Array[];
  /** It also ends at a step's end where this holds. */
  readonly arrived?: (y: Float64Array) => boolean;
  /** Its length in view diagonals at which it ends. Default 60. */
  readonly lengthLimit?: number;
}

/** Points to each step of the method: a step of order 8 spans a good part of a turn. */
const POINTS_PER_STEP = 8;
/** As a share of the view. */
export const NEAR = 2e-3;

/** Follows a trajectory through the view until it leaves, arrives, or has been long enough to see. */
export function traceCurve(field: VectorField, options: CurveOptions): Curve {
  const { view, start, attractors = [], lengthLimit = 60, rtol = 1e-9 } = options;
  const n = field.dimension, point = new Float64Array(n), last = Float64Array.from(start);
  const times: number[] = [options.t0], states: number[] = [...start];
  let length = 0;
  const add = (t: number, y: Float64Array) => {
    times.push(t);
    for (let i = 0; i < n; i++) states.push(y[i]!);
    length += scaledDistance(view, y, last);
    last.set(y);
  };
  const visit = (stepper: Stepper) => {
    for (let k = 1; k < POINTS_PER_STEP; k++) {
      const t = stepper.tOld + ((stepper.t - stepper.tOld) * k) / POINTS_PER_STEP;
      stepper.interpolate(t, point);
      add(t, point);
    }
    add(stepper.t, stepper.y);
    return length < lengthLimit && options.arrived?.(stepper.y) !== true &&
      !attractors.some((attractor) => scaledDistance(view, attractor, stepper.y) < NEAR);
  };
  const size = viewSize(view);
  const end = walk(field, {
    method: "auto",
    tolerance: { rtol, atol: new Float64Array(n).fill(rtol * 1e-3 * size) },
    t0: options.t0,
    tEnd: options.tEnd,
    y0: start,
    maxStep: null,
    firstStep: null,
    maxSteps: 50_000,
    escape: widened(view, options.escapeViews ?? 50),
  }, visit);
  return { times: Float64Array.from(times), states: Float64Array.from(states), status: end.status };
}

/** Past and future of one start, of `n` states each, as one line in ascending time; null when there is neither. */
export function wholeCurve(backward: Curve | null, forward: Curve | null, n: number): Curve | null {
  if (backward === null) return forward;
  const count = backward.times.length, ahead = forward === null ? 0 : forward.times.length - 1;
  const times = new Float64Array(count + ahead), states = new Float64Array((count + ahead) * n);
  for (let row = 0; row < count; row++) {
    const from = count - 1 - row;
    times[row] = backward.times[from]!;
    states.set(backward.states.subarray(from * n, from * n + n), row * n);
  }
  // Both begin with the start itself.
  if (forward !== null) {
    times.set(forward.times.subarray(1), count);
    states.set(forward.states.subarray(n), count * n);
  }
  return { times, states, startRow: count - 1, status: (forward ?? backward).status };
}
