import { type ExplicitTableau, stepInputs } from "../language/explicit_step.ts";
import { type Compiling, StepCompiler } from "./step_compiler.ts";
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

/** Where Hairer's test calls a step of this method stiff. */
const STABILITY = 6.1;

/** The method as numbers, for steps that are compiled; the loops below have the same ones in the same order. */
const TABLEAU: ExplicitTableau = {
  nodes: [
    0.05260015195876773,
    0.0789002279381516,
    0.1183503419072274,
    0.2816496580927726,
    0.3333333333333333,
    0.25,
    0.3076923076923077,
    0.6512820512820513,
    0.6,
    0.8571428571428571,
    1,
  ],
  rows: [
    [0.05260015195876773],
    [0.0197250569845379, 0.0591751709536137],
    [0.02958758547680685, 0, 0.08876275643042054],
    [0.2413651341592667, 0, -0.8845494793282861, 0.924834003261792],
    [0.037037037037037035, 0, 0, 0.17082860872947386, 0.12546768756682242],
    [0.037109375, 0, 0, 0.17025221101954405, 0.06021653898045596, -0.017578125],
    [
      0.03709200011850479,
      0,
      0,
      0.17038392571223998,
      0.10726203044637328,
      -0.015319437748624402,
      0.008273789163814023,
    ],
    [
      0.6241109587160757,
      0,
      0,
      -3.3608926294469414,
      -0.868219346841726,
      27.59209969944671,
      20.154067550477894,
      -43.48988418106996,
    ],
    [
      0.47766253643826434,
      0,
      0,
      -2.4881146199716677,
      -0.590290826836843,
      21.230051448181193,
      15.279233632882423,
      -33.28821096898486,
      -0.020331201708508627,
    ],
    [
      -0.9371424300859873,
      0,
      0,
      5.186372428844064,
      1.0914373489967295,
      -8.149787010746927,
      -18.52006565999696,
      22.739487099350505,
      2.4936055526796523,
      -3.0467644718982196,
    ],
    [
      2.273310147516538,
      0,
      0,
      -10.53449546673725,
      -2.0008720582248625,
      -17.9589318631188,
      27.94888452941996,
      -2.8589982771350235,
      -8.87285693353063,
      12.360567175794303,
      0.6433927460157636,
    ],
    [
      0.054293734116568765,
      0,
      0,
      0,
      0,
      4.450312892752409,
      1.8915178993145003,
      -5.801203960010585,
      0.3111643669578199,
      -0.1521609496625161,
      0.20136540080403034,
      0.04471061572777259,
    ],
  ],
  errors: [[
    0.01312004499419488,
    0,
    0,
    0,
    0,
    -1.2251564463762044,
    -0.4957589496572502,
    1.6643771824549864,
    -0.35032884874997366,
    0.3341791187130175,
    0.08192320648511571,
    -0.022355307863886294,
  ], [
    -0.18980075407240762,
    0,
    0,
    0,
    0,
    4.450312892752409,
    1.8915178993145003,
    -5.801203960010585,
    -0.4226823213237919,
    -0.1521609496625161,
    0.20136540080403034,
    0.02265179219836082,
  ]],
  errorsTimesStep: false,
};

/** Making one takes as long as so many steps of a new process, whose loops are not compiled yet. */
const COMPILER = new StepCompiler(TABLEAU, 100);

/**
 * Dormand & Prince's method of order 8 with error estimates of orders 5 and 3, and Hairer's interpolant of order 7
 * (Hairer, Nørsett & Wanner I, II.5, II.6 and `dop853.f`). Twelve evaluations a step, and three more only for a
 * step within which the solution is asked for.
 */
