import { factor, solveFactored } from "../solve/linear.ts";
import type { VectorField } from "../solve/stepper.ts";
import { type Classification, classify, type Eigenvalue, eigenvalues } from "./classify.ts";
import { atMultipleRoot } from "./multiple_roots.ts";
import { gridPoints, inView, scaledDistance, scattered, type View, viewSize } from "./view.ts";

/** A point where nothing moves, with what the linearisation says of it. */
export interface Equilibrium extends Classification {
  readonly point: Float64Array;
  readonly eigenvalues: readonly Eigenvalue[];
}

/** The equilibria of a view; `more` is true when there are others, as on a line of equilibria, of which a few stand for all. */
export interface EquilibriumSearch {
  readonly equilibria: readonly Equilibrium[];
  readonly more: boolean;
}

const EQUILIBRIUM_LIMIT = 256;
/** So many that are not isolated stand for the line or the region that they are part of. */
const LINE_LIMIT = 12;
const NEWTON_LIMIT = 60;
/** Two roots nearer than this share of the view are one. */
const MERGE_DISTANCE = 1e-6;
/** Newton starts in a grid of so many points in all, and in as many scattered ones. */
const START_LIMIT = 8000;

/**
 * All equilibria within the view at time t, ordered by their states: damped Newton iterations with the exact Jacobian
 * from a grid and from scattered points. What is missed is nearer to another than a cell of the grid.
 */
export function findEquilibria(field: VectorField, t: number, view: View): EquilibriumSearch {
  const newton = new Newton(field, t, view);
  const found: Float64Array[] = [];
  for (const start of starts(field, t, view)) {
    if (found.length >= EQUILIBRIUM_LIMIT) break;
    const root = newton.from(start);
    if (root === null || !inView(view, root)) continue;
    if (!found.some((other) => scaledDistance(view, other, root) < MERGE_DISTANCE)) found.push(root);
  }
  found.sort((a, b) => {
    const at = a.findIndex((value, i) => Math.abs(value - b[i]!) > 1e-9 * viewSize(view));
    return at < 0 ? 0 : a[at]! - b[at]!;
  });
  const described = found.map((root) => describeRoot(field, t, root, view, newton.speedScale));
  const equilibria = thinned(described);
  return { equilibria, more: equilibria.length < described.length || found.length >= EQUILIBRIUM_LIMIT };
}

/** All that are isolated, and of the others no more than stand for their line, evenly. */
function thinned(equilibria: readonly Equilibrium[]): readonly Equilibrium[] {
  const onLine = equilibria.filter((one) => !isIsolated(one));
  if (onLine.length <= LINE_LIMIT) return equilibria;
  const kept = new Set(
    Array.from(
      { length: LINE_LIMIT },
      (_, k) => onLine[Math.round(k * (onLine.length - 1) / (LINE_LIMIT - 1))],
    ),
  );
  return equilibria.filter((one) => isIsolated(one) || kept.has(one));
}

/** By the implicit function theorem there is no other one near where no eigenvalue is zero. */
function isIsolated({ eigenvalues: values }: Equilibrium): boolean {
  const sizes = values.map(({ re, im }) => Math.hypot(re, im));
  return Math.min(...sizes) > 1e-8 * Math.max(...sizes);
}

/** The equilibrium that Newton's iteration reaches from a point; null when it reaches none. */
export function equilibriumFrom(
  field: VectorField,
  t: number,
  start: Float64Array,
  view: View,
): Equilibrium | null {
  const newton = new Newton(field, t, view);
  const root = newton.from(start);
  return root === null ? null : describeRoot(field, t, root, view, newton.speedScale);
}

function describeRoot(
  field: VectorField,
  t: number,
  root: Float64Array,
  view: View,
  speedScale: number,
): Equilibrium {
  return describeEquilibrium(field, t, atMultipleRoot(field, t, root, view, speedScale), speedScale);
}

/** Names the equilibrium at a point that is known to be one. */
export function describeEquilibrium(
  field: VectorField,
  t: number,
  point: Float64Array,
  speedScale: number,
): Equilibrium {
  const n = field.dimension, jacobian = new Float64Array(n * n), y = new Float64Array(n);
  y.set(point);
  field.jacobian(t, y, jacobian);
  const values = eigenvalues(n, jacobian);
  return { point, eigenvalues: values, ...classify(values, speedScale) };
}

/** Where Newton's iteration starts: in the plane also the middle of every cell where both components change sign. */
function* starts(field: VectorField, t: number, view: View): Generator<Float64Array> {
  const n = field.dimension;
  if (n === 2) yield* signChanges(field, t, view);
  const perSide = Math.min(n === 1 ? 400 : 20, Math.floor(START_LIMIT ** (1 / n)));
  if (perSide >= 2) yield* gridPoints(view, perSide);
  yield* scattered(view, n <= 2 ? 400 : START_LIMIT / 4);
}

const CELLS = 100;

function* signChanges(field: VectorField, t: number, view: View): Generator<Float64Array> {
  const { low, high } = view, side = CELLS + 1;
  const f = [new Float64Array(side * side), new Float64Array(side * side)] as const;
  const y = new Float64Array(2), out = new Float64Array(2);
  const at = (axis: 0 | 1, index: number) => low[axis]! + ((high[axis]! - low[axis]!) * index) / CELLS;
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      y[0] = at(0, column);
      y[1] = at(1, row);
      field.rhs(t, y, out);
      f[0][row * side + column] = out[0]!;
      f[1][row * side + column] = out[1]!;
    }
  }
  const changes = (values: Float64Array, corner: number) => {
    const corners = [
      values[corner]!,
      values[corner + 1]!,
      values[corner + side]!,
      values[corner + side + 1]!,
    ];
    return Math.min(...corners) <= 0 && Math.max(...corners) >= 0;
  };
  for (let row = 0; row < CELLS; row++) {
    for (let column = 0; column < CELLS; column++) {
      const corner = row * side + column;
      if (changes(f[0], corner) && changes(f[1], corner)) {
        yield Float64Array.of(at(0, column + 0.5), at(1, row + 0.5));
      }
    }
  }
}

