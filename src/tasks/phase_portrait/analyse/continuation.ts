import { zero } from "../solve/events.ts";
import { factor, solveFactored } from "../solve/linear.ts";
import type { VectorField } from "../solve/stepper.ts";
import { type Eigenvalue, eigenvalues } from "./classify.ts";

/** A point of a branch of equilibria over one parameter. */
export interface BranchPoint {
  readonly parameter: number;
  readonly point: Float64Array;
  readonly eigenvalues: readonly Eigenvalue[];
  readonly stable: boolean;
}

/** Where a branch changes its nature. */
export interface Bifurcation {
  readonly kind: "fold or branch point" | "Hopf";
  readonly parameter: number;
  readonly point: Float64Array;
  /** Of the imaginary pair at a Hopf point. */
  readonly angularFrequency?: number;
}

export interface Branch {
  readonly points: readonly BranchPoint[];
  readonly bifurcations: readonly Bifurcation[];
}

export interface ContinuationOptions {
  readonly low: number;
  readonly high: number;
  readonly setParameter: (value: number) => void;
  readonly start: { readonly parameter: number; readonly point: Float64Array };
  /** The extent of each state, by which lengths are measured. */
  readonly scales: Float64Array;
  /** Default 400 to each side. */
  readonly maxPoints?: number;
}

const NEWTON_LIMIT = 12;
const STEP = 0.02, STEP_MIN = 1e-6, STEP_MAX = 0.05;

/**
 * Follows a branch of equilibria round its folds by pseudo-arclength (Keller 1977; Kuznetsov, Elements of Applied
 * Bifurcation Theory, 10.2), both ways from a start, and closes in on folds and Hopf points.
 */
export function continueEquilibrium(field: VectorField, options: ContinuationOptions): Branch {
  const system = new Augmented(field, options);
  const start = system.scaled(options.start.point, options.start.parameter);
  if (!system.newton(start, null)) return { points: [], bifurcations: [] };
  const bifurcations: Bifurcation[] = [];
  const [up, down] = ([1, -1] as const).map((way) => follow(system, start, way, options, bifurcations));
  return {
    points: [...down!.reverse(), system.describe(start), ...up!],
    bifurcations: merged(bifurcations, options),
  };
}

function follow(
  system: Augmented,
  start: Float64Array,
  way: 1 | -1,
  { maxPoints = 400 }: ContinuationOptions,
  bifurcations: Bifurcation[],
): BranchPoint[] {
  const points: BranchPoint[] = [];
  let at: Float64Array = Float64Array.from(start), tangent = system.tangent(at, null, way), step = STEP;
  let before = system.tests(at);
  while (tangent !== null && points.length < maxPoints && step > STEP_MIN) {
    const next: Float64Array = at.map((value, i) => value + step * tangent![i]!);
    const along = { from: at, tangent, step };
    const iterations = system.newton(next, along);
    if (iterations === 0) {
      step /= 2;
      continue;
    }
    const after = system.tests(next);
    bifurcations.push(...system.locate(at, tangent, step, before, after));
    points.push(system.describe(next));
    if (!system.inside(next)) break;
    const turned: Float64Array | null = system.tangent(next, tangent, way);
    [at, tangent, before] = [next, turned, after];
    if (iterations <= 3) step = Math.min(STEP_MAX, step * 1.3);
  }
  return points;
}

/** Both ways begin at the same place, so the same bifurcation may be found twice. */
function merged(found: readonly Bifurcation[], { low, high }: ContinuationOptions): Bifurcation[] {
  const near = 1e-7 * (high - low);
  return found
    .filter(({ parameter }) => parameter >= low - near && parameter <= high + near)
    .filter((one, index, all) =>
      all.findIndex((other) =>
        other.kind === one.kind && Math.abs(other.parameter - one.parameter) < near &&
        other.point.every((value, i) => Math.abs(value - one.point[i]!) < 1e-5)
      ) === index
    )
    .sort((a, b) => a.parameter - b.parameter);
}

interface Along {
  readonly from: Float64Array;
  readonly tangent: Float64Array;
  readonly step: number;
}

interface Tests {
  readonly fold: number;
  /** The product of all sums of two eigenvalues: zero where a pair is imaginary (or two real ones are opposite). */
  readonly hopf: number;
}

/** f(y, p) = 0 in scaled unknowns: each state over its extent, and the parameter from 0 to 1. */
class Augmented {
  readonly #field: VectorField;
  readonly #options: ContinuationOptions;
  readonly #n: number;

  constructor(field: VectorField, options: ContinuationOptions) {
    [this.#field, this.#options, this.#n] = [field, options, field.dimension];
  }

  scaled(point: Float64Array, parameter: number): Float64Array {
    const { low, high, scales } = this.#options;
    return Float64Array.from([
      ...point.map((value, i) => value / scales[i]!),
      (parameter - low) / (high - low),
    ]);
  }

  inside(u: Float64Array): boolean {
    return u[this.#n]! >= 0 && u[this.#n]! <= 1;
  }

  #state(u: Float64Array): { y: Float64Array; parameter: number } {
    const { low, high, scales } = this.#options;
    const parameter = low + u[this.#n]! * (high - low);
    return { y: Float64Array.from(scales, (scale, i) => u[i]! * scale), parameter };
  }

  #f(u: Float64Array): Float64Array {
    const { y, parameter } = this.#state(u), out = new Float64Array(this.#n);
    this.#options.setParameter(parameter);
    this.#field.rhs(0, y, out);
    return out;
  }

  #jacobian(u: Float64Array): Float64Array {
    const { y, parameter } = this.#state(u), out = new Float64Array(this.#n ** 2);
    this.#options.setParameter(parameter);
    this.#field.jacobian(0, y, out);
    return out;
  }

