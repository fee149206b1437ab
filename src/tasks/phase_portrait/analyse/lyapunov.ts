import type { VectorField } from "../solve/stepper.ts";
import { walk } from "../solve/walk.ts";
import { variationStart, withVariation } from "./variation.ts";

/** The Lyapunov spectrum and how sure it is. */
export interface Lyapunov {
  /** One for each state, descending, in 1/time. */
  readonly exponents: readonly number[];
  /** The standard error of each, from the means of ten stretches. */
  readonly errors: readonly number[];
  /** The mean divergence along the same trajectory, which the exponents must add up to. */
  readonly meanDivergence: number;
  readonly duration: number;
  /** The running estimates, about 200 rows of time and all exponents. */
  readonly running: readonly (readonly number[])[];
  /** Why it is shorter than asked for; null when it is not. */
  readonly stopped: string | null;
}

export interface LyapunovOptions {
  readonly start: Float64Array;
  readonly t0: number;
  /** Left out before anything is counted. */
  readonly transient: number;
  readonly duration: number;
  /** Between two orthonormalisations. Default 0.5. */
  readonly every?: number;
  readonly rtol?: number;
  readonly stop?: (t: number, steps: number) => "timeout" | "cancelled" | null;
  readonly progress?: (fraction: number) => void;
}

const STRETCHES = 10;
const RUNNING_ROWS = 200;
/** Below this share of the longest, a vector is hardly longer than the solver's errors. */
const LOST = 1e-5;

/**
 * All Lyapunov exponents by the variational flow with repeated orthonormalisation: Benettin, Galgani, Giorgilli &
 * Strelcyn, Meccanica 15 (1980) 9.
 */
export function lyapunovSpectrum(field: VectorField, options: LyapunovOptions): Lyapunov {
  const { every = 0.5, rtol = 1e-9, t0, transient, duration } = options;
  const n = field.dimension, extended = withVariation(field);
  const plain = { method: "auto" as const, maxStep: null, maxSteps: 1_000_000, ...stopOf(options) };
  const settled = walk(field, {
    ...plain,
    tolerance: { rtol, atol: new Float64Array(n).fill(1e-10) },
    t0,
    tEnd: t0 + transient,
    y0: options.start,
    firstStep: null,
  }, () => true);
  const tolerance = { rtol, atol: new Float64Array(n + n * n).fill(1e-10) };
  const totals = new Float64Array(n), record: number[][] = [], jacobian = new Float64Array(n * n);
  const count = Math.max(STRETCHES, Math.round(duration / every)), tau = duration / count;
  const state = variationStart(settled.y);
  let stopped = settled.status === "ok" ? null : settled.message, t = settled.t, divergence = 0, done = 0;
  let firstStep: number | null = null;
  const sums: Float64Array[] = [];
  while (stopped === null && done < count) {
    let last = 0, over = 0;
    const end: ReturnType<typeof walk> = walk(
      extended,
      { ...plain, tolerance, t0: t, tEnd: t + tau, y0: state, firstStep },
      (stepper) => {
        last = Math.abs(stepper.t - stepper.tOld);
        over += divergenceOver(field, stepper, jacobian);
        return true;
      },
    );
    if (end.status !== "ok") {
      stopped = end.message;
      break;
    }
    firstStep = Math.min(tau, Math.max(last, tau * 1e-6));
    state.set(end.y);
    const logs = orthonormalise(n, state, over);
    logs.forEach((log, i) => totals[i]! += log);
    divergence += over;
    t = end.t;
    done++;
    sums.push(totals.slice());
    if (done % Math.max(1, Math.floor(count / RUNNING_ROWS)) === 0) {
      record.push([done * tau, ...totals.map((sum) => sum / (done * tau))]);
      options.progress?.(done / count);
    }
  }
  const elapsed = done * tau;
  return sorted({
    exponents: Array.from(totals, (sum) => sum / elapsed),
    errors: standardErrors(sums, tau, n),
    meanDivergence: divergence / elapsed,
    duration: elapsed,
    running: record,
    stopped,
  });
}

function stopOf({ stop }: LyapunovOptions) {
  return stop === undefined ? {} : { stop };
}

