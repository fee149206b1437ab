import { factor, solveFactored } from "../solve/linear.ts";
import type { Tolerance, VectorField } from "../solve/stepper.ts";
import { walk } from "../solve/walk.ts";
import { eigenvalues } from "./classify.ts";
import { type Curve, traceCurve } from "./curve.ts";
import { type Crossing, followCrossings, sectionAcross } from "./returns.ts";
import { variationStart, withVariation } from "./variation.ts";
import { gridPoints, inView, scaledDistance, type View, viewSize, widened } from "./view.ts";

/** A closed orbit. */
export interface Cycle {
  /** `limit cycle`, or `closed orbit` when its neighbours are closed as well. */
  readonly kind: "limit cycle" | "closed orbit";
  readonly stability: "stable" | "unstable" | "saddle" | "neutral";
  readonly period: number;
  /** A point of it. */
  readonly point: Float64Array;
  /** The smallest and largest value of each state along it. */
  readonly extent: readonly { readonly min: number; readonly max: number }[];
  /** Floquet multipliers without the trivial 1, by descending size. */
  readonly multipliers: readonly { readonly re: number; readonly im: number }[];
  /** ln|multiplier| / period of each. In the plane from the mean divergence, so also where the multiplier underflows. */
  readonly exponents: readonly number[];
  readonly curve: Curve;
}

/** How closed orbits are looked for. */
export interface CycleOptions {
  readonly view: View;
  /** How long transients are waited for, and longer than any period looked for. */
  readonly span: number;
  /** More places to start from than the grid. */
  readonly starts?: readonly Float64Array[];
  readonly stop?: () => "timeout" | "cancelled" | null;
}

const NEWTON_LIMIT = 25;
const CLOSED = 1e-7;
const ROUNDS = 6;
const CROSSINGS = 40;
const CYCLE_LIMIT = 16;
/** A closed orbit is back at its first crossing or, where it bends much, at one of the next. */
const FIRST_CROSSINGS = 4;
/** What a turn at the rough tolerance leaves open of a closed orbit, and of the integral of its divergence. */
const CLOSED_BY_ITSELF = 1e-5;
const NEUTRAL = 1e-5;

/**
 * Looks for limit cycles from a coarse grid: forwards for those that attract and, in the plane, backwards for those that
 * repel. A trajectory that comes near to where it was is closed by Newton's iteration on state and period, with
 * the variational equation (Parker & Chua, Practical Numerical Algorithms for Chaotic Systems (1989), chapter 5).
 */
export function findCycles(field: VectorField, options: CycleOptions): Cycle[] {
  const { view } = options;
  if (field.dimension < 2) return [];
  const found: Cycle[] = [];
  const perSide = field.dimension === 2 ? 4 : 2;
  const grid = field.dimension <= 4 ? [...gridPoints(shrunk(view), perSide)] : [];
  for (const start of [...(options.starts ?? []), ...grid]) {
    for (const way of field.dimension === 2 ? [1, -1] as const : [1] as const) {
      if (options.stop?.() != null || found.length >= CYCLE_LIMIT) return found;
      // A closed orbit among closed orbits is the same backwards, and no limit cycle comes out of it.
      if (liesAmongClosed(field, start, options)) break;
      const cycle = cycleFrom(field, start, way, options, found);
      if (cycle !== null) found.push(cycle);
    }
  }
  return found.filter(({ kind }) => kind === "limit cycle");
}

/**
 * True when the trajectory through a point of the plane closes by itself and neither attracts nor repels, as all
 * of a system with a first integral do: told from one turn, where Newton's iteration would have nothing to find.
 */
function liesAmongClosed(field: VectorField, start: Float64Array, { view, span }: CycleOptions): boolean {
  if (field.dimension !== 2) return false;
  const tolerance = roughTolerance(field, view);
  const turn = nearestReturn(field, start, span, view, tolerance, FIRST_CROSSINGS);
  if (turn === null || scaledDistance(view, turn.y, start) > CLOSED_BY_ITSELF) return false;
  return Math.abs(meanDivergence(field, start, turn.t, tolerance) * turn.t) < NEUTRAL;
}

