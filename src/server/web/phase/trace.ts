import { inView, scaledDistance, type View, widened } from "../../../tasks/phase_portrait/analyse/view.ts";
import type { CompiledEquations } from "../../../tasks/phase_portrait/language/mod.ts";
import { solveOnGrid } from "../../../tasks/phase_portrait/solve/fixed_grid.ts";
import { type Method, METHODS } from "../../../tasks/phase_portrait/solve/methods.ts";
import type { Stepper } from "../../../tasks/phase_portrait/solve/stepper.ts";
import { evenTimes } from "../../../tasks/phase_portrait/solve/trajectory.ts";
import { walk } from "../../../tasks/phase_portrait/solve/walk.ts";
import type { Problem, Traced, TracedStart } from "./protocol.ts";

export interface TraceOptions {
  readonly pixels: number;
  readonly draft: boolean;
  readonly lengthMost: number | null;
  readonly stop: () => "timeout" | null;
}

const GRID_ROWS = 201;
/** How far beyond the picture a trajectory is followed, in pictures. */
const ESCAPE = 50, DRAFT_ESCAPE = 3;
const DRAFT_RTOL = 1e-4;
/** Points nearer than this are one, and further apart than that are not smooth. */
const NEAR_PX = 1.2, DRAFT_NEAR_PX = 5, APART_PX = 7;
const PIECES_LEAST = 4, DRAFT_PIECES_LEAST = 2, PIECES_MOST = 24;

/** One walk from a start in one direction. */
interface Walked extends TracedStart {
  readonly times: number[];
  readonly states: number[];
}

/** Solves all trajectories of a problem as lines for a picture. */
export function traceAll(system: CompiledEquations, problem: Problem, options: TraceOptions): Traced {
  const began = performance.now();
  const tracer = new Tracer(system, problem, options);
  const traced = problem.starts.map((start) => tracer.trace(Float64Array.from(start)));
  const counts = traced.map(({ times }) => times.length);
  const offsets = new Int32Array(counts.length + 1);
  counts.forEach((count, k) => offsets[k + 1] = offsets[k]! + count);
  const n = system.dimension, total = offsets.at(-1)!;
  const times = new Float64Array(total), states = new Float64Array(total * n);
  traced.forEach((one, k) => {
    times.set(one.times, offsets[k]!);
    states.set(one.states, offsets[k]! * n);
  });
  const starts = traced.map(({ times: _times, states: _states, ...start }) => start);
  return { times, states, offsets, starts, tookMs: performance.now() - began };
}

class Tracer {
  readonly #system: CompiledEquations;
  readonly #problem: Problem;
  readonly #options: TraceOptions;
  readonly #view: View;
  readonly #escape: View;
  readonly #point: Float64Array;
  /** Of the way that is being walked, in pixels. */
  #length = 0;

  constructor(system: CompiledEquations, problem: Problem, options: TraceOptions) {
    [this.#system, this.#problem, this.#options] = [system, problem, options];
    this.#view = { low: Float64Array.from(problem.low), high: Float64Array.from(problem.high) };
    this.#escape = boundsOf(this.#view, options.draft ? DRAFT_ESCAPE : ESCAPE);
    this.#point = system.allocate(system.dimension);
  }

  /** Backwards first, then forwards, as one line in ascending time. */
  trace(start: Float64Array): Walked {
    const { timespan: [t0, tEnd], direction } = this.#problem;
    const forward = direction === "backward" ? null : this.#walk(start, tEnd);
    const backward = direction === "forward" ? null : this.#walk(start, 2 * t0 - tEnd);
    if (backward === null) return forward!;
    const n = this.#system.dimension, count = backward.times.length;
    const times = backward.times.toReversed(), states = new Array<number>(backward.states.length);
    for (let row = 0; row < count; row++) {
      for (let i = 0; i < n; i++) states[row * n + i] = backward.states[(count - 1 - row) * n + i]!;
    }
    if (forward === null) return { ...backward, times, states };
    // Of the two ends, the one ahead is what people ask about; the past of a portrait often ends at infinity.
    return {
      ...forward,
      steps: forward.steps + backward.steps,
      times: [...times, ...forward.times.slice(1)],
      states: [...states, ...forward.states.slice(n)],
    };
  }

  #walk(start: Float64Array, tEnd: number): Walked {
    const { method, firstStep } = this.#problem;
    if (method === "RK4" && firstStep === null) return this.#grid(start, tEnd);
    const { rtol, atol, maxStep, timespan: [t0] } = this.#problem, { draft, stop } = this.#options;
    const n = this.#system.dimension, times: number[] = [t0], states: number[] = [...start];
    const last = Float64Array.from(start);
    this.#length = 0;
    const end = walk(this.#system, {
      method: draft ? draftMethod(method) : method,
      tolerance: {
        rtol: draft ? Math.max(rtol, DRAFT_RTOL) : Math.max(1e-13, rtol),
        atol: this.#tolerances(atol, draft),
      },
      t0,
      tEnd,
      y0: start,
      maxStep,
      firstStep,
      maxSteps: draft ? 20_000 : 200_000,
      escape: this.#escape,
      stop,
    }, (stepper) => this.#visit(stepper, tEnd, last, times, states));
    if (times.length === 1 && end.status === "domain_error") [times.length, states.length] = [0, 0];
    return {
      times,
      states: states.length > times.length * n ? states.slice(0, times.length * n) : states,
      status: end.status,
      message: end.message,
      tStop: end.t,
      methodUsed: end.methodUsed,
      stiffAt: end.stiffAt,
      steps: end.counts.steps,
    };
  }

