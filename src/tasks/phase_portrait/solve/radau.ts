import { factor, factorComplex, solveFactored, solveFactoredComplex } from "./linear.ts";
import {
  AdaptiveStepper,
  ATTEMPT,
  type Attempt,
  type Stepper,
  stepWithin,
  type Tolerance,
  type VectorField,
} from "./stepper.ts";
import type { WorkSpace } from "./work_space.ts";

const ROOT6 = Math.sqrt(6);
const NODES = [(4 - ROOT6) / 10, (4 + ROOT6) / 10, 1] as const;
const ERROR_WEIGHTS = [(-13 - 7 * ROOT6) / 3, (-13 + 7 * ROOT6) / 3, -1 / 3] as const;
/** The eigenvalues of the inverse of the method's matrix: one real, and re ± i im. */
const REAL = 3 + 3 ** (2 / 3) - 3 ** (1 / 3);
const RE = 3 + (3 ** (1 / 3) - 3 ** (2 / 3)) / 2;
const IM = (3 ** (5 / 6) + 3 ** (7 / 6)) / 2;
const NEWTON_LIMIT = 7;

type Matrix3 = readonly (readonly [number, number, number])[];

const { T, TI } = transforms();

/**
 * Radau IIA of order 5 with simplified Newton iteration (Hairer & Wanner II (1996), IV.5 and IV.8): one real and one
 * complex factorisation, kept as long as the step and the Jacobian do. Its cubic is the interpolant and foretells
 * where the next iteration starts.
 */
export class Radau extends AdaptiveStepper implements Stepper {
  readonly order = 4;
  y: Float64Array;
  yOld: Float64Array;
  readonly #field: VectorField;
  readonly #tolerance: Tolerance;
  readonly #newtonTolerance: number;
  /** Z and W: the stages less y, and the same in the basis in which the method falls apart. */
  readonly #z: readonly [Float64Array, Float64Array, Float64Array];
  readonly #w: readonly [Float64Array, Float64Array, Float64Array];
  readonly #f: readonly [Float64Array, Float64Array, Float64Array];
  readonly #r: readonly [Float64Array, Float64Array, Float64Array];
  /** Divided differences of the cubic through the last step's stages. */
  readonly #cubic: readonly [Float64Array, Float64Array, Float64Array];
  readonly #scale: Float64Array;
  readonly #f0: Float64Array;
  readonly #stage: Float64Array;
  readonly #error: Float64Array;
  readonly #jacobian: Float64Array;
  readonly #real: Float64Array;
  readonly #re: Float64Array;
  readonly #im: Float64Array;
  readonly #realPivots: Int32Array;
  readonly #complexPivots: Int32Array;
  #jacobianFresh = false;
  #jacobianWanted = true;
  #hFactored = 0;
  #hDone = 0;
  #errOld = 0;
  #iterations = 0;
  #rate = 0;
  /** The last iteration ended at a stage where f is not finite. */
  #leftDomain = false;

