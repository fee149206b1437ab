import { displayText } from "../../core/display.ts";
import { element } from "./element.ts";

/** A line or an unfinished line as the server tells it. */
export interface ShownText {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/** More elements than this make a page slow; the whole output is one link away. */
const LINES_MAX = 5_000;

/** The output of one job: its last lines, and what has no newline yet. */
export class OutputView {
  readonly root: HTMLElement;
  readonly #lines = element("ol");
  readonly #partials = element("ol");
  readonly #note: HTMLElement;
  readonly #jobId: string;
  #waiting: (ShownText & { readonly seq: number })[] = [];
  #isScheduled = false;
  #hidden: number;
  readonly #shown = new Map<string, HTMLElement>();

  /** `hidden` is how many lines before the first one are left out. */
  constructor(jobId: string, hidden: number) {
    this.#jobId = jobId;
    this.#hidden = hidden;
    this.#note = element("p", { class: "note" });
    this.root = element(
      "div",
      { class: "output", role: "log", "aria-label": "Output", "aria-live": "off", tabindex: "0" },
      this.#note,
      this.#lines,
      this.#partials,
    );
    this.#showNote();
  }

  add(line: ShownText & { readonly seq: number }): void {
    this.#waiting.push(line);
    this.#schedule();
  }

  /** Shows the unfinished text of a stream in place of what was shown of it. */
  setPartial(partial: ShownText): void {
    this.#shown.delete(partial.stream);
    if (partial.text !== "") {
      const item = lineElement("…", partial);
      item.classList.add("partial");
      this.#shown.set(partial.stream, item);
    }
    this.#schedule();
  }

  /** Lines come faster than a screen can show them, so they are put into the page once per frame. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#render();
    });
  }

  #render(): void {
    const { root } = this;
    const isAtEnd = root.scrollHeight - root.scrollTop - root.clientHeight < 40;
    const waiting = this.#waiting.slice(-LINES_MAX);
    const surplus = this.#lines.childElementCount + waiting.length - LINES_MAX;
    for (let count = 0; count < surplus; count++) this.#lines.firstElementChild!.remove();
    this.#hidden += Math.max(0, surplus) + this.#waiting.length - waiting.length;
    this.#waiting = [];
    this.#lines.append(...waiting.map((line) => lineElement(String(line.seq), line)));
    this.#partials.replaceChildren(...this.#shown.values());
    this.#showNote();
    if (isAtEnd) root.scrollTop = root.scrollHeight;
  }

  #showNote(): void {
    this.#note.hidden = this.#hidden === 0;
    const link = element(
      "a",
      { href: `/api/v1/jobs/${this.#jobId}/logs?format=text`, target: "_blank" },
      "all of it as text",
    );
    const word = this.#hidden === 1 ? "The first line is" : `The first ${this.#hidden} lines are`;
    this.#note.replaceChildren(`${word} not shown: `, link);
  }
}

function lineElement(mark: string, { stream, text }: ShownText): HTMLElement {
  const shown = text.endsWith("\r") ? text.slice(0, -1) : text;
  const label = stream === "stderr" ? element("span", { class: "hidden" }, "stderr: ") : null;
  return element(
    "li",
    { class: stream, "data-mark": mark },
    element("span", { class: "text" }, label, displayText(shown)),
  );
}
