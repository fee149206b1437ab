import { type Axes, toPixel } from "../../../tasks/phase_portrait/draw/axes.ts";
import { byId, element } from "../element.ts";
import { equilibriumTip, pointText } from "./findings.ts";
import { primed, shortNumber } from "./numbers.ts";
import { axesOf, axisName, type Known } from "./picture.ts";
import type { Point } from "./plane.ts";
import type { Place } from "./pointer.ts";

const NEAR_PX = 10;

/** The equilibrium under the pointer, by its number. */
export function equilibriumNear(
  place: Place,
  { found, system, settings }: Known,
  axes: Axes,
): number | null {
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

/** Shows what is under the pointer beside it: an equilibrium, else values of a trajectory. */
export function showTip(place: Place, known: Known, axes: Axes, equilibrium: number | null): void {
  const tip = byId("tip");
  const words = equilibrium === null
    ? trajectoryTip(place, known, axes)
    : equilibriumTip(known.found.equilibria![equilibrium]!, known.system.states);
  tip.hidden = words === null;
  if (words === null) return;
  tip.replaceChildren(...words);
  const { clientWidth: width, clientHeight: height } = byId("plane");
  tip.style.left = `${Math.min(place.x + 14, width - tip.offsetWidth - 6)}px`;
  tip.style.top = `${
    place.y + 18 + tip.offsetHeight > height ? place.y - tip.offsetHeight - 10 : place.y + 18
  }px`;
}

/** The values of the trajectory under the pointer. */
function trajectoryTip(place: Place, { traced, system, settings }: Known, axes: Axes): Node[] | null {
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
  const text = `${settings.independent} = ${shortNumber(traced.times[best]!)}\n${
    pointText(state, system.states)
  }`;
  return [element("span", { class: "mono" }, text)];
}

/** Says under the picture where the pointer is, or what hands can do here. */
export function showHint(point: Point | null, known: Known, is3d: boolean): void {
  const hint = byId("hint");
  if (is3d) hint.textContent = "Drag to turn, wheel or pinch to come nearer; the arrow keys turn too.";
  else if (point === null) {
    hint.textContent =
      "Click to start a trajectory, drag a start to move it. Shift-drag or two fingers pan; the wheel zooms.";
  } else {
    const axes = axesOf({ ...known.settings, is3d: false }, known.system.dimension);
    hint.textContent = axes.map((axis, k) => `${primed(axisName(axis, known))} = ${shortNumber(point[k]!)}`)
      .join("   ");
  }
}
