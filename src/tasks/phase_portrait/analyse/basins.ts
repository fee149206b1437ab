import type { Stepper, VectorField } from "../solve/stepper.ts";
import { walk } from "../solve/walk.ts";
import type { Cycle } from "./cycles.ts";
import type { Equilibrium } from "./equilibria.ts";
import type { Plane } from "./nullclines.ts";
import { scaledDistance, type View, widened } from "./view.ts";

/** Which attractor each start of a grid reaches. */
export interface Basins {
  readonly columns: number;
  readonly rows: number;
  /** By row from the low y, each from the low x: an index into `attractors`, -1 for none in time, -2 for escape. */
  readonly cells: Int16Array;
  readonly attractors: readonly { readonly kind: "equilibrium" | "cycle"; readonly index: number }[];
}

export interface BasinOptions {
  readonly plane: Plane;
  readonly view: View;
  readonly columns: number;
  readonly rows: number;
  readonly span: number;
  readonly stop?: () => "timeout" | "cancelled" | null;
  readonly progress?: (fraction: number) => void;
}

export const NO_ATTRACTOR = -1;
export const ESCAPED = -2;
const NEAR = 1e-3;
/** So many steps in a row near an attractor count as having arrived. */
const STAY = 4;

/** Colours a grid of starts by the stable equilibrium or cycle that each reaches. */
export function findBasins(
  field: VectorField,
  equilibria: readonly Equilibrium[],
  cycles: readonly Cycle[],
  options: BasinOptions,
): Basins {
  const { plane, columns, rows } = options;
  const attractors = attractorsOf(equilibria, cycles, options.view);
  const cells = new Int16Array(columns * rows).fill(NO_ATTRACTOR);
  const start = Float64Array.from(plane.held);
  for (let row = 0; row < rows; row++) {
    if (options.stop?.() != null) break;
    for (let column = 0; column < columns; column++) {
      // Starts are the middles of cells, so a symmetric picture has symmetric starts.
      start[plane.axes[0]] = plane.low[0] + ((plane.high[0] - plane.low[0]) * (column + 0.5)) / columns;
      start[plane.axes[1]] = plane.low[1] + ((plane.high[1] - plane.low[1]) * (row + 0.5)) / rows;
      cells[row * columns + column] = destination(field, start, attractors, options);
    }
    options.progress?.((row + 1) / rows);
  }
  return { columns, rows, cells, attractors: attractors.map(({ kind, index }) => ({ kind, index })) };
}

interface Attractor {
  readonly kind: "equilibrium" | "cycle";
  readonly index: number;
  readonly near: (y: Float64Array) => boolean;
}

function attractorsOf(
  equilibria: readonly Equilibrium[],
  cycles: readonly Cycle[],
  view: View,
): Attractor[] {
  const points = equilibria.flatMap(({ stability, point }, index): Attractor[] =>
    stability === "stable"
      ? [{ kind: "equilibrium", index, near: (y) => scaledDistance(view, point, y) < NEAR }]
      : []
  );
  const rings = cycles.flatMap(({ stability, curve }, index): Attractor[] =>
    stability === "stable" ? [{ kind: "cycle", index, near: (y) => nearCurve(curve.states, y, view) }] : []
  );
  return [...points, ...rings];
}

function nearCurve(states: Float64Array, y: Float64Array, view: View): boolean {
  for (let at = 0; at < states.length; at += y.length) {
    if (scaledDistance(view, states.subarray(at, at + y.length), y) < 10 * NEAR) return true;
  }
  return false;
}

function destination(
  field: VectorField,
  start: Float64Array,
  attractors: readonly Attractor[],
  { view, span }: BasinOptions,
): number {
  let at = NO_ATTRACTOR, stayed = 0;
  const visit = ({ y }: Stepper) => {
    const now = attractors.findIndex(({ near }) => near(y));
    stayed = now >= 0 && now === at ? stayed + 1 : 0;
    at = now;
    return stayed < STAY;
  };
  const end = walk(field, {
    method: "auto",
    tolerance: { rtol: 1e-6, atol: new Float64Array(field.dimension).fill(1e-9) },
    t0: 0,
    tEnd: span,
    y0: start,
    maxStep: null,
    firstStep: null,
    maxSteps: 20_000,
    escape: widened(view, 20),
  }, visit);
  if (end.status === "escaped" || end.status === "blow_up") return ESCAPED;
  return at;
}
