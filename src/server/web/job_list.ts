import type { JobSummary } from "../documents.ts";
import { api } from "./api.ts";
import { byId, element } from "./element.ts";
import { describePreview, shortTime } from "./format.ts";

const EVERY_MS = 1_500;
const STEP = 30;
const COUNT_MAX = 1_000;

/** The list of jobs, asked for anew while the page is seen. */
export class JobList {
  readonly #list = byId<HTMLOListElement>("jobs");
  readonly #older = byId<HTMLButtonElement>("older");
  readonly #state = byId<HTMLSelectElement>("state");
  readonly #onTrouble: (text: string | null) => void;
  #count = STEP;
  #current = "";
  #shown = "";
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(onTrouble: (text: string | null) => void) {
    this.#onTrouble = onTrouble;
    this.#state.addEventListener("change", () => void this.refresh());
    this.#older.addEventListener("click", () => {
      this.#count = Math.min(this.#count + STEP, COUNT_MAX);
      void this.refresh();
    });
    document.addEventListener("visibilitychange", () => void this.refresh());
  }

  /** Marks the job that the page shows. */
  mark(id: string): void {
    this.#current = id;
    for (const link of this.#list.querySelectorAll("a")) markLink(link, id);
  }

  /** Asks now, and from then on from time to time. */
  async refresh(): Promise<void> {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    try {
      const state = this.#state.value;
      const { jobs, next } = await api.list(`limit=${this.#count}${state === "" ? "" : `&state=${state}`}`);
      this.#show(jobs, next !== null && this.#count < COUNT_MAX);
      this.#onTrouble(null);
    } catch (error) {
      this.#onTrouble((error as Error).message);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.refresh(), EVERY_MS);
  }

  #show(jobs: readonly JobSummary[], hasMore: boolean): void {
    const text = JSON.stringify([jobs, hasMore]);
    if (text === this.#shown) return;
    this.#shown = text;
    byId("jobs-empty").hidden = jobs.length > 0;
    this.#older.hidden = !hasMore;
    const focused = document.activeElement?.getAttribute("href");
    this.#list.replaceChildren(...jobs.map((job) => this.#item(job)));
    const again = [...this.#list.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused);
    again?.focus({ preventScroll: true });
  }

  #item(job: JobSummary): HTMLElement {
    const what = describePreview(job.task, job.inputPreview);
    const link = element(
      "a",
      { href: `#/jobs/${job.id}`, title: what },
      element("span", { class: "state", "data-state": job.state, "aria-label": job.state }),
      element("span", { class: "what mono" }, what),
      element("span", { class: "when" }, shortTime(job.createdAtMs)),
    );
    markLink(link, this.#current);
    return element("li", {}, link);
  }
}

function markLink(link: HTMLAnchorElement, id: string): void {
  if (link.getAttribute("href") === `#/jobs/${id}`) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
}
