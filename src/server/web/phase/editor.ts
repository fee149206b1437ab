import { FUNCTIONS, LOWER_FUNCTIONS } from "../../../tasks/phase_portrait/language/functions.ts";
import { byId, element } from "../element.ts";
import type { Reading } from "./reading.ts";

const TOKEN =
  /(\(\*[\s\S]*?(?:\*\)|$))|((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+|\*\^[+-]?[0-9]+)?)|([\p{L}_][\p{L}\p{M}0-9_₀-₉]*)/gu;

/** A stretch of text that is underlined. */
interface Underline {
  readonly pos: number;
  readonly end: number;
  readonly look: "ink-bad" | "ink-warn";
}

/**
 * A plain text area, with all that browsers and screen readers know to do with one, over the same text in colours.
 * What the parser says stands under it, and is underlined where it happened.
 */
export class Editor {
  readonly #area = byId<HTMLTextAreaElement>("equations");
  readonly #ink = byId("ink");
  readonly #remarks = byId("remarks");
  #problemAt: number | null = null;

  constructor(onChange: (text: string) => void) {
    this.#area.addEventListener("input", () => onChange(this.#area.value));
    this.#area.addEventListener("keydown", (event) => {
      if (event.key !== "F8" || this.#problemAt === null) return;
      event.preventDefault();
      this.#goTo(this.#problemAt);
    });
  }

  get text(): string {
    return this.#area.value;
  }

  set text(text: string) {
    if (this.#area.value !== text) this.#area.value = text;
  }

  /** Shows how the text was understood. */
  show(reading: Reading): void {
    const { text } = this;
    const underlines: Underline[] = reading.problem === null
      ? reading.warnings.map(({ pos, end }) => ({ pos, end, look: "ink-warn" as const }))
      : [{
        pos: reading.problem.pos,
        end: Math.max(reading.problem.end, reading.problem.pos + 1),
        look: "ink-bad",
      }];
    this.#problemAt = reading.problem?.pos ?? null;
    this.#area.setAttribute("aria-invalid", String(reading.problem !== null));
    this.#ink.replaceChildren(...inked(text, lookOf(reading), underlines), "\n");
    this.#remarks.replaceChildren(
      ...(reading.problem === null
        ? reading.warnings.map(({ message, code, pos }) => this.#remark("", message, code, pos))
        : [this.#remark(" bad", reading.problem.message, reading.problem.code, reading.problem.pos)]),
    );
  }

  #remark(kind: string, message: string, code: string, pos: number): HTMLElement {
    const button = element(
      "button",
      { type: "button", title: "Go there (F8)", click: () => this.#goTo(pos) },
      message,
    );
    return element(
      "p",
      { class: `remark${kind}` },
      element("span", {}, button, " ", element("code", {}, code)),
    );
  }

  #goTo(pos: number): void {
    this.#area.focus();
    this.#area.setSelectionRange(pos, pos);
  }
}

type Look = (name: string) => string | null;

function lookOf(reading: Reading): Look {
  const states = new Set(reading.system?.equations.orders.keys() ?? []);
  const parameters = new Set(reading.problem === null ? reading.parameters : []);
  return (name) => {
    if (states.has(name)) return "ink-state";
    if (parameters.has(name)) return "ink-parameter";
    return FUNCTIONS.has(name) || LOWER_FUNCTIONS.has(name) ? "ink-function" : null;
  };
}

/** The text in pieces of one look each. */
function inked(text: string, look: Look, underlines: readonly Underline[]): (Node | string)[] {
  // A fault at the very end needs something that can be underlined.
  const shown = underlines.some(({ end }) => end > text.length) ? `${text} ` : text;
  const looks = tokenLooks(shown, look);
  const cuts = new Set([0, shown.length]);
  for (const { pos, end } of [...looks, ...underlines]) cuts.add(pos).add(Math.min(end, shown.length));
  const sorted = [...cuts].sort((a, b) => a - b);
  const pieces: (Node | string)[] = [];
  let next = 0;
  sorted.slice(0, -1).forEach((pos, index) => {
    while (next < looks.length && looks[next]!.end <= pos) next++;
    const inToken = looks[next] !== undefined && looks[next]!.pos <= pos ? looks[next]!.look : null;
    const under = underlines.find((one) => one.pos <= pos && pos < one.end)?.look ?? null;
    const words = [inToken, under].filter((word) => word !== null).join(" ");
    const piece = shown.slice(pos, sorted[index + 1]);
    pieces.push(words === "" ? piece : element("span", { class: words }, piece));
  });
  return pieces;
}

function tokenLooks(text: string, look: Look): { pos: number; end: number; look: string }[] {
  return [...text.matchAll(TOKEN)].flatMap((match) => {
    const [all, comment, number] = match;
    const word = comment !== undefined ? "ink-comment" : number !== undefined ? "ink-number" : look(all);
    return word === null ? [] : [{ pos: match.index, end: match.index + all.length, look: word }];
  });
}
