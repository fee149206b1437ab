import { zero } from "../solve/events.ts";
import type { Method } from "../solve/methods.ts";
import type { Stepper, Tolerance, VectorField } from "../solve/stepper.ts";
import { walk } from "../solve/walk.ts";

/** A surface in state space, where `g` is zero, with its gradient's product with a direction. */
export interface Section {
  readonly g: (t: number, y: Float64Array) => number;
  /** 1: only where g grows with time; -1: only where it falls; 0: both. */
  readonly direction: -1 | 0 | 1;
}

/** A crossing of a section. */
export interface Crossing {
  readonly t: number;
  readonly y: Float64Array;
}

/** How the trajectory between crossings is solved. */
export interface ReturnOptions {
  readonly tolerance: Tolerance;
  readonly method?: Method;
  /** Ends the search; below t0 for a search backwards. */
  readonly tEnd: number;
  readonly maxSteps?: number;
  readonly stop?: (t: number, steps: number) => "timeout" | "cancelled" | null;
}

/**
 * Follows the trajectory from (t0, y0) and shows each crossing to `onCrossing` until that returns false. Crossings are
 * as exact as the method itself and not only as its interpolant: one more step is taken from the step's start to
 * the time found, and corrected once.
 */
export function followCrossings(
  field: VectorField,
  t0: number,
  y0: Float64Array,
  section: Section,
  options: ReturnOptions,
  onCrossing: (crossing: Crossing) => boolean,
): void {
  const point = new Float64Array(field.dimension);
  const walkOptions = {
    method: options.method ?? "auto",
    tolerance: options.tolerance,
    maxStep: null,
    firstStep: null,
    maxSteps: options.maxSteps ?? 2_000_000,
    ...(options.stop === undefined ? {} : { stop: options.stop }),
  };
  const forward = Math.sign(options.tEnd - t0);
  let before = section.g(t0, y0);
  // A start on the section has left it only when the trajectory has.
  if (Math.abs(before) < 1e-13) before = 0;
  const look = (stepper: Stepper): boolean => {
    let from = stepper.tOld;
    for (let k = 1; k <= LOOKS; k++) {
      const to = k === LOOKS ? stepper.t : stepper.tOld + ((stepper.t - stepper.tOld) * k) / LOOKS;
      const g = (t: number) => {
        stepper.interpolate(t, point);
        return section.g(t, point);
      };
      const after = k === LOOKS ? section.g(stepper.t, stepper.y) : g(to);
      const wanted = section.direction === 0 || section.direction === forward * Math.sign(after - before);
      if (before * after < 0 && wanted) {
        const t = zero(g, from, before, to, after);
        if (!onCrossing(corrected(field, section, stepper, t, walkOptions))) return false;
      }
      if (after !== 0) before = after;
      from = to;
    }
    return true;
  };
  walk(field, { ...walkOptions, t0, tEnd: options.tEnd, y0 }, look);
}

const LOOKS = 4;

/** Solves from the step's start to the crossing, and moves along the flow by what is left of g. */
function corrected(
  field: VectorField,
  section: Section,
  stepper: Stepper,
  t: number,
  options: Omit<Parameters<typeof walk>[1], "t0" | "tEnd" | "y0">,
): Crossing {
  const start = Float64Array.from(stepper.yOld), n = field.dimension;
  const end = walk(field, { ...options, t0: stepper.tOld, tEnd: t, y0: start }, () => true);
  const y = new Float64Array(n), f = new Float64Array(n), ahead = new Float64Array(n);
  y.set(end.y);
  field.rhs(t, y, f);
  const g = section.g(t, y);
  const h = 1e-6 * (Math.abs(stepper.t - stepper.tOld) || 1);
  for (let i = 0; i < n; i++) ahead[i] = y[i]! + h * f[i]!;
  const rate = (section.g(t + h, ahead) - g) / h;
  const late = rate === 0 ? 0 : -g / rate;
  const small = Math.abs(late) <= Math.abs(stepper.t - stepper.tOld) ? late : 0;
  return { t: t + small, y: Float64Array.from(y, (value, i) => value + small * f[i]!) };
}

/** The plane through a point at right angles to the flow there, crossed in the flow's own direction. */
export function sectionAcross(field: VectorField, t: number, point: Float64Array): Section {
  const n = field.dimension, y = new Float64Array(n), f = new Float64Array(n);
  y.set(point);
  field.rhs(t, y, f);
  const speed = Math.hypot(...f), normal = Float64Array.from(f, (value) => value / speed);
  return {
    direction: 1,
    g: (_t, state) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += normal[i]! * (state[i]! - point[i]!);
      return sum;
    },
  };
}
