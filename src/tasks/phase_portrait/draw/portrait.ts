import type { Equilibrium } from "../analyse/equilibria.ts";
import type { Polyline } from "../analyse/nullclines.ts";
import { type Axes, drawAxes, plotArea, toPixel } from "./axes.ts";
import type { Clip, Mark, Scene, Theme } from "./scene.ts";

/** A line through states, which the portrait shows by two of them. */
export interface Path {
  /** A state after the other. */
  readonly states: Float64Array;
}

/** What a portrait of two states shows; what is left out is not drawn. */
export interface Portrait {
  readonly title: string;
  /** Names of all states; a state's length. */
  readonly states: readonly string[];
  /** Which two states are drawn. */
  readonly axes: readonly [number, number];
  readonly low: readonly [number, number];
  readonly high: readonly [number, number];
  /** The field's two components at a place of the plane; null where it is not finite. */
  readonly field?: (x: number, y: number) => readonly [number, number] | null;
  readonly nullclines?: readonly { readonly name: string; readonly lines: readonly Polyline[] }[];
  /** The start of each is marked: its first row, or the one named. */
  readonly trajectories?: readonly (Path & { readonly startRow?: number })[];
  readonly separatrices?: readonly (Path & { readonly kind: "stable" | "unstable" })[];
  readonly cycles?: readonly (Path & { readonly stability: string })[];
  readonly equilibria?: readonly Pick<Equilibrium, "point" | "type" | "stability">[];
  /** How many arrows lie along the longer side, and their length as a share of the space between them. */
  readonly arrows?: { readonly perSide: number; readonly length: number };
  /** Said in small letters under the picture, as that the field holds at one time only. */
  readonly note?: string;
}

export interface PortraitSize {
  readonly width: number;
  readonly height: number;
  /** Without title and legend, for a page that shows both beside the picture. */
  readonly bare?: boolean;
  /** All trajectories together are so many pixels long at most, for pictures that are gone in a moment. */
  readonly lengthMost?: number;
}

const MARGIN = { left: 76, right: 24, top: 44, bottom: 58 } as const;
const BARE_MARGIN = { left: 70, right: 12, top: 12, bottom: 52 } as const;
const LEGEND_WIDTH = 210;
const ARROWS = { perSide: 24, length: 0.62 } as const;

/** The axes that a portrait of this size has. */
export function portraitAxes(
  { states, axes, low, high }: Pick<Portrait, "states" | "axes" | "low" | "high">,
  { width, height, bare = false }: PortraitSize,
): Axes {
  const margin = bare ? BARE_MARGIN : MARGIN, legend = bare ? 0 : LEGEND_WIDTH;
  return {
    x: { low: low[0], high: high[0], from: margin.left, to: width - margin.right - legend },
    y: { low: low[1], high: high[1], from: height - margin.bottom, to: margin.top },
    xName: shown(states[axes[0]]!),
    yName: shown(states[axes[1]]!),
  };
}

/** The marks of a portrait in three layers, from the lowest up. */
export interface PortraitLayers {
  readonly axes: Axes;
  /** Axes, field and nullclines. */
  readonly ground: readonly Mark[];
  readonly trajectories: readonly Mark[];
  /** What was found about the system, and words. */
  readonly top: readonly Mark[];
}

const SIZE: PortraitSize = { width: 1000, height: 720 };

/** The portrait as a picture with axes and a legend, by default 1000 × 720 pixels. */
export function drawPortrait(portrait: Portrait, theme: Theme, size: PortraitSize = SIZE): Scene {
  const { ground, trajectories, top } = drawLayers(portrait, theme, size);
  const marks = [...ground, ...trajectories, ...top];
  return { width: size.width, height: size.height, background: theme.background, marks };
}

/** The same in layers, for a page that paints each in its own way. */
export function drawLayers(portrait: Portrait, theme: Theme, size: PortraitSize): PortraitLayers {
  const axes = portraitAxes(portrait, size), clip = plotArea(axes);
  return {
    axes,
    ground: [
      ...drawAxes(axes, theme),
      ...(portrait.field === undefined ? [] : drawField(portrait.field, axes, clip, theme, portrait.arrows)),
      ...drawNullclines(portrait, axes, clip, theme),
    ],
    trajectories: drawTrajectories(portrait, axes, clip, theme, size.lengthMost ?? Infinity),
    top: [
      ...drawSeparatrices(portrait, axes, clip, theme),
      ...drawCycles(portrait, axes, clip, theme),
      ...drawEquilibria(portrait, axes, clip, theme),
      ...(size.bare ? [] : [...drawTitle(portrait, clip, size, theme), ...drawLegend(portrait, clip, theme)]),
    ],
  };
}