  /** n × (n + 1), in scaled unknowns; the parameter's column by central differences. */
  #derivative(u: Float64Array): Float64Array {
    const n = this.#n, jacobian = this.#jacobian(u), out = new Float64Array(n * (n + 1));
    const h = 1e-6, ahead = Float64Array.from(u), behind = Float64Array.from(u);
    ahead[n]! += h;
    behind[n]! -= h;
    const a = this.#f(ahead), b = this.#f(behind);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) out[i * (n + 1) + j] = jacobian[i * n + j]! * this.#options.scales[j]!;
      out[i * (n + 1) + n] = (a[i]! - b[i]!) / (2 * h);
    }
    return out;
  }

  /** Corrects u onto the branch; how many iterations it took, 0 when it did not get there. */
  newton(u: Float64Array, along: Along | null): number {
    const n = this.#n, size = n + 1;
    for (let iteration = 1; iteration <= NEWTON_LIMIT; iteration++) {
      const f = this.#f(u), matrix = new Float64Array(size * size), step = new Float64Array(size);
      matrix.set(this.#derivative(u));
      for (let i = 0; i < n; i++) step[i] = -f[i]!;
      if (along === null) matrix[n * size + n] = 1;
      else {
        matrix.set(along.tangent, n * size);
        step[n] = along.step;
        for (let i = 0; i < size; i++) step[n]! -= along.tangent[i]! * (u[i]! - along.from[i]!);
      }
      const pivots = new Int32Array(size);
      if (!factor(size, matrix, pivots)) return 0;
      solveFactored(size, matrix, pivots, step);
      const length = Math.hypot(...step);
      if (!Number.isFinite(length) || length > 1) return 0;
      for (let i = 0; i < size; i++) u[i]! += step[i]!;
      if (length < 1e-12) return iteration;
    }
    return 0;
  }

  /** The branch's direction, on from `last`, or towards larger (1) or smaller (-1) parameters. */
  tangent(u: Float64Array, last: Float64Array | null, way: 1 | -1): Float64Array | null {
    const n = this.#n, size = n + 1, matrix = new Float64Array(size * size), out = new Float64Array(size);
    matrix.set(this.#derivative(u));
    if (last === null) matrix[n * size + n] = 1;
    else matrix.set(last, n * size);
    out[n] = last === null ? way : 1;
    const pivots = new Int32Array(size);
    if (!factor(size, matrix, pivots)) return null;
    solveFactored(size, matrix, pivots, out);
    const length = Math.hypot(...out);
    return Number.isFinite(length) && length > 0 ? out.map((value) => value / length) : null;
  }

  tests(u: Float64Array): Tests {
    const values = eigenvalues(this.#n, this.#jacobian(u));
    let fold = 1, hopf = 1;
    for (const { re, im } of values) fold *= im === 0 ? re : Math.hypot(re, im);
    for (const [i, a] of values.entries()) {
      for (const b of values.slice(i + 1)) {
        const re = a.re + b.re, im = a.im + b.im;
        hopf *= im === 0 ? re : Math.hypot(re, im);
      }
    }
    return { fold, hopf: values.length < 2 ? 1 : hopf };
  }

  /** The bifurcations between u and the next point of the branch. */
  locate(u: Float64Array, tangent: Float64Array, step: number, before: Tests, after: Tests): Bifurcation[] {
    const found: Bifurcation[] = [];
    const at = (s: number) => {
      const point: Float64Array = u.map((value, i) => value + s * tangent[i]!);
      this.newton(point, { from: u, tangent, step: s });
      return point;
    };
    const root = (name: keyof Tests) =>
      at(zero((s) => this.tests(at(s))[name], 0, before[name], step, after[name]));
    if (before.fold * after.fold < 0) {
      const { y, parameter } = this.#state(root("fold"));
      found.push({ kind: "fold or branch point", parameter, point: y });
    }
    if (before.hopf * after.hopf < 0) {
      const place = root("hopf"), { y, parameter } = this.#state(place);
      const pair = eigenvalues(this.#n, this.#jacobian(place)).filter(({ im }) => im > 0)
        .sort((a, b) => Math.abs(a.re) - Math.abs(b.re))[0];
      // Two opposite real eigenvalues make the same test zero: a neutral saddle, at which nothing is born.
      if (pair !== undefined && Math.abs(pair.re) < 1e-6 * pair.im) {
        found.push({ kind: "Hopf", parameter, point: y, angularFrequency: pair.im });
      }
    }
    return found;
  }

  describe(u: Float64Array): BranchPoint {
    const { y, parameter } = this.#state(u), values = eigenvalues(this.#n, this.#jacobian(u));
    return { parameter, point: y, eigenvalues: values, stable: values.every(({ re }) => re < 0) };
  }
}
