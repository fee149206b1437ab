import { type ExplicitTableau, stepInputs } from "../language/explicit_step.ts";
import {
  AdaptiveStepper,
  ATTEMPT,
  type Attempt,
  type Stepper,
  stepWithin,
  type Tolerance,
  type VectorField,
} from "./stepper.ts";
import { type Compiling, StepCompiler } from "./step_compiler.ts";
import type { WorkSpace } from "./work_space.ts";

/** Where Hairer's test calls a step of this method stiff. */
const STABILITY = 3.25;

/** Of the PI control: the powers of the error and of the one before. */
const BETA = 0.04, ALPHA = 0.2 - 0.75 * BETA;
const LOG_ERROR_OLD_LEAST = Math.log(1e-4);
/** A smaller error lets the step grow no more. */
const ERROR_LEAST = 1e-30;

/** The method as numbers, for steps that are compiled; the loops below have the same ones in the same order. */
const TABLEAU: ExplicitTableau = {
  nodes: [1 / 5, 0.3, 0.8, 8 / 9, 1, 1],
  rows: [
    [1 / 5],
    [3 / 40, 9 / 40],
    [44 / 45, -56 / 15, 32 / 9],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
    [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
  ],
  errors: [[71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40]],
  errorsTimesStep: true,
};

/** Making one takes as long as so many steps of a new process, whose loops are not compiled yet. */
const COMPILER = new StepCompiler(TABLEAU, 300);

/**
 * Dormand & Prince's pair of orders 5 and 4, J. Comput. Appl. Math. 6 (1980) 19, with Shampine's interpolant of order 4
 * and a PI step control (Hairer, Nørsett & Wanner I, II.4 to II.6). Six evaluations a step.
 */
export class Rk45 extends AdaptiveStepper implements Stepper {
  readonly order = 5;
  readonly y: Float64Array;
  readonly yOld: Float64Array;
  readonly #field: VectorField;
  readonly #tolerance: Tolerance;
  /** What a compiled step reads and writes; the arrays below lie in them. */
  readonly #inputs: Float64Array;
  readonly #results: Float64Array;
  readonly #k1: Float64Array;
  readonly #k2: Float64Array;
  readonly #k3: Float64Array;
  readonly #k4: Float64Array;
  readonly #k5: Float64Array;
  readonly #k6: Float64Array;
  readonly #k7: Float64Array;
  readonly #stage: Float64Array;
  readonly #next: Float64Array;
  readonly #compiling: Compiling;
  /** Coefficients of the interpolant: b, r4 and r5. */
  readonly #dense: Float64Array;
  #denseReady = false;
  #advance = false;
  #logErrorOld = LOG_ERROR_OLD_LEAST;
  #hDone = 0;

  constructor(field: VectorField, tolerance: Tolerance, space: WorkSpace) {
    super();
    this.#field = field;
    this.#tolerance = tolerance;
    const n = field.dimension, at = stepInputs(n);
    const inputs = space.takePieced(at.length, n), results = space.takePieced(12 * n + 1, n);
    const result = (index: number) => results.pieces[index]!;
    this.#inputs = inputs.whole;
    this.#results = results.whole;
    this.y = inputs.pieces[at.y / n]!;
    this.#k1 = inputs.pieces[at.k1 / n]!;
    this.yOld = space.take(n);
    this.#inputs[at.rtol] = tolerance.rtol;
    this.#inputs.set(tolerance.atol, at.atol);
    this.#stage = result(4);
    this.#next = result(5);
    this.#k2 = result(6);
    this.#k3 = result(7);
    this.#k4 = result(8);
    this.#k5 = result(9);
    this.#k6 = result(10);
    this.#k7 = result(11);
    this.#dense = space.take(3 * n);
    this.#compiling = COMPILER.of(field);
  }

  begin(t: number, y: Float64Array, h: number): void {
    this.t = this.tOld = t;
    this.h = h;
    this.y.set(y);
    this.yOld.set(y);
    this.#field.rhs(t, this.y, this.#k1);
    this.counts.rhsEvals++;
    this.#advance = false;
    this.#logErrorOld = LOG_ERROR_OLD_LEAST;
    this.afterRejection = false;
  }

  attempt(tEnd: number, maxStep: number): Attempt {
    if (this.#advance) {
      for (let i = 0; i < this.#k1.length; i++) this.#k1[i] = this.#k7[i]!;
      this.#advance = false;
    }
    const h = stepWithin(this.t, this.h, tEnd, maxStep);
    const tNew = h === tEnd - this.t ? tEnd : this.t + h;
    const error = this.#tryStep(h, tNew);
    this.counts.rhsEvals += 6;
    if (!(error < Infinity)) return this.refuse(h / 4, ATTEMPT.nonFinite);
    // Powers of the errors through one logarithm and one exponential, which take half the time of two powers.
    const logError = Math.log(Math.max(error, ERROR_LEAST));
    if (error > 1) return this.refuse(h / Math.min(5, Math.exp(ALPHA * logError) / 0.9), ATTEMPT.rejected);
    const least = this.afterRejection ? 1 : 0.1;
    const factor = Math.exp(ALPHA * logError - BETA * this.#logErrorOld) / 0.9;
    this.#accept(h, tNew, Math.min(5, Math.max(least, factor)));
    this.#logErrorOld = Math.max(logError, LOG_ERROR_OLD_LEAST);
    return ATTEMPT.accepted;
  }

  #accept(h: number, tNew: number, factor: number): void {
    const y = this.y, yOld = this.yOld, next = this.#next;
    for (let i = 0; i < y.length; i++) {
      yOld[i] = y[i]!;
      y[i] = next[i]!;
    }
    this.tOld = this.t;
    this.t = tNew;
    this.#hDone = h;
    this.h = h / factor;
    this.afterRejection = false;
    this.#advance = true;
    this.#denseReady = false;
    this.counts.steps++;
  }

  /** Computes the stages and the new state; the weighted root mean square of the error. */
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
    return Math.sqrt(results[12 * n]! / n);
  }

  #stages(h: number, tNew: number): void {
    const field = this.#field, n = field.dimension, t = this.t;
    const y = this.y, next = this.#next, s = this.#stage;
    const k1 = this.#k1, k2 = this.#k2, k3 = this.#k3, k4 = this.#k4, k5 = this.#k5, k6 = this.#k6;
    for (let i = 0; i < n; i++) s[i] = y[i]! + h * ((1 / 5) * k1[i]!);
    field.rhs(t + (1 / 5) * h, s, k2);
    for (let i = 0; i < n; i++) s[i] = y[i]! + h * ((3 / 40) * k1[i]! + (9 / 40) * k2[i]!);
    field.rhs(t + h * 0.3, s, k3);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! + h * ((44 / 45) * k1[i]! - (56 / 15) * k2[i]! + (32 / 9) * k3[i]!);
    }
    field.rhs(t + h * 0.8, s, k4);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! + h * ((19372 / 6561) * k1[i]! - (25360 / 2187) * k2[i]! + (64448 / 6561) * k3[i]! -
            (212 / 729) * k4[i]!);
    }
    field.rhs(t + h * (8 / 9), s, k5);
    for (let i = 0; i < n; i++) {
      s[i] = y[i]! + h * ((9017 / 3168) * k1[i]! - (355 / 33) * k2[i]! + (46732 / 5247) * k3[i]! +
            (49 / 176) * k4[i]! - (5103 / 18656) * k5[i]!);
    }
    field.rhs(tNew, s, k6);
    for (let i = 0; i < n; i++) {
      next[i] = y[i]! + h * ((35 / 384) * k1[i]! + (500 / 1113) * k3[i]! + (125 / 192) * k4[i]! -
            (2187 / 6784) * k5[i]! + (11 / 84) * k6[i]!);
    }
    field.rhs(tNew, next, this.#k7);
  }

  /** Of the difference of the two orders. */
  #error(h: number): number {
    const n = this.#field.dimension, { rtol, atol } = this.#tolerance;
    const y = this.y, next = this.#next;
    const k1 = this.#k1, k3 = this.#k3, k4 = this.#k4, k5 = this.#k5, k6 = this.#k6, k7 = this.#k7;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const error = (71 / 57600) * k1[i]! - (71 / 16695) * k3[i]! + (71 / 1920) * k4[i]! -
        (17253 / 339200) * k5[i]! + (22 / 525) * k6[i]! - (1 / 40) * k7[i]!;
      const ratio = (h * error) / (atol[i]! + rtol * Math.max(Math.abs(y[i]!), Math.abs(next[i]!)));
      sum += ratio * ratio;
    }
    return Math.sqrt(sum / n);
  }

  interpolate(t: number, out: Float64Array): void {
    const n = this.#field.dimension;
    if (!this.#denseReady) this.#prepareDense(n);
    const theta = (t - this.tOld) / this.#hDone, rest = 1 - theta;
    const yOld = this.yOld, y = this.y, dense = this.#dense;
    for (let i = 0; i < n; i++) {
      const inner = dense[i]! + theta * (dense[n + i]! + rest * dense[2 * n + i]!);
      out[i] = yOld[i]! + theta * (y[i]! - yOld[i]! + rest * inner);
    }
  }

  #prepareDense(n: number): void {
    const h = this.#hDone, y = this.y, yOld = this.yOld, dense = this.#dense;
    const k1 = this.#k1, k3 = this.#k3, k4 = this.#k4, k5 = this.#k5, k6 = this.#k6, k7 = this.#k7;
    for (let i = 0; i < n; i++) {
      const dy = y[i]! - yOld[i]!;
      const b = h * k1[i]! - dy;
      dense[i] = b;
      dense[n + i] = dy - h * k7[i]! - b;
      dense[2 * n + i] = h * ((-12715105075 / 11282082432) * k1[i]! + (87487479700 / 32700410799) * k3[i]! -
        (10690763975 / 1880347072) * k4[i]! + (701980252875 / 199316789632) * k5[i]! -
        (1453857185 / 822651844) * k6[i]! + (69997945 / 29380423) * k7[i]!);
    }
    this.#denseReady = true;
  }

  /** Hairer's test: the last two stages have the same time, so their difference shows the largest eigenvalue. */
  stiffness(): number {
    const n = this.#field.dimension;
    let change = 0, distance = 0;
    for (let i = 0; i < n; i++) {
      change += (this.#k7[i]! - this.#k6[i]!) ** 2;
      distance += (this.y[i]! - this.#stage[i]!) ** 2;
    }
    return distance > 0 ? (Math.abs(this.#hDone) * Math.sqrt(change / distance)) / STABILITY : 0;
  }
}