/** Primes as typographers set them. */
function shown(name: string): string {
  return name.replace("'''", "‴").replace("''", "″").replace("'", "′");
}

function drawTitle({ title, note }: Portrait, clip: Clip, { height }: PortraitSize, theme: Theme): Mark[] {
  const text = title.length > 90 ? `${title.slice(0, 89)}…` : title;
  const head: Mark = {
    kind: "text",
    x: clip.x,
    y: clip.y - 16,
    text,
    size: 16,
    color: theme.text,
    anchor: "start",
    bold: true,
  };
  if (note === undefined) return [head];
  return [head, {
    kind: "text",
    x: clip.x + clip.width,
    y: height - 6,
    text: note,
    size: 11,
    color: theme.muted,
    anchor: "end",
  }];
}

/** Arrows of one length, by their direction on the screen, so that they lie along trajectories at unequal axes too. */
export function drawField(
  field: NonNullable<Portrait["field"]>,
  axes: Axes,
  clip: Clip,
  theme: Theme,
  { perSide, length: share }: NonNullable<Portrait["arrows"]> = ARROWS,
): Mark[] {
  const spacing = Math.max(clip.width, clip.height) / perSide, length = spacing * share;
  const [unitX, unitY] = [pixelsPerUnit(axes.x), pixelsPerUnit(axes.y)];
  const places: { x: number; y: number; dx: number; dy: number; speed: number }[] = [];
  for (let y = clip.y + spacing / 2; y < clip.y + clip.height; y += spacing) {
    for (let x = clip.x + spacing / 2; x < clip.x + clip.width; x += spacing) {
      const value = field(valueAt(axes.x, x), valueAt(axes.y, y));
      if (value === null) continue;
      const dx = value[0] * unitX, dy = value[1] * unitY, speed = Math.hypot(dx, dy);
      if (speed > 0 && Number.isFinite(speed)) places.push({ x, y, dx: dx / speed, dy: dy / speed, speed });
    }
  }
  const speeds = places.map(({ speed }) => speed).sort((a, b) => a - b);
  const bands = [0.25, 0.5, 0.75].map((share) => speeds[Math.floor(share * speeds.length)] ?? 0);
  const points: number[][] = [[], [], [], []];
  for (const { x, y, dx, dy, speed } of places) {
    points[bands.filter((band) => speed > band).length]!.push(...arrow(x, y, dx, dy, length));
  }
  return points.map((band, index): Mark => ({
    kind: "segments",
    points: Float64Array.from(band),
    color: theme.field,
    width: 1.1,
    opacity: 0.45 + 0.18 * index,
    clip,
  }));
}

/** Shaft and head as segments about a middle. */
function arrow(x: number, y: number, dx: number, dy: number, length: number): number[] {
  const [tipX, tipY] = [x + (dx * length) / 2, y + (dy * length) / 2];
  const head = length * 0.3, [cos, sin] = [0.88, 0.47];
  const side = (sign: number) => [
    tipX,
    tipY,
    tipX - head * (dx * cos - sign * dy * sin),
    tipY - head * (dy * cos + sign * dx * sin),
  ];
  return [x - (dx * length) / 2, y - (dy * length) / 2, tipX, tipY, ...side(1), ...side(-1)];
}

function pixelsPerUnit({ low, high, from, to }: Axes["x"]): number {
  return (to - from) / (high - low);
}

function valueAt({ low, high, from, to }: Axes["x"], pixel: number): number {
  return low + ((pixel - from) / (to - from)) * (high - low);
}

function drawNullclines({ nullclines = [] }: Portrait, axes: Axes, clip: Clip, theme: Theme): Mark[] {
  return nullclines.flatMap(({ name, lines }, index) =>
    lines.map((line): Mark => ({
      kind: "line",
      points: screen(line, 2, [0, 1], axes),
      color: theme.nullclines[index % theme.nullclines.length]!,
      width: 1.6,
      dash: [7, 4],
      clip,
      title: `${shown(name)} = 0`,
    }))
  );
}

