import { ATTEMPT, type Attempt, newCounts, type Stepper, stepWithin, type VectorField } from "./stepper.ts";
import type { WorkSpace } from "./work_space.ts";

/** The classical method of order 4 with a fixed step and the cubic Hermite interpolant; it measures no error. */
export class Rk4 implements Stepper {
  readonly order = 4;
  readonly counts = newCounts();
  t = 0;
  tOld = 0;
  h = 0;
  y: Float64Array;
  yOld: Float64Array;
  readonly #field: VectorField;
  readonly #k: readonly [Float64Array, Float64Array, Float64Array, Float64Array];
  #kOld: Float64Array;
  #kNew: Float64Array;
  readonly #stage: Float64Array;
  #hDone = 0;
  #hFixed = 0;

  constructor(field: VectorField, space: WorkSpace) {
    this.#field = field;
    const n = field.dimension;
    const work = () => space.take(n);
    [this.y, this.yOld, this.#stage, this.#kOld, this.#kNew] = [work(), work(), work(), work(), work()];
    this.#k = [work(), work(), work(), work()];
  }

  begin(t: number, y: Float64Array, h: number): void {
    this.t = this.tOld = t;
    this.h = this.#hFixed = h;
    this.y.set(y);
    this.yOld.set(y);
    this.#field.rhs(t, this.y, this.#kNew);
    this.counts.rhsEvals++;
  }

  attempt(tEnd: number, maxStep: number): Attempt {
    const field = this.#field, n = field.dimension, y = this.y, s = this.#stage, next = this.yOld;
    const [, k2, k3, k4] = this.#k, k1 = this.#kNew;
    const h = stepWithin(this.t, this.h, tEnd, maxStep);
    const tNew = h === tEnd - this.t ? tEnd : this.t + h;
    for (let i = 0; i < n; i++) s[i] = y[i]! + 0.5 * h * k1[i]!;
    field.rhs(this.t + 0.5 * h, s, k2);
    for (let i = 0; i < n; i++) s[i] = y[i]! + 0.5 * h * k2[i]!;
    field.rhs(this.t + 0.5 * h, s, k3);
    for (let i = 0; i < n; i++) s[i] = y[i]! + h * k3[i]!;
    field.rhs(tNew, s, k4);
    let sum = 0;
    for (let i = 0; i < n; i++) {
      sum += next[i] = y[i]! + (h / 6) * (k1[i]! + 2 * (k2[i]! + k3[i]!) + k4[i]!);
    }
    this.counts.rhsEvals += 4;
    if (!Number.isFinite(sum)) {
      // Halving for good would be another method, so the shorter step is for this place only.
      this.h = h / 4;
      this.counts.rejected++;
      return ATTEMPT.nonFinite;
    }
    this.#accept(h, tNew);
    return ATTEMPT.accepted;
  }

  #accept(h: number, tNew: number): void {
    [this.y, this.yOld] = [this.yOld, this.y];
    [this.#kOld, this.#kNew] = [this.#kNew, this.#kOld];
    this.tOld = this.t;
    this.t = tNew;
    this.#hDone = h;
    this.h = this.#hFixed;
    this.#field.rhs(tNew, this.y, this.#kNew);
    this.counts.steps++;
  }

  interpolate(t: number, out: Float64Array): void {
    const n = this.#field.dimension, h = this.#hDone, theta = (t - this.tOld) / h, rest = 1 - theta;
    const y0 = this.yOld, y1 = this.y, k0 = this.#kOld, k1 = this.#kNew;
    for (let i = 0; i < n; i++) {
      const dy = y1[i]! - y0[i]!;
      const bend = (1 - 2 * theta) * dy + (theta - 1) * h * k0[i]! + theta * h * k1[i]!;
      out[i] = rest * y0[i]! + theta * y1[i]! + theta * (theta - 1) * bend;
    }
  }

  stiffness(): number {
    return 0;
  }
}
