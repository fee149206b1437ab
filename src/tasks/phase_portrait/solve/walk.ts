import { isExplicit, type Method, newStepper, startingMethod } from "./methods.ts";
import { Rodas5p } from "./rodas5p.ts";
import {
  ATTEMPT,
  firstStep,
  newCounts,
  type StepCounts,
  type Stepper,
  type Tolerance,
  type VectorField,
} from "./stepper.ts";
import { withWorkSpace, type WorkSpace } from "./work_space.ts";

/** How a trajectory ended. `ok` is its end time; `event` a terminal event; `escaped` the edge of the escape box. */
export type WalkStatus =
  | "ok"
  | "event"
  | "escaped"
  | "blow_up"
  | "step_too_small"
  | "max_steps"
  | "domain_error"
  | "timeout"
  | "cancelled";

/** What is asked of one walk along a trajectory. */
export interface WalkOptions {
  readonly method: Method;
  readonly tolerance: Tolerance;
  readonly t0: number;
  /** Below t0 for a walk backwards. */
  readonly tEnd: number;
  readonly y0: Float64Array;
  /** Positive; null for the largest that accuracy allows, and for a first step by Hairer's rule. */
  readonly maxStep: number | null;
  readonly firstStep: number | null;
  /** Accepted and rejected steps together. */
  readonly maxSteps: number;
  /** Ends the walk when a state leaves [low, high]; a state's bounds may be infinite. */
  readonly escape?: { readonly low: Float64Array; readonly high: Float64Array };
  /** Asked every 256 steps whether the time is up or the job cancelled. */
  readonly stop?: (t: number, steps: number) => "timeout" | "cancelled" | null;
}

/** How a walk ended. */
export interface WalkEnd {
  readonly status: WalkStatus;
  readonly t: number;
  readonly y: Float64Array;
  /** In one sentence, for people; empty when all is well. */
  readonly message: string;
  readonly methodUsed: string;
  readonly counts: StepCounts;
  /** Where an explicit method first was found stiff; null when it never was. */
  readonly stiffAt: number | null;
}

const BLOW_UP = 1e12;
const NON_FINITE_LIMIT = 30;
/** Limits of time and a cancel are looked at every so many steps. */
export const LOOK_EVERY = 256;
/** Hairer's test: so many stiff steps, without so many calm ones between, are stiffness. */
const STIFF_STEPS = 15;
const CALM_STEPS = 6;
/** Between two looks at stiffness where nobody changes the method. */
const STIFF_LOOK_EVERY = 50;
const BACK_BELOW = 2;
const BACK_STEPS = 50;

/**
 * Walks along a trajectory and shows every accepted step to `visit`, which may read and interpolate the stepper, and
 * returns false to end the walk there (`event`).
 */
export function walk(
  field: VectorField,
  options: WalkOptions,
  visit: (stepper: Stepper) => boolean,
): WalkEnd {
  return withWorkSpace(field, (space) => new Walk(field, options, visit, space).run());
}

class Walk {
  #stepper: Stepper;
  #method: Exclude<Method, "auto">;
  readonly #used: string[] = [];
  readonly #field: VectorField;
  readonly #options: WalkOptions;
  readonly #visit: (stepper: Stepper) => boolean;
  readonly #space: WorkSpace;
  readonly #size0: number;
  /** The size of the last accepted state and of the one before; a refused step may have written over that. */
  #size: number;
  #sizeBefore: number;
  readonly #maxStep: number;
  readonly #past: StepCounts = newCounts();
  #nonFinite = 0;
  #stiffSteps = 0;
  #calmSteps = 0;
  #backSteps = 0;
  #stiffAt: number | null = null;
  #looks = 0;

  constructor(
    field: VectorField,
    options: WalkOptions,
    visit: (stepper: Stepper) => boolean,
    space: WorkSpace,
  ) {
    this.#space = space;
    this.#field = field;
    this.#options = options;
    this.#visit = visit;
    this.#method = startingMethod(options.method, options.tolerance);
    this.#stepper = newStepper(this.#method, field, options.tolerance, space);
    this.#used.push(this.#method);
    this.#size = this.#sizeBefore = this.#size0 = largest(options.y0);
    const { maxStep, t0, tEnd } = options;
    this.#maxStep = Math.max(maxStep ?? Infinity, smallestStep(Math.max(Math.abs(t0), Math.abs(tEnd))));
  }