class Newton {
  /** The largest speed that was met in the view over the view's size, in 1/time. */
  readonly speedScale: number;
  readonly #field: VectorField;
  readonly #t: number;
  readonly #view: View;
  readonly #y: Float64Array;
  readonly #f: Float64Array;
  readonly #trial: Float64Array;
  readonly #jacobian: Float64Array;
  readonly #kept: Float64Array;
  readonly #step: Float64Array;
  readonly #pivots: Int32Array;

  constructor(field: VectorField, t: number, view: View) {
    const n = field.dimension;
    [this.#field, this.#t, this.#view] = [field, t, view];
    [this.#y, this.#f, this.#trial] = [new Float64Array(n), new Float64Array(n), new Float64Array(n)];
    [this.#jacobian, this.#kept] = [new Float64Array(n * n), new Float64Array(n * n)];
    this.#step = new Float64Array(n);
    this.#pivots = new Int32Array(n);
    this.speedScale = this.#typicalSpeed() / viewSize(view);
  }

  #typicalSpeed(): number {
    let speed = 0;
    for (const point of scattered(this.#view, 64)) {
      this.#trial.set(point);
      const size = this.#size(this.#trial);
      if (Number.isFinite(size)) speed = Math.max(speed, size);
    }
    return speed;
  }

  /** |f| at a point; `f` is left in `#f`. */
  #size(y: Float64Array): number {
    this.#field.rhs(this.#t, y, this.#f);
    let sum = 0;
    for (const value of this.#f) sum += value * value;
    return Math.sqrt(sum);
  }

  from(start: Float64Array): Float64Array | null {
    this.#y.set(start);
    let size = this.#size(this.#y);
    const size0 = viewSize(this.#view);
    for (let iteration = 0; iteration < NEWTON_LIMIT; iteration++) {
      if (!Number.isFinite(size)) return null;
      if (size === 0) return Float64Array.from(this.#y);
      if (!this.#solveStep()) return null;
      const next = this.#damped(size);
      if (next === null) return this.#nearlyZero(size) ? Float64Array.from(this.#y) : null;
      const length = Math.hypot(...this.#step);
      size = next;
      if (length < 1e-14 * size0 || (length < 1e-11 * size0 && this.#nearlyZero(size))) {
        return this.#nearlyZero(size) ? this.#polished(size) : null;
      }
    }
    return this.#nearlyZero(size) ? Float64Array.from(this.#y) : null;
  }

  #nearlyZero(size: number): boolean {
    return size <= 1e-9 * this.speedScale * viewSize(this.#view);
  }

  /** One more full step, when it helps, to the last digits. */
  #polished(size: number): Float64Array {
    const before = Float64Array.from(this.#y);
    if (size > 0 && this.#solveStep()) {
      for (let i = 0; i < before.length; i++) this.#y[i]! += this.#step[i]!;
      if (this.#size(this.#y) <= size) return Float64Array.from(this.#y);
    }
    return before;
  }

  #solveStep(): boolean {
    const n = this.#field.dimension;
    this.#field.jacobian(this.#t, this.#y, this.#jacobian);
    this.#field.rhs(this.#t, this.#y, this.#f);
    for (let i = 0; i < n; i++) this.#step[i] = -this.#f[i]!;
    this.#kept.set(this.#jacobian);
    if (!factor(n, this.#jacobian, this.#pivots) && !this.#factorNormal(n)) return false;
    solveFactored(n, this.#jacobian, this.#pivots, this.#step);
    return this.#step.every(Number.isFinite);
  }

  /** Where the Jacobian is singular, as along a line of equilibria, the shortest step: (JᵀJ + λ) s = -Jᵀ f with a tiny λ. */
  #factorNormal(n: number): boolean {
    const j = this.#kept, normal = this.#jacobian, right = new Float64Array(n);
    let trace = 0;
    for (let a = 0; a < n; a++) {
      for (let b = 0; b < n; b++) {
        let sum = 0;
        for (let i = 0; i < n; i++) sum += j[i * n + a]! * j[i * n + b]!;
        normal[a * n + b] = sum;
        if (a === b) trace += sum;
      }
      for (let i = 0; i < n; i++) right[a]! -= j[i * n + a]! * this.#f[i]!;
    }
    for (let a = 0; a < n; a++) normal[a * n + a]! += 1e-12 * trace;
    this.#step.set(right);
    return factor(n, normal, this.#pivots);
  }

  /** Takes the longest of 1, 1/2, 1/4 … of the step that makes |f| smaller; its |f|, or null when none does. */
  #damped(size: number): number | null {
    for (let share = 1; share > 1e-3; share /= 2) {
      for (let i = 0; i < this.#y.length; i++) this.#trial[i] = this.#y[i]! + share * this.#step[i]!;
      const next = this.#size(this.#trial);
      if (next < size) {
        this.#y.set(this.#trial);
        return next;
      }
    }
    return null;
  }
}