/** Simpson's rule for the trace of the Jacobian over the last step. */
function divergenceOver(
  field: VectorField,
  stepper: { t: number; tOld: number; interpolate(t: number, out: Float64Array): void },
  jacobian: Float64Array,
): number {
  const n = field.dimension, state = new Float64Array(n + n * n), y = new Float64Array(n);
  const trace = (t: number) => {
    stepper.interpolate(t, state);
    for (let i = 0; i < n; i++) y[i] = state[i]!;
    field.jacobian(t, y, jacobian);
    let sum = 0;
    for (let i = 0; i < n; i++) sum += jacobian[i * n + i]!;
    return sum;
  };
  const { tOld, t } = stepper, middle = (tOld + t) / 2;
  return ((t - tOld) / 6) * (trace(tOld) + 4 * trace(middle) + trace(t));
}

/**
 * Gram and Schmidt on the columns of M; the logarithms of what each was stretched by. Columns that shrank to the size of
 * the solver's errors come last, so that none is made orthogonal to an error. The volume of all changes by the
 * divergence `over` the stretch, which gives the last one's logarithm when it is lost; its direction is the one left.
 */
function orthonormalise(n: number, state: Float64Array, over: number): Float64Array {
  const columns = Array.from(
    { length: n },
    (_, j) => Float64Array.from({ length: n }, (_, i) => state[n + i * n + j]!),
  );
  const sizes = columns.map((column) => Math.hypot(...column)), limit = Math.max(...sizes) * LOST;
  const all = columns.map((_, j) => j),
    order = [
      ...all.filter((j) => sizes[j]! >= limit),
      ...all.filter((j) => sizes[j]! < limit),
    ];
  const logs = new Float64Array(n);
  let longest = 0, sum = 0;
  for (const [at, j] of order.entries()) {
    const before = order.slice(0, at).map((k) => columns[k]!);
    const length = madeOrthogonal(columns[j]!, before);
    if (length === 0) setRemaining(columns[j]!, before);
    longest = Math.max(longest, length);
    const isLost = at === n - 1 && length < LOST * longest;
    sum += logs[j] = isLost ? over - sum : Math.log(Math.max(length, Number.MIN_VALUE));
  }
  columns.forEach((column, j) => column.forEach((value, i) => state[n + i * n + j] = value));
  return logs;
}

/** Makes a vector orthogonal to others of length 1, and of length 1 itself unless nothing is left; its length before that. */
function madeOrthogonal(vector: Float64Array, others: readonly Float64Array[]): number {
  for (const other of others) {
    let product = 0;
    for (let i = 0; i < vector.length; i++) product += vector[i]! * other[i]!;
    for (let i = 0; i < vector.length; i++) vector[i]! -= product * other[i]!;
  }
  let square = 0;
  for (const value of vector) square += value ** 2;
  const length = Math.sqrt(square);
  if (length > 0) { for (let i = 0; i < vector.length; i++) vector[i]! /= length; }
  return length;
}

/** Any vector that is orthogonal to the others: what is left of one of the axes. */
function setRemaining(vector: Float64Array, others: readonly Float64Array[]): void {
  for (let axis = 0; axis < vector.length; axis++) {
    vector.fill(0);
    vector[axis] = 1;
    if (madeOrthogonal(vector, others) > 0.5 / Math.sqrt(vector.length)) return;
  }
}

/** From the largest exponent down: in a system that falls apart into others the columns do not sort themselves. */
function sorted(lyapunov: Lyapunov): Lyapunov {
  const order = lyapunov.exponents.map((_, i) => i).sort((a, b) =>
    lyapunov.exponents[b]! - lyapunov.exponents[a]!
  );
  return {
    ...lyapunov,
    exponents: order.map((i) => lyapunov.exponents[i]!),
    errors: order.map((i) => lyapunov.errors[i]!),
    running: lyapunov.running.map(([t, ...sums]) => [t!, ...order.map((i) => sums[i]!)]),
  };
}

function standardErrors(sums: readonly Float64Array[], tau: number, n: number): number[] {
  const size = Math.floor(sums.length / STRETCHES);
  if (size === 0) return new Array(n).fill(NaN);
  return Array.from({ length: n }, (_, i) => {
    const means = Array.from({ length: STRETCHES }, (_, stretch) => {
      const from = stretch === 0 ? 0 : sums[stretch * size - 1]![i]!;
      return (sums[(stretch + 1) * size - 1]![i]! - from) / (size * tau);
    });
    const mean = means.reduce((sum, value) => sum + value, 0) / STRETCHES;
    const variance = means.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (STRETCHES - 1);
    return Math.sqrt(variance / STRETCHES);
  });
}
