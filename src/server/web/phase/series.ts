import { type Axes, drawAxes, plotArea, toPixel, toValue } from "../../../tasks/phase_portrait/draw/axes.ts";
import { paintMarks } from "../../../tasks/phase_portrait/draw/canvas.ts";
import type { Mark, Theme } from "../../../tasks/phase_portrait/draw/scene.ts";
import { byId, element } from "../element.ts";
import { overTime, stateAt, type Trajectory } from "./lines.ts";
import { primed, shortNumber } from "./numbers.ts";
import type { Range } from "./settings.ts";
import { Frame, Surface } from "./surface.ts";

/** What the plots over time show. */
export interface SeriesContent {
  readonly states: readonly string[];
  /** Which states have a plot. */
  readonly shown: readonly number[];
  readonly ranges: readonly Range[];
  readonly independent: string;
  readonly times: Range;
  readonly trajectories: readonly Trajectory[];
  readonly selected: number | null;
  readonly theme: Theme;
}

interface Plot {
  readonly surface: Surface;
  readonly still: HTMLCanvasElement;
  isOld: boolean;
}

const LINES_MOST = 60;
const MARGIN = { left: 70, right: 12, top: 8, bottom: 22 };

/** One small plot over time for each state drawn, with a line at the time that the animation shows. */
export class Series {
  readonly #box = byId("series");
  readonly #frame = new Frame(() => this.#paint());
  readonly #onTime: (t: number) => void;
  #content: SeriesContent | null = null;
  #t = 0;
  #plots: Plot[] = [];

  constructor(onTime: (t: number) => void) {
    this.#onTime = onTime;
  }

  show(content: SeriesContent): void {
    this.#content = content;
    if (this.#plots.length !== content.shown.length) this.#build(content.shown.length);
    for (const plot of this.#plots) plot.isOld = true;
    this.#frame.ask();
  }

  /** Moves the line of the time. */
  at(t: number): void {
    this.#t = t;
    this.#frame.ask();
  }

  resized(): void {
    for (const plot of this.#plots) {
      plot.surface.resized();
      plot.isOld = true;
    }
    this.#frame.ask();
  }

  #build(count: number): void {
    this.#plots = Array.from({ length: count }, () => {
      const canvas = element("canvas", { role: "img" });
      const move = (event: PointerEvent) => this.#moveTo(event, canvas);
      canvas.addEventListener("pointermove", (event) => {
        if (event.buttons === 1) move(event);
      });
      canvas.addEventListener("pointerdown", (event) => {
        canvas.setPointerCapture(event.pointerId);
        move(event);
      });
      return { surface: new Surface(canvas), still: document.createElement("canvas"), isOld: true };
    });
    this.#box.replaceChildren(...this.#plots.map(({ surface }) => surface.canvas));
  }

  #moveTo(event: PointerEvent, canvas: HTMLCanvasElement): void {
    if (this.#content === null) return;
    const axes = this.#axesOf(0, canvas.clientWidth, canvas.clientHeight);
    const t = toValue(axes.x, event.clientX - canvas.getBoundingClientRect().left);
    const [from, to] = this.#content.times;
    this.#onTime(Math.min(to, Math.max(from, t)));
  }

  #axesOf(plot: number, width: number, height: number): Axes {
    const { times, ranges, states, shown } = this.#content!;
    const range = ranges[plot] ?? [-1, 1];
    return {
      x: { low: times[0], high: times[1], from: MARGIN.left, to: width - MARGIN.right },
      y: { low: range[0], high: range[1], from: height - MARGIN.bottom, to: MARGIN.top },
      xName: "",
      yName: primed(states[shown[plot]!] ?? ""),
    };
  }

  #paint(): void {
    if (this.#content === null) return;
    this.#plots.forEach((plot, index) => {
      const { surface } = plot;
      if (surface.fit()) plot.isOld = true;
      if (surface.width === 0) return;
      const axes = this.#axesOf(index, surface.width, surface.height);
      if (plot.isOld) this.#paintStill(plot, index, axes);
      const painter = surface.clear();
      painter.setTransform(1, 0, 0, 1, 0, 0);
      painter.drawImage(plot.still, 0, 0);
      painter.setTransform(surface.ratio, 0, 0, surface.ratio, 0, 0);
      paintMarks(painter, this.#cursor(index, axes));
    });
  }

  /** The lines change seldom, the time at every frame of an animation: the lines are kept as an image. */
  #paintStill(plot: Plot, index: number, axes: Axes): void {
    const { surface } = plot, { still } = plot;
    [still.width, still.height] = [surface.canvas.width, surface.canvas.height];
    const painter = still.getContext("2d")!, { theme, states, shown } = this.#content!;
    painter.setTransform(surface.ratio, 0, 0, surface.ratio, 0, 0);
    painter.fillStyle = theme.background;
    painter.fillRect(0, 0, surface.width, surface.height);
    paintMarks(painter, [...drawAxes(axes, theme), ...this.#lines(index, axes)]);
    surface.canvas.setAttribute("aria-label", `${states[shown[index]!]} over time`);
    plot.isOld = false;
  }

  #lines(plot: number, axes: Axes): Mark[] {
    const { trajectories, states, shown, selected, theme } = this.#content!;
    const n = states.length, state = shown[plot]!, clip = plotArea(axes);
    const marks = trajectories.slice(0, LINES_MOST).map((trajectory, k): Mark => {
      return {
        kind: "line",
        points: overTime(
          trajectory,
          n,
          state,
          (t) => toPixel(axes.x, t),
          (value) => toPixel(axes.y, value),
        ),
        color: theme.trajectories[k % theme.trajectories.length]!,
        width: k === selected ? 2.4 : 1.3,
        opacity: selected === null || k === selected ? 0.95 : 0.25,
        clip,
      };
    });
    return selected === null || marks[selected] === undefined ? marks : [...marks, marks[selected]!];
  }

  #cursor(plot: number, axes: Axes): Mark[] {
    const { times, theme, trajectories, states, selected, shown } = this.#content!;
    if (this.#t < times[0] || this.#t > times[1]) return [];
    const clip = plotArea(axes), x = toPixel(axes.x, this.#t);
    const marks: Mark[] = [
      {
        kind: "line",
        points: Float64Array.of(x, clip.y, x, clip.y + clip.height),
        color: theme.muted,
        width: 1,
      },
    ];
    const k = selected ?? 0, one = trajectories[k], state = new Float64Array(states.length);
    if (one === undefined || !stateAt(one, this.#t, state)) return marks;
    const value = state[shown[plot]!]!, y = toPixel(axes.y, value), isRight = x > clip.x + clip.width - 90;
    return [
      ...marks,
      { kind: "circle", x, y, radius: 3.5, fill: theme.trajectories[k % theme.trajectories.length]!, clip },
      {
        kind: "text",
        x: x + (isRight ? -7 : 7),
        y: Math.min(clip.y + clip.height - 4, Math.max(clip.y + 12, y - 6)),
        text: shortNumber(value),
        size: 12,
        color: theme.text,
        anchor: isRight ? "end" : "start",
      },
    ];
  }
}
