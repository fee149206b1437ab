import { type Axes, plotArea, toPixel, toValue } from "../../../tasks/phase_portrait/draw/axes.ts";
import { paintMarks, paintScene } from "../../../tasks/phase_portrait/draw/canvas.ts";
import {
  drawLayers,
  drawPortrait,
  type Portrait,
  portraitAxes,
} from "../../../tasks/phase_portrait/draw/portrait.ts";
import type { Mark, Scene, Theme } from "../../../tasks/phase_portrait/draw/scene.ts";
import { byId } from "../element.ts";
import { DRAFT_LENGTH_PX, STILL_LENGTH_PX } from "./draft.ts";
import type { Gestures, Place } from "./pointer.ts";
import { QuickPortrait } from "./quick_portrait.ts";
import type { Range } from "./settings.ts";
import { Frame, Surface } from "./surface.ts";

/** What the plane tells of. Points are values of the two axes. */
export interface PlaneHandlers {
  /** The ranges that are seen have changed by hand. */
  ranges(x: Range, y: Range): void;
  /** A start is pressed on; its number, or null for a new one. */
  grab(point: Point, start: number | null): void;
  move(point: Point): void;
  drop(point: Point, isMoved: boolean): void;
  abandon(): void;
  hover(place: Place | null, point: Point | null): void;
  drawn(): void;
}

export type Point = readonly [number, number];

const GRAB_PX = 9;
const ZOOM_LEAST = 1e-12;
/** A picture moves when the one before it is not older. */
const MOVING_MS = 400;
/** Trajectories from which on a moving picture is painted in the quick way. */
const QUICK_FROM = 30;

/** Where initial conditions are drawn, by which they can be taken hold of. */
export type Handles = readonly Point[];

/** The portrait in two dimensions: paints it, and reads what hands do on it. */
export class Plane implements Gestures {
  readonly #picture = new Surface(byId<HTMLCanvasElement>("picture"));
  readonly #overlay = new Surface(byId<HTMLCanvasElement>("overlay"));
  readonly #frame = new Frame(() => this.#paint());
  readonly #overlayFrame = new Frame(() => this.#paintOverlay());
  readonly #handlers: PlaneHandlers;
  #portrait: Portrait | null = null;
  #theme: Theme;
  #handles: Handles = [];
  #marks: (axes: Axes) => Mark[] = () => [];
  readonly #quick = new QuickPortrait();
  #paintedMs = -Infinity;
  #restTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(theme: Theme, handlers: PlaneHandlers) {
    [this.#theme, this.#handlers] = [theme, handlers];
  }

