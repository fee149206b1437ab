import { DARK, LIGHT, type Mark, type Theme } from "../../../tasks/phase_portrait/draw/scene.ts";
import { type Axes, plotArea, toPixel } from "../../../tasks/phase_portrait/draw/axes.ts";
import {
  type CompiledEquations,
  copyAs,
  type DialectName,
  unwrapSolve,
} from "../../../tasks/phase_portrait/language/mod.ts";
import { byId, element } from "../element.ts";
import { Controls, type Topic } from "./controls.ts";
import { Editor } from "./editor.ts";
import { equilibriumTip, Findings, pointText } from "./findings.ts";
import type { Result } from "./jobs.ts";
import { firstAfter, projected, stateAt, trajectoryOf } from "./lines.ts";
import { primed, readNumber, shortNumber } from "./numbers.ts";
import {
  axesOf,
  axisName,
  boxOf,
  type Known,
  legendOf,
  type LegendRow,
  portraitOf,
  spaceOf,
} from "./picture.ts";
import { Plane, type Point } from "./plane.ts";
import { Player } from "./player.ts";
import { type Gestures, listenToPointers, type Place } from "./pointer.ts";
import { problemOf, startsOf } from "./problem.ts";
import type { Found, Part, Traced } from "./protocol.ts";
import { readEquations, type Reading } from "./reading.ts";
import { Series } from "./series.ts";
import { type Range, type RequestDocument, type Settings, settingsFrom } from "./settings.ts";
import type { Solver } from "./solver.ts";
import { Space } from "./space.ts";
import { traceAll } from "./trace.ts";

export interface StudioHandlers {
  /** The settings are others than before: what an address or a file would hold. */
  changed(settings: Settings): void;
}

/** Equilibria are looked for in so many dimensions; beyond, the search is long. */
const SEARCHED_MOST = 3;
/** After a pan or zoom, solving waits until the hands rest. */
const REST_MS = 140;
/** Between two moves of a hand that still pans, a slow machine may take longer than that. */
const HELD_MS = 450;
const BUSY_MS = 200;
const FIRST_MS = 60;
/** Lists are made anew no more often while something is dragged. */
const LIST_EVERY_MS = 120;
const NEAR_PX = 10;

/** The page's one picture: settings in, solving in workers, drawing, and what hands do on it. */
export class Studio {
  readonly #solver: Solver;
  readonly #handlers: StudioHandlers;
  readonly #editor: Editor;
  readonly #controls: Controls;
  readonly #findings: Findings;
  readonly #plane: Plane;
  readonly #space: Space;
  readonly #series: Series;
  readonly #player: Player;
  readonly #dark = matchMedia("(prefers-color-scheme: dark)");
  #settings: Settings;
  /** As they were loaded, which "Reset" goes back to. */
  #home: Settings;
  #reading: Reading;
  #traced: Traced | null = null;
  #found: Partial<Found> = {};
  #box: Range[] = [];
  #selected: number | null = null;
  #sketched: Traced | null = null;
  #grabbed: { start: number | null; point: Point } | null = null;
  #hovered: number | null = null;
  #hadDirection = false;
  #restTimer: ReturnType<typeof setTimeout> | undefined;
  #busyTimer: ReturnType<typeof setTimeout> | undefined;
  #isFirst = true;
  #solutions = 0;
  #isTracing = false;
  #listedMs = 0;