export class Dop853 extends AdaptiveStepper implements Stepper {
  readonly order = 8;
  readonly y: Float64Array;
  readonly yOld: Float64Array;
  readonly #field: VectorField;
  readonly #tolerance: Tolerance;
  readonly #compiling: Compiling;
  /** What a compiled step reads and writes; y, most of the arrays below and the new state lie in them. */
  readonly #inputs: Float64Array;
  readonly #results: Float64Array;
  readonly #next: Float64Array;
  /** k1 to k16. */
  readonly #k: Float64Array[];
  readonly #stage: Float64Array;
  /** The argument of the twelfth stage, for the test of stiffness. */
  readonly #lastStage: Float64Array;
  /** F0 to F6 of the interpolant. */
  readonly #dense: Float64Array;
  #denseReady = false;
  #advance = false;
  #hDone = 0;

  constructor(field: VectorField, tolerance: Tolerance, space: WorkSpace) {
    super();
    this.#field = field;
    this.#tolerance = tolerance;
    this.#compiling = COMPILER.of(field);
    const n = field.dimension, at = stepInputs(n);
    const inputs = space.takePieced(at.length, n), results = space.takePieced(23 * n + 2, n);
    const result = (index: number) => results.pieces[index]!;
    this.#inputs = inputs.whole;
    this.#results = results.whole;
    [this.y, this.yOld, this.#stage] = [inputs.pieces[at.y / n]!, space.take(n), space.take(n)];
    this.#inputs[at.rtol] = tolerance.rtol;
    this.#inputs.set(tolerance.atol, at.atol);
    [this.#lastStage, this.#next] = [result(10), result(11)];
    const stages = Array.from({ length: 11 }, (_, index) => result(12 + index));
    this.#k = [inputs.pieces[at.k1 / n]!, ...stages, ...Array.from({ length: 4 }, () => space.take(n))];
    this.#dense = space.take(7 * n);
  }

  begin(t: number, y: Float64Array, h: number): void {
    this.t = this.tOld = t;
    this.h = h;
    this.y.set(y);
    this.yOld.set(y);
    this.#field.rhs(t, this.y, this.#k[0]!);
    this.counts.rhsEvals++;
    this.#advance = false;
    this.afterRejection = false;
  }

  attempt(tEnd: number, maxStep: number): Attempt {
    const k1 = this.#k[0]!, k13 = this.#k[12]!;
    if (this.#advance) {
      for (let i = 0; i < k1.length; i++) k1[i] = k13[i]!;
      this.#advance = false;
    }
    const h = stepWithin(this.t, this.h, tEnd, maxStep);
    const tNew = h === tEnd - this.t ? tEnd : this.t + h;
    const error = this.#tryStep(h, tNew);
    this.counts.rhsEvals += 11;
    if (!(error < Infinity)) return this.refuse(h / 4, ATTEMPT.nonFinite);
    const factor = error === 0 ? 10 : Math.min(10, Math.max(0.2, 0.9 * error ** (-1 / 8)));
    if (error > 1) return this.refuse(h * Math.min(1, factor), ATTEMPT.rejected);
    this.counts.rhsEvals++;
    this.#accept(h, tNew, this.afterRejection ? Math.min(1, factor) : factor);
    return ATTEMPT.accepted;
  }

  #accept(h: number, tNew: number, factor: number): void {
    const y = this.y, yOld = this.yOld, next = this.#next, s = this.#stage;
    for (let i = 0; i < y.length; i++) {
      yOld[i] = y[i]!;
      s[i] = y[i] = next[i]!;
    }
    this.#field.rhs(tNew, s, this.#k[12]!);
    this.tOld = this.t;
    this.t = tNew;
    this.#hDone = h;
    this.h = h * factor;
    this.afterRejection = false;
    this.#advance = true;
    this.#denseReady = false;
    this.counts.steps++;
  }

  /** Computes the stages and the new state; the error. */
  #tryStep(h: number, tNew: number): number {
    const step = this.#compiling.attempt(this.#field);
    if (step === null) {
      this.#stages(h, tNew);
      return this.#error(h);
    }
    const n = this.#field.dimension, inputs = this.#inputs, results = this.#results;
    inputs[2 * n] = h;
    inputs[2 * n + 1] = tNew;
    step(this.t, inputs, results);
    return this.#mixed(h, results[23 * n]!, results[23 * n + 1]!);
  }

