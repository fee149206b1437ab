import type { Axes } from "../../../tasks/phase_portrait/draw/axes.ts";
import { DARK, LIGHT, type Theme } from "../../../tasks/phase_portrait/draw/scene.ts";
import { copyAs, type DialectName, unwrapSolve } from "../../../tasks/phase_portrait/language/mod.ts";
import { byId } from "../element.ts";
import { chosenAxes, showAxesBar } from "./axes_bar.ts";
import { Controls, type Topic } from "./controls.ts";
import { Editor } from "./editor.ts";
import { Facts } from "./facts.ts";
import { Findings } from "./findings.ts";
import type { Result } from "./jobs.ts";
import { Legend } from "./legend.ts";
import { Model } from "./model.ts";
import { readNumber } from "./numbers.ts";
import { marksOver, moverMarks, type Moving } from "./over.ts";
import { axesOf, type Known, legendOf, portraitOf, spaceOf } from "./picture.ts";
import { Plane, type Point } from "./plane.ts";
import { Player } from "./player.ts";
import { equilibriumNear, showHint, showTip } from "./pointed.ts";
import type { Place } from "./pointer.ts";
import { startsOf } from "./problem.ts";
import { tracedFrom } from "./result_lines.ts";
import { Series } from "./series.ts";
import type { Range, RequestDocument, Settings } from "./settings.ts";
import { Solution } from "./solution.ts";
import type { Solver } from "./solver.ts";
import { Space } from "./space.ts";
import { StartHand } from "./start_hand.ts";
import { listenToSteering } from "./steering.ts";
import { fittedView, movedView } from "./views.ts";

export interface StudioHandlers {
  /** The settings are others than before: what an address or a file would hold. */
  changed(settings: Settings): void;
}

/** Lists are made anew no more often while something is dragged. */
const LIST_EVERY_MS = 120;

