import type { Theme } from "../../../tasks/phase_portrait/draw/scene.ts";
import { byId } from "../element.ts";
import type { Editor } from "./editor.ts";
import type { Findings } from "./findings.ts";
import { trajectoryOf } from "./lines.ts";
import type { Model } from "./model.ts";
import { primed, shortNumber } from "./numbers.ts";
import { axesOf, type Known } from "./picture.ts";
import type { Player } from "./player.ts";
import { startsOf } from "./problem.ts";
import type { Traced } from "./protocol.ts";
import type { Series } from "./series.ts";
import { type Range, RANGE_DEFAULT } from "./settings.ts";

/** What the page says in words and small pictures beside the portrait. */
export class Facts {
  readonly #editor: Editor;
  readonly #findings: Findings;
  readonly #series: Series;
  readonly #player: Player;

  constructor(editor: Editor, findings: Findings, series: Series, player: Player) {
    [this.#editor, this.#findings, this.#series, this.#player] = [editor, findings, series, player];
  }

  /** What the equations were read as. */
  showReading({ reading, settings: { independent } }: Model): void {
    this.#editor.show(reading);
    const { system } = reading;
    for (const word of document.querySelectorAll(".independent")) word.textContent = independent;
    byId("reading").textContent = system === null
      ? ""
      : `${system.states.length} state${system.states.length === 1 ? "" : "s"}: ${
        system.states.map(primed).join(", ")
      }${system.autonomous ? "" : ` · depends on ${independent}`}`;
  }

  /** How the trajectories went. */
  showTraced(known: Known, traced: Traced, theme: Theme): void {
    const { settings, system, selected } = known, { independent } = settings;
    this.#player.setTimes(seenTimes(known), settings.timespan[0], independent);
    this.#findings.showTrajectories(traced, startsOf(settings, system), selected, theme);
    const used = [...new Set(traced.starts.map(({ methodUsed }) => methodUsed))].join(", ");
    const steps = traced.starts.reduce((sum, one) => sum + one.steps, 0);
    const stiffAt = traced.starts.find((one) => one.stiffAt !== null)?.stiffAt;
    byId("solved").textContent = traced.starts.length === 0
      ? "Click on the plane to start one, or write initial conditions."
      : `${used} · ${steps} steps · ${shortNumber(traced.tookMs, 3)} ms${
        stiffAt == null ? "" : ` · stiff at ${independent} = ${shortNumber(stiffAt)}`
      }`;
    this.showSeries(known, theme);
  }

  /** The states over time. */
  showSeries(known: Known, theme: Theme): void {
    const { system, settings, traced, box, selected } = known, n = system.dimension;
    const shown = n <= 3 ? system.states.map((_, i) => i) : axesOf(settings, n).filter((axis) => axis >= 0);
    this.#series.show({
      states: system.states,
      shown: n === 1 ? [] : shown,
      ranges: shown.map((i) => common(box[i] ?? RANGE_DEFAULT, settings.view[system.states[i]!])),
      independent: settings.independent,
      times: seenTimes(known),
      trajectories: traced?.starts.map((_, k) => trajectoryOf(traced, k, n)) ?? [],
      selected,
      theme,
    });
    this.#series.at(this.#player.isUsed ? this.#player.t : NaN);
  }

  /** Equilibria and cycles. */
  showFound({ system, settings, found, fieldTime }: Known, theme: Theme): void {
    const note = system.autonomous
      ? ""
      : `At ${settings.independent} = ${shortNumber(fieldTime)}: the field changes with time.`;
    this.#findings.showEquilibria(found, system.states, note);
    this.#findings.showCycles(found, theme);
  }
}

/** The times at which there is a trajectory: backwards, many end early. */
function seenTimes({ times: [from, to], traced }: Known): Range {
  let low = Infinity, high = -Infinity;
  for (const t of traced?.times ?? []) {
    if (t < low) low = t;
    if (t > high) high = t;
  }
  return high > low ? [Math.max(from, low), Math.min(to, high)] : [from, to];
}

/** What lies in both ranges; the first where that is nothing. */
function common(range: Range, other: Range | undefined): Range {
  const [low, high] = [
    Math.max(range[0], other?.[0] ?? -Infinity),
    Math.min(range[1], other?.[1] ?? Infinity),
  ];
  return low < high ? [low, high] : range;
}