/** The closed orbit through a point, when there is one: also one among closed neighbours, as a pendulum's. */
export function closedOrbitThrough(
  field: VectorField,
  point: Float64Array,
  { view, span }: CycleOptions,
): Cycle | null {
  const tolerance = closeTolerance(field, view);
  let closing: Crossing | null = null;
  followCrossings(field, 0, point, sectionAcross(field, 0, point), { tolerance, tEnd: span }, (crossing) => {
    if (scaledDistance(view, crossing.y, point) < CLOSED) closing = crossing;
    return closing === null;
  });
  if (closing === null) return null;
  return describe(field, point, (closing as Crossing).t, 1, view, tolerance);
}

/** Null when nothing closes, or when it is one that is known. */
function cycleFrom(
  field: VectorField,
  start: Float64Array,
  way: 1 | -1,
  { view, span }: CycleOptions,
  known: readonly Cycle[],
): Cycle | null {
  const tolerance = closeTolerance(field, view), rough = roughTolerance(field, view);
  let y = start;
  for (let round = 0; round < ROUNDS; round++) {
    const settled = settle(field, y, way * span, view, rough);
    if (settled === null) return null;
    y = settled;
    if (known.some((cycle) => onCurve(cycle.curve, y, view))) return null;
    const closing = nearestReturn(field, y, way * span * 2, view, rough);
    if (closing === null) continue;
    const near = closed(field, y, Math.abs(closing.t), way, rough, view);
    if (near === null) continue;
    if (!inView(widened(view, 2), near.y) || !isOrbit(field, near.y, near.period, way, rough, view)) {
      return null;
    }
    const orbit = closed(field, near.y, near.period, way, tolerance, view);
    if (orbit === null) continue;
    if (known.some((cycle) => onCurve(cycle.curve, orbit.y, view))) return null;
    return describe(field, orbit.y, orbit.period, way, view, tolerance);
  }
  return null;
}

/** An equilibrium solves the same equations with any period. */
function isOrbit(
  field: VectorField,
  point: Float64Array,
  period: number,
  way: 1 | -1,
  tolerance: Tolerance,
  { low, high }: View,
): boolean {
  const extent = extentOf(field, point, way * period, tolerance);
  return extent.some(({ min, max }, i) => max - min > 1e-3 * (high[i]! - low[i]!));
}

/** Where the trajectory is after a while; null when it left, stopped at an equilibrium, or failed. */
function settle(
  field: VectorField,
  y0: Float64Array,
  duration: number,
  view: View,
  tolerance: Tolerance,
): Float64Array | null {
  const end = walk(field, {
    ...plainWalk(tolerance, 0, duration, y0),
    maxSteps: 200_000,
    escape: widened(view, 4),
  }, () => true);
  if (end.status !== "ok") return null;
  const y = new Float64Array(field.dimension), f = new Float64Array(field.dimension);
  y.set(end.y);
  field.rhs(duration, y, f);
  const resting = Math.hypot(...f) * Math.abs(duration) < 1e-4 * viewSize(view);
  return resting ? null : end.y;
}

/** The first return that is near, by the size of what the trajectory did meanwhile. */
function nearestReturn(
  field: VectorField,
  y: Float64Array,
  tEnd: number,
  view: View,
  tolerance: Tolerance,
  limit = CROSSINGS,
): Crossing | null {
  let best: Crossing | null = null, crossings = 0;
  const section = sectionAcross(field, 0, y);
  followCrossings(field, 0, y, section, { tolerance, tEnd, maxSteps: 200_000 }, (crossing) => {
    crossings++;
    if (scaledDistance(view, crossing.y, y) < 0.05) best = crossing;
    return best === null && crossings < limit;
  });
  return best;
}