  /** Shows another portrait from the next frame on. */
  show(portrait: Portrait, theme: Theme, handles: Handles): void {
    [this.#portrait, this.#theme, this.#handles] = [portrait, theme, handles];
    this.#frame.ask();
  }

  /** What lies over the portrait and changes often. */
  overlay(marks: (axes: Axes) => Mark[]): void {
    this.#marks = marks;
    this.#overlayFrame.ask();
  }

  /** Draws now, so that nothing is seen before it. */
  flush(): void {
    this.#frame.now();
  }

  resized(): void {
    this.#picture.resized();
    this.#overlay.resized();
    if (this.#portrait !== null) this.#frame.ask();
  }

  /** The length of the picture's diagonal. */
  get pixels(): number {
    this.#picture.fit();
    return Math.hypot(this.#picture.width, this.#picture.height) || 900;
  }

  /** The picture with title and legend, for a file. */
  export(theme: Theme): Scene | null {
    return this.#portrait === null ? null : drawPortrait(this.#portrait, theme);
  }

  axes(): Axes | null {
    const { width, height } = this.#picture;
    if (this.#portrait === null || width === 0) return null;
    return portraitAxes(this.#portrait, { width, height, bare: true });
  }

  pointAt({ x, y }: Place): Point | null {
    const axes = this.axes();
    return axes === null ? null : [toValue(axes.x, x), toValue(axes.y, y)];
  }

  press(place: Place): boolean {
    const axes = this.axes();
    if (axes === null || !isInside(axes, place)) return false;
    const near = this.#handles.findIndex(([x, y]) =>
      Math.hypot(toPixel(axes.x, x) - place.x, toPixel(axes.y, y) - place.y) < GRAB_PX
    );
    this.#handlers.grab(this.pointAt(place)!, near < 0 ? null : near);
    return true;
  }

  drag(place: Place): void {
    this.#handlers.move(this.pointAt(place)!);
  }

  release(place: Place, moved: boolean): void {
    this.#handlers.drop(this.pointAt(place)!, moved);
  }

  abandon(): void {
    this.#handlers.abandon();
  }

  pan(dx: number, dy: number): void {
    const axes = this.axes();
    if (axes === null) return;
    const shift = ({ low, high, from, to }: Axes["x"], pixels: number): Range => {
      const by = (pixels / (to - from)) * (high - low);
      return [low - by, high - by];
    };
    this.#handlers.ranges(shift(axes.x, dx), shift(axes.y, dy));
  }

  zoom(factor: number, about: Place): void {
    const axes = this.axes(), point = this.pointAt(about);
    if (axes === null || point === null) return;
    const scaled = ({ low, high }: Axes["x"], fixed: number): Range => [
      fixed - (fixed - low) / factor,
      fixed + (high - fixed) / factor,
    ];
    const [x, y] = [scaled(axes.x, point[0]), scaled(axes.y, point[1])];
    // Beyond that doubles cannot tell the ends apart.
    const isFine = [x, y].every(([low, high]) =>
      high - low > ZOOM_LEAST * Math.max(1, Math.abs(low), Math.abs(high)) && high - low < 1e12
    );
    if (isFine) this.#handlers.ranges(x, y);
  }

  /** Zooms about the middle. */
  zoomBy(factor: number): void {
    const axes = this.axes();
    if (axes === null) return;
    const { x, y, width, height } = plotArea(axes);
    this.zoom(factor, { x: x + width / 2, y: y + height / 2 });
  }

  hover(place: Place | null): void {
    const axes = this.axes();
    const isSeen = place !== null && axes !== null && isInside(axes, place);
    this.#handlers.hover(isSeen ? place : null, isSeen ? this.pointAt(place) : null);
  }

  #paint(): void {
    if (this.#portrait === null) return;
    this.#picture.fit();
    const { canvas, width, height, ratio } = this.#picture;
    if (width === 0) return;
    const isMoving = this.#isMoving(this.#portrait.trajectories?.length ?? 0);
    const lengthMost = isMoving ? DRAFT_LENGTH_PX : STILL_LENGTH_PX;
    const layers = drawLayers(this.#portrait, this.#theme, { width, height, bare: true, lengthMost });
    const painter = canvas.getContext("2d")!, { background } = this.#theme;
    const scene = (marks: readonly Mark[]) => ({ width, height, background, marks });
    if (isMoving) this.#quick.paint(painter, layers, scene, ratio);
    else paintScene(painter, scene([...layers.ground, ...layers.trajectories]), ratio);
    paintMarks(painter, layers.top);
    this.#handlers.drawn();
    this.#paintOverlay();
  }

  /** Pictures that follow each other fast are painted fast where they have much; the one that stays is painted well. */
  #isMoving(trajectories: number): boolean {
    clearTimeout(this.#restTimer);
    const now = performance.now(), isMoving = now - this.#paintedMs < MOVING_MS;
    this.#paintedMs = now;
    if (!isMoving || trajectories < QUICK_FROM) return false;
    this.#restTimer = setTimeout(() => {
      this.#paintedMs = -Infinity;
      this.#frame.ask();
    }, MOVING_MS);
    return true;
  }

  #paintOverlay(): void {
    const axes = this.axes();
    this.#overlay.fit();
    const painter = this.#overlay.clear();
    if (axes !== null) paintMarks(painter, this.#marks(axes));
  }
}

function isInside(axes: Axes, { x, y }: Place): boolean {
  const area = plotArea(axes);
  return x >= area.x && x <= area.x + area.width && y >= area.y && y <= area.y + area.height;
}
