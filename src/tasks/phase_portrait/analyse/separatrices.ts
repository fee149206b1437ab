import type { VectorField } from "../solve/stepper.ts";
import { type Curve, traceCurve } from "./curve.ts";
import type { Equilibrium } from "./equilibria.ts";
import { type View, viewSize } from "./view.ts";

/** One half of the stable or unstable line through a saddle. */
export interface Separatrix extends Curve {
  /** Which equilibrium it belongs to, by its index. */
  readonly equilibrium: number;
  readonly kind: "stable" | "unstable";
}

/** Start so far from the saddle, as a share of the view: the line's bend there is the square of it. */
const OFFSET = 1e-6;
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
  });
  // The line begins at the saddle itself.
  const times = Float64Array.from([t, ...curve.times]);
  return { ...curve, times, states: Float64Array.from([...point, ...curve.states]) };
}
