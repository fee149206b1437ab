import { byId, element } from "../element.ts";
import type { LegendRow } from "./picture.ts";

/** The list under the picture; made anew only when it says something else. */
export class Legend {
  #shown = "";

  show(rows: readonly LegendRow[]): void {
    const text = JSON.stringify(rows);
    if (text === this.#shown) return;
    this.#shown = text;
    byId("legend").replaceChildren(...rows.map(rowOf));
  }
}

function rowOf({ look, color, words }: LegendRow): HTMLElement {
  const sample = look === "dashed" || look === "dotted" || look === "plain"
    ? element("i", { class: look })
    : element("span", { class: `mark ${look}` });
  if (color !== null) sample.style.borderColor = color;
  return element("li", {}, sample, words);
}