  constructor(field: VectorField, tolerance: Tolerance, space: WorkSpace) {
    super();
    this.#field = field;
    this.#tolerance = tolerance;
    this.#newtonTolerance = Math.max(
      (10 * Number.EPSILON) / tolerance.rtol,
      Math.min(0.03, Math.sqrt(tolerance.rtol)),
    );
    const n = field.dimension;
    const plain = () => [new Float64Array(n), new Float64Array(n), new Float64Array(n)] as const;
    [this.#z, this.#w, this.#r, this.#cubic] = [plain(), plain(), plain(), plain()];
    this.#f = [space.take(n), space.take(n), space.take(n)];
    [this.y, this.yOld, this.#stage, this.#f0] = [
      space.take(n),
      space.take(n),
      space.take(n),
      space.take(n),
    ];
    [this.#scale, this.#error] = [new Float64Array(n), new Float64Array(n)];
    this.#jacobian = space.take(n * n);
    [this.#real, this.#re, this.#im] = [
      new Float64Array(n * n),
      new Float64Array(n * n),
      new Float64Array(n * n),
    ];
    [this.#realPivots, this.#complexPivots] = [new Int32Array(n), new Int32Array(n)];
  }

  begin(t: number, y: Float64Array, h: number): void {
    this.t = this.tOld = t;
    this.h = h;
    this.y.set(y);
    this.yOld.set(y);
    this.#field.rhs(t, this.y, this.#f0);
    this.counts.rhsEvals++;
    this.#jacobianFresh = false;
    this.#jacobianWanted = true;
    this.#hFactored = this.#hDone = 0;
    // Hairer: the first step's estimate is filtered a second time, like one after a rejection.
    this.afterRejection = true;
  }

  attempt(tEnd: number, maxStep: number): Attempt {
    if (this.#jacobianWanted) this.#linearise();
    const h = stepWithin(this.t, this.h, tEnd, maxStep);
    const tNew = h === tEnd - this.t ? tEnd : this.t + h;
    if (this.#hFactored !== h && !this.#factorFor(h)) return this.refuse(h / 2, ATTEMPT.singular);
    this.#predict(h);
    this.#setScale();
    if (!this.#newton(h, tNew)) {
      return this.#leftDomain ? this.refuse(h / 4, ATTEMPT.nonFinite) : this.#diverged(h);
    }
    let error = this.#estimate(h, this.#f0);
    if (error > 1 && this.afterRejection) error = this.#filtered(h);
    if (!(error < Infinity)) return this.refuse(h / 4, ATTEMPT.nonFinite);
    const safety = (0.9 * (2 * NEWTON_LIMIT + 1)) / (2 * NEWTON_LIMIT + this.#iterations);
    if (error > 1) return this.refuse(h * Math.max(0.2, safety * error ** (-1 / 4)), ATTEMPT.rejected);
    this.#accept(h, tNew, error, safety);
    return ATTEMPT.accepted;
  }

  #linearise(): void {
    this.#field.jacobian(this.t, this.y, this.#jacobian);
    this.counts.jacEvals++;
    this.#jacobianFresh = true;
    this.#jacobianWanted = false;
    this.#hFactored = 0;
  }

  #factorFor(h: number): boolean {
    const n = this.#field.dimension, j = this.#jacobian;
    for (let i = 0; i < n * n; i++) {
      this.#real[i] = this.#re[i] = -j[i]!;
      this.#im[i] = 0;
    }
    for (let i = 0; i < n * n; i += n + 1) {
      this.#real[i]! += REAL / h;
      this.#re[i]! += RE / h;
      this.#im[i]! += IM / h;
    }
    this.counts.lu += 2;
    const done = factor(n, this.#real, this.#realPivots) &&
      factorComplex(n, this.#re, this.#im, this.#complexPivots);
    this.#hFactored = done ? h : 0;
    return done;
  }

  /** Starts Newton's iteration where the last step's cubic leads, or at rest before there is one. */
  #predict(h: number): void {
    const n = this.#field.dimension, z = this.#z, w = this.#w;
    for (let stage = 0; stage < 3; stage++) {
      const theta = this.#hDone === 0 ? 0 : 1 + (NODES[stage]! * h) / this.#hDone;
      for (let i = 0; i < n; i++) {
        z[stage]![i] = this.#hDone === 0 ? 0 : this.yOld[i]! + this.#cubicAt(theta, i) - this.y[i]!;
      }
    }
    for (let row = 0; row < 3; row++) combine(n, TI[row]!, z, w[row]!);
  }

  #setScale(): void {
    const { rtol, atol } = this.#tolerance;
    for (let i = 0; i < this.#scale.length; i++) this.#scale[i] = atol[i]! + rtol * Math.abs(this.y[i]!);
  }

  /** True when it converged; W and Z then hold the stages. */
  #newton(h: number, tNew: number): boolean {
    const n = this.#field.dimension, w = this.#w, z = this.#z, [r1, r2, r3] = this.#r;
    let last = 0;
    this.#rate = 0;
    for (let iteration = 0; iteration < NEWTON_LIMIT; iteration++) {
      this.#iterations = iteration + 1;
      if (!this.#residual(h, tNew)) return false;
      solveFactored(n, this.#real, this.#realPivots, r1);
      solveFactoredComplex(n, this.#re, this.#im, this.#complexPivots, r2, r3);
      const size = this.#size();
      if (iteration > 0) this.#rate = size / last;
      const rate = this.#rate;
      if (iteration > 0 && (rate >= 1 || this.#misses(rate, size, iteration))) return false;
      for (let row = 0; row < 3; row++) {
        for (let i = 0; i < n; i++) w[row]![i]! += this.#r[row]![i]!;
      }
      for (let row = 0; row < 3; row++) combine(n, T[row]!, w, z[row]!);
      if (size === 0 || (iteration > 0 && (rate / (1 - rate)) * size < this.#newtonTolerance)) return true;
      last = size;
    }
    return false;
  }

  /** True when the iterations that are left cannot reach the tolerance at this rate. */
  #misses(rate: number, size: number, iteration: number): boolean {
    const left = NEWTON_LIMIT - 1 - iteration;
    return (rate ** left / (1 - rate)) * size > this.#newtonTolerance;
  }

  /** r = TI F - Λ W / h; false when f is not finite somewhere. */
  #residual(h: number, tNew: number): boolean {
    const field = this.#field, n = field.dimension, y = this.y, s = this.#stage;
    let sum = 0;
    for (let stage = 0; stage < 3; stage++) {
      const z = this.#z[stage]!, f = this.#f[stage]!;
      for (let i = 0; i < n; i++) s[i] = y[i]! + z[i]!;
      field.rhs(stage === 2 ? tNew : this.t + NODES[stage]! * h, s, f);
      for (let i = 0; i < n; i++) sum += f[i]!;
    }
    this.counts.rhsEvals += 3;
    this.#leftDomain = !Number.isFinite(sum);
    if (this.#leftDomain) return false;
    const [w1, w2, w3] = this.#w, [r1, r2, r3] = this.#r;
    for (let row = 0; row < 3; row++) combine(n, TI[row]!, this.#f, this.#r[row]!);
    for (let i = 0; i < n; i++) {
      r1[i]! -= (REAL / h) * w1[i]!;
      r2[i]! -= (RE * w2[i]! - IM * w3[i]!) / h;
      r3[i]! -= (IM * w2[i]! + RE * w3[i]!) / h;
    }
    return true;
  }

  /** Of an iteration's correction, weighted by the tolerance. */
  #size(): number {
    const scale = this.#scale, n = scale.length, [r1, r2, r3] = this.#r;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const a = r1[i]! / scale[i]!, b = r2[i]! / scale[i]!, c = r3[i]! / scale[i]!;
      sum += a * a + b * b + c * c;
    }
    return Math.sqrt(sum / (3 * n));
  }

  /** A stale Jacobian is renewed first; with a fresh one the step was too long. */
  #diverged(h: number): Attempt {
    if (this.#jacobianFresh) return this.refuse(h / 2, ATTEMPT.singular);
    this.#jacobianWanted = true;
    this.counts.rejected++;
    return ATTEMPT.rejected;
  }

  /** The weighted size of the estimate that starts from `f`, which is f(t, y) or, filtered, f(t, y + estimate). */
  #estimate(h: number, f: Float64Array): number {
    const n = this.#field.dimension,
      { rtol, atol } = this.#tolerance,
      [z1, z2, z3] = this.#z,
      e = this.#error;
    for (let i = 0; i < n; i++) {
      e[i] = f[i]! +
        (ERROR_WEIGHTS[0] * z1[i]! + ERROR_WEIGHTS[1] * z2[i]! + ERROR_WEIGHTS[2] * z3[i]!) / h;
    }
    solveFactored(n, this.#real, this.#realPivots, e);
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const y = this.y[i]!, weight = atol[i]! + rtol * Math.max(Math.abs(y), Math.abs(y + z3[i]!));
      sum += (e[i]! / weight) ** 2;
    }
    return Math.sqrt(sum / n);
  }

  #filtered(h: number): number {
    const n = this.#field.dimension, s = this.#stage, f = this.#f[0];
    for (let i = 0; i < n; i++) s[i] = this.y[i]! + this.#error[i]!;
    this.#field.rhs(this.t, s, f);
    this.counts.rhsEvals++;
    return this.#estimate(h, f);
  }

  #accept(h: number, tNew: number, error: number, safety: number): void {
    const n = this.#field.dimension, next = this.yOld, z3 = this.#z[2];
    const factorOfStep = this.#growth(h, error, safety);
    for (let i = 0; i < n; i++) next[i] = this.y[i]! + z3[i]!;
    this.yOld = this.y;
    this.y = next;
    this.#keepCubic();
    this.tOld = this.t;
    this.t = tNew;
    this.#hDone = h;
    this.#errOld = Math.max(0.01, error);
    this.#field.rhs(tNew, this.y, this.#f0);
    this.counts.rhsEvals++;
    this.#jacobianFresh = false;
    this.#jacobianWanted = this.#iterations > 2 && this.#rate > 1e-3;
    // A little longer step is not worth a new factorisation.
    const keep = !this.#jacobianWanted && factorOfStep >= 1 && factorOfStep < 1.2;
    this.h = keep ? h : h * factorOfStep;
    this.afterRejection = false;
    this.counts.steps++;
  }

  #growth(h: number, error: number, safety: number): number {
    const plain = error === 0 ? 10 : error ** (-1 / 4);
    const foretold = this.#hDone === 0 || error === 0
      ? plain
      : Math.abs(h / this.#hDone) * (this.#errOld / (error * error)) ** (1 / 4);
    const growth = Math.min(10, Math.max(0.2, safety * Math.min(plain, foretold)));
    return this.afterRejection && this.#hDone !== 0 ? Math.min(1, growth) : growth;
  }

  /** Newton's divided differences of the cubic through (0, 0) and the three stages. */
  #keepCubic(): void {
    const n = this.#field.dimension, [z1, z2, z3] = this.#z, [d1, d2, d3] = this.#cubic;
    const [c1, c2, c3] = NODES;
    for (let i = 0; i < n; i++) {
      const a = z1[i]! / c1;
      const b = (z2[i]! - z1[i]!) / (c2 - c1);
      const c = (z3[i]! - z2[i]!) / (c3 - c2);
      const ab = (b - a) / c2, bc = (c - b) / (c3 - c1);
      d1[i] = a;
      d2[i] = ab;
      d3[i] = bc - ab;
    }
  }

  #cubicAt(theta: number, i: number): number {
    const [d1, d2, d3] = this.#cubic;
    return theta * (d1[i]! + (theta - NODES[0]) * (d2[i]! + (theta - NODES[1]) * d3[i]!));
  }

  interpolate(t: number, out: Float64Array): void {
    const theta = (t - this.tOld) / this.#hDone;
    for (let i = 0; i < this.y.length; i++) out[i] = this.yOld[i]! + this.#cubicAt(theta, i);
  }

  /** Not limited by stability. */
  stiffness(): number {
    return 0;
  }
}

function combine(
  n: number,
  [a, b, c]: readonly [number, number, number],
  [x, y, z]: readonly [Float64Array, Float64Array, Float64Array],
  out: Float64Array,
): void {
  for (let i = 0; i < n; i++) out[i] = a * x[i]! + b * y[i]! + c * z[i]!;
}

/**
 * T has the eigenvector of the real eigenvalue, then the real and imaginary parts of that of re - i im, each with last
 * component 1; so W2 + i W3 belongs to re + i im. With the wrong conjugate steps converge to a wrong solution.
 */
function transforms(): { readonly T: Matrix3; readonly TI: Matrix3 } {
  const inverse = inverted([
    [(88 - 7 * ROOT6) / 360, (296 - 169 * ROOT6) / 1800, (-2 + 3 * ROOT6) / 225],
    [(296 + 169 * ROOT6) / 1800, (88 + 7 * ROOT6) / 360, (-2 - 3 * ROOT6) / 225],
    [(16 - ROOT6) / 36, (16 + ROOT6) / 36, 1 / 9],
  ]);
  const real = eigenvector(inverse, REAL, 0), complex = eigenvector(inverse, RE, -IM);
  const columns: Matrix3 = [0, 1, 2].map((i) => [real[i]![0], complex[i]![0], complex[i]![1]] as const);
  return { T: columns, TI: inverted(columns) };
}

function inverted(m: Matrix3): Matrix3 {
  const [a, b, c] = m as [Matrix3[number], Matrix3[number], Matrix3[number]];
  const cross = (p: Matrix3[number], q: Matrix3[number]) =>
    [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]] as const;
  const bc = cross(b, c), ca = cross(c, a), ab = cross(a, b);
  const determinant = a[0] * bc[0] + a[1] * bc[1] + a[2] * bc[2];
  return [0, 1, 2].map((i) => [bc[i]! / determinant, ca[i]! / determinant, ab[i]! / determinant] as const);
}

/** The eigenvector of re + i im as pairs [real, imaginary], from the first two rows, with last component 1. */
function eigenvector(m: Matrix3, re: number, im: number): readonly (readonly [number, number])[] {
  const [r1, r2] = m as [Matrix3[number], Matrix3[number]];
  // (m11 - μ) x + m12 y = -m13 and m21 x + (m22 - μ) y = -m23, by Cramer's rule.
  const p = [r1[0] - re, -im] as const, q = [r2[1] - re, -im] as const;
  const determinant = [p[0] * q[0] - p[1] * q[1] - r1[1] * r2[0], p[0] * q[1] + p[1] * q[0]] as const;
  const x = [-r1[2] * q[0] + r1[1] * r2[2], -r1[2] * q[1]] as const;
  const y = [-r2[2] * p[0] + r2[0] * r1[2], -r2[2] * p[1]] as const;
  return [divided(x, determinant), divided(y, determinant), [1, 0]];
}

function divided(a: readonly [number, number], b: readonly [number, number]): readonly [number, number] {
  const square = b[0] * b[0] + b[1] * b[1];
  return [(a[0] * b[0] + a[1] * b[1]) / square, (a[1] * b[0] - a[0] * b[1]) / square];
}
