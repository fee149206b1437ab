import { type Basins, findBasins } from "../analyse/basins.ts";
import { type Branch, continueEquilibrium } from "../analyse/continuation.ts";
import { type Curve, traceCurve, wholeCurve } from "../analyse/curve.ts";
import { closedOrbitThrough, type Cycle, findCycles } from "../analyse/cycles.ts";
import { type Equilibrium, findEquilibria } from "../analyse/equilibria.ts";
import { type Lyapunov, lyapunovSpectrum } from "../analyse/lyapunov.ts";
import { findNullcline, type Plane, type Polyline } from "../analyse/nullclines.ts";
import type { Crossing } from "../analyse/returns.ts";
import { poincareSection, stroboscopicSection } from "../analyse/sections.ts";
import { findSeparatrices, type Separatrix } from "../analyse/separatrices.ts";
import { orbitDiagram, type SweepPoint } from "../analyse/sweep.ts";
import { roomyRange, type View } from "../analyse/view.ts";
import { compileExpressions } from "../language/mod.ts";
import type { Setup } from "./setup.ts";
import type { Stop } from "./solve_block.ts";

/** Everything that was found out about a system besides its trajectories; null for what was not asked for. */
export interface Analysis {
  readonly view: View;
  readonly plane: Plane | null;
  readonly equilibria: readonly Equilibrium[];
  readonly moreEquilibria: boolean;
  readonly nullclines: readonly { readonly name: string; readonly lines: readonly Polyline[] }[];
  readonly separatrices: readonly Separatrix[];
  readonly cycles: readonly Cycle[];
  readonly periods: readonly (Cycle | null)[] | null;
  readonly section: readonly Crossing[] | null;
  readonly lyapunov: Lyapunov | null;
  readonly sweep: readonly SweepPoint[] | null;
  readonly basins: Basins | null;
  readonly continuation: readonly Branch[] | null;
  /** The trajectories as smooth lines, of as many starts as are looked at one by one. */
  readonly curves: readonly Curve[];
  readonly notes: readonly string[];
}

/**
 * Looks at the system as the request asks; without a word about it, at what a picture of two states shows. `went` is the
 * box that the trajectories went through.
 */
export function analyse(
  setup: Setup,
  went: View,
  stop: Stop,
  progress: (what: string) => void,
): Analysis {
  return new Analyst(setup, viewOf(setup, went), stop, progress).run();
}

/** Equilibria are looked for unasked up to this many states; beyond, the search is long. */
const STATES_UNASKED = 3;
/** With more starts the rows themselves are drawn. */
const CURVES_LIMIT = 64;

class Analyst {
  readonly #setup: Setup;
  readonly #stop: Stop;
  readonly #progress: (what: string) => void;
  readonly #view: View;
  readonly #notes: string[] = [];

