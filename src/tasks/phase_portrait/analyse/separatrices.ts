import { factor, solveFactored } from "../solve/linear.ts";
import type { VectorField } from "../solve/stepper.ts";
import { type Curve, NEAR, traceCurve } from "./curve.ts";
import type { Equilibrium } from "./equilibria.ts";
import { scaledDistance, type View, viewSize } from "./view.ts";

/** One half of the stable or unstable line through a saddle. */
export interface Separatrix extends Curve {
  /** Which equilibrium it belongs to, by its index. */
  readonly equilibrium: number;
  readonly kind: "stable" | "unstable";
}

/** Start so far from the saddle, as a share of the view: the line's bend there is the square of it. */
const OFFSET = 1e-6;
/** So far from its saddle a line has left it, and ends where it comes back. */
const LEFT = 0.02;
/** Followed for so many times the saddle's own time. */
const TIMES = 400;

/**
 * The lines that leave and reach saddles: from beside the saddle along each eigenvector that is alone with its sign,
 * forwards in time for the unstable one and backwards for the stable one. In the plane these are the separatrices.
 */
export function findSeparatrices(
  field: VectorField,
  t: number,
  view: View,
  equilibria: readonly Equilibrium[],
): Separatrix[] {
  const points = equilibria.map(({ point }) => point);
  return equilibria.flatMap((equilibrium, index) => {
    if (equilibrium.stability !== "saddle") return [];
    return ([1, -1] as const).flatMap((sign) => {
      const same = equilibrium.eigenvalues.filter(({ re }) => Math.sign(re) === sign);
      const [only] = same;
      if (same.length !== 1 || only?.vector == null) return [];
      return [1, -1].map((side): Separatrix => ({
        ...branch(field, t, view, equilibrium, only.vector!.map((value) => side * value), only.re, points),
        equilibrium: index,
        kind: sign > 0 ? "unstable" : "stable",
      }));
    });
  });
}

function branch(
  field: VectorField,
  t: number,
  view: View,
  { point }: Equilibrium,
  direction: readonly number[],
  rate: number,
  points: readonly Float64Array[],
): Curve {
  const offset = OFFSET * viewSize(view);
  const start = point.map((value, i) => value + offset * direction[i]!);
  const curve = traceCurve(field, {
    t0: t,
    tEnd: t + TIMES / rate,
    start,
    view,
    rtol: 1e-10,
    attractors: points.filter((other) => other !== point),
    arrived: arrival(field, t, view, point),
  });
  // The line begins at the saddle itself.
  const times = Float64Array.from([t, ...curve.times]);
  return { ...curve, times, states: Float64Array.from([...point, ...curve.states]) };
}

/**
 * Whether a line has come to an equilibrium, also to one outside of the view, or back to its own saddle: beyond one the
 * solver's errors, and not the line, would say where it goes on. Newton's step tells how far away the nearest is.
 */
function arrival(
  field: VectorField,
  t: number,
  view: View,
  from: Float64Array,
): (y: Float64Array) => boolean {
  const n = field.dimension, pivots = new Int32Array(n), jacobian = new Float64Array(n * n);
  const [at, f, step] = [new Float64Array(n), new Float64Array(n), new Float64Array(n)];
  const speed = () => {
    field.rhs(t, at, f);
    return Math.hypot(...f);
  };
  let hasLeft = false;
  return (y) => {
    hasLeft ||= scaledDistance(view, y, from) > LEFT;
    if (!hasLeft) return false;
    at.set(y);
    const before = speed();
    field.jacobian(t, at, jacobian);
    for (let i = 0; i < n; i++) step[i] = -f[i]!;
    if (!factor(n, jacobian, pivots)) return false;
    solveFactored(n, jacobian, pivots, step);
    for (let i = 0; i < n; i++) at[i]! += step[i]!;
    return scaledDistance(view, at, y) < NEAR && speed() < 0.1 * before;
  };
}