/** The page's one picture: settings in, solving in workers, drawing, and what hands do on it. */
export class Studio {
  readonly #handlers: StudioHandlers;
  readonly #model: Model;
  readonly #editor: Editor;
  readonly #controls: Controls;
  readonly #plane: Plane;
  readonly #space: Space;
  readonly #player: Player;
  readonly #series: Series;
  readonly #facts: Facts;
  readonly #solution: Solution;
  readonly #hand: StartHand;
  readonly #legend = new Legend();
  readonly #dark = matchMedia("(prefers-color-scheme: dark)");
  #selected: number | null = null;
  #hovered: number | null = null;
  #isFirst = true;
  #listedMs = 0;
  /** States whose ranges come from the trajectories once these are known. */
  #mustFit: readonly string[] = [];
  #shownFor: { readonly states: readonly string[]; readonly parameters: readonly string[] } = {
    states: [],
    parameters: [],
  };

  constructor(solver: Solver, document: RequestDocument, handlers: StudioHandlers) {
    this.#handlers = handlers;
    this.#model = new Model(document);
    this.#editor = new Editor((text) => this.#setTyped(text));
    this.#controls = new Controls(
      this.settings,
      (patch, topic, isDraft) => this.#change(patch, topic, isDraft),
    );
    const findings = new Findings({
      point: (index) => this.#setHovered(index),
      select: (index) => this.#select(index),
      remove: (index) =>
        this.#change({ starts: this.settings.starts.filter((_, k) => k !== index) }, "solve"),
    });
    this.#hand = this.#makeHand(solver);
    this.#plane = this.#makePlane();
    this.#space = new Space(this.theme, () => this.#drawn());
    this.#player = new Player((t) => this.#timeMoved(t));
    this.#series = new Series((t) => this.#player.to(t));
    this.#facts = new Facts(this.#editor, findings, this.#series, this.#player);
    this.#solution = new Solution(this.#model, solver, {
      pixels: () => this.#plane.pixels,
      fieldTime: () => this.#fieldTime(),
      traced: (isDraft) => this.#hearTraced(isDraft),
      found: (isDraft) => this.#hearFound(isDraft),
    });
    this.#listen();
    this.#start();
  }

  get settings(): Settings {
    return this.#model.settings;
  }

  get theme(): Theme {
    return this.#dark.matches ? DARK : LIGHT;
  }

  /** Null while the equations cannot be read. */
  get states(): readonly string[] | null {
    return this.#model.system?.states ?? null;
  }

  /** The picture as a scene, for a file. */
  scene(theme: Theme) {
    return this.#model.is3d ? this.#space.export(theme) : this.#plane.export(theme);
  }

  /** The equations for another program, with the parameters' values where that has a place for them. */
  copyAs(dialect: DialectName): string {
    const { system } = this.#model;
    if (system === null) throw new Error("Cannot copy the equations as they cannot be read");
    return copyAs(
      system.equations,
      dialect,
      system.parameters.map((name) => this.settings.parameters[name] ?? 1),
    );
  }

  /** Shows another request; with a result, its trajectories as the job solved them. */
  load(document: unknown, result: Result | null = null): void {
    this.#model.load(document);
    this.#hand.hadDirection = false;
    this.#selected = null;
    this.#player.isUsed = false;
    this.#start(result);
  }

  togglePlay(): void {
    this.#player.toggle();
  }

  /** Ranges that hold all trajectories, of these states or of those drawn. */
  fit(names: readonly string[] | null = null): void {
    this.#mustFit = [];
    const view = fittedView(this.#known(), names);
    if (view !== null) this.#change({ view }, "view");
  }

  #makeHand(solver: Solver): StartHand {
    return new StartHand({
      solver,
      settings: () => this.settings,
      system: () => this.#model.system,
      pixels: () => this.#plane.pixels,
      change: (patch, isDraft) => this.#change(patch, "solve", isDraft),
      press: (start) => this.#select(start === this.#selected ? null : start),
      sketched: () => this.#drawOver(),
    });
  }

  #makePlane(): Plane {
    return new Plane(this.theme, {
      ranges: (x, y) => this.#setRanges([x, y]),
      grab: (point, start) => this.#hand.grab(point, start),
      move: (point) => this.#hand.drag(point),
      drop: (point) => this.#hand.drop(point),
      abandon: () => this.#hand.letGo(),
      hover: (place, point) => this.#hover(place, point),
      drawn: () => this.#drawn(),
    });
  }

  #start(result: Result | null = null): void {
    this.#editor.text = this.settings.equations;
    this.#solution.clear();
    this.#showReading();
    const { system } = this.#model;
    if (system === null) return this.#draw();
    this.#openRanges();
    const traced = tracedFrom(result, system.dimension);
    if (traced !== null) {
      this.#solution.take(traced, system);
      this.#solution.look(false);
      this.#showTraced();
    } else {
      if (this.#isFirst) this.#solution.traceHere(system);
      this.#solution.solve(false);
    }
    this.#draw();
    if (this.#isFirst && !this.#model.is3d) this.#plane.flush();
  }

  /** A pasted call of NDSolve leaves its equations, and its times where they are numbers. */
  #setTyped(typed: string): void {
    const pasted = unwrapSolve(typed);
    if (pasted === null) return this.#setEquations(typed);
    const { equations, independent, span } = pasted;
    const [from, to] = (span ?? []).map(readNumber);
    this.#model.change({
      independent: independent ?? this.settings.independent,
      ...(from != null && to != null && from < to ? { timespan: [from, to] as const } : {}),
    });
    this.#editor.text = equations;
    this.#setEquations(equations);
  }

  #setEquations(text: string): void {
    const { states } = this.#shownFor;
    this.#model.setEquations(text);
    const { system } = this.#model;
    if (system !== null && system.states.join() !== states.join()) this.#statesChanged(system.dimension);
    this.#showReading();
    this.#handlers.changed(this.settings);
    if (system !== null) this.#solution.solve(false);
  }

  /** Other states need other starts; what was found about the old ones is gone. */
  #statesChanged(n: number): void {
    this.#solution.clear();
    this.#selected = null;
    this.#model.change({ starts: this.settings.starts.filter((row) => row.length === n), axes: [] });
    this.#openRanges();
  }

  /** Axes that have no range get the usual one, and that of their trajectories later. */
  #openRanges(): void {
    const open = this.#model.openRanges(), { system } = this.#model;
    if (system === null) return;
    const canFit = !this.#isFirst && startsOf(this.settings, system).length > 0;
    this.#mustFit = canFit ? open : [];
  }

  #change(patch: Partial<Settings>, topic: Topic, isDraft = false): void {
    if (patch.direction !== undefined) this.#hand.hadDirection = true;
    this.#model.change(patch);
    if (topic === "view") this.#solution.rest();
    if (topic === "solve" || topic === "parameters") {
      this.#solution.solve(isDraft, topic === "solve" && isDraft);
    }
    if (topic === "layers") this.#solution.look(false);
    if (!isDraft || topic !== "solve" || this.#isTimeForLists()) this.#showControls();
    // The lines that are under way will be drawn with all of this.
    if (!isDraft || topic === "draw") this.#draw();
    this.#handlers.changed(this.settings);
  }

  #isTimeForLists(): boolean {
    const now = performance.now(), isTime = now - this.#listedMs > LIST_EVERY_MS;
    if (isTime) this.#listedMs = now;
    return isTime;
  }

  #showReading(): void {
    this.#facts.showReading(this.#model);
    this.#showControls();
    this.#showAxes();
  }

  #showControls(): void {
    const { system } = this.#model;
    // While the text cannot be read, the fields stay as they were for the last one that could.
    if (system !== null) this.#shownFor = { states: system.states, parameters: system.parameters };
    this.#controls.show(this.settings, this.#shownFor.states, this.#shownFor.parameters);
    byId("stale").hidden = system !== null || this.#solution.traced === null;
  }

  #hearTraced(isDraft: boolean): void {
    if (this.#mustFit.length > 0) this.fit(this.#mustFit);
    // What stands beside the picture waits until the hand rests.
    if (!isDraft) this.#showTraced();
    this.#draw();
  }

  #hearFound(isDraft: boolean): void {
    if (!isDraft || this.#isTimeForLists()) this.#showFound();
    // While something is dragged the next lines are under way, and bring this with them.
    if (!isDraft || !this.#solution.isTracing) this.#draw();
  }

  #showTraced(): void {
    const known = this.#known();
    if (known !== null && known.traced !== null) this.#facts.showTraced(known, known.traced, this.theme);
  }

  #showFound(): void {
    const known = this.#known();
    if (known !== null) this.#facts.showFound(known, this.theme);
  }

  #fieldTime(): number {
    const isMoving = this.#model.system?.autonomous === false && this.#player.isUsed;
    return isMoving ? this.#player.t : this.settings.timespan[0];
  }

  #known(): Known | null {
    const { system, settings, times } = this.#model, { traced, found, box } = this.#solution;
    if (system === null) return null;
    return {
      settings,
      system,
      traced,
      found,
      box,
      times,
      fieldTime: this.#fieldTime(),
      selected: this.#selected,
    };
  }

  #draw(): void {
    const known = this.#known(), { is3d } = this.#model;
    if (known === null) return;
    byId("plane").dataset.mode = is3d ? "3d" : "2d";
    if (is3d) {
      this.#legend.show([]);
      return this.#space.show(spaceOf(known, this.theme), this.theme);
    }
    this.#space.hide();
    const portrait = portraitOf(known), { settings, system } = known;
    this.#legend.show(legendOf(portrait, this.theme));
    const [u, v] = axesOf({ ...settings, is3d: false }, system.dimension) as [number, number];
    const handles = startsOf(settings, system).map((start): Point => [
      u < 0 ? settings.timespan[0] : start[u]!,
      start[v]!,
    ]);
    this.#plane.show(portrait, this.theme, handles);
    this.#drawOver();
  }

  #drawn(): void {
    if (this.#solution.traced === null) return;
    if (this.#isFirst) {
      this.#isFirst = false;
      performance.mark("first-portrait");
    }
    // For those who measure: which solution is seen from now on.
    dispatchEvent(new CustomEvent("portrait-drawn", { detail: this.#solution.count }));
  }

  #drawOver(): void {
    const known = this.#known();
    if (known === null) return;
    const moving = this.#moving();
    if (!this.#model.is3d) return this.#plane.overlay((axes) => marksOver(known, moving, axes));
    const shown = axesOf(known.settings, known.system.dimension);
    this.#space.overlay((place) =>
      moverMarks(known, moving, (state) => {
        const { x, y } = place(shown.map((axis) => state[axis]!));
        return [x, y];
      })
    );
  }

  #moving(): Moving {
    return {
      theme: this.theme,
      sketched: this.#hand.sketched,
      hovered: this.#hovered,
      clock: this.#player.isUsed ? this.#player.t : null,
    };
  }

  #timeMoved(t: number): void {
    this.#series.at(t);
    if (this.#model.system?.autonomous === false) {
      this.#solution.look(true);
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
    if (known !== null) this.#change({ view: movedView(known, ranges) }, "view");
  }

  #goHome(): void {
    this.#space.reset();
    const { [this.settings.independent]: _, ...view } = { ...this.settings.view, ...this.#model.home.view };
    this.#change({ view }, "view");
  }

  #hover(place: Place | null, point: Point | null): void {
    const known = this.#known(), axes: Axes | null = this.#plane.axes();
    if (place === null || point === null || known === null || axes === null) {
      byId("tip").hidden = true;
      this.#hint(null);
      return this.#setHovered(null);
    }
    this.#hint(point);
    const at = equilibriumNear(place, known, axes);
    this.#setHovered(at);
    showTip(place, known, axes, at);
  }

  #setHovered(index: number | null): void {
    if (index === this.#hovered) return;
    this.#hovered = index;
    [...byId("equilibria").children].forEach((row, k) => row.toggleAttribute("data-on", k === index));
    this.#drawOver();
  }

  #hint(point: Point | null): void {
    const known = this.#known();
    if (known !== null) showHint(point, known, this.#model.is3d);
  }

  #showAxes(): void {
    showAxesBar(this.#known(), this.#model.is3d);
    this.#hint(null);
  }

  #viewChanged(patch: Partial<Settings>): void {
    this.#model.change(patch);
    this.#openRanges();
    this.#showAxes();
    this.#change({}, "view");
    const known = this.#known();
    if (known !== null) this.#facts.showSeries(known, this.theme);
  }

  #listen(): void {
    const box = byId("plane");
    listenToSteering(box, {
      gestures: () => this.#model.is3d ? this.#space : this.#plane,
      zoomBy: (factor) => this.#zoomBy(factor),
      home: () => this.#goHome(),
      fit: () => this.fit(),
      play: () => this.#player.toggle(),
      set3d: (is3d) => this.#viewChanged({ is3d }),
      axes: () => this.#setAxes(),
    });
    new ResizeObserver(() => {
      for (const one of [this.#plane, this.#space, this.#series]) one.resized();
    }).observe(box);
    this.#dark.addEventListener("change", () => {
      this.#showTraced();
      this.#showFound();
      this.#draw();
    });
  }

  #setAxes(): void {
    const n = this.#model.system?.dimension ?? 0;
    this.#viewChanged({ axes: chosenAxes(this.settings, n, this.#model.is3d) });
  }

  #zoomBy(factor: number): void {
    if (this.#model.is3d) this.#space.zoom(factor);
    else this.#plane.zoomBy(factor);
  }
}