  constructor(setup: Setup, view: View, stop: Stop, progress: (what: string) => void) {
    [this.#setup, this.#view, this.#stop, this.#progress] = [setup, view, stop, progress];
  }

  run(): Analysis {
    const { request: { analysis: asked, timespan }, system } = this.#setup;
    const n = system.dimension, plane = planeOf(this.#setup, this.#view), t = timespan[0];
    if (!system.autonomous) this.#notes.push(`Field, nullclines and equilibria hold at t = ${t}`);
    const search = asked.equilibria ?? n <= STATES_UNASKED
      ? this.#did("equilibria", () => findEquilibria(system, t, this.#view))
      : null;
    const equilibria = search?.equilibria ?? [];
    if (search?.more) this.#notes.push("There are more equilibria than are told: perhaps a whole line");
    const flat = n === 2 && system.autonomous;
    return {
      view: this.#view,
      plane,
      equilibria,
      moreEquilibria: search?.more ?? false,
      nullclines: plane !== null && (asked.nullclines ?? n === 2) ? this.#nullclines(plane, t) : [],
      separatrices: asked.separatrices ?? flat
        ? this.#did("separatrices", () => findSeparatrices(system, t, this.#view, equilibria)) ?? []
        : [],
      cycles: asked.cycles ?? flat ? this.#cycles() : [],
      periods: asked.periods ? this.#periods() : null,
      section: this.#section(),
      lyapunov: this.#lyapunov(),
      sweep: this.#sweep(),
      basins: null,
      continuation: this.#continuation(equilibria),
      curves: this.#curves(),
      notes: this.#notes,
    };
  }

  /** Null, with a note, when there was no time left for it. */
  #did<R>(what: string, work: () => R): R | null {
    if (this.#stop() !== null) {
      this.#notes.push(`There was no time left for ${what}`);
      return null;
    }
    this.#progress(what);
    return work();
  }

  #nullclines(plane: Plane, t: number): Analysis["nullclines"] {
    const { system } = this.#setup;
    return this.#did("nullclines", () =>
      plane.axes.map((index) => ({
        name: `${system.states[index]}'`,
        lines: findNullcline(system, t, plane, index),
      }))) ?? [];
  }

  #cycles(): readonly Cycle[] {
    const { system, request: { timespan: [t0, tEnd] }, starts } = this.#setup;
    const options = {
      view: this.#view,
      span: Math.max(30, tEnd - t0),
      starts: starts.slice(0, 8),
      stop: this.#stop,
    };
    return this.#did("limit cycles", () => findCycles(system, options)) ?? [];
  }

  #periods(): readonly (Cycle | null)[] | null {
    const { system, request: { timespan: [t0, tEnd] }, starts } = this.#setup;
    const options = { view: this.#view, span: tEnd - t0, stop: this.#stop };
    return this.#did(
      "periods",
      () => starts.slice(0, 100).map((start) => closedOrbitThrough(system, start, options)),
    );
  }

  #curves(): Curve[] {
    const { system, request: { timespan: [t0, tEnd] }, starts, forwardTimes, backwardTimes } = this.#setup;
    if (starts.length > CURVES_LIMIT) return [];
    const options = { t0, view: this.#view, rtol: Math.min(1e-6, this.#setup.rtol), lengthLimit: Infinity };
    const way = (start: Float64Array, end: number, times: Float64Array) =>
      times.length === 0 ? null : traceCurve(system, { ...options, start, tEnd: end });
    return this.#did("smooth lines", () =>
      starts.flatMap((start) =>
        this.#stop() === null
          ? wholeCurve(
            way(start, 2 * t0 - tEnd, backwardTimes),
            way(start, tEnd, forwardTimes),
            system.dimension,
          ) ?? []
          : []
      )) ?? [];
  }

  #section(): readonly Crossing[] | null {
    const { system, request, starts, rtol } = this.#setup, asked = request.analysis.section;
    if (asked === undefined) return null;
    const t0 = request.timespan[0], { transient, points, duration } = asked;
    const options = {
      start: starts[0]!,
      t0,
      transient,
      points,
      tEnd: t0 + duration,
      rtol: Math.min(rtol, 1e-9),
      stop: this.#stop,
    };
    return this.#did("the section", () => {
      if (asked.period !== undefined) return stroboscopicSection(system, asked.period, options);
      const g = this.#expression(asked.expr!);
      return poincareSection(system, { g, direction: asked.direction }, options);
    });
  }

  #expression(text: string): (t: number, y: Float64Array) => number {
    const functions = compileExpressions([text], this.#setup.system), out = new Float64Array(1);
    return (t, y) => {
      functions.evaluate(t, y, out);
      return out[0]!;
    };
  }

  #lyapunov(): Lyapunov | null {
    const { system, request, starts } = this.#setup, asked = request.analysis.lyapunov;
    if (asked === undefined) return null;
    const options = { ...asked, start: starts[0]!, t0: request.timespan[0], stop: this.#stop };
    return this.#did("Lyapunov exponents", () => lyapunovSpectrum(system, options));
  }

  #sweep(): readonly SweepPoint[] | null {
    const { system, request, starts, parameters } = this.#setup, asked = request.analysis.sweep;
    if (asked === undefined) return null;
    const { from, to, steps } = asked;
    const values = Float64Array.from({ length: steps }, (_, k) => from + ((to - from) * k) / (steps - 1));
    const found = this.#did("the sweep", () =>
      orbitDiagram(system, {
        ...asked,
        values,
        setParameter: this.#setter(asked.parameter),
        start: starts[0]!,
        pointsPerValue: asked.points,
        stop: this.#stop,
      }));
    system.setParameters(parameters);
    return found;
  }

  #setter(name: string): (value: number) => void {
    const { system, parameters } = this.#setup, at = system.parameters.indexOf(name);
    const changed = Float64Array.from(parameters);
    return (value) => {
      changed[at] = value;
      system.setParameters(changed);
    };
  }

  /** Every branch that passes through an equilibrium found at the request's own parameter. */
  #continuation(equilibria: readonly Equilibrium[]): readonly Branch[] | null {
    const { system, request, parameters } = this.#setup, asked = request.analysis.continuation;
    if (asked === undefined) return null;
    const at = system.parameters.indexOf(asked.parameter), start = parameters[at]!;
    const scales = this.#view.low.map((value, i) => this.#view.high[i]! - value);
    const branches: Branch[] = [];
    for (const { point } of equilibria) {
      const branch = this.#did("the branch of an equilibrium", () =>
        continueEquilibrium(system, {
          low: asked.from,
          high: asked.to,
          setParameter: this.#setter(asked.parameter),
          start: { parameter: start, point },
          scales,
        }));
      if (branch !== null && branch.points.length > 0) branches.push(branch);
    }
    system.setParameters(parameters);
    return branches;
  }
}

/** Colours a grid of starts; apart from the rest, as it is long and is shared among workers. */
export function analyseBasins(
  setup: Setup,
  { view, plane, equilibria, cycles }: Analysis,
  stop: Stop,
): Basins | null {
  const asked = setup.request.analysis.basins;
  if (asked === undefined || plane === null) return null;
  return findBasins(setup.system, equilibria, cycles, { ...asked, plane, view, stop });
}

/** The view that the request names, and for other states what the trajectories went through and a tenth more. */
function viewOf({ request, system, starts }: Setup, went: View): View {
  const low = Float64Array.from(went.low), high = Float64Array.from(went.high);
  for (const start of starts) {
    for (const [i, value] of start.entries()) {
      low[i] = Math.min(low[i]!, value);
      high[i] = Math.max(high[i]!, value);
    }
  }
  system.states.forEach((state, i) => {
    const given = request.view[state];
    [low[i], high[i]] = given ?? roomyRange(low[i]!, high[i]!, 0.1);
  });
  return { low, high };
}

/** The plane of the two states that are drawn; null for a single state. */
function planeOf({ request: { projection }, system, starts }: Setup, { low, high }: View): Plane | null {
  if (system.dimension < 2) return null;
  const [first, second] = [projection[0] ?? 0, projection[1] ?? 1];
  return {
    axes: [first, second],
    low: [low[first]!, low[second]!],
    high: [high[first]!, high[second]!],
    held: Float64Array.from(starts[0]!),
  };
}
