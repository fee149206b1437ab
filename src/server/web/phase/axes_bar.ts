import { byId, element } from "../element.ts";
import { primed } from "./numbers.ts";
import { axesOf, type Known } from "./picture.ts";
import type { Settings } from "./settings.ts";

/** The row above the picture: which states lie along which axis, in the plane or in space, and which layers there are. */
export function showAxesBar(known: Known | null, is3d: boolean): void {
  const n = known?.system.dimension ?? 0;
  byId<HTMLButtonElement>("to-3d").disabled = n < 3;
  byId("to-2d").setAttribute("aria-checked", String(!is3d));
  byId("to-3d").setAttribute("aria-checked", String(is3d));
  if (known === null) return;
  const { settings, system } = known;
  byId("axis-2-label").hidden = !is3d;
  for (const select of selects()) {
    select.replaceChildren(
      ...system.states.map((name, axis) => element("option", { value: String(axis) }, primed(name))),
    );
    if (n === 1) select.prepend(element("option", { value: "-1" }, settings.independent));
  }
  axesOf(settings, n).forEach((axis, k) => selects()[k]!.value = String(axis));
  byId("axis-0").parentElement!.parentElement!.hidden = n < 2;
  for (const layer of ["nullclines", "separatrices", "cycles"]) layerSwitch(layer).hidden = n !== 2;
  layerSwitch("field").hidden = n > 2;
}

/** The axes as they are chosen now: one that held what another takes gets what that one had. */
export function chosenAxes(settings: Settings, dimension: number, is3d: boolean): number[] {
  const chosen = selects().slice(0, is3d ? 3 : 2).map(({ value }) => Number(value));
  const old = axesOf(settings, dimension);
  const changed = chosen.findIndex((axis, k) => axis !== old[k]);
  const twin = chosen.findIndex((axis, k) => k !== changed && axis === chosen[changed]);
  if (twin >= 0) chosen[twin] = old[changed]!;
  return chosen;
}

function selects(): HTMLSelectElement[] {
  return [0, 1, 2].map((k) => byId<HTMLSelectElement>(`axis-${k}`));
}

function layerSwitch(layer: string): HTMLElement {
  return document.querySelector<HTMLElement>(`[data-layer="${layer}"]`)!;
}
