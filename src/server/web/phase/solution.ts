import type { CompiledEquations } from "../../../tasks/phase_portrait/language/mod.ts";
import { byId } from "../element.ts";
import type { Model } from "./model.ts";
import { boxOf } from "./picture.ts";
import { problemOf } from "./problem.ts";
import type { Found, Part, Problem, Traced } from "./protocol.ts";
import type { Range } from "./settings.ts";
import type { Solver } from "./solver.ts";
import { traceAll } from "./trace.ts";

/** What a solution needs of the page, and whom it tells. */
export interface SolutionWorld {
  /** The length of the picture's diagonal. */
  pixels(): number;
  /** The time at which field and equilibria are looked at. */
  fieldTime(): number;
  /** There are other trajectories. */
  traced(isDraft: boolean): void;
  /** More was found out about the system. */
  found(isDraft: boolean): void;
}

/** Equilibria are looked for in so many dimensions; beyond, the search is long. */
const SEARCHED_MOST = 3;
/** After a pan or zoom, solving waits until the hands rest. */
const REST_MS = 140;
/** Between two moves of a hand that still pans, a slow machine may take longer than that. */
const HELD_MS = 450;
const BUSY_MS = 200;
const FIRST_MS = 60;

/** The trajectories of the page's system and all else that is known about it, from the threads that solve. */
export class Solution {
  readonly #model: Model;
  readonly #solver: Solver;
  readonly #world: SolutionWorld;
  #traced: Traced | null = null;
  #found: Partial<Found> = {};
  #box: Range[] = [];
  #count = 0;
  #isTracing = false;
  #restTimer: ReturnType<typeof setTimeout> | undefined;
  #busyTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(model: Model, solver: Solver, world: SolutionWorld) {
    [this.#model, this.#solver, this.#world] = [model, solver, world];
  }

  get traced(): Traced | null {
    return this.#traced;
  }

  get found(): Partial<Found> {
    return this.#found;
  }

  /** Ranges of states that the settings leave open. */
  get box(): readonly Range[] {
    return this.#box;
  }

  /** How many solutions there have been. */
  get count(): number {
    return this.#count;
  }

  /** Other trajectories are under way. */
  get isTracing(): boolean {
    return this.#isTracing;
  }

  clear(): void {
    this.#found = {};
    this.#traced = null;
    // Of other states, and perhaps of fewer.
    this.#box = [];
  }

  /** Takes trajectories that were solved elsewhere. */
  take(traced: Traced, system: CompiledEquations): void {
    this.#traced = traced;
    this.#box = boxOf(traced, system.dimension);
  }

  /** The first picture does not wait until a thread has started: it is solved here, coarsely and for a moment only. */
  traceHere(system: CompiledEquations): void {
    const until = performance.now() + FIRST_MS;
    const stop = () => performance.now() > until ? "timeout" : null;
    const options = { pixels: this.#world.pixels(), draft: true, lengthMost: null, stop } as const;
    this.take(traceAll(system, this.#problem(system), options), system);
  }

  /** Solves once the hands rest. */
  rest(): void {
    clearTimeout(this.#restTimer);
    const isHeld = byId("plane").hasAttribute("data-panning");
    this.#restTimer = setTimeout(() => this.solve(false), isHeld ? HELD_MS : REST_MS);
  }

  /** Solves and looks anew; `onlyLines` when nothing but the starts has changed. */
  solve(isDraft: boolean, onlyLines = false): void {
    const { system } = this.#model;
    if (system === null) return;
    clearTimeout(this.#restTimer);
    this.#isTracing = true;
    clearTimeout(this.#busyTimer);
    this.#busyTimer = setTimeout(() => byId("busy").hidden = false, BUSY_MS);
    this.#solver.trace(
      this.#problem(system),
      { pixels: this.#world.pixels(), draft: isDraft },
      (traced) => this.#hear(traced, system.dimension, isDraft),
    );
    if (!onlyLines) this.look(isDraft);
  }

  #hear(traced: Traced | Error, n: number, isDraft: boolean): void {
    this.#isTracing = false;
    clearTimeout(this.#busyTimer);
    byId("busy").hidden = true;
    const { system } = this.#model;
    if (system?.dimension !== n) return;
    if (traced instanceof Error) {
      byId("solved").textContent = traced.message;
      return;
    }
    this.#count++;
    this.take(traced, system);
    this.#world.traced(isDraft);
  }

  /** Looks for everything besides trajectories. */
  look(isDraft: boolean): void {
    const { system } = this.#model;
    if (system === null) return;
    const problem = this.#problem(system);
    const bounded = {
      ...problem,
      low: problem.low.map((value, i) => Number.isFinite(value) ? value : this.#box[i]?.[0] ?? -10),
      high: problem.high.map((value, i) => Number.isFinite(value) ? value : this.#box[i]?.[1] ?? 10),
    };
    if (isDraft) this.#found = { ...this.#found, separatrices: [], cycles: [] };
    const parts = this.#partsFor(system.dimension, isDraft);
    this.#solver.look(bounded, { parts, draft: isDraft }, (found) => {
      if (this.#model.system !== system) return;
      this.#found = { ...this.#found, ...found };
      this.#world.found(isDraft);
    });
  }

  #problem(system: CompiledEquations): Problem {
    return problemOf(this.#model.settings, system, this.#world.fieldTime());
  }

  #partsFor(n: number, isDraft: boolean): Part[] {
    const { show } = this.#model.settings;
    const parts: Part[] = [];
    if (n === 2 && show.nullclines) parts.push("nullclines");
    if (n <= SEARCHED_MOST) parts.push("equilibria");
    if (n === 2 && show.separatrices && !isDraft) parts.push("separatrices");
    if (n === 2 && show.cycles && !isDraft) parts.push("cycles");
    return parts;
  }
}
