import { tickValues } from "../../../tasks/phase_portrait/draw/axes.ts";
import { paintMarks, paintScene } from "../../../tasks/phase_portrait/draw/canvas.ts";
import type { Mark, Scene, Theme } from "../../../tasks/phase_portrait/draw/scene.ts";
import { byId, element } from "../element.ts";
import { CAMERA, type Camera, moved, Projection, type Vector } from "./camera.ts";
import { LinesGl } from "./lines_gl.ts";
import { primed } from "./numbers.ts";
import type { Gestures, Place } from "./pointer.ts";
import type { Range } from "./settings.ts";
import { Frame, Surface } from "./surface.ts";

/** A line in space: x, y, z of its points as values of the three axes. */
export interface SpaceLine {
  readonly points: Float64Array;
  readonly color: string;
  readonly width: number;
  readonly opacity: number;
}

/** What is drawn in three dimensions. */
export interface SpaceContent {
  readonly title: string;
  readonly names: readonly string[];
  readonly ranges: readonly Range[];
  readonly lines: readonly SpaceLine[];
  readonly points: readonly {
    readonly at: readonly number[];
    readonly fill: string;
    readonly title: string;
  }[];
}

/** Radians for each pixel of a drag. */
const SWING = 0.008;

/** The picture in three dimensions: an orbit camera about the box of the ranges. */
export class Space implements Gestures {
  readonly #back = new Surface(byId<HTMLCanvasElement>("picture"));
  readonly #front = new Surface(byId<HTMLCanvasElement>("overlay"));
  #lines: Surface | null = null;
  #gl: LinesGl | null = null;
  readonly #frame = new Frame(() => this.#paint());
  readonly #drawn: () => void;
  #content: SpaceContent | null = null;
  #loaded: SpaceContent | null = null;
  #theme: Theme;
  #camera: Camera = CAMERA;
  #over: (place: (point: readonly number[]) => Place) => Mark[] = () => [];
  #isShown = false;