function drawTrajectories(
  portrait: Portrait,
  axes: Axes,
  clip: Clip,
  theme: Theme,
  lengthMost: number,
): Mark[] {
  const { trajectories = [], states } = portrait, stride = states.length;
  const many = trajectories.length > 40, share = lengthMost / trajectories.length;
  return trajectories.flatMap(({ states: path, startRow: row = 0 }, index): Mark[] => {
    const [from, to] = rowsWithin(share, path, row, stride, portrait.axes, axes), startRow = row - from;
    const points = screen(path.subarray(from * stride, to * stride), stride, portrait.axes, axes);
    const color = theme.trajectories[index % theme.trajectories.length]!;
    const common = { color, clip, opacity: many ? 0.55 : 0.95 } as const;
    const line: Mark = { kind: "line", points, width: many ? 1 : 1.6, ...common };
    const size = many ? 3.5 : 5.5;
    // Ahead of the start, where it is looked for; a past alone has none.
    const head = arrowHead(points.subarray(2 * startRow), size) ?? arrowHead(points, size);
    const start: Mark = {
      kind: "circle",
      x: points[2 * startRow]!,
      y: points[2 * startRow + 1]!,
      radius: many ? 1.6 : 2.6,
      fill: color,
      clip,
    };
    return head === null
      ? [line, start]
      : [line, { kind: "polygon", points: head, fill: color, clip, opacity: common.opacity }, start];
  });
}

/** An arrow head stands no further than this from the start. */
const HEAD_FARTHEST_PX = 160;

/** An arrow head in the middle of a line's length; null for a line that hardly moves. */
function arrowHead(points: Float64Array, size: number): Float64Array | null {
  const count = points.length / 2 - 1;
  const lengthOf = (index: number) => {
    const dx = points[2 * index + 2]! - points[2 * index]!,
      dy = points[2 * index + 3]! - points[2 * index + 1]!;
    const length = Math.sqrt(dx * dx + dy * dy);
    return Number.isFinite(length) ? length : 0;
  };
  let total = 0;
  for (let index = 0; index < count && total < 2 * HEAD_FARTHEST_PX; index++) total += lengthOf(index);
  if (total < 4 * size) return null;
  let left = Math.min(total / 2, HEAD_FARTHEST_PX), index = 0;
  while (index < count && (left -= lengthOf(index)) > 0) index++;
  if (index >= count) return null;
  const [x1, y1, x2, y2] = [0, 1, 2, 3].map((offset) => points[2 * index + offset]!) as [
    number,
    number,
    number,
    number,
  ];
  const angle = Math.atan2(y2 - y1, x2 - x1);
  const corner = (turn: number, radius: number) =>
    [x2 + radius * Math.cos(angle + turn), y2 + radius * Math.sin(angle + turn)] as const;
  return Float64Array.of(...corner(0, size), ...corner(2.5, size), ...corner(-2.5, size));
}

function drawSeparatrices(portrait: Portrait, axes: Axes, clip: Clip, theme: Theme): Mark[] {
  return (portrait.separatrices ?? []).map((line): Mark => ({
    kind: "line",
    points: screen(line.states, portrait.states.length, portrait.axes, axes),
    color: line.kind === "stable" ? theme.stable : theme.unstable,
    width: 2.2,
    clip,
    title: `${line.kind} separatrix`,
  }));
}

function drawCycles(portrait: Portrait, axes: Axes, clip: Clip, theme: Theme): Mark[] {
  return (portrait.cycles ?? []).map((cycle): Mark => ({
    kind: "line",
    points: screen(cycle.states, portrait.states.length, portrait.axes, axes),
    color: theme.cycle,
    width: 3,
    ...(cycle.stability === "stable" ? {} : { dash: [3, 5] as const }),
    clip,
    title: `${cycle.stability} limit cycle`,
  }));
}