/** Newton's iteration on (y, T) for the orbit to close, with y held to the plane across the flow. */
function closed(
  field: VectorField,
  start: Float64Array,
  guess: number,
  way: 1 | -1,
  tolerance: Tolerance,
  view: View,
): { readonly y: Float64Array; readonly period: number } | null {
  const n = field.dimension, size = n + 1, f = new Float64Array(n), y = new Float64Array(n);
  y.set(start);
  let period = guess;
  for (let iteration = 0; iteration < NEWTON_LIMIT; iteration++) {
    // The variational flow of a strongly attracting cycle is followed the way in which it shrinks.
    const end = flow(field, y, way * period, tolerance);
    if (end === null) return null;
    const matrix = new Float64Array(size * size), step = new Float64Array(size);
    field.rhs(0, y, f);
    for (let j = 0; j < n; j++) matrix[n * size + j] = f[j]!;
    y.set(end.y);
    field.rhs(0, y, f);
    y.set(start);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) matrix[i * size + j] = end.monodromy[i * n + j]! - (i === j ? 1 : 0);
      matrix[i * size + n] = way * f[i]!;
      step[i] = start[i]! - end.y[i]!;
    }
    const pivots = new Int32Array(size);
    if (!factor(size, matrix, pivots)) return null;
    solveFactored(size, matrix, pivots, step);
    if (!step.every(Number.isFinite) || Math.abs(step[n]!) > 0.5 * period) return null;
    start = start.map((value, i) => value + step[i]!);
    y.set(start);
    period += step[n]!;
    const moved = scaledDistance(view, new Float64Array(n), step.subarray(0, n));
    if (moved > 0.5) return null;
    const within = (bound: number) => moved < bound && Math.abs(step[n]!) < bound * period;
    if (within(100 * tolerance.rtol) || (iteration > 8 && within(1e4 * tolerance.rtol))) {
      return { y: start, period };
    }
  }
  return null;
}

/** The flow and its derivative over a time; null when the trajectory does not get there. */
function flow(
  field: VectorField,
  y: Float64Array,
  duration: number,
  tolerance: Tolerance,
): { readonly y: Float64Array; readonly monodromy: Float64Array } | null {
  const n = field.dimension, extended = withVariation(field);
  const atol = new Float64Array(n + n * n).fill(1e-12);
  atol.set(tolerance.atol);
  const end = walk(
    extended,
    plainWalk({ rtol: tolerance.rtol, atol }, 0, duration, variationStart(y)),
    () => true,
  );
  return end.status === "ok" ? { y: end.y.slice(0, n), monodromy: end.y.slice(n) } : null;
}

/** `way` is the one in which the orbit attracts: the other way a trajectory would leave it within a turn. */
function describe(
  field: VectorField,
  point: Float64Array,
  period: number,
  way: 1 | -1,
  view: View,
  tolerance: Tolerance,
): Cycle {
  const n = field.dimension;
  const mean = n === 2 ? meanDivergence(field, point, way * period, tolerance) : NaN;
  const monodromy = n === 2 ? null : flow(field, point, period, tolerance)?.monodromy ?? null;
  const multipliers = n === 2
    ? [{ re: Math.exp(mean * period), im: 0 }]
    : withoutTrivial(monodromy?.every(Number.isFinite) ? eigenvalues(n, monodromy) : []);
  const exponents = n === 2 ? [mean] : multipliers.map(({ re, im }) => Math.log(Math.hypot(re, im)) / period);
  const neutral = exponents.every((value) => Math.abs(value * period) < 1e-6);
  return {
    kind: neutral ? "closed orbit" : "limit cycle",
    stability: neutral ? "neutral" : stabilityOf(exponents),
    period,
    point: Float64Array.from(point),
    extent: extentOf(field, point, way * period, tolerance),
    multipliers,
    exponents,
    curve: oneTurn(field, point, period, way, view),
  };
}

/** In ascending time from 0 to the period, whichever way it was followed. */
function oneTurn(field: VectorField, start: Float64Array, period: number, way: 1 | -1, view: View): Curve {
  const curve = traceCurve(field, { t0: 0, tEnd: way * period, start, view });
  if (way === 1) return curve;
  const n = field.dimension, last = curve.times.length - 1;
  return {
    ...curve,
    times: curve.times.toReversed().map((time) => time + period),
    states: curve.states.map((_, at) => curve.states[(last - Math.floor(at / n)) * n + (at % n)]!),
  };
}

function stabilityOf(exponents: readonly number[]): "stable" | "unstable" | "saddle" {
  if (exponents.every((value) => value < 0)) return "stable";
  return exponents.every((value) => value > 0) ? "unstable" : "saddle";
}

/** The multiplier nearest to 1 belongs to the flow's own direction. */
function withoutTrivial(values: readonly { re: number; im: number }[]): { re: number; im: number }[] {
  const far = ({ re, im }: { re: number; im: number }) => Math.hypot(re - 1, im);
  const trivial = [...values].sort((a, b) => far(a) - far(b))[0];
  return values.filter((value) => value !== trivial)
    .map(({ re, im }) => ({ re, im }))
    .sort((a, b) => Math.hypot(b.re, b.im) - Math.hypot(a.re, a.im));
}

