import { factor, solveFactored } from "./linear.ts";
import {
  ATTEMPT,
  type Attempt,
  newCounts,
  type Stepper,
  stepWithin,
  type Tolerance,
  type VectorField,
} from "./stepper.ts";
import type { WorkSpace } from "./work_space.ts";

const GAMMA = 0.21193756319429014;
const STAGES = 8;
const NODES = [
  0,
  0.6358126895828704,
  0.4095798393397535,
  0.9769306725060716,
  0.4288403609558664,
  1,
  1,
  1,
] as const;
const TIME_WEIGHTS = [
  0.21193756319429014,
  -0.42387512638858027,
  -0.3384627126235924,
  1.8046452872882734,
  2.325825639765069,
  0,
  0,
  0,
] as const;
/** a_ij and c_ij, a row of eight for each stage. */
const A = Float64Array.of(
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  3,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  2.849394379747939,
  0.45842242204463923,
  0,
  0,
  0,
  0,
  0,
  0,
  -6.954028509809101,
  2.489845061869568,
  -10.358996098473584,
  0,
  0,
  0,
  0,
  0,
  2.8029986275628964,
  0.5072464736228206,
  -0.3988312541770524,
  -0.04721187230404641,
  0,
  0,
  0,
  0,
  -7.502846399306121,
  2.561846144803919,
  -11.627539656261098,
  -0.18268767659942256,
  0.030198172008377946,
  0,
  0,
  0,
  -7.502846399306121,
  2.561846144803919,
  -11.627539656261098,
  -0.18268767659942256,
  0.030198172008377946,
  1,
  0,
  0,
  -7.502846399306121,
  2.561846144803919,
  -11.627539656261098,
  -0.18268767659942256,
  0.030198172008377946,
  1,
  1,
  0,
);
const C = Float64Array.of(
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  -14.155112264123755,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  -17.97296035885952,
  -2.859693295451294,
  0,
  0,
  0,
  0,
  0,
  0,
  147.12150275711716,
  -1.41221402718213,
  71.68940251302358,
  0,
  0,
  0,
  0,
  0,
  165.43517024871676,
  -0.4592823456491126,
  42.90938336958603,
  -5.961986721573306,
  0,
  0,
  0,
  0,
  24.854864614690072,
  -3.0009227002832186,
  47.4931110020768,
  5.5814197821558125,
  -0.6610691825249471,
  0,
  0,
  0,
  30.91273214028599,
  -3.1208243349937974,
  77.79954646070892,
  34.28646028294783,
  -19.097331116725623,
  -28.087943162872662,
  0,
  0,
  37.80277123390563,
  -3.2571969029072276,
  112.26918849496327,
  66.9347231244047,
  -40.06618937091002,
  -54.66780262877968,
  -9.48861652309627,
  0,
);
/** Of the interpolant: a row of eight for each of its three vectors. */
const H = Float64Array.of(
  25.948786856663858,
  -2.5579724845846235,
  10.433815404888879,
  -2.3679251022685204,
  0.524948541321073,
  1.1241088310450404,
  0.4272876194431874,
  -0.17202221070155493,
  -9.91568850695171,
  -0.9689944594115154,
  3.0438037242978453,
  -24.495224566215796,
  20.176138334709044,
  15.98066361424651,
  -6.789040303419874,
  -6.710236069923372,
  11.419903575922262,
  2.8879645146136994,
  72.92137995996029,
  80.12511834622643,
  -52.072871366152654,
  -59.78993625266729,
  -0.15582684282751913,
  4.883087185713722,
);

/**
 * Steinebach's Rodas5P, BIT Numer. Math. 63:27 (2023): a Rosenbrock method of order 5, stiffly accurate and L-stable,
 * with an interpolant of order 4. A step costs one Jacobian, one factorisation, eight evaluations and no iteration.
 */
