import type { CompiledEquations } from "../../../tasks/phase_portrait/language/mod.ts";
import { byId } from "../element.ts";
import { axesOf } from "./picture.ts";
import type { Point } from "./plane.ts";
import { problemOf, startsOf } from "./problem.ts";
import type { Traced } from "./protocol.ts";
import type { Settings } from "./settings.ts";
import type { Solver } from "./solver.ts";

/** What a hand that sets and moves starts needs of the rest. */
export interface HandWorld {
  readonly solver: Solver;
  settings(): Settings;
  /** Null while the equations cannot be read. */
  system(): CompiledEquations | null;
  /** The length of the picture's diagonal. */
  pixels(): number;
  change(patch: Partial<Settings>, isDraft: boolean): void;
  /** A start was pressed and let go where it was. */
  press(start: number): void;
  /** Another sketch is to be seen, or none. */
  sketched(): void;
}

/** A press on the plane: a new start is sketched under the pointer, one that is there is moved. */
export class StartHand {
  readonly #world: HandWorld;
  #grabbed: { readonly start: number | null; readonly point: Point } | null = null;
  #sketched: Traced | null = null;
  /** Someone has chosen a direction: the first click no longer takes both. */
  hadDirection = false;

  constructor(world: HandWorld) {
    this.#world = world;
  }

  /** The trajectory that would start under the pointer. */
  get sketched(): Traced | null {
    return this.#sketched;
  }

  grab(point: Point, start: number | null): void {
    if (this.#world.system() === null) return;
    this.#grabbed = { start, point };
    byId("tip").hidden = true;
    if (start === null) this.#sketchFrom(point);
  }

  drag(point: Point): void {
    if (this.#grabbed === null) return;
    const { start } = this.#grabbed;
    if (start === null) this.#sketchFrom(point);
    else this.#move(start, point, true);
  }

  drop(point: Point): void {
    const grabbed = this.#grabbed, system = this.#world.system();
    this.letGo();
    if (grabbed === null || system === null) return;
    if (grabbed.start !== null) {
      const isSame = point[0] === grabbed.point[0] && point[1] === grabbed.point[1];
      return isSame ? this.#world.press(grabbed.start) : this.#move(grabbed.start, point, false);
    }
    const settings = this.#world.settings();
    const starts = [...startsOf(settings, system), this.#stateAt(point, system)];
    const isOneWay = settings.direction !== "both" && !this.hadDirection;
    this.#world.change({ starts, ...(isOneWay ? { direction: "both" as const } : {}) }, false);
    // That was the click's doing and no wish about the direction.
    if (isOneWay) this.hadDirection = false;
  }

  letGo(): void {
    this.#grabbed = null;
    this.#sketched = null;
    this.#world.sketched();
  }

  #move(index: number, point: Point, isDraft: boolean): void {
    const old = startsOf(this.#world.settings(), this.#world.system()!);
    const moved = this.#withPoint(old[index]!, point);
    this.#world.change({ starts: old.map((row, k) => k === index ? moved : row) }, isDraft);
  }

  /** The state at a point of the plane; what is not drawn is as in the first start. */
  #stateAt(point: Point, system: CompiledEquations): number[] {
    const [first] = startsOf(this.#world.settings(), system);
    return this.#withPoint(first ?? new Array<number>(system.dimension).fill(0), point);
  }

  #withPoint(state: readonly number[], point: Point): number[] {
    const moved = [...state];
    axesOf({ ...this.#world.settings(), is3d: false }, moved.length).forEach((axis, k) => {
      if (axis >= 0) moved[axis] = Number(point[k]!.toPrecision(5));
    });
    return moved;
  }

  #sketchFrom(point: Point): void {
    const system = this.#world.system();
    if (system === null) return;
    const problem = {
      ...problemOf(this.#world.settings(), system, 0),
      starts: [this.#stateAt(point, system)],
      direction: "both" as const,
    };
    this.#world.solver.sketch(problem, this.#world.pixels()).then((traced) => {
      if (this.#grabbed === null) return;
      this.#sketched = traced;
      this.#world.sketched();
    }, () => undefined);
  }
}