  constructor(solver: Solver, document: RequestDocument, handlers: StudioHandlers) {
    [this.#solver, this.#handlers] = [solver, handlers];
    this.#settings = this.#home = settingsFrom(document);
    this.#reading = this.#read();
    this.#editor = new Editor((text) => this.#setTyped(text));
    this.#controls = new Controls(
      this.#settings,
      (patch, topic, isDraft) => this.#change(patch, topic, isDraft),
    );
    this.#findings = new Findings({
      point: (index) => this.#hoverEquilibrium(index),
      select: (index) => this.#select(index),
      remove: (index) =>
        this.#change({ starts: this.#settings.starts.filter((_, k) => k !== index) }, "solve"),
    });
    this.#plane = new Plane(this.theme, {
      ranges: (x, y) => this.#setRanges([x, y]),
      grab: (point, start) => this.#grab(point, start),
      move: (point) => this.#drag(point),
      drop: (point) => this.#drop(point),
      abandon: () => this.#letGo(),
      hover: (place, point) => this.#hover(place, point),
      drawn: () => this.#drawn(),
    });
    this.#space = new Space(this.theme, () => this.#drawn());
    this.#player = new Player((t) => this.#timeMoved(t));
    this.#series = new Series((t) => this.#player.to(t));
    this.#listen();
    this.#start();
  }

  get settings(): Settings {
    return this.#settings;
  }

  get theme(): Theme {
    return this.#dark.matches ? DARK : LIGHT;
  }

  /** Null while the equations cannot be read. */
  get states(): readonly string[] | null {
    return this.#reading.system?.states ?? null;
  }

  /** The picture as a scene, for a file. */
  scene(theme: Theme) {
    return this.#is3d() ? this.#space.export(theme) : this.#plane.export(theme);
  }

  /** The equations for another program, with the parameters' values where that has a place for them. */
  copyAs(dialect: DialectName): string {
    const { system } = this.#reading;
    if (system === null) throw new Error("Cannot copy the equations as they cannot be read");
    return copyAs(
      system.equations,
      dialect,
      system.parameters.map((name) => this.#settings.parameters[name] ?? 1),
    );
  }

  /** Shows another request; with a result, its trajectories as the job solved them. */
  load(document: unknown, result: Result | null = null): void {
    const settings = settingsFrom(document);
    this.#settings = this.#home = settings;
    this.#hadDirection = false;
    this.#selected = null;
    this.#player.isUsed = false;
    this.#reading = this.#read();
    this.#start(result);
  }

  togglePlay(): void {
    this.#player.toggle();
  }

  #start(result: Result | null = null): void {
    this.#editor.text = this.#settings.equations;
    this.#found = {};
    this.#traced = null;
    this.#showReading();
    const { system } = this.#reading;
    if (system === null) return this.#draw();
    this.#openRanges();
    if (result?.trajectories != null && result.times !== null) {
      this.#traced = tracedFrom(result, system.dimension);
      this.#box = boxOf(this.#traced, system.dimension);
      this.#look(false);
      this.#showTraced();
    } else {
      if (this.#isFirst) this.#traceHere(system);
      this.#solve(false);
    }
    this.#draw();
    if (this.#isFirst && !this.#is3d()) this.#plane.flush();
  }

  /** The first picture does not wait until a thread has started: it is solved here, coarsely and for a moment only. */
  #traceHere(system: CompiledEquations): void {
    const until = performance.now() + FIRST_MS;
    const problem = problemOf(this.#settings, system, this.#fieldTime());
    this.#traced = traceAll(system, problem, {
      pixels: this.#plane.pixels,
      draft: true,
      lengthMost: null,
      stop: () => performance.now() > until ? "timeout" : null,
    });
    this.#box = boxOf(this.#traced, system.dimension);
  }

  #read(): Reading {
    const { equations, parameters, independent } = this.#settings;
    const reading = readEquations(equations, Object.keys(parameters), independent);
    if (reading.system !== null) this.#bind(reading);
    return reading;
  }

  /** Parameters that are new get a value; the others keep theirs. */
  #bind(reading: Extract<Reading, { problem: null }>): void {
    const { parameters } = this.#settings;
    const bound = Object.fromEntries(reading.parameters.map((name) => [name, parameters[name] ?? 1]));
    this.#settings = { ...this.#settings, parameters: bound };
    reading.system.setParameters(Float64Array.from(reading.parameters, (name) => bound[name]!));
  }

  /** A pasted call of NDSolve leaves its equations, and its times where they are numbers. */
  #setTyped(typed: string): void {
    const pasted = unwrapSolve(typed);
    if (pasted === null) return this.#setEquations(typed);
    const { equations, independent, span } = pasted;
    const [from, to] = (span ?? []).map(readNumber);
    this.#settings = {
      ...this.#settings,
      independent: independent ?? this.#settings.independent,
      ...(from != null && to != null && from < to ? { timespan: [from, to] as const } : {}),
    };
    this.#editor.text = equations;
    this.#setEquations(equations);
  }

  #setEquations(text: string): void {
    const { states } = this.#shownFor;
    // Values of parameters that are gone for a moment, while someone types, come back with their name.
    this.#remembered = { ...this.#remembered, ...this.#settings.parameters };
    this.#settings = { ...this.#settings, equations: text, parameters: this.#remembered };
    this.#reading = this.#read();
    if (this.#reading.system === null) this.#settings = { ...this.#settings, parameters: this.#remembered };
    else if (this.#reading.system.states.join() !== states.join()) this.#statesChanged();
    this.#showReading();
    this.#handlers.changed(this.#settings);
    if (this.#reading.system !== null) this.#solve(false);
  }

  #remembered: Record<string, number> = {};
  #shownFor: { readonly states: readonly string[]; readonly parameters: readonly string[] } = {
    states: [],
    parameters: [],
  };

  /** Other states need other starts; what was found about the old ones is gone. */
  #statesChanged(): void {
    const n = this.#reading.system!.dimension;
    this.#found = {};
    this.#traced = null;
    this.#selected = null;
    const fitting = this.#settings.starts.filter((row) => row.length === n);
    this.#settings = { ...this.#settings, starts: fitting, axes: [] };
    this.#openRanges();
  }

  /** Axes that have no range get the usual one; states that are not drawn stay open. */
  #openRanges(): void {
    const { system } = this.#reading;
    if (system === null) return;
    const names = axesOf(this.#settings, system.dimension).filter((axis) => axis >= 0).map((axis) =>
      system.states[axis]!
    );
    const isOpen = names.filter((name) => this.#settings.view[name] === undefined);
    this.#mustFit =
      isOpen.length > 0 && this.#isFirst === false && startsOf(this.#settings, system).length > 0
        ? isOpen
        : [];
    const view = Object.fromEntries(isOpen.map((name) => [name, [-10, 10] as Range]));
    this.#settings = { ...this.#settings, view: { ...this.#settings.view, ...view } };
  }

  /** States whose ranges come from the trajectories once these are known. */
  #mustFit: readonly string[] = [];

  #change(patch: Partial<Settings>, topic: Topic, isDraft = false): void {
    if (patch.direction !== undefined) this.#hadDirection = true;
    this.#settings = { ...this.#settings, ...patch };
    const { system } = this.#reading;
    if (patch.parameters !== undefined && system !== null) {
      system.setParameters(
        Float64Array.from(system.parameters, (name) => this.#settings.parameters[name] ?? 1),
      );
    }
    if (topic === "view") this.#rest();
    if (topic === "solve" || topic === "parameters") this.#solve(isDraft, topic === "solve" && isDraft);
    if (topic === "layers") this.#look(false);
    if (!isDraft || topic !== "solve" || this.#isTimeForLists()) this.#showControls();
    // The lines that are under way will be drawn with all of this.
    if (!isDraft || topic === "draw") this.#draw();
    this.#handlers.changed(this.#settings);
  }

  #rest(): void {
    clearTimeout(this.#restTimer);
    const isHeld = byId("plane").hasAttribute("data-panning");
    this.#restTimer = setTimeout(() => this.#solve(false), isHeld ? HELD_MS : REST_MS);
  }

  #showReading(): void {
    this.#editor.show(this.#reading);
    const { system } = this.#reading;
    for (const word of document.querySelectorAll(".independent")) {
      word.textContent = this.#settings.independent;
    }
    byId("reading").textContent = system === null
      ? ""
      : `${system.states.length} state${system.states.length === 1 ? "" : "s"}: ${
        system.states.map(primed).join(", ")
      }${system.autonomous ? "" : ` · depends on ${this.#settings.independent}`}`;
    this.#showControls();
    this.#showAxes();
  }

  #showControls(): void {
    const { system } = this.#reading;
    // While the text cannot be read, the fields stay as they were for the last one that could.
    if (system !== null) this.#shownFor = { states: system.states, parameters: system.parameters };
    this.#controls.show(this.#settings, this.#shownFor.states, this.#shownFor.parameters);
    byId("stale").hidden = system !== null || this.#traced === null;
  }

  #is3d(): boolean {
    return this.#settings.is3d && (this.#reading.system?.dimension ?? 0) > 2;
  }

  /** Solves and looks anew; `onlyLines` when nothing but the starts has changed. */
  #solve(isDraft: boolean, onlyLines = false): void {
    const { system } = this.#reading;
    if (system === null) return;
    clearTimeout(this.#restTimer);
    const problem = problemOf(this.#settings, system, this.#fieldTime());
    this.#isTracing = true;
    clearTimeout(this.#busyTimer);
    this.#busyTimer = setTimeout(() => byId("busy").hidden = false, BUSY_MS);
    this.#solver.trace(
      problem,
      { pixels: this.#plane.pixels, draft: isDraft },
      (traced) => this.#hearTraced(traced, system.dimension, isDraft),
    );
    if (!onlyLines) this.#look(isDraft);
  }

  #hearTraced(traced: Traced | Error, n: number, isDraft: boolean): void {
    this.#isTracing = false;
    clearTimeout(this.#busyTimer);
    byId("busy").hidden = true;
    if (this.#reading.system?.dimension !== n) return;
    if (traced instanceof Error) {
      byId("solved").textContent = traced.message;
      return;
    }
    this.#traced = traced;
    this.#solutions++;
    this.#box = boxOf(traced, n);
    if (this.#mustFit.length > 0) this.fit(this.#mustFit);
    // What stands beside the picture waits until the hand rests.
    if (!isDraft) this.#showTraced();
    this.#draw();
  }

  #showTraced(): void {
    const { system } = this.#reading, traced = this.#traced;
    if (system === null || traced === null) return;
    const { independent } = this.#settings;
    this.#player.setTimes(this.#seenTimes(), this.#settings.timespan[0], independent);
    this.#findings.showTrajectories(traced, startsOf(this.#settings, system), this.#selected, this.theme);
    const used = [...new Set(traced.starts.map(({ methodUsed }) => methodUsed))].join(", ");
    const steps = traced.starts.reduce((sum, one) => sum + one.steps, 0);
    const stiffAt = traced.starts.find((one) => one.stiffAt !== null)?.stiffAt;
    byId("solved").textContent = traced.starts.length === 0
      ? "Click on the plane to start one, or write initial conditions."
      : `${used} · ${steps} steps · ${shortNumber(traced.tookMs, 3)} ms${
        stiffAt == null ? "" : ` · stiff at ${independent} = ${shortNumber(stiffAt)}`
      }`;
    this.#showSeries();
  }

  #showSeries(): void {
    const known = this.#known();
    if (known === null) return;
    const { system, traced } = known, n = system.dimension;
    const shown = n <= 3
      ? system.states.map((_, i) => i)
      : axesOf(this.#settings, n).filter((axis) => axis >= 0);
    this.#series.show({
      states: system.states,
      shown: n === 1 ? [] : shown,
      ranges: shown.map((i) => common(this.#box[i]!, this.#settings.view[system.states[i]!])),
      independent: this.#settings.independent,
      times: this.#seenTimes(),
      trajectories: traced?.starts.map((_, k) => trajectoryOf(traced, k, n)) ?? [],
      selected: this.#selected,
      theme: this.theme,
    });
    this.#series.at(this.#player.isUsed ? this.#player.t : NaN);
  }

  #look(isDraft: boolean): void {
    const { system } = this.#reading;
    if (system === null) return;
    const problem = problemOf(this.#settings, system, this.#fieldTime());
    const parts = this.#partsFor(system.dimension, isDraft);
    const bounded = {
      ...problem,
      low: problem.low.map((value, i) => Number.isFinite(value) ? value : this.#box[i]?.[0] ?? -10),
      high: problem.high.map((value, i) => Number.isFinite(value) ? value : this.#box[i]?.[1] ?? 10),
    };
    if (isDraft) this.#found = { ...this.#found, separatrices: [], cycles: [] };
    this.#solver.look(bounded, { parts, draft: isDraft }, (found) => {
      if (this.#reading.system !== system) return;
      this.#found = { ...this.#found, ...found };
      if (!isDraft || this.#isTimeForLists()) this.#showFound();
      // While something is dragged the next lines are under way, and bring this with them.
      if (!isDraft || !this.#isTracing) this.#draw();
    });
  }

  #isTimeForLists(): boolean {
    const now = performance.now(), isTime = now - this.#listedMs > LIST_EVERY_MS;
    if (isTime) this.#listedMs = now;
    return isTime;
  }

  #partsFor(n: number, isDraft: boolean): Part[] {
    const { show } = this.#settings;
    const parts: Part[] = [];
    if (n === 2 && show.nullclines) parts.push("nullclines");
    if (n <= SEARCHED_MOST) parts.push("equilibria");
    if (n === 2 && show.separatrices && !isDraft) parts.push("separatrices");
    if (n === 2 && show.cycles && !isDraft) parts.push("cycles");
    return parts;
  }

  #showFound(): void {
    const { system } = this.#reading;
    if (system === null) return;
    const note = system.autonomous
      ? ""
      : `At ${this.#settings.independent} = ${shortNumber(this.#fieldTime())}: the field changes with time.`;
    this.#findings.showEquilibria(this.#found, system.states, note);
    this.#findings.showCycles(this.#found, this.theme);
  }

  #times(): Range {
    const { timespan: [t0, tEnd], direction } = this.#settings;
    return [direction === "forward" ? t0 : 2 * t0 - tEnd, direction === "backward" ? t0 : tEnd];
  }

  /** The times at which there is a trajectory: backwards, many end early. */
  #seenTimes(): Range {
    const [from, to] = this.#times(), times = this.#traced?.times ?? new Float64Array();
    let low = Infinity, high = -Infinity;
    for (const t of times) {
      if (t < low) low = t;
      if (t > high) high = t;
    }
    return high > low ? [Math.max(from, low), Math.min(to, high)] : [from, to];
  }

  #fieldTime(): number {
    const { system } = this.#reading;
    return system?.autonomous === false && this.#player?.isUsed ? this.#player.t : this.#settings.timespan[0];
  }

  #known(): Known | null {
    const { system } = this.#reading;
    if (system === null) return null;
    return {
      settings: this.#settings,
      system,
      traced: this.#traced,
      found: this.#found,
      box: this.#box,
      times: this.#times(),
      fieldTime: this.#fieldTime(),
      selected: this.#selected,
    };
  }

  #draw(): void {
    const known = this.#known();
    if (known === null) return;
    byId("plane").dataset.mode = this.#is3d() ? "3d" : "2d";
    if (this.#is3d()) {
      this.#showLegend([]);
      return this.#space.show(spaceOf(known, this.theme), this.theme);
    }
    this.#space.hide();
    const portrait = portraitOf(known);
    this.#showLegend(legendOf(portrait, this.theme));
    const axes = axesOf({ ...this.#settings, is3d: false }, known.system.dimension);
    const handles = startsOf(this.#settings, known.system).map((start): Point => [
      axes[0]! < 0 ? this.#settings.timespan[0] : start[axes[0]!]!,
      start[axes[1]!]!,
    ]);
    this.#plane.show(portrait, this.theme, handles);
    this.#drawOver();
  }

  #showLegend(rows: readonly LegendRow[]): void {
    const text = JSON.stringify(rows);
    if (text === this.#legend) return;
    this.#legend = text;
    byId("legend").replaceChildren(...rows.map(({ look, color, words }) => {
      const sample = look === "dashed" || look === "dotted" || look === "plain"
        ? element("i", { class: look })
        : element("span", { class: `mark ${look}` });
      if (color !== null) sample.style.borderColor = color;
      return element("li", {}, sample, words);
    }));
  }

  #legend = "";

  #drawn(): void {
    if (this.#traced === null) return;
    if (this.#isFirst) {
      this.#isFirst = false;
      performance.mark("first-portrait");
    }
    // For those who measure: which solution is seen from now on.
    dispatchEvent(new CustomEvent("portrait-drawn", { detail: this.#solutions }));
  }

  /** What moves over the picture: the sketch under the pointer, moving points with tails, what is set out. */
  #drawOver(): void {
    const known = this.#known();
    if (known === null) return;
    if (this.#is3d()) {
      return this.#space.overlay((place) =>
        this.#movers(known, (state) => {
          const { x, y } = place(axesOf(this.#settings, known.system.dimension).map((axis) => state[axis]!));
          return [x, y];
        })
      );
    }
    this.#plane.overlay((axes) => [
      ...this.#sketchMarks(known, axes),
      ...this.#selectedMarks(known, axes),
      ...this.#movers(known, (state, t) => {
        const [u, v] = axesOf({ ...this.#settings, is3d: false }, known.system.dimension) as [number, number];
        return [toPixel(axes.x, u < 0 ? t : state[u]!), toPixel(axes.y, state[v]!)];
      }).map((mark) => ({ ...mark, clip: plotArea(axes) })),
      ...this.#hoveredMarks(known, axes),
    ]);
  }

  #sketchMarks({ system, settings }: Known, axes: Axes): Mark[] {
    const traced = this.#sketched;
    if (traced === null) return [];
    const n = system.dimension, pair = axesOf({ ...settings, is3d: false }, n);
    return traced.starts.map((_, k): Mark => ({
      kind: "line",
      points: onScreen(projected(trajectoryOf(traced, k, n), n, pair), axes),
      color: this.theme.text,
      width: 1.8,
      clip: plotArea(axes),
    }));
  }

  #selectedMarks({ system, settings, traced }: Known, axes: Axes): Mark[] {
    const k = this.#selected;
    if (k === null || traced === null || traced.starts[k] === undefined) return [];
    const n = system.dimension, pair = axesOf({ ...settings, is3d: false }, n);
    return [{
      kind: "line",
      points: onScreen(projected(trajectoryOf(traced, k, n), n, pair), axes),
      color: this.theme.trajectories[k % this.theme.trajectories.length]!,
      width: 3.4,
      clip: plotArea(axes),
    }];
  }

  #hoveredMarks({ found, system, settings }: Known, axes: Axes): Mark[] {
    const one = this.#hovered === null ? undefined : found.equilibria?.[this.#hovered];
    if (one === undefined || system.dimension > 2) return [];
    const [u, v] = axesOf({ ...settings, is3d: false }, system.dimension) as [number, number];
    const x = u < 0 ? axes.x.from : toPixel(axes.x, one.point[u]!), y = toPixel(axes.y, one.point[v]!);
    return [
      {
        kind: "circle",
        x,
        y,
        radius: 11,
        fill: "transparent",
        stroke: this.theme.cycle,
        strokeWidth: 2.5,
        clip: plotArea(axes),
      },
    ];
  }

  /** A point on each trajectory at the clock's time, with a tail of a twentieth of the time. */
  #movers({ traced, system }: Known, place: (state: Float64Array, t: number) => [number, number]): Mark[] {
    if (traced === null || !this.#player.isUsed) return [];
    const n = system.dimension, t = this.#player.t, [from, to] = this.#times(), tail = (to - from) / 20;
    const state = new Float64Array(n), { theme } = this;
    return traced.starts.flatMap((_, k): Mark[] => {
      const one = trajectoryOf(traced, k, n), color = theme.trajectories[k % theme.trajectories.length]!;
      if (!stateAt(one, t, state)) return [];
      const points: number[] = [];
      const head = place(state, t);
      for (let row = firstAfter(one.times, t - tail); row < one.times.length && one.times[row]! < t; row++) {
        points.push(...place(one.states.subarray(row * n, row * n + n), one.times[row]!));
      }
      points.push(...head);
      return [
        { kind: "line", points: Float64Array.from(points), color, width: 4, opacity: 0.55 },
        {
          kind: "circle",
          x: head[0],
          y: head[1],
          radius: 5,
          fill: color,
          stroke: theme.background,
          strokeWidth: 1.5,
        },
      ];
    });
  }

  #timeMoved(t: number): void {
    this.#series.at(t);
    if (this.#reading.system?.autonomous === false) {
      this.#look(true);
      this.#draw();
    } else this.#drawOver();
  }

  #select(index: number | null): void {
    this.#selected = index;
    this.#showTraced();
    this.#draw();
  }

  #setRanges(ranges: readonly [Range, Range]): void {
    const known = this.#known();
    if (known === null) return;
    const axes = axesOf({ ...this.#settings, is3d: false }, known.system.dimension);
    const view = Object.fromEntries(axes.map((axis, k) => [axisName(axis, known), ranges[k]!]));
    this.#change({ view: { ...this.#settings.view, ...tidyRanges(view) } }, "view");
  }

  /** Ranges that hold all trajectories, of these states or of those drawn. */
  fit(names: readonly string[] | null = null): void {
    const known = this.#known();
    this.#mustFit = [];
    if (known === null || this.#traced === null || this.#traced.times.length === 0) return;
    const axes = axesOf(this.#settings, known.system.dimension).filter((axis) => axis >= 0);
    const wanted = axes.filter((axis) => names === null || names.includes(known.system.states[axis]!));
    const view = Object.fromEntries(wanted.map((axis) => [known.system.states[axis]!, this.#box[axis]!]));
    this.#change({ view: { ...this.#settings.view, ...view } }, "view");
  }

  #home_(): void {
    this.#space.reset();
    const { [this.#settings.independent]: _, ...view } = { ...this.#settings.view, ...this.#home.view };
    this.#change({ view }, "view");
  }

  /** The state at a point of the plane; what is not drawn is as in the first start. */
  #stateAt(point: Point): number[] {
    const { system } = this.#reading, n = system!.dimension;
    const state = [...(startsOf(this.#settings, system!)[0] ?? new Array<number>(n).fill(0))];
    axesOf({ ...this.#settings, is3d: false }, n).forEach((axis, k) => {
      if (axis >= 0) state[axis] = Number(point[k]!.toPrecision(5));
    });
    return state;
  }

  #grab(point: Point, start: number | null): void {
    if (this.#reading.system === null) return;
    this.#grabbed = { start, point };
    byId("tip").hidden = true;
    if (start === null) this.#sketchFrom(point);
  }

  #drag(point: Point): void {
    if (this.#grabbed === null) return;
    const { start } = this.#grabbed;
    if (start === null) this.#sketchFrom(point);
    else this.#moveStart(start, point, true);
  }

  #drop(point: Point): void {
    const grabbed = this.#grabbed;
    this.#letGo();
    if (grabbed === null) return;
    if (grabbed.start !== null) {
      const isSame = point[0] === grabbed.point[0] && point[1] === grabbed.point[1];
      return isSame
        ? this.#select(grabbed.start === this.#selected ? null : grabbed.start)
        : this.#moveStart(grabbed.start, point, false);
    }
    const starts = [...startsOf(this.#settings, this.#reading.system!), this.#stateAt(point)];
    const isOneWay = this.#settings.direction !== "both" && !this.#hadDirection;
    this.#change({ starts, ...(isOneWay ? { direction: "both" as const } : {}) }, "solve");
    // That was the click's doing and no wish about the direction.
    if (isOneWay) this.#hadDirection = false;
  }

  #letGo(): void {
    this.#grabbed = null;
    this.#sketched = null;
    this.#drawOver();
  }

  #moveStart(index: number, point: Point, isDraft: boolean): void {
    const old = startsOf(this.#settings, this.#reading.system!), moved = [...old[index]!];
    axesOf({ ...this.#settings, is3d: false }, moved.length).forEach((axis, k) => {
      if (axis >= 0) moved[axis] = Number(point[k]!.toPrecision(5));
    });
    this.#change({ starts: old.map((row, k) => k === index ? moved : row) }, "solve", isDraft);
  }

  #sketchFrom(point: Point): void {
    const { system } = this.#reading;
    if (system === null) return;
    const problem = {
      ...problemOf(this.#settings, system, 0),
      starts: [this.#stateAt(point)],
      direction: "both" as const,
    };
    this.#solver.sketch(problem, this.#plane.pixels).then((traced) => {
      if (this.#grabbed === null) return;
      this.#sketched = traced;
      this.#drawOver();
    }, () => undefined);
  }

  #hover(place: Place | null, point: Point | null): void {
    const known = this.#known(), axes = this.#plane.axes();
    const tip = byId("tip");
    if (place === null || point === null || known === null || axes === null) {
      tip.hidden = true;
      this.#hint(null);
      return this.#setHovered(null);
    }
    this.#hint(point);
    const at = this.#equilibriumNear(place, known, axes);
    this.#setHovered(at);
    const words = at === null
      ? this.#trajectoryTip(place, known, axes)
      : equilibriumTip(known.found.equilibria![at]!, known.system.states);
    tip.hidden = words === null;
    if (words === null) return;
    tip.replaceChildren(...words);
    const { clientWidth: width, clientHeight: height } = byId("plane");
    tip.style.left = `${Math.min(place.x + 14, width - tip.offsetWidth - 6)}px`;
    tip.style.top = `${
      place.y + 18 + tip.offsetHeight > height ? place.y - tip.offsetHeight - 10 : place.y + 18
    }px`;
  }

  #equilibriumNear(place: Place, { found, system, settings }: Known, axes: Axes): number | null {
    const [u, v] = axesOf({ ...settings, is3d: false }, system.dimension) as [number, number];
    if (!settings.show.equilibria) return null;
    const index = (found.equilibria ?? []).findIndex(({ point }) =>
      Math.hypot(
        (u < 0 ? axes.x.from : toPixel(axes.x, point[u]!)) - place.x,
        toPixel(axes.y, point[v]!) - place.y,
      ) < NEAR_PX
    );
    return index < 0 ? null : index;
  }

  /** The values of the trajectory under the pointer. */
  #trajectoryTip(place: Place, { traced, system, settings }: Known, axes: Axes): Node[] | null {
    if (traced === null) return null;
    const n = system.dimension, [u, v] = axesOf({ ...settings, is3d: false }, n) as [number, number];
    let best = -1, least = NEAR_PX ** 2;
    for (let row = 0; row < traced.times.length; row++) {
      const x = toPixel(axes.x, u < 0 ? traced.times[row]! : traced.states[row * n + u]!) - place.x;
      if (x * x > least) continue;
      const y = toPixel(axes.y, traced.states[row * n + v]!) - place.y, distance = x * x + y * y;
      if (distance < least) [best, least] = [row, distance];
    }
    if (best < 0) return null;
    const state = traced.states.subarray(best * n, best * n + n);
    return [
      element(
        "span",
        { class: "mono" },
        `${settings.independent} = ${shortNumber(traced.times[best]!)}\n${pointText(state, system.states)}`,
      ),
    ];
  }

  #setHovered(index: number | null): void {
    if (index === this.#hovered) return;
    this.#hovered = index;
    [...byId("equilibria").children].forEach((row, k) => row.toggleAttribute("data-on", k === index));
    this.#drawOver();
  }

  #hoverEquilibrium(index: number | null): void {
    this.#setHovered(index);
  }

  #hint(point: Point | null): void {
    const known = this.#known();
    if (known === null) return;
    if (point === null || this.#is3d()) {
      byId("hint").textContent = this.#is3d()
        ? "Drag to turn, wheel or pinch to come nearer; the arrow keys turn too."
        : "Click to start a trajectory, drag a start to move it. Shift-drag or two fingers pan; the wheel zooms.";
      return;
    }
    const axes = axesOf({ ...this.#settings, is3d: false }, known.system.dimension);
    byId("hint").textContent = axes.map((axis, k) =>
      `${primed(axisName(axis, known))} = ${shortNumber(point[k]!)}`
    ).join("   ");
  }

  #showAxes(): void {
    const known = this.#known();
    const n = known?.system.dimension ?? 0;
    byId<HTMLButtonElement>("to-3d").disabled = n < 3;
    byId("to-2d").setAttribute("aria-checked", String(!this.#is3d()));
    byId("to-3d").setAttribute("aria-checked", String(this.#is3d()));
    if (known === null) return;
    const axes = axesOf(this.#settings, n), is3d = this.#is3d();
    byId("axis-2-label").hidden = !is3d;
    for (const select of [0, 1, 2].map((k) => byId<HTMLSelectElement>(`axis-${k}`))) {
      select.replaceChildren(
        ...known.system.states.map((name, axis) => element("option", { value: String(axis) }, primed(name))),
      );
      if (n === 1) select.prepend(element("option", { value: "-1" }, this.#settings.independent));
    }
    axes.forEach((axis, k) => byId<HTMLSelectElement>(`axis-${k}`).value = String(axis));
    byId("axis-0").parentElement!.parentElement!.hidden = n < 2;
    for (const layer of ["nullclines", "separatrices", "cycles"]) {
      document.querySelector<HTMLElement>(`[data-layer="${layer}"]`)!.hidden = n !== 2;
    }
    document.querySelector<HTMLElement>('[data-layer="field"]')!.hidden = n > 2;
    this.#hint(null);
  }

  #setAxes(): void {
    const n = this.#reading.system?.dimension ?? 0;
    const chosen = [0, 1, 2].slice(0, this.#is3d() ? 3 : 2).map((k) =>
      Number(byId<HTMLSelectElement>(`axis-${k}`).value)
    );
    const old = axesOf(this.#settings, n);
    // The axis that held what another now takes gets what that one had.
    const changed = chosen.findIndex((axis, k) => axis !== old[k]);
    const twin = chosen.findIndex((axis, k) => k !== changed && axis === chosen[changed]);
    if (twin >= 0) chosen[twin] = old[changed]!;
    this.#settings = { ...this.#settings, axes: chosen };
    this.#viewChanged();
  }

  #viewChanged(): void {
    this.#openRanges();
    this.#showAxes();
    this.#change({}, "view");
    this.#showSeries();
  }

  #listen(): void {
    const box = byId("plane");
    const gestures = (): Gestures => this.#is3d() ? this.#space : this.#plane;
    listenToPointers(box, {
      press: (place, event) => gestures().press(place, event),
      drag: (place, event) => gestures().drag(place, event),
      release: (place, moved) => gestures().release(place, moved),
      abandon: () => gestures().abandon(),
      pan: (dx, dy) => gestures().pan(dx, dy),
      zoom: (factor, about) => gestures().zoom(factor, about),
      hover: (place) => gestures().hover(place),
    });
    box.addEventListener("keydown", (event) => this.#key(event));
    const click = (id: string, act: () => void) => byId(id).addEventListener("click", act);
    click("zoom-in", () => this.#zoomBy(1.4));
    click("zoom-out", () => this.#zoomBy(1 / 1.4));
    click("fit", () => this.fit());
    click("home", () => this.#home_());
    click("to-2d", () => this.#set3d(false));
    click("to-3d", () => this.#set3d(true));
    for (const k of [0, 1, 2]) byId(`axis-${k}`).addEventListener("change", () => this.#setAxes());
    new ResizeObserver(() => {
      this.#plane.resized();
      this.#space.resized();
      this.#series.resized();
    }).observe(box);
    this.#dark.addEventListener("change", () => {
      this.#showTraced();
      this.#showFound();
      this.#draw();
    });
  }

  #set3d(is3d: boolean): void {
    this.#settings = { ...this.#settings, is3d };
    this.#viewChanged();
  }

  #zoomBy(factor: number): void {
    if (this.#is3d()) this.#space.zoom(factor);
    else this.#plane.zoomBy(factor);
  }

  #key(event: KeyboardEvent): void {
    const step = 40, view = this.#is3d() ? this.#space : this.#plane;
    const acts: Record<string, () => void> = {
      ArrowLeft: () => view.pan(step, 0),
      ArrowRight: () => view.pan(-step, 0),
      ArrowUp: () => view.pan(0, step),
      ArrowDown: () => view.pan(0, -step),
      "+": () => this.#zoomBy(1.25),
      "=": () => this.#zoomBy(1.25),
      "-": () => this.#zoomBy(0.8),
      "0": () => this.#home_(),
      f: () => this.fit(),
      " ": () => this.#player.toggle(),
    };
    const act = acts[event.key];
    if (act === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  }
}

function onScreen(points: Float64Array, axes: Axes): Float64Array {
  return points.map((value, at) => toPixel(at % 2 === 0 ? axes.x : axes.y, value));
}

/** What lies in both ranges; the first where that is nothing. */
function common(range: Range, other: Range | undefined): Range {
  const [low, high] = [
    Math.max(range[0], other?.[0] ?? -Infinity),
    Math.min(range[1], other?.[1] ?? Infinity),
  ];
  return low < high ? [low, high] : range;
}

/** As many digits as tell the ends apart, and two more. */
function tidyRanges(view: Record<string, Range>): Record<string, Range> {
  return Object.fromEntries(
    Object.entries(view).map(([name, [low, high]]) => {
      const digits = Math.max(0, Math.min(15, 4 - Math.floor(Math.log10(high - low))));
      return [name, [Number(low.toFixed(digits)), Number(high.toFixed(digits))]];
    }),
  );
}

/** The rows of a job's result as lines. */
function tracedFrom({ times, trajectories, meta }: Result, n: number): Traced {
  const rows = trajectories!.map((one) => one.length), offsets = new Int32Array(rows.length + 1);
  rows.forEach((count, k) => offsets[k + 1] = offsets[k]! + count);
  const total = offsets.at(-1)!, allTimes = new Float64Array(total), states = new Float64Array(total * n);
  trajectories!.forEach((one, k) => {
    const first = meta.ic_status[k]?.first_row ?? 0;
    one.forEach((row, index) => {
      allTimes[offsets[k]! + index] = times![first + index]!;
      states.set(row, (offsets[k]! + index) * n);
    });
  });
  const starts = meta.ic_status.map(({ status, message, t_stop: tStop }, k) => ({
    status,
    message,
    tStop,
    methodUsed: meta.method_used,
    stiffAt: null,
    steps: k === 0 ? meta.stats.steps : 0,
  }));
  return { times: allTimes, states, offsets, starts, tookMs: meta.stats.wall_ms };
}
