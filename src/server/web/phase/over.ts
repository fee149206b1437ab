import { type Axes, plotArea, toPixel } from "../../../tasks/phase_portrait/draw/axes.ts";
import type { Mark, Theme } from "../../../tasks/phase_portrait/draw/scene.ts";
import { beginningOf, firstAfter, projected, stateAt, trajectoryOf } from "./lines.ts";
import { axesOf, type Known } from "./picture.ts";
import type { Traced } from "./protocol.ts";

/** What lies over a portrait for as long as a hand or the clock moves. */
export interface Moving {
  readonly theme: Theme;
  /** The trajectory that would start under the pointer. */
  readonly sketched: Traced | null;
  /** The equilibrium that is pointed at. */
  readonly hovered: number | null;
  /** The player's time; null while it was not used. */
  readonly clock: number | null;
}

/** Over the picture in the plane: the sketch under the pointer, moving points with tails, what is set out. */
export function marksOver(known: Known, moving: Moving, axes: Axes): Mark[] {
  const { settings, system: { dimension } } = known;
  const [u, v] = axesOf({ ...settings, is3d: false }, dimension) as [number, number];
  const clip = plotArea(axes);
  const movers = moverMarks(
    known,
    moving,
    (state, t) => [toPixel(axes.x, u < 0 ? t : state[u]!), toPixel(axes.y, state[v]!)],
  );
  return [
    ...sketchMarks(known, moving, axes),
    ...selectedMarks(known, moving, axes),
    ...movers.map((mark) => ({ ...mark, clip })),
    ...hoveredMarks(known, moving, axes),
  ];
}

/** More of a tail says nothing more, and is painted at every frame. */
const TAIL_ROWS = 2_000;
/** The same of a line that is set out. */
const LINE_ROWS = 50_000;

/** A point on each trajectory at the clock's time, with a tail of a twentieth of the time. */
export function moverMarks(
  { traced, system, times: [from, to] }: Known,
  { theme, clock: t }: Moving,
  place: (state: Float64Array, t: number) => [number, number],
): Mark[] {
  if (traced === null || t === null) return [];
  const n = system.dimension, state = new Float64Array(n);
  return traced.starts.flatMap((_, k): Mark[] => {
    const one = trajectoryOf(traced, k, n), color = colorOf(theme, k);
    if (!stateAt(one, t, state)) return [];
    const points: number[] = [], head = place(state, t);
    // Many end long before the time that was asked for.
    const tail = Math.min(to - from, one.times.at(-1)! - one.times[0]!) / 20;
    const now = firstAfter(one.times, t), first = Math.max(firstAfter(one.times, t - tail), now - TAIL_ROWS);
    for (let row = first; row < now && one.times[row]! < t; row++) {
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

function sketchMarks(known: Known, { sketched, theme }: Moving, axes: Axes): Mark[] {
  if (sketched === null) return [];
  return sketched.starts.map((_, k) => lineOf(known, sketched, k, axes, { color: theme.text, width: 1.8 }));
}

function selectedMarks(known: Known, { theme }: Moving, axes: Axes): Mark[] {
  const { selected: k, traced } = known;
  if (k === null || traced === null || traced.starts[k] === undefined) return [];
  return [lineOf(known, traced, k, axes, { color: colorOf(theme, k), width: 3.4 })];
}

function lineOf(
  { system: { dimension }, settings }: Known,
  traced: Traced,
  k: number,
  axes: Axes,
  look: { readonly color: string; readonly width: number },
): Mark {
  const pair = axesOf({ ...settings, is3d: false }, dimension);
  const seen = beginningOf(trajectoryOf(traced, k, dimension), dimension, LINE_ROWS);
  const points = onScreen(projected(seen, dimension, pair), axes);
  return { kind: "line", points, ...look, clip: plotArea(axes) };
}

function hoveredMarks({ found, system, settings }: Known, { hovered, theme }: Moving, axes: Axes): Mark[] {
  const one = hovered === null ? undefined : found.equilibria?.[hovered];
  if (one === undefined || system.dimension > 2) return [];
  const [u, v] = axesOf({ ...settings, is3d: false }, system.dimension) as [number, number];
  return [{
    kind: "circle",
    x: u < 0 ? axes.x.from : toPixel(axes.x, one.point[u]!),
    y: toPixel(axes.y, one.point[v]!),
    radius: 11,
    fill: "transparent",
    stroke: theme.cycle,
    strokeWidth: 2.5,
    clip: plotArea(axes),
  }];
}

function colorOf({ trajectories }: Theme, k: number): string {
  return trajectories[k % trajectories.length]!;
}

function onScreen(points: Float64Array, axes: Axes): Float64Array {
  return points.map((value, at) => toPixel(at % 2 === 0 ? axes.x : axes.y, value));
}