function drawEquilibria(portrait: Portrait, axes: Axes, clip: Clip, theme: Theme): Mark[] {
  return (portrait.equilibria ?? []).map(({ point, type, stability }): Mark => ({
    kind: "circle",
    x: toPixel(axes.x, point[portrait.axes[0]]!),
    y: toPixel(axes.y, point[portrait.axes[1]]!),
    radius: 5,
    fill: equilibriumFill(stability, theme),
    stroke: theme.text,
    strokeWidth: 1.8,
    clip,
    title: type,
  }));
}

/** Filled where stable, open where unstable, grey where the linearisation does not decide. */
function equilibriumFill(stability: string, theme: Theme): string {
  if (stability === "stable") return theme.text;
  return stability === "undecided" ? theme.frame : theme.background;
}

/** The rows about the start, forwards and backwards, that are so many pixels long at most in each direction. */
function rowsWithin(
  lengthMost: number,
  states: Float64Array,
  startRow: number,
  stride: number,
  [first, second]: readonly [number, number],
  { x, y }: Axes,
): [from: number, to: number] {
  const count = Math.floor(states.length / stride);
  if (lengthMost === Infinity) return [0, count];
  const scaleX = Math.abs(pixelsPerUnit(x)), scaleY = Math.abs(pixelsPerUnit(y));
  const walk = (step: 1 | -1) => {
    let row = startRow, length = 0;
    for (; row + step >= 0 && row + step < count && length < lengthMost; row += step) {
      const at = row * stride, next = at + step * stride;
      length += scaleX * Math.abs(states[next + first]! - states[at + first]!) +
        scaleY * Math.abs(states[next + second]! - states[at + second]!);
    }
    return row;
  };
  return [walk(-1), walk(1) + 1];
}

/** States of a path as pixels of the plane. */
function screen(
  states: Float64Array,
  stride: number,
  [first, second]: readonly [number, number],
  axes: Axes,
): Float64Array {
  const count = Math.floor(states.length / stride), points = new Float64Array(2 * count);
  // As toPixel, with what is the same for all points taken out: pictures are drawn while a hand moves.
  const { x, y } = axes, scaleX = pixelsPerUnit(x), scaleY = pixelsPerUnit(y);
  for (let row = 0; row < count; row++) {
    points[2 * row] = x.from + (states[row * stride + first]! - x.low) * scaleX;
    points[2 * row + 1] = y.from + (states[row * stride + second]! - y.low) * scaleY;
  }
  return points;
}

function drawLegend(portrait: Portrait, clip: Clip, theme: Theme): Mark[] {
  const x = clip.x + clip.width + 20;
  const marks: Mark[] = [];
  let y = clip.y + 12;
  const entry = (sample: (y: number) => Mark, text: string) => {
    marks.push(sample(y - 4), {
      kind: "text",
      x: x + 32,
      y,
      text: text.length > 26 ? `${text.slice(0, 25)}…` : text,
      size: 12.5,
      color: theme.text,
      anchor: "start",
    });
    y += 22;
  };
  const line = (color: string, width: number, dash?: readonly [number, number]) => (at: number): Mark => ({
    kind: "line",
    points: Float64Array.of(x, at, x + 24, at),
    color,
    width,
    ...(dash === undefined ? {} : { dash }),
  });
  portrait.nullclines?.forEach(({ name }, index) =>
    entry(
      line(theme.nullclines[index % theme.nullclines.length]!, 1.8, [7, 4]),
      `${shown(name)} = 0`,
    )
  );
  const kinds = new Set(portrait.separatrices?.map(({ kind }) => kind));
  if (kinds.has("stable")) entry(line(theme.stable, 2.2), "stable separatrix");
  if (kinds.has("unstable")) entry(line(theme.unstable, 2.2), "unstable separatrix");
  for (const stability of new Set(portrait.cycles?.map((cycle) => cycle.stability))) {
    entry(
      line(theme.cycle, 3, stability === "stable" ? undefined : [3, 5]),
      `${stability} limit cycle`,
    );
  }
  for (const [type, stability] of new Map(portrait.equilibria?.map((one) => [one.type, one.stability]))) {
    const name = type.replace(" (not decided by linearisation)", "");
    entry((at) => ({
      kind: "circle",
      x: x + 12,
      y: at,
      radius: 5,
      fill: equilibriumFill(stability, theme),
      stroke: theme.text,
      strokeWidth: 1.8,
    }), name);
  }
  return marks;
}