  #stages(h: number, tNew: number): void {
    const field = this.#field, n = field.dimension, t = this.t;
    const y = this.y, next = this.#next, s = this.#stage, last = this.#lastStage;
    const [k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, k12] = this.#k as [
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    for (let i = 0; i < n; i++) s[i] = y[i]! + h * (0.05260015195876773 * k1[i]!);
    field.rhs(t + h * 0.05260015195876773, s, k2);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! + h * (0.0197250569845379 * k1[i]! + 0.0591751709536137 * k2[i]!);
    }
    field.rhs(t + h * 0.0789002279381516, s, k3);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! + h * (0.02958758547680685 * k1[i]! + 0.08876275643042054 * k3[i]!);
    }
    field.rhs(t + h * 0.1183503419072274, s, k4);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! +
        h * (0.2413651341592667 * k1[i]! - 0.8845494793282861 * k3[i]! + 0.924834003261792 * k4[i]!);
    }
    field.rhs(t + h * 0.2816496580927726, s, k5);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! +
        h * (0.037037037037037035 * k1[i]! + 0.17082860872947386 * k4[i]! + 0.12546768756682242 * k5[i]!);
    }
    field.rhs(t + h * 0.3333333333333333, s, k6);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! +
        h *
          (0.037109375 * k1[i]! + 0.17025221101954405 * k4[i]! + 0.06021653898045596 * k5[i]! -
            0.017578125 * k6[i]!);
    }
    field.rhs(t + h * 0.25, s, k7);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! +
        h *
          (0.03709200011850479 * k1[i]! + 0.17038392571223998 * k4[i]! + 0.10726203044637328 * k5[i]! -
            0.015319437748624402 * k6[i]! + 0.008273789163814023 * k7[i]!);
    }
    field.rhs(t + h * 0.3076923076923077, s, k8);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! +
        h *
          (0.6241109587160757 * k1[i]! - 3.3608926294469414 * k4[i]! - 0.868219346841726 * k5[i]! +
            27.59209969944671 * k6[i]! + 20.154067550477894 * k7[i]! - 43.48988418106996 * k8[i]!);
    }
    field.rhs(t + h * 0.6512820512820513, s, k9);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! +
        h *
          (0.47766253643826434 * k1[i]! - 2.4881146199716677 * k4[i]! - 0.590290826836843 * k5[i]! +
            21.230051448181193 * k6[i]! + 15.279233632882423 * k7[i]! - 33.28821096898486 * k8[i]! -
            0.020331201708508627 * k9[i]!);
    }
    field.rhs(t + h * 0.6, s, k10);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! +
        h *
          (-0.9371424300859873 * k1[i]! + 5.186372428844064 * k4[i]! + 1.0914373489967295 * k5[i]! -
            8.149787010746927 * k6[i]! - 18.52006565999696 * k7[i]! + 22.739487099350505 * k8[i]! +
            2.4936055526796523 * k9[i]! - 3.0467644718982196 * k10[i]!);
    }
    field.rhs(t + h * 0.8571428571428571, s, k11);
    for (let i = 0; i < n; i++) {
      last[i] = y[i]! +
        h *
          (2.273310147516538 * k1[i]! - 10.53449546673725 * k4[i]! - 2.0008720582248625 * k5[i]! -
            17.9589318631188 * k6[i]! + 27.94888452941996 * k7[i]! - 2.8589982771350235 * k8[i]! -
            8.87285693353063 * k9[i]! + 12.360567175794303 * k10[i]! + 0.6433927460157636 * k11[i]!);
    }
    field.rhs(tNew, last, k12);
    for (let i = 0; i < n; i++) {
      next[i] = y[i]! +
        h *
          (0.054293734116568765 * k1[i]! + 4.450312892752409 * k6[i]! + 1.8915178993145003 * k7[i]! -
            5.801203960010585 * k8[i]! + 0.3111643669578199 * k9[i]! - 0.1521609496625161 * k10[i]! +
            0.20136540080403034 * k11[i]! + 0.04471061572777259 * k12[i]!);
    }
  }

  #error(h: number): number {
    const n = this.#field.dimension, { rtol, atol } = this.#tolerance;
    const y = this.y, next = this.#next;
    const [k1, , , , , k6, k7, k8, k9, k10, k11, k12] = this.#k as [
      Float64Array,
      unknown,
      unknown,
      unknown,
      unknown,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    let fifth = 0, third = 0;
    for (let i = 0; i < n; i++) {
      const weight = atol[i]! + rtol * Math.max(Math.abs(y[i]!), Math.abs(next[i]!));
      const a = (0.01312004499419488 * k1[i]! - 1.2251564463762044 * k6[i]! - 0.4957589496572502 * k7[i]! +
        1.6643771824549864 * k8[i]! - 0.35032884874997366 * k9[i]! + 0.3341791187130175 * k10[i]! +
        0.08192320648511571 * k11[i]! - 0.022355307863886294 * k12[i]!) / weight;
      const b = (-0.18980075407240762 * k1[i]! + 4.450312892752409 * k6[i]! + 1.8915178993145003 * k7[i]! -
        5.801203960010585 * k8[i]! - 0.4226823213237919 * k9[i]! - 0.1521609496625161 * k10[i]! +
        0.20136540080403034 * k11[i]! + 0.02265179219836082 * k12[i]!) / weight;
      fifth += a * a;
      third += b * b;
    }
    return this.#mixed(h, fifth, third);
  }

  /** Hairer's mixture of the two estimates. */
  #mixed(h: number, fifth: number, third: number): number {
    const denominator = fifth + 0.01 * third;
    if (denominator === 0) return 0;
    return (Math.abs(h) * fifth) / Math.sqrt(this.#field.dimension * denominator);
  }

  interpolate(t: number, out: Float64Array): void {
    const n = this.#field.dimension;
    if (!this.#denseReady) this.#prepareDense(n);
    const theta = (t - this.tOld) / this.#hDone, rest = 1 - theta;
    const yOld = this.yOld, f = this.#dense;
    for (let i = 0; i < n; i++) {
      const inner = f[3 * n + i]! + theta * (f[4 * n + i]! + rest * (f[5 * n + i]! + theta * f[6 * n + i]!));
      out[i] = yOld[i]! + theta * (f[i]! + rest * (f[n + i]! + theta * (f[2 * n + i]! + rest * inner)));
    }
  }

  #prepareDense(n: number): void {
    const h = this.#hDone, y = this.y, yOld = this.yOld, f = this.#dense, s = this.#stage;
    const [k1, , , , , k6, k7, k8, k9, k10, k11, k12, k13, k14, k15, k16] = this.#k as [
      Float64Array,
      unknown,
      unknown,
      unknown,
      unknown,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    for (let i = 0; i < n; i++) {
      s[i] = yOld[i]! +
        h *
          (0.056167502283047954 * k1[i]! + 0.25350021021662483 * k7[i]! - 0.2462390374708025 * k8[i]! -
            0.12419142326381637 * k9[i]! + 0.15329179827876568 * k10[i]! + 0.00820105229563469 * k11[i]! +
            0.007567897660545699 * k12[i]! - 0.008298 * k13[i]!);
    }
    this.#field.rhs(this.tOld + h * 0.1, s, k14);
    for (let i = 0; i < n; i++) {
      s[i] = yOld[i]! +
        h *
          (0.03183464816350214 * k1[i]! + 0.028300909672366776 * k6[i]! + 0.053541988307438566 * k7[i]! -
            0.05492374857139099 * k8[i]! - 0.00010834732869724932 * k11[i]! +
            0.0003825710908356584 * k12[i]! - 0.00034046500868740456 * k13[i]! +
            0.1413124436746325 * k14[i]!);
    }
    this.#field.rhs(this.tOld + h * 0.2, s, k15);
    for (let i = 0; i < n; i++) {
      s[i] = yOld[i]! +
        h *
          (-0.42889630158379194 * k1[i]! - 4.697621415361164 * k6[i]! + 7.683421196062599 * k7[i]! +
            4.06898981839711 * k8[i]! + 0.3567271874552811 * k9[i]! - 0.0013990241651590145 * k13[i]! +
            2.9475147891527724 * k14[i]! - 9.15095847217987 * k15[i]!);
    }
    this.#field.rhs(this.tOld + h * 0.7777777777777778, s, k16);
    this.counts.rhsEvals += 3;
    for (let i = 0; i < n; i++) {
      const dy = y[i]! - yOld[i]!;
      f[i] = dy;
      f[n + i] = h * k1[i]! - dy;
      f[2 * n + i] = 2 * dy - h * (k13[i]! + k1[i]!);
      f[3 * n + i] = h *
        (-8.428938276109013 * k1[i]! + 0.5667149535193777 * k6[i]! - 3.0689499459498917 * k7[i]! +
          2.38466765651207 * k8[i]! + 2.117034582445028 * k9[i]! - 0.871391583777973 * k10[i]! +
          2.2404374302607883 * k11[i]! + 0.6315787787694688 * k12[i]! - 0.08899033645133331 * k13[i]! +
          18.148505520854727 * k14[i]! - 9.194632392478356 * k15[i]! - 4.436036387594894 * k16[i]!);
      f[4 * n + i] = h *
        (10.427508642579134 * k1[i]! + 242.28349177525817 * k6[i]! + 165.20045171727028 * k7[i]! -
          374.5467547226902 * k8[i]! - 22.113666853125306 * k9[i]! + 7.733432668472264 * k10[i]! -
          30.674084731089398 * k11[i]! - 9.332130526430229 * k12[i]! + 15.697238121770845 * k13[i]! -
          31.139403219565178 * k14[i]! - 9.35292435884448 * k15[i]! + 35.81684148639408 * k16[i]!);
      f[5 * n + i] = h *
        (19.985053242002433 * k1[i]! - 387.0373087493518 * k6[i]! - 189.17813819516758 * k7[i]! +
          527.8081592054236 * k8[i]! - 11.57390253995963 * k9[i]! + 6.8812326946963 * k10[i]! -
          1.0006050966910838 * k11[i]! + 0.7777137798053443 * k12[i]! - 2.778205752353508 * k13[i]! -
          60.19669523126412 * k14[i]! + 84.32040550667716 * k15[i]! + 11.99229113618279 * k16[i]!);
      f[6 * n + i] = h *
        (-25.69393346270375 * k1[i]! - 154.18974869023643 * k6[i]! - 231.5293791760455 * k7[i]! +
          357.6391179106141 * k8[i]! + 93.40532418362432 * k9[i]! - 37.45832313645163 * k10[i]! +
          104.0996495089623 * k11[i]! + 29.8402934266605 * k12[i]! - 43.53345659001114 * k13[i]! +
          96.32455395918828 * k14[i]! - 39.17726167561544 * k15[i]! - 149.72683625798564 * k16[i]!);
    }
    this.#denseReady = true;
  }

  /** Hairer's test, from the twelfth stage and the end of the step. */
  stiffness(): number {
    const n = this.#field.dimension, k12 = this.#k[11]!, k13 = this.#k[12]!, last = this.#lastStage;
    let change = 0, distance = 0;
    for (let i = 0; i < n; i++) {
      change += (k13[i]! - k12[i]!) ** 2;
      distance += (this.y[i]! - last[i]!) ** 2;
    }
    return distance > 0 ? (Math.abs(this.#hDone) * Math.sqrt(change / distance)) / STABILITY : 0;
  }
}