  #tolerances(atol: Problem["atol"], draft: boolean): Float64Array {
    const n = this.#system.dimension, { low, high } = this.#view;
    return Float64Array.from({ length: n }, (_, i) => {
      const asked = typeof atol === "number" ? atol : atol[i]!, extent = high[i]! - low[i]!;
      return draft && Number.isFinite(extent) ? Math.max(asked, 1e-6 * extent) : asked;
    });
  }

  #visit(stepper: Stepper, tEnd: number, last: Float64Array, times: number[], states: number[]): boolean {
    const { pixels, draft, lengthMost } = this.#options, near = draft ? DRAFT_NEAR_PX : NEAR_PX;
    const pieces = this.#pieces(stepper);
    for (let k = 1; k <= pieces; k++) {
      const isEnd = k === pieces;
      const t = isEnd ? stepper.t : stepper.tOld + ((stepper.t - stepper.tOld) * k) / pieces;
      if (!isEnd) stepper.interpolate(t, this.#point);
      const y = isEnd ? stepper.y : this.#point;
      const way = this.#distance(y, last) * pixels;
      if (way < near && t !== tEnd) continue;
      this.#length += way;
      times.push(t);
      for (let i = 0; i < y.length; i++) {
        states.push(y[i]!);
        last[i] = y[i]!;
      }
    }
    return lengthMost === null || this.#length < lengthMost;
  }

  /** As many as a smooth line needs on the screen, and few where it is far outside. */
  #pieces({ yOld, y }: Stepper): number {
    const { draft, pixels } = this.#options, least = draft ? DRAFT_PIECES_LEAST : PIECES_LEAST;
    if (!this.#isSeen(yOld) && !this.#isSeen(y)) return least;
    const length = this.#distance(y, yOld) * pixels;
    return Math.min(PIECES_MOST, Math.max(least, Math.ceil(length / APART_PX)));
  }

  #isSeen(y: ArrayLike<number>): boolean {
    return inView(this.#view, y);
  }

  #distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
    return scaledDistance(this.#view, a, b);
  }

  #grid(start: Float64Array, tEnd: number): Walked {
    const t0 = this.#problem.timespan[0], times = evenTimes(t0, tEnd, GRID_ROWS);
    const { values, rows, counts, ...end } = solveOnGrid(this.#system, { t0, y0: start, times });
    return { ...end, steps: counts.steps, times: [...times.subarray(0, rows)], states: [...values] };
  }
}

/** Stiff methods stay what they are; of the others the one that is quick at loose tolerances. */
function draftMethod(method: Method): Method {
  return method === "Radau" ? "Rodas5P" : method === "Rodas5P" || method === "auto" ? method : METHODS[1];
}

/** A state without a bound may go anywhere. */
function boundsOf(view: View, times: number): View {
  const { low, high } = widened(view, times);
  return {
    low: low.map((value, i) => Number.isFinite(view.low[i]!) ? value : -Infinity),
    high: high.map((value, i) => Number.isFinite(view.high[i]!) ? value : Infinity),
  };
}
