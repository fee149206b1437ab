import { axesOf, axisName, type Known } from "./picture.ts";
import type { Range, Settings } from "./settings.ts";

/** Ranges that hold all trajectories, of these states or of those drawn; null when there is nothing to hold. */
export function fittedView(known: Known | null, names: readonly string[] | null): Settings["view"] | null {
  if (known === null || known.traced === null || known.traced.times.length === 0) return null;
  const { system: { states, dimension }, box, settings } = known;
  const axes = axesOf(settings, dimension).filter((axis) => axis >= 0);
  const wanted = axes.filter((axis) => names === null || names.includes(states[axis]!));
  return { ...settings.view, ...Object.fromEntries(wanted.map((axis) => [states[axis]!, box[axis]!])) };
}

/** Ranges of the plane's two axes as a hand has moved them. */
export function movedView(known: Known, ranges: readonly [Range, Range]): Settings["view"] {
  const { settings, system: { dimension } } = known;
  const axes = axesOf({ ...settings, is3d: false }, dimension);
  return {
    ...settings.view,
    ...Object.fromEntries(axes.map((axis, k) => [axisName(axis, known), tidy(ranges[k]!)])),
  };
}

/** As many digits as tell the ends apart, and two more. */
function tidy([low, high]: Range): Range {
  const digits = Math.max(0, Math.min(15, 4 - Math.floor(Math.log10(high - low))));
  return [Number(low.toFixed(digits)), Number(high.toFixed(digits))];
}