/** The mean of the divergence along an orbit: the sum of its exponents. */
function meanDivergence(
  field: VectorField,
  point: Float64Array,
  duration: number,
  tolerance: Tolerance,
): number {
  const n = field.dimension,
    y = new Float64Array(n),
    f = new Float64Array(n),
    jacobian = new Float64Array(n * n);
  const wide: VectorField = {
    dimension: n + 1,
    allocate: (length) => new Float64Array(length),
    rhs(t, state, out) {
      for (let i = 0; i < n; i++) y[i] = state[i]!;
      field.rhs(t, y, f);
      field.jacobian(t, y, jacobian);
      let trace = 0;
      for (let i = 0; i < n; i++) {
        out[i] = f[i]!;
        trace += jacobian[i * n + i]!;
      }
      out[n] = trace;
    },
    jacobian(t, state, out) {
      for (let i = 0; i < n; i++) y[i] = state[i]!;
      field.jacobian(t, y, jacobian);
      out.fill(0);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) out[i * (n + 1) + j] = jacobian[i * n + j]!;
      }
    },
    timeDerivative(_t, _state, out) {
      out.fill(0);
    },
  };
  const atol = Float64Array.from([...tolerance.atol, 1e-10]);
  const start = Float64Array.from([...point, 0]);
  const end = walk(wide, plainWalk({ rtol: tolerance.rtol, atol }, 0, duration, start), () => true);
  return end.y[n]! / duration;
}

function extentOf(
  field: VectorField,
  point: Float64Array,
  duration: number,
  tolerance: Tolerance,
): { min: number; max: number }[] {
  const f = new Float64Array(field.dimension);
  return Array.from({ length: field.dimension }, (_, i) => {
    let min = point[i]!, max = point[i]!;
    const section = {
      direction: 0 as const,
      g: (t: number, y: Float64Array) => {
        field.rhs(t, y, f);
        return f[i]!;
      },
    };
    followCrossings(field, 0, point, section, { tolerance, tEnd: duration * 1.001 }, ({ y }) => {
      min = Math.min(min, y[i]!);
      max = Math.max(max, y[i]!);
      return true;
    });
    return { min, max };
  });
}

function onCurve({ states }: Curve, y: Float64Array, view: View): boolean {
  const n = y.length;
  for (let at = 0; at + n < states.length; at += n) {
    if (distanceToPiece(view, states, at, y) < 0.01) return true;
  }
  return false;
}

/** From y to the straight piece between a curve's points at `at` and after it, scaled by the view. */
function distanceToPiece({ low, high }: View, states: Float64Array, at: number, y: Float64Array): number {
  const n = y.length;
  let along = 0, length = 0;
  for (let i = 0; i < n; i++) {
    const unit = high[i]! - low[i]!, piece = (states[at + n + i]! - states[at + i]!) / unit;
    along += piece * ((y[i]! - states[at + i]!) / unit);
    length += piece * piece;
  }
  const share = length === 0 ? 0 : Math.min(1, Math.max(0, along / length));
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const nearest = states[at + i]! + share * (states[at + n + i]! - states[at + i]!);
    sum += ((y[i]! - nearest) / (high[i]! - low[i]!)) ** 2;
  }
  return Math.sqrt(sum);
}

function plainWalk(tolerance: Tolerance, t0: number, tEnd: number, y0: Float64Array) {
  return {
    method: "auto" as const,
    tolerance,
    t0,
    tEnd,
    y0,
    maxStep: null,
    firstStep: null,
    maxSteps: 2_000_000,
  };
}

function closeTolerance(field: VectorField, view: View): Tolerance {
  return { rtol: 1e-12, atol: new Float64Array(field.dimension).fill(1e-14 * viewSize(view)) };
}

function roughTolerance(field: VectorField, view: View): Tolerance {
  return { rtol: 1e-7, atol: new Float64Array(field.dimension).fill(1e-9 * viewSize(view)) };
}

/** The view without its edges, where starts would only leave. */
function shrunk({ low, high }: View): View {
  const inset = low.map((value, i) => 0.1 * (high[i]! - value));
  return {
    low: low.map((value, i) => value + inset[i]!),
    high: high.map((value, i) => value - inset[i]!),
  };
}
