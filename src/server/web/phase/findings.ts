import type { Equilibrium } from "../../../tasks/phase_portrait/analyse/equilibria.ts";
import type { Theme } from "../../../tasks/phase_portrait/draw/scene.ts";
import { byId, element } from "../element.ts";
import { primed, shortNumber } from "./numbers.ts";
import type { Found, Traced } from "./protocol.ts";

/** What the linearisation means, in a sentence for people who do not do this every day. */
const MEANING: Readonly<Record<string, string>> = {
  stable: "What starts near stays near and tends to it.",
  unstable: "What starts near leaves.",
  saddle: "It attracts along some directions and repels along others.",
  undecided: "The linearisation does not decide: the nonlinear terms do.",
};

export interface FindingHandlers {
  /** A pointer or the focus is on one of them, or on none. */
  point(equilibrium: number | null): void;
  select(trajectory: number | null): void;
  remove(trajectory: number): void;
}

const LISTED_MOST = 100;

/** Everything that was found, in words, beside the picture. */
export class Findings {
  readonly #handlers: FindingHandlers;
  #shown = "";

  constructor(handlers: FindingHandlers) {
    this.#handlers = handlers;
  }

  showEquilibria(
    { equilibria = [], moreEquilibria }: Partial<Found>,
    states: readonly string[],
    note: string,
  ): void {
    byId("equilibria-count").textContent = equilibria.length === 0 ? "" : String(equilibria.length);
    byId("equilibria").replaceChildren(
      ...equilibria.slice(0, LISTED_MOST).map((one, index) => this.#equilibrium(one, index, states)),
    );
    const count = equilibria.length;
    byId("equilibria-note").textContent = [
      count === 0 ? "None in these ranges." : "",
      moreEquilibria ? "There are more than were searched: perhaps a whole line of them." : "",
      count > LISTED_MOST ? `The first ${LISTED_MOST} are listed.` : "",
      note,
    ].filter((text) => text !== "").join(" ");
  }

  showCycles({ cycles = [] }: Partial<Found>, theme: Theme): void {
    byId("cycles-card").hidden = cycles.length === 0;
    byId("cycles").replaceChildren(...cycles.map(({ stability, period, multipliers, exponents }) => {
      const mark = element("span", { class: "mark line" });
      mark.style.borderColor = theme.cycle;
      const multiplier = multipliers.map(complexText).join(", ");
      return element(
        "li",
        {},
        element(
          "div",
          { class: "row tight" },
          element(
            "span",
            { class: "what" },
            `${stability}, period ${shortNumber(period, 8)}`,
            element(
              "small",
              {},
              `multiplier ${multiplier}, exponent ${exponents.map((x) => shortNumber(x)).join(", ")}`,
            ),
          ),
          mark,
        ),
      );
    }));
  }

  /** The trajectories with how they ended; `selected` is set out. */
  showTrajectories(
    traced: Traced | null,
    starts: readonly (readonly number[])[],
    selected: number | null,
    theme: Theme,
  ): void {
    byId("trajectories-count").textContent = starts.length === 0 ? "" : String(starts.length);
    const rows = starts.slice(0, LISTED_MOST).map((start, index) => {
      const status = traced?.starts[index];
      return {
        start,
        status: status?.status ?? "",
        message: status?.message ?? "",
        tStop: status?.tStop ?? 0,
      };
    });
    const text = JSON.stringify([rows, selected, theme.background]);
    // A list that is rebuilt at every frame of a drag would cost more than the picture.
    if (text === this.#shown) return;
    this.#shown = text;
    byId("trajectories").replaceChildren(
      ...rows.map((row, index) => this.#trajectory(row, index, selected === index, theme)),
    );
  }

  #trajectory(
    { start, status, message, tStop }: {
      start: readonly number[];
      status: string;
      message: string;
      tStop: number;
    },
    index: number,
    isSelected: boolean,
    theme: Theme,
  ): HTMLElement {
    const mark = element("span", { class: "mark line" });
    mark.style.borderColor = theme.trajectories[index % theme.trajectories.length]!;
    const end = status === "ok" || status === ""
      ? null
      : status === "escaped"
      ? element("small", {}, `left the picture at t = ${shortNumber(tStop)}`)
      : element(
        "small",
        { class: "bad" },
        `${status.replaceAll("_", " ")} at t = ${shortNumber(tStop)}. ${message}`,
      );
    const row = element(
      "li",
      {},
      element(
        "button",
        {
          type: "button",
          class: "pick",
          "aria-pressed": String(isSelected),
          title: "Set out; Delete removes it",
          click: () => this.#handlers.select(isSelected ? null : index),
          keydown: (event) => {
            if ((event as KeyboardEvent).key === "Delete") this.#handlers.remove(index);
          },
        },
        mark,
        element(
          "span",
          { class: "what mono" },
          `(${start.map((value) => shortNumber(value)).join(", ")})`,
          end,
        ),
      ),
    );
    row.toggleAttribute("data-on", isSelected);
    return row;
  }

  #equilibrium(one: Equilibrium, index: number, states: readonly string[]): HTMLElement {
    const point = (on: boolean) => () => this.#handlers.point(on ? index : null);
    return element(
      "li",
      { mouseenter: point(true), mouseleave: point(false) },
      element(
        "button",
        {
          type: "button",
          class: "pick",
          focus: point(true),
          blur: point(false),
          title: MEANING[one.stability] ?? "",
        },
        element("span", { class: `mark ${one.stability}` }),
        element(
          "span",
          { class: "what" },
          one.type,
          element("small", { class: "mono" }, pointText(one.point, states)),
          element("small", { class: "mono" }, `λ = ${eigenvaluesText(one)}`),
        ),
      ),
    );
  }
}

/** The words over an equilibrium that a pointer rests on. */
export function equilibriumTip(one: Equilibrium, states: readonly string[]): (Node | string)[] {
  return [
    element("b", {}, one.type),
    element("span", { class: "mono" }, `${pointText(one.point, states)}\nλ = ${eigenvaluesText(one)}`),
    element("span", { class: "quiet" }, ` ${MEANING[one.stability] ?? ""}`),
  ];
}

export function pointText(point: ArrayLike<number>, states: readonly string[]): string {
  return states.map((name, i) => `${primed(name)} = ${shortNumber(tidy(point[i]!), 6)}`).join(", ");
}

/** What rounding left of a zero. */
function tidy(value: number): number {
  return Math.abs(value) < 1e-12 ? 0 : value;
}

/** A conjugate pair is written once. */
function eigenvaluesText({ eigenvalues }: Equilibrium): string {
  return eigenvalues.filter(({ im }) => tidy(im) >= 0)
    .map(({ re, im }) => tidy(im) === 0 ? complexText({ re, im }) : pairText(tidy(re), im)).join(", ");
}

function pairText(re: number, im: number): string {
  return `${re === 0 ? "" : `${shortNumber(re, 6)} `}± ${shortNumber(im, 6)} i`;
}

function complexText({ re, im }: { readonly re: number; readonly im: number }): string {
  const [a, b] = [tidy(re), tidy(im)];
  if (b === 0) return shortNumber(a, 6);
  const size = shortNumber(Math.abs(b), 6);
  return a === 0 ? `${b < 0 ? "−" : ""}${size} i` : `${shortNumber(a, 6)} ${b < 0 ? "−" : "+"} ${size} i`;
}