  run(): WalkEnd {
    const { t0, tEnd, y0 } = this.#options;
    const fault = this.#faultAt(t0, y0);
    if (fault !== null) return this.#end("domain_error", `Cannot start: ${fault}`, t0, y0);
    if (tEnd === t0) return this.#end("ok", "", t0, y0);
    this.#stepper.begin(t0, y0, this.#firstStep());
    for (;;) {
      const ended = this.#step(this.#stepper);
      if (ended !== null) return ended;
    }
  }

  #firstStep(): number {
    const { t0, tEnd, y0, tolerance, firstStep: given } = this.#options;
    const span = tEnd - t0;
    const chosen = given ?? firstStep(this.#field, t0, y0, span, this.#stepper.order, tolerance, this.#space);
    if (given === null) this.#past.rhsEvals += 2;
    return Math.sign(span) * Math.min(Math.max(chosen, smallestStep(t0)), Math.abs(span), this.#maxStep);
  }

  /** One attempt and all that follows from it; null to go on. */
  #step(stepper: Stepper): WalkEnd | null {
    if (++this.#looks % LOOK_EVERY === 0) {
      const stopped = this.#options.stop?.(stepper.t, this.#looks);
      if (stopped != null) return this.#end(stopped, stopped === "timeout" ? "The time was up" : "Cancelled");
    }
    if (this.#looks > this.#options.maxSteps) {
      return this.#end("max_steps", `The end was not reached in ${this.#options.maxSteps} steps`);
    }
    const attempt = stepper.attempt(this.#options.tEnd, this.#maxStep);
    if (attempt !== ATTEMPT.accepted) return this.#refused(stepper, attempt === ATTEMPT.nonFinite);
    this.#nonFinite = 0;
    if (!this.#visit(stepper)) return this.#end("event", "");
    if (stepper.t === this.#options.tEnd) return this.#end("ok", "");
    this.#sizeBefore = this.#size;
    this.#size = largest(stepper.y);
    if (this.#size > grewTooLarge(this.#size0)) return this.#end("blow_up", this.#grew(stepper));
    if (this.#hasEscaped(stepper.y)) return this.#end("escaped", "The trajectory left the view");
    if (tooSmall(stepper)) {
      if (stepper.t === 0) return this.#stuck(stepper, false);
      // Only a refusal shows that the smallest step is too long.
      stepper.h = Math.sign(this.#options.tEnd - stepper.t) * smallestStep(stepper.t);
    }
    this.#watchStiffness(stepper);
    return null;
  }

  #refused(stepper: Stepper, nonFinite: boolean): WalkEnd | null {
    this.#nonFinite = nonFinite ? this.#nonFinite + 1 : 0;
    if (this.#nonFinite >= NON_FINITE_LIMIT || tooSmall(stepper)) return this.#stuck(stepper, nonFinite);
    return null;
  }

  #stuck(stepper: Stepper, nonFinite: boolean): WalkEnd {
    const grows = this.#size > this.#sizeBefore && this.#size > 1e3 * (1 + this.#size0);
    if (grows) return this.#end("blow_up", this.#grew(stepper));
    if (nonFinite) {
      return this.#end(
        "domain_error",
        this.#faultNear(stepper) ?? "A right side is not a finite number here",
      );
    }
    return this.#end(
      "step_too_small",
      `The step became too small to change t = ${stepper.t}: a jump or a singularity of the right side`,
    );
  }

  #grew(stepper: Stepper): string {
    return `The solution grows without bound: its size is ${
      largest(stepper.y).toExponential(2)
    } at t = ${stepper.t}`;
  }

  #hasEscaped(y: Float64Array): boolean {
    const box = this.#options.escape;
    if (box === undefined) return false;
    for (let i = 0; i < y.length; i++) {
      if (y[i]! < box.low[i]! || y[i]! > box.high[i]!) return true;
    }
    return false;
  }

  /** Which right side is not finite at a point, counted from 1; null when all are. */
  #faultAt(t: number, y: Float64Array): string | null {
    const n = this.#field.dimension, out = this.#space.take(n), point = this.#space.take(n);
    point.set(y);
    this.#field.rhs(t, point, out);
    const at = out.findIndex((value) => !Number.isFinite(value));
    return at < 0 ? null : `the right side of equation ${at + 1} is ${out[at]} at t = ${t}`;
  }

