import { factor, solveFactored } from "./linear.ts";
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

const GAMMA = 0.21193756319429014;
const STAGES = 8;

type Stages = [
  Float64Array,
  Float64Array,
  Float64Array,
  Float64Array,
  Float64Array,
  Float64Array,
  Float64Array,
  Float64Array,
];

/**
 * Steinebach's Rodas5P, BIT Numer. Math. 63:27 (2023): a Rosenbrock method of order 5, stiffly accurate and L-stable,
 * with an interpolant of order 4. A step costs one Jacobian, one factorisation, eight evaluations and no iteration.
 */
export class Rodas5p extends AdaptiveStepper implements Stepper {
  readonly order = 5;
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
  #hDone = 0;
  #errOld = 0;

  constructor(field: VectorField, tolerance: Tolerance, space: WorkSpace) {
    super();
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
    this.afterRejection = false;
    this.#hDone = 0;
  }

  attempt(tEnd: number, maxStep: number): Attempt {
    if (!this.#fresh) this.#linearise();
    const h = stepWithin(this.t, this.h, tEnd, maxStep);
    const tNew = h === tEnd - this.t ? tEnd : this.t + h;
    if (!this.#factorFor(h)) return this.refuse(h / 2, ATTEMPT.singular);
    this.#stages(h, tNew);
    const error = this.#error();
    if (!(error < Infinity)) return this.refuse(h / 4, ATTEMPT.nonFinite);
    let factorOfStep = Math.min(6, Math.max(1 / 5, error ** (1 / 5) / 0.9));
    if (error > 1) return this.refuse(h / factorOfStep, ATTEMPT.rejected);
    if (this.#hDone !== 0) factorOfStep = Math.max(factorOfStep, this.#predicted(h, error));
    factorOfStep = Math.min(6, Math.max(this.afterRejection ? 1 : 1 / 5, factorOfStep));
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
    const field = this.#field, n = field.dimension, t = this.t, c = 1 / h;
    const y = this.y, s = this.#stage, dt = this.#timeDerivative, f0 = this.#f0, f = this.#f;
    const matrix = this.#matrix, pivots = this.#pivots;
    const [k1, k2, k3, k4, k5, k6, k7, k8] = this.#k as Stages;
    for (let i = 0; i < n; i++) k1[i] = f0[i]! + h * 0.21193756319429014 * dt[i]!;
    solveFactored(n, matrix, pivots, k1);
    for (let i = 0; i < n; i++) s[i] = y[i]! + (3 * k1[i]!);
    field.rhs(t + 0.6358126895828704 * h, s, f);
    for (let i = 0; i < n; i++) {
      k2[i] = f[i]! - h * 0.42387512638858027 * dt[i]! + c * (-14.155112264123755 * k1[i]!);
    }
    solveFactored(n, matrix, pivots, k2);
    for (let i = 0; i < n; i++) s[i] = y[i]! + (2.849394379747939 * k1[i]! + 0.45842242204463923 * k2[i]!);
    field.rhs(t + 0.4095798393397535 * h, s, f);
    for (let i = 0; i < n; i++) {
      k3[i] = f[i]! - h * 0.3384627126235924 * dt[i]! +
        c * (-17.97296035885952 * k1[i]! - 2.859693295451294 * k2[i]!);
    }
    solveFactored(n, matrix, pivots, k3);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! + (-6.954028509809101 * k1[i]! + 2.489845061869568 * k2[i]! - 10.358996098473584 * k3[i]!);
    }
    field.rhs(t + 0.9769306725060716 * h, s, f);
    for (let i = 0; i < n; i++) {
      k4[i] = f[i]! + h * 1.8046452872882734 * dt[i]! +
        c * (147.12150275711716 * k1[i]! - 1.41221402718213 * k2[i]! + 71.68940251302358 * k3[i]!);
    }
    solveFactored(n, matrix, pivots, k4);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! +
        (2.8029986275628964 * k1[i]! + 0.5072464736228206 * k2[i]! - 0.3988312541770524 * k3[i]! -
          0.04721187230404641 * k4[i]!);
    }
    field.rhs(t + 0.4288403609558664 * h, s, f);
    for (let i = 0; i < n; i++) {
      k5[i] = f[i]! + h * 2.325825639765069 * dt[i]! +
        c *
          (165.43517024871676 * k1[i]! - 0.4592823456491126 * k2[i]! + 42.90938336958603 * k3[i]! -
            5.961986721573306 * k4[i]!);
    }
    solveFactored(n, matrix, pivots, k5);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! +
        (-7.502846399306121 * k1[i]! + 2.561846144803919 * k2[i]! - 11.627539656261098 * k3[i]! -
          0.18268767659942256 * k4[i]! + 0.030198172008377946 * k5[i]!);
    }
    field.rhs(tNew, s, f);
    for (let i = 0; i < n; i++) {
      k6[i] = f[i]! +
        c *
          (24.854864614690072 * k1[i]! - 3.0009227002832186 * k2[i]! + 47.4931110020768 * k3[i]! +
            5.5814197821558125 * k4[i]! - 0.6610691825249471 * k5[i]!);
    }
    solveFactored(n, matrix, pivots, k6);
    for (let i = 0; i < n; i++) s[i]! += k6[i]!;
    field.rhs(tNew, s, f);
    for (let i = 0; i < n; i++) {
      k7[i] = f[i]! +
        c *
          (30.91273214028599 * k1[i]! - 3.1208243349937974 * k2[i]! + 77.79954646070892 * k3[i]! +
            34.28646028294783 * k4[i]! - 19.097331116725623 * k5[i]! - 28.087943162872662 * k6[i]!);
    }
    solveFactored(n, matrix, pivots, k7);
    for (let i = 0; i < n; i++) s[i]! += k7[i]!;
    field.rhs(tNew, s, f);
    for (let i = 0; i < n; i++) {
      k8[i] = f[i]! +
        c *
          (37.80277123390563 * k1[i]! - 3.2571969029072276 * k2[i]! + 112.26918849496327 * k3[i]! +
            66.9347231244047 * k4[i]! - 40.06618937091002 * k5[i]! - 54.66780262877968 * k6[i]! -
            9.48861652309627 * k7[i]!);
    }
    solveFactored(n, matrix, pivots, k8);
    this.counts.rhsEvals += STAGES - 1;
    const next = this.yOld;
    for (let i = 0; i < n; i++) next[i] = s[i]! + k8[i]!;
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

  /** The new state went to `yOld`, which now becomes `y`. */
  #accept(h: number, tNew: number, divisor: number): void {
    const held = this.y;
    this.y = this.yOld;
    this.yOld = held;
    this.tOld = this.t;
    this.t = tNew;
    this.#hDone = h;
    this.h = h / divisor;
    this.afterRejection = false;
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
    const d = this.#dense, [k1, k2, k3, k4, k5, k6, k7, k8] = this.#k as Stages;
    for (let i = 0; i < n; i++) {
      d[i] = 25.948786856663858 * k1[i]! - 2.5579724845846235 * k2[i]! + 10.433815404888879 * k3[i]! -
        2.3679251022685204 * k4[i]! + 0.524948541321073 * k5[i]! + 1.1241088310450404 * k6[i]! +
        0.4272876194431874 * k7[i]! - 0.17202221070155493 * k8[i]!;
      d[n + i] = -9.91568850695171 * k1[i]! - 0.9689944594115154 * k2[i]! + 3.0438037242978453 * k3[i]! -
        24.495224566215796 * k4[i]! + 20.176138334709044 * k5[i]! + 15.98066361424651 * k6[i]! -
        6.789040303419874 * k7[i]! - 6.710236069923372 * k8[i]!;
      d[2 * n + i] = 11.419903575922262 * k1[i]! + 2.8879645146136994 * k2[i]! + 72.92137995996029 * k3[i]! +
        80.12511834622643 * k4[i]! - 52.072871366152654 * k5[i]! - 59.78993625266729 * k6[i]! -
        0.15582684282751913 * k7[i]! + 4.883087185713722 * k8[i]!;
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
