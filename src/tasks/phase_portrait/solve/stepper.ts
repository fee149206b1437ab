import type { ExplicitTableau } from "../language/explicit_step.ts";
import type { WorkSpace } from "./work_space.ts";

/** The part of a compiled system that a solver uses: y' = f(t, y). All arrays have the length `dimension`. */
export interface VectorField {
  readonly dimension: number;
  /** Arrays that the field reads and writes without a copy, kept as long as the field: see WorkSpace. Others are copied. */
  allocate(length: number): Float64Array;
  rhs(t: number, y: Float64Array, out: Float64Array): void;
  /** Writes df_i/dy_j into out[i * dimension + j]. */
  jacobian(t: number, y: Float64Array, out: Float64Array): void;
  /** Writes df/dt. */
  timeDerivative(t: number, y: Float64Array, out: Float64Array): void;
  /** One whole step of an explicit method as one function, to the same bits: see the language's `explicitStep`. */
  explicitStep?(tableau: ExplicitTableau): CompiledStep | null;
}

/** Reads `stepInputs` and writes the stages' arguments, their derivatives and the squared error. */
export type CompiledStep = (t: number, inputs: Float64Array, results: Float64Array) => void;

/** Relative tolerance, and the absolute one of each state. */
export interface Tolerance {
  readonly rtol: number;
  readonly atol: Float64Array;
}

/** How one attempted step went. */
export const ATTEMPT = {
  accepted: 0,
  /** The error was too large; the next attempt takes a smaller step. */
  rejected: 1,
  /** A stage or the error was not a finite number; the next attempt takes a quarter of the step. */
  nonFinite: 2,
  /** The matrix of an implicit method could not be factored, or Newton's iteration did not converge. */
  singular: 3,
} as const;

export type Attempt = (typeof ATTEMPT)[keyof typeof ATTEMPT];

/** What a solver has done so far. */
export interface StepCounts {
  steps: number;
  rejected: number;
  rhsEvals: number;
  jacEvals: number;
  lu: number;
}

/** One method, walking along one trajectory. It allocates everything when it is made and nothing afterwards. */
export interface Stepper {
  /** The order by which the first step is chosen. */
  readonly order: number;
  readonly counts: StepCounts;
  /** The end of the last accepted step, and its start. */
  t: number;
  tOld: number;
  readonly y: Float64Array;
  readonly yOld: Float64Array;
  /** The step to try next; negative when time runs backwards. */
  h: number;
  /** Begins anew at (t, y), which is copied, with the step `h`, whose sign is the direction. */
  begin(t: number, y: Float64Array, h: number): void;
  /** Tries one step that does not pass `tEnd` nor `maxStep`. */
  attempt(tEnd: number, maxStep: number): Attempt;
  /** Writes the solution at a time within the last accepted step. Valid until the next attempt. */
  interpolate(t: number, out: Float64Array): void;
  /**
   * How stiff the last accepted step was: |h| times an estimate of the largest eigenvalue, over the method's
   * bound of stability, so that above 1 stability and not accuracy set the step. 0 when the method can't tell.
   */
  stiffness(): number;
}

export function newCounts(): StepCounts {
  return { steps: 0, rejected: 0, rhsEvals: 0, jacEvals: 0, lu: 0 };
}

/** The step to try: the wanted one, no longer than `maxStep`, and stretched to the end when it nearly gets there. */
export function stepWithin(t: number, h: number, tEnd: number, maxStep: number): number {
  const limited = Math.abs(h) > maxStep ? Math.sign(h) * maxStep : h;
  return (t + 1.01 * limited - tEnd) * Math.sign(h) >= 0 ? tEnd - t : limited;
}

/**
 * The first step by Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I (1993), II.4: from the sizes
 * of y, f and a second derivative probed by one Euler step. Costs two evaluations. Positive.
 */
export function firstStep(
  field: VectorField,
  t: number,
  y: Float64Array,
  span: number,
  order: number,
  tolerance: Tolerance,
  space: WorkSpace,
): number {
  const n = field.dimension;
  const f0 = space.take(n), f1 = space.take(n), probe = space.take(n), start = space.take(n);
  start.set(y);
  field.rhs(t, start, f0);
  const scale = (i: number) => tolerance.atol[i]! + tolerance.rtol * Math.abs(y[i]!);
  const norm = (value: (i: number) => number) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += (value(i) / scale(i)) ** 2;
    return Math.sqrt(sum / n);
  };
  const d0 = norm((i) => y[i]!), d1 = norm((i) => f0[i]!);
  const h0 = Math.min(d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : (0.01 * d0) / d1, Math.abs(span));
  for (let i = 0; i < n; i++) probe[i] = y[i]! + Math.sign(span) * h0 * f0[i]!;
  field.rhs(t + Math.sign(span) * h0, probe, f1);
  const d2 = norm((i) => f1[i]! - f0[i]!) / h0;
  const steepest = Math.max(d1, d2);
  const h1 = steepest <= 1e-15 ? Math.max(1e-6, h0 * 1e-3) : (0.01 / steepest) ** (1 / order);
  const h = Math.min(100 * h0, h1, Math.abs(span));
  return Number.isFinite(h) && h > 0 ? h : Math.min(1e-6, Math.abs(span));
}

/** What steppers that measure their error share: where they are, what they count, and how a step is refused. */
export abstract class AdaptiveStepper {
  readonly counts = newCounts();
  t = 0;
  tOld = 0;
  h = 0;
  /** The step after a rejection may not grow. */
  protected afterRejection = false;

  /** The next attempt takes the step `h`. */
  protected refuse(h: number, how: Attempt): Attempt {
    this.h = h;
    this.afterRejection = true;
    this.counts.rejected++;
    return how;
  }
}