  constructor(theme: Theme, drawn: () => void) {
    [this.#theme, this.#drawn] = [theme, drawn];
  }

  /** Made when first shown: a picture in the plane does not wait for the graphics card. */
  #start(): Surface {
    if (this.#lines !== null) return this.#lines;
    const canvas = element("canvas", { id: "lines" });
    byId("picture").after(canvas);
    this.#gl = LinesGl.on(canvas);
    return this.#lines = new Surface(canvas);
  }

  show(content: SpaceContent, theme: Theme): void {
    [this.#content, this.#theme, this.#isShown] = [content, theme, true];
    this.#start().canvas.hidden = false;
    this.#frame.ask();
  }

  hide(): void {
    if (!this.#isShown) return;
    this.#isShown = false;
    this.#start().canvas.hidden = true;
  }

  overlay(marks: (place: (point: readonly number[]) => Place) => Mark[]): void {
    this.#over = marks;
    if (this.#isShown) this.#frame.ask();
  }

  reset(): void {
    this.#camera = CAMERA;
    this.#frame.ask();
  }

  resized(): void {
    for (const surface of [this.#back, this.#lines, this.#front]) surface?.resized();
    if (this.#isShown) this.#frame.ask();
  }

  press(): boolean {
    return false;
  }

  drag(): void {}
  release(): void {}
  abandon(): void {}
  hover(): void {}

  pan(dx: number, dy: number): void {
    this.#move({ turn: -dx * SWING, rise: dy * SWING });
  }

  zoom(factor: number): void {
    this.#move({ nearer: factor });
  }

  /** The picture for a file: lines are real vectors, farther ones paler. */
  export(theme: Theme): Scene | null {
    if (this.#content === null) return null;
    const size = { width: 1000, height: 760 };
    const projection = new Projection(this.#camera, size.width, size.height);
    const title: Mark = {
      kind: "text",
      x: 24,
      y: 34,
      text: this.#content.title,
      size: 16,
      color: theme.text,
      anchor: "start",
      bold: true,
    };
    return {
      ...size,
      background: theme.background,
      marks: [
        ...this.#box(projection, theme),
        ...this.#lineMarks(projection),
        ...this.#dots(projection, theme),
        title,
      ],
    };
  }

  #move(by: Parameters<typeof moved>[1]): void {
    this.#camera = moved(this.#camera, by);
    this.#frame.ask();
  }

  #paint(): void {
    if (this.#content === null || !this.#isShown) return;
    for (const surface of [this.#back, this.#start(), this.#front]) surface.fit();
    const { width, height, ratio, canvas } = this.#back, theme = this.#theme;
    if (width === 0) return;
    const projection = new Projection(this.#camera, width, height);
    const lines = this.#gl === null ? this.#lineMarks(projection) : [];
    const marks = [...this.#box(projection, theme), ...lines];
    paintScene(canvas.getContext("2d")!, { width, height, background: theme.background, marks }, ratio);
    if (this.#gl !== null) this.#paintLines(this.#gl, projection);
    const place = (point: readonly number[]) => projection.place(this.#inBox(point));
    paintMarks(this.#front.clear(), [...this.#dots(projection, theme), ...this.#over(place)]);
    this.#drawn();
  }

  #paintLines(gl: LinesGl, projection: Projection): void {
    const content = this.#content!;
    if (this.#loaded !== content) {
      gl.load(boxed(content));
      this.#loaded = content;
    }
    let from = 0;
    const lines = content.lines.map(({ points, color, width, opacity }) => {
      const count = points.length / 3, range = { from, count, color, width, opacity };
      from += count;
      return range;
    });
    const { width, height, ratio } = this.#start();
    gl.draw(lines, {
      matrix: projection.matrix,
      width,
      height,
      ratio,
      distance: this.#camera.distance,
      ground: this.#theme.background,
    });
  }

  #inBox(point: readonly number[]): Vector {
    const { ranges } = this.#content!;
    const at = (k: number) => (2 * (point[k]! - ranges[k]![0])) / (ranges[k]![1] - ranges[k]![0]) - 1;
    return [at(0), at(1), at(2)];
  }

  /** Lines as marks, in pieces short enough to be shaded by their distance. */
  #lineMarks(projection: Projection): Mark[] {
    const marks: Mark[] = [];
    for (const { points, color, width, opacity } of this.#content!.lines) {
      const count = points.length / 3, piece = 24;
      for (let from = 0; from < count - 1; from += piece) {
        const to = Math.min(count, from + piece + 1), screen = new Float64Array(2 * (to - from));
        let away = 0;
        for (let row = from; row < to; row++) {
          const place = projection.place(
            this.#inBox([points[3 * row]!, points[3 * row + 1]!, points[3 * row + 2]!]),
          );
          screen[2 * (row - from)] = place.x;
          screen[2 * (row - from) + 1] = place.y;
          away = place.away;
        }
        const shade = Math.round(projection.shade(away) * opacity * 100) / 100;
        marks.push({ kind: "line", points: screen, color, width, opacity: shade });
      }
    }
    return marks;
  }

  #dots(projection: Projection, theme: Theme): Mark[] {
    return this.#content!.points.map(({ at, fill, title }): Mark => {
      const { x, y } = projection.place(this.#inBox(at));
      return { kind: "circle", x, y, radius: 4.5, fill, stroke: theme.text, strokeWidth: 1.6, title };
    });
  }

  /** The three faces of the box behind everything, with grid, ticks and names along their outer edges. */
  #box(projection: Projection, theme: Theme): Mark[] {
    const away = (point: Vector) => projection.place(point).away;
    const side = ([0, 1, 2] as const).map((k): number => {
      const [low, high] = [-1, 1].map((value) => away(unit(k, value)));
      return low! > high! ? -1 : 1;
    });
    const line = (a: Vector, b: Vector, color: string, width = 1): Mark => {
      const [from, to] = [projection.place(a), projection.place(b)];
      return { kind: "line", points: Float64Array.of(from.x, from.y, to.x, to.y), color, width };
    };
    const marks: Mark[] = [];
    for (const k of [0, 1, 2] as const) {
      const [i, j] = others(k);
      for (const value of [-1, 1]) {
        marks.push(line(at(k, side[k]!, i, value, j, -1), at(k, side[k]!, i, value, j, 1), theme.frame));
        marks.push(line(at(k, side[k]!, i, -1, j, value), at(k, side[k]!, i, 1, j, value), theme.frame));
      }
      marks.push(...this.#axis(k, side, projection, theme, line));
    }
    return marks;
  }

  #axis(
    k: 0 | 1 | 2,
    side: readonly number[],
    projection: Projection,
    theme: Theme,
    line: (a: Vector, b: Vector, color: string) => Mark,
  ): Mark[] {
    const { names, ranges } = this.#content!, [low, high] = ranges[k]!, [i, j] = others(k);
    const marks: Mark[] = [];
    const ticks = tickValues({ low, high, from: 0, to: 300 }, 75);
    // The edge that carries the words: on the floor's near rims for x and y, on an outer post for z.
    const [edgeI, edgeJ] = k === 2 ? this.#post(side, projection) : [-side[i]!, side[j]!];
    for (const { value, label } of ticks) {
      const v = (2 * (value - low)) / (high - low) - 1;
      marks.push(line(at(i, side[i]!, k, v, j, -1), at(i, side[i]!, k, v, j, 1), theme.grid));
      marks.push(line(at(j, side[j]!, k, v, i, -1), at(j, side[j]!, k, v, i, 1), theme.grid));
      marks.push(
        this.#word(
          projection,
          at(k, v, i, edgeI * 1.1, j, k === 2 ? edgeJ * 1.1 : edgeJ),
          label,
          11.5,
          theme.muted,
        ),
      );
    }
    const nameAt = at(k, k === 2 ? 0 : 0, i, edgeI * 1.3, j, k === 2 ? edgeJ * 1.3 : edgeJ);
    return [...marks, this.#word(projection, nameAt, primed(names[k] ?? ""), 14, theme.text)];
  }

  /** The upright edge that is outermost on the left. */
  #post(side: readonly number[], projection: Projection): [number, number] {
    const posts: [number, number][] = [[-side[0]!, side[1]!], [side[0]!, -side[1]!]];
    const [left, right] = posts.map(([x, y]) => projection.place([x, y, 0]).x);
    return left! < right! ? posts[0]! : posts[1]!;
  }

  #word(projection: Projection, point: Vector, text: string, size: number, color: string): Mark {
    const { x, y } = projection.place(point);
    return { kind: "text", x, y: y + size / 3, text, size, color, anchor: "middle" };
  }
}

function boxed({ lines, ranges }: SpaceContent): Float32Array {
  const total = lines.reduce((sum, { points }) => sum + points.length, 0), out = new Float32Array(total);
  let to = 0;
  for (const { points } of lines) {
    for (let at = 0; at < points.length; at++, to++) {
      const [low, high] = ranges[at % 3]!;
      out[to] = (2 * (points[at]! - low)) / (high - low) - 1;
    }
  }
  return out;
}

function others(k: 0 | 1 | 2): readonly [0 | 1 | 2, 0 | 1 | 2] {
  return k === 0 ? [1, 2] : k === 1 ? [0, 2] : [0, 1];
}

function unit(k: number, value: number): Vector {
  const point = [0, 0, 0];
  point[k] = value;
  return point as unknown as Vector;
}

function at(k: number, a: number, i: number, b: number, j: number, c: number): Vector {
  const point = [0, 0, 0];
  [point[k], point[i], point[j]] = [a, b, c];
  return point as unknown as Vector;
}