export class Rodas5p implements Stepper {
  readonly order = 5;
  readonly counts = newCounts();
  t = 0;
  tOld = 0;
  h = 0;
  y: Float64Array;
  yOld: Float64Array;
  readonly #field: VectorField;
  readonly #tolerance: Tolerance;
  readonly #k: Float64Array[];
  readonly #stage: Float64Array;
  readonly #f: Float64Array;
  readonly #f0: Float64Array;
  readonly #timeDerivative: Float64Array;
  readonly #jacobian: Float64Array;
  readonly #matrix: Float64Array;
  readonly #pivots: Int32Array;
  readonly #dense: Float64Array;
  #denseReady = false;
  /** The Jacobian and f0 hold at (t, y); a repeated attempt needs them no second time. */
  #fresh = false;
  #afterRejection = false;
  #hDone = 0;
  #errOld = 0;

  constructor(field: VectorField, tolerance: Tolerance, space: WorkSpace) {
    this.#field = field;
    this.#tolerance = tolerance;
    const n = field.dimension;
    [this.y, this.yOld, this.#stage] = [space.take(n), space.take(n), space.take(n)];
    [this.#f, this.#f0, this.#timeDerivative] = [space.take(n), space.take(n), space.take(n)];
    this.#k = Array.from({ length: STAGES }, () => new Float64Array(n));
    this.#jacobian = space.take(n * n);
    this.#matrix = new Float64Array(n * n);
    this.#pivots = new Int32Array(n);
    this.#dense = new Float64Array(3 * n);
  }

  begin(t: number, y: Float64Array, h: number): void {
    this.t = this.tOld = t;
    this.h = h;
    this.y.set(y);
    this.yOld.set(y);
    this.#fresh = false;
    this.#afterRejection = false;
    this.#hDone = 0;
  }

  attempt(tEnd: number, maxStep: number): Attempt {
    if (!this.#fresh) this.#linearise();
    const h = stepWithin(this.t, this.h, tEnd, maxStep);
    const tNew = h === tEnd - this.t ? tEnd : this.t + h;
    if (!this.#factorFor(h)) return this.#refuse(h / 2, ATTEMPT.singular);
    this.#stages(h, tNew);
    const error = this.#error();
    if (!(error < Infinity)) return this.#refuse(h / 4, ATTEMPT.nonFinite);
    let factorOfStep = Math.min(6, Math.max(1 / 5, error ** (1 / 5) / 0.9));
    if (error > 1) return this.#refuse(h / factorOfStep, ATTEMPT.rejected);
    if (this.#hDone !== 0) factorOfStep = Math.max(factorOfStep, this.#predicted(h, error));
    factorOfStep = Math.min(6, Math.max(this.#afterRejection ? 1 : 1 / 5, factorOfStep));
    this.#errOld = Math.max(0.01, error);
    this.#accept(h, tNew, factorOfStep);
    return ATTEMPT.accepted;
  }

  /** Gustafsson's prediction from the last two steps: Hairer & Wanner II (1996), IV.8. */
  #predicted(h: number, error: number): number {
    return (Math.abs(this.#hDone / h) * (error * error / this.#errOld) ** (1 / 5)) / 0.9;
  }

  #linearise(): void {
    const field = this.#field;
    field.jacobian(this.t, this.y, this.#jacobian);
    field.timeDerivative(this.t, this.y, this.#timeDerivative);
    field.rhs(this.t, this.y, this.#f0);
    this.counts.jacEvals++;
    this.counts.rhsEvals++;
    this.#fresh = true;
  }

  #factorFor(h: number): boolean {
    const n = this.#field.dimension, matrix = this.#matrix, jacobian = this.#jacobian;
    for (let i = 0; i < n * n; i++) matrix[i] = -jacobian[i]!;
    const diagonal = 1 / (h * GAMMA);
    for (let i = 0; i < n; i++) matrix[i * n + i]! += diagonal;
    this.counts.lu++;
    return factor(n, matrix, this.#pivots);
  }

  /** The last two stages add only the stage before, so the new state grows out of the sixth stage's argument. */
  #stages(h: number, tNew: number): void {
    const field = this.#field, n = field.dimension, inverse = 1 / h;
    const y = this.y, s = this.#stage, derivative = this.#timeDerivative;
    for (let stage = 0; stage < STAGES; stage++) {
      const k = this.#k[stage]!;
      let f = this.#f0;
      if (stage > 0) {
        this.#argument(stage, n, y, s);
        f = this.#f;
        field.rhs(NODES[stage] === 1 ? tNew : this.t + NODES[stage]! * h, s, f);
        this.counts.rhsEvals++;
      }
      const weight = h * TIME_WEIGHTS[stage]!;
      for (let i = 0; i < n; i++) k[i] = f[i]! + weight * derivative[i]!;
      for (let j = 0; j < stage; j++) {
        const c = C[stage * STAGES + j]! * inverse, kj = this.#k[j]!;
        for (let i = 0; i < n; i++) k[i]! += c * kj[i]!;
      }
      solveFactored(n, this.#matrix, this.#pivots, k);
    }
    const last = this.#k[STAGES - 1]!, next = this.yOld;
    for (let i = 0; i < n; i++) next[i] = s[i]! + last[i]!;
  }

  #argument(stage: number, n: number, y: Float64Array, s: Float64Array): void {
    for (let i = 0; i < n; i++) s[i] = y[i]!;
    for (let j = 0; j < stage; j++) {
      const a = A[stage * STAGES + j]!, kj = this.#k[j]!;
      for (let i = 0; i < n; i++) s[i]! += a * kj[i]!;
    }
  }

  /** The last stage is the difference of the two orders. */
  #error(): number {
    const n = this.#field.dimension, { rtol, atol } = this.#tolerance;
    const y = this.y, next = this.yOld, last = this.#k[STAGES - 1]!;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      sum += (last[i]! / (atol[i]! + rtol * Math.max(Math.abs(y[i]!), Math.abs(next[i]!)))) ** 2;
    }
    return Math.sqrt(sum / n);
  }

  #refuse(h: number, how: Attempt): Attempt {
    this.h = h;
    this.#afterRejection = true;
    this.counts.rejected++;
    return how;
  }

  /** The new state went to `yOld`, which now becomes `y`. */
  #accept(h: number, tNew: number, divisor: number): void {
    const held = this.y;
    this.y = this.yOld;
    this.yOld = held;
    this.tOld = this.t;
    this.t = tNew;
    this.#hDone = h;
    this.h = h / divisor;
    this.#afterRejection = false;
    this.#fresh = false;
    this.#denseReady = false;
    this.counts.steps++;
  }

  interpolate(t: number, out: Float64Array): void {
    const n = this.#field.dimension;
    if (!this.#denseReady) this.#prepareDense(n);
    const theta = (t - this.tOld) / this.#hDone, rest = 1 - theta;
    const yOld = this.yOld, y = this.y, d = this.#dense;
    for (let i = 0; i < n; i++) {
      const inner = d[i]! + theta * (d[n + i]! + theta * d[2 * n + i]!);
      out[i] = rest * (yOld[i]! + theta * inner) + theta * y[i]!;
    }
  }

  #prepareDense(n: number): void {
    const d = this.#dense.fill(0);
    for (let q = 0; q < 3; q++) {
      for (let j = 0; j < STAGES; j++) {
        const weight = H[q * STAGES + j]!, k = this.#k[j]!;
        for (let i = 0; i < n; i++) d[q * n + i]! += weight * k[i]!;
      }
    }
    this.#denseReady = true;
  }

  /** Not limited by stability. */
  stiffness(): number {
    return 0;
  }

  /** An upper bound of the largest eigenvalue where the last step began: the largest sum of a row of the Jacobian. */
  spectralBound(): number {
    const n = this.#field.dimension, jacobian = this.#jacobian;
    let bound = 0;
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j < n; j++) sum += Math.abs(jacobian[i * n + j]!);
      if (sum > bound) bound = sum;
    }
    return bound;
  }
}
