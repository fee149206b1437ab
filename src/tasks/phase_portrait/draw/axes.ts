import { ticks, tickStep } from "d3-array";
import type { Clip, Mark, Theme } from "./scene.ts";

/** A straight axis from values to pixels. */
export interface Scale {
  readonly low: number;
  readonly high: number;
  /** The pixel of `low` and of `high`. */
  readonly from: number;
  readonly to: number;
}

/** The pixel of a value. */
export function toPixel({ low, high, from, to }: Scale, value: number): number {
  return from + ((value - low) / (high - low)) * (to - from);
}

/** The value at a pixel. */
export function toValue({ low, high, from, to }: Scale, pixel: number): number {
  return low + ((pixel - from) / (to - from)) * (high - low);
}

/** A frame with ticks and names; x to the right, y upwards. */
export interface Axes {
  readonly x: Scale;
  readonly y: Scale;
  readonly xName: string;
  readonly yName: string;
}

/** The plot's own rectangle. */
export function plotArea({ x, y }: Axes): Clip {
  return { x: x.from, y: y.to, width: x.to - x.from, height: y.from - y.to };
}

/** Grid, frame, ticks and names. */
export function drawAxes(axes: Axes, theme: Theme): Mark[] {
  const { x, y } = axes, area = plotArea(axes);
  const xTicks = tickValues(x, 90), yTicks = tickValues(y, 60);
  return [
    { kind: "polygon", points: corners(area), fill: theme.panel },
    ...xTicks.flatMap(({ value, label }) => verticalTick(toPixel(x, value), label, area, theme)),
    ...yTicks.flatMap(({ value, label }) => horizontalTick(toPixel(y, value), label, area, theme)),
    { kind: "line", points: outline(area), color: theme.frame, width: 1 },
    {
      kind: "text",
      x: area.x + area.width / 2,
      y: area.y + area.height + 40,
      text: axes.xName,
      size: 15,
      color: theme.text,
      anchor: "middle",
    },
    {
      kind: "text",
      x: area.x - 52,
      y: area.y + area.height / 2,
      text: axes.yName,
      size: 15,
      color: theme.text,
      anchor: "middle",
      upright: true,
    },
  ];
}

function verticalTick(at: number, text: string, area: Clip, theme: Theme): Mark[] {
  const bottom = area.y + area.height;
  return [
    { kind: "line", points: Float64Array.of(at, area.y, at, bottom), color: theme.grid, width: 1 },
    { kind: "text", x: at, y: bottom + 18, text, size: 12, color: theme.muted, anchor: "middle" },
  ];
}

function horizontalTick(at: number, text: string, area: Clip, theme: Theme): Mark[] {
  return [
    {
      kind: "line",
      points: Float64Array.of(area.x, at, area.x + area.width, at),
      color: theme.grid,
      width: 1,
    },
    { kind: "text", x: area.x - 8, y: at + 4, text, size: 12, color: theme.muted, anchor: "end" },
  ];
}

/** Outside of these extents powers of ten are no numbers, or not the ones that are meant. */
const [EXTENT_MIN, EXTENT_MAX] = [1e-290, 1e300];

/** Round values about so many pixels apart, with as many digits as tell them apart; none where doubles cannot. */
export function tickValues(
  { low, high, from, to }: Scale,
  apartPx: number,
): { value: number; label: string }[] {
  const extent = high - low;
  if (!(extent > EXTENT_MIN && extent < EXTENT_MAX)) return [];
  const count = Math.max(2, Math.round(Math.abs(to - from) / apartPx));
  const step = tickStep(low, high, count);
  return ticks(low, high, count).map((value) => ({ value, label: tickLabel(value, step) }));
}

function tickLabel(value: number, step: number): string {
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(step)));
  const largest = Math.floor(Math.log10(Math.abs(value)));
  if (largest >= 6 || exponent < -5) {
    return minus(value.toExponential(Math.max(0, largest - exponent)).replace("e+", "e"));
  }
  return minus(value.toFixed(Math.max(0, -exponent)));
}

/** Typographers' minus, as long as a plus. */
function minus(text: string): string {
  return text.replaceAll("-", "−");
}

function corners({ x, y, width, height }: Clip): Float64Array {
  return Float64Array.of(x, y, x + width, y, x + width, y + height, x, y + height);
}

function outline(area: Clip): Float64Array {
  return Float64Array.of(...corners(area), area.x, area.y);
}
