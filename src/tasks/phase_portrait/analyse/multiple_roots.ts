import { factor, solveFactored } from "../solve/linear.ts";
import type { VectorField } from "../solve/stepper.ts";
import { eigenvalues } from "./classify.ts";
import { scaledDistance, type View, viewSize } from "./view.ts";

/** A singular value below this share of the largest, or of the system's own speed, may be zero but for rounding. */
const SUSPECT_SHARE = 1e-5;
/** A root is not moved farther than this share of the view: nearer ones count as one. */
const MOVE_LIMIT = 1e-6;
/** What rounding leaves of f at a root, as a share of the typical speed. */
const ROUNDING = 2e-15;
const ITERATION_LIMIT = 40;
/** For the derivative of the Jacobian, as a share of the view. */
const OFFSET = 1e-4;

/**
 * The place beside a root where the Jacobian is exactly singular, when f is zero there as far as rounding lets
 * tell; else the root itself. Near a multiple root f is flat, so rounding and the slow convergence of Newton's
 * iteration leave it up to 1e-7 of the view away, and the eigenvalues there would make it a node, a saddle or a focus.
 */
export function atMultipleRoot(
  field: VectorField,
  t: number,
  root: Float64Array,
  view: View,
  speedScale: number,
): Float64Array {
  const still = stillDirections(field, t, root, speedScale);
  if (still.length === 0) return root;
  const point = Float64Array.from(root), search = new FlatSearch(field, t, view, still);
  for (let iteration = 0; iteration < ITERATION_LIMIT; iteration++) {
    const step = search.stepFrom(point);
    if (step === null) return root;
    for (let i = 0; i < point.length; i++) point[i]! += step[i]!;
    if (!(scaledDistance(view, point, root) < MOVE_LIMIT)) return root;
    if (Math.hypot(...step) < 1e-15 * viewSize(view)) break;
  }
  const allowed = Math.max(search.speedAt(root), ROUNDING * speedScale * viewSize(view));
  return search.speedAt(point) <= allowed ? point : root;
}

/** The directions in which the Jacobian hardly acts: its right singular vectors, as eigenvectors hide a nilpotent part. */
function stillDirections(field: VectorField, t: number, root: Float64Array, speedScale: number) {
  const n = field.dimension, y = new Float64Array(n), j = new Float64Array(n * n);
  y.set(root);
  field.jacobian(t, y, j);
  if (!j.every(Number.isFinite)) return [];
  const normal = new Float64Array(n * n);
  for (let a = 0; a < n; a++) {
    for (let b = 0; b < n; b++) {
      for (let i = 0; i < n; i++) normal[a * n + b]! += j[i * n + a]! * j[i * n + b]!;
    }
  }
  const squares = eigenvalues(n, normal), largest = Math.max(speedScale ** 2, squares[0]!.re);
  return squares.flatMap(({ re, vector }) =>
    vector !== null && re < SUSPECT_SHARE ** 2 * largest ? [vector] : []
  );
}

/** Gauss and Newton's iteration for J(y) v = 0 for some directions v. */
class FlatSearch {
  readonly #y: Float64Array;
  readonly #out: Float64Array;
  readonly #jacobian: Float64Array;

  constructor(
    readonly field: VectorField,
    readonly t: number,
    readonly view: View,
    readonly directions: readonly (readonly number[])[],
  ) {
    const n = field.dimension;
    [this.#y, this.#out, this.#jacobian] = [
      new Float64Array(n),
      new Float64Array(n),
      new Float64Array(n * n),
    ];
  }

  speedAt(point: Float64Array): number {
    this.#y.set(point);
    this.field.rhs(this.t, this.#y, this.#out);
    return Math.hypot(...this.#out);
  }

  /** Null where the Jacobian is no number near the point. */
  stepFrom(point: Float64Array): Float64Array | null {
    const n = this.field.dimension, { low, high } = this.view;
    const rest = this.#slopes(point);
    const columns = Array.from(point, (_, i) => {
      const h = OFFSET * (high[i]! - low[i]!);
      const [ahead, behind] = [h, -h].map((d) => this.#slopes(point.with(i, point[i]! + d)));
      return ahead!.map((value, k) => (value - behind![k]!) / (2 * h));
    });
    const normal = new Float64Array(n * n), step = new Float64Array(n);
    let trace = 0;
    for (let a = 0; a < n; a++) {
      for (let b = 0; b < n; b++) normal[a * n + b] = dot(columns[a]!, columns[b]!);
      step[a] = -dot(columns[a]!, rest);
      trace += normal[a * n + a]!;
    }
    // Where J is the same all around, as in linear systems, there is nowhere to go.
    if (trace === 0) return new Float64Array(n);
    for (let a = 0; a < n; a++) normal[a * n + a]! += 1e-12 * trace;
    const pivots = new Int32Array(n);
    if (!Number.isFinite(trace) || !factor(n, normal, pivots)) return null;
    solveFactored(n, normal, pivots, step);
    return step;
  }

  /** J v for every direction, one after the other. */
  #slopes(point: Float64Array): number[] {
    const n = this.field.dimension, j = this.#jacobian;
    this.#y.set(point);
    this.field.jacobian(this.t, this.#y, j);
    return this.directions.flatMap((v) =>
      Array.from({ length: n }, (_, row) => v.reduce((sum, value, k) => sum + j[row * n + k]! * value, 0))
    );
  }
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, k) => sum + value * b[k]!, 0);
}