  /** Looks for the right side that fails a small Euler step ahead. */
  #faultNear(stepper: Stepper): string | null {
    const n = this.#field.dimension, out = this.#space.take(n), ahead = this.#space.take(n);
    ahead.set(stepper.y);
    this.#field.rhs(stepper.t, ahead, out);
    for (const scale of [1, 16, 256, 4096]) {
      const h = stepper.h * scale;
      for (let i = 0; i < n; i++) ahead[i] = stepper.y[i]! + h * out[i]!;
      const fault = this.#faultAt(stepper.t + h, ahead);
      if (fault !== null) return `The solution cannot go on: ${fault}`;
    }
    return null;
  }

  #watchStiffness(stepper: Stepper): void {
    const auto = this.#options.method === "auto";
    if (!isExplicit(this.#method)) {
      if (auto && stepper instanceof Rodas5p) this.#watchCalm(stepper);
      return;
    }
    if (!auto && this.#stiffSteps === 0 && stepper.counts.steps % STIFF_LOOK_EVERY !== 0) return;
    if (stepper.stiffness() > 1) {
      this.#calmSteps = 0;
      this.#stiffSteps++;
    } else if (++this.#calmSteps === CALM_STEPS) this.#stiffSteps = 0;
    if (this.#stiffSteps < STIFF_STEPS) return;
    this.#stiffAt ??= stepper.t;
    this.#stiffSteps = this.#calmSteps = 0;
    if (auto) this.#change("Rodas5P", stepper);
  }

  #watchCalm(stepper: Rodas5p): void {
    const calm = Math.abs(stepper.t - stepper.tOld) * stepper.spectralBound() < BACK_BELOW;
    this.#backSteps = calm ? this.#backSteps + 1 : 0;
    if (this.#backSteps < BACK_STEPS) return;
    this.#backSteps = 0;
    this.#change(startingMethod("auto", this.#options.tolerance), stepper);
  }

  #change(method: Exclude<Method, "auto">, from: Stepper): void {
    addCounts(this.#past, from.counts);
    this.#method = method;
    if (!this.#used.includes(method)) this.#used.push(method);
    this.#stepper = newStepper(method, this.#field, this.#options.tolerance, this.#space);
    this.#stepper.begin(from.t, from.y, from.h);
  }

  #end(
    status: WalkStatus,
    message: string,
    t = this.#stepper.t,
    y: Float64Array = this.#stepper.y,
  ): WalkEnd {
    const counts = { ...this.#past };
    addCounts(counts, this.#stepper.counts);
    return {
      status,
      t,
      y: y.slice(),
      message,
      methodUsed: this.#used.join("+"),
      counts,
      stiffAt: this.#stiffAt,
    };
  }
}

/** The size at which a solution that began with the size `size0` is said to grow without bound. */
export function grewTooLarge(size0: number): number {
  return BLOW_UP * (1 + size0);
}

/** Adds what one solver did to a sum. */
export function addCounts(sum: StepCounts, more: StepCounts): void {
  sum.steps += more.steps;
  sum.rejected += more.rejected;
  sum.rhsEvals += more.rhsEvals;
  sum.jacEvals += more.jacEvals;
  sum.lu += more.lu;
}

function tooSmall({ t, h }: Stepper): boolean {
  return Math.abs(h) < smallestStep(t) || h === 0;
}

/** Ten spacings of doubles at t: a shorter step might not change it. */
function smallestStep(t: number): number {
  return 10 * Number.EPSILON * Math.abs(t);
}

/** The largest of |y_i|. */
export function largest(y: Float64Array): number {
  let size = 0;
  for (let i = 0; i < y.length; i++) {
    const value = Math.abs(y[i]!);
    if (value > size) size = value;
  }
  return size;
}
