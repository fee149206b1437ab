import type { JobDetail, JobSummary } from "../../documents.ts";
import { api } from "../api.ts";
import { byId, element } from "../element.ts";
import { portraitWords, shortTime } from "../format.ts";
import { primed, shortNumber } from "./numbers.ts";
import type { RequestDocument } from "./settings.ts";

/** One thing that the server found wrong with a request. */
export interface Fault {
  readonly field: string;
  readonly message: string;
}

/** The server's answer to a request that cannot be solved. */
export class Refused extends Error {
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    super(faults.map(({ field, message }) => `${field}: ${message}`).join("\n"));
    this.faults = faults;
  }
}

/** What the server found, as far as the page shows it. */
export interface Result {
  readonly times: readonly number[] | null;
  readonly trajectories: readonly (readonly (readonly number[])[])[] | null;
  readonly meta: {
    readonly state_names: readonly string[];
    readonly method_used: string;
    readonly warnings: readonly string[];
    readonly stats: { readonly steps: number; readonly wall_ms: number };
    readonly ic_status: readonly {
      readonly status: string;
      readonly message: string;
      readonly t_stop: number;
      readonly rows: number;
      readonly first_row: number;
    }[];
  };
  readonly analysis: {
    readonly lyapunov?: { readonly exponents: readonly number[] };
    readonly notes?: readonly string[];
  } | null;
}

/** Stores a job for good and gives its id. */
export async function submitJob(request: RequestDocument): Promise<string> {
  const response = await fetch("/submit", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  }).catch(() => {
    throw new Error("The server cannot be reached");
  });
  const answer = await response.json().catch(() => null);
  if (response.ok) return (answer as { job_id: string }).job_id;
  throw new Refused(faultsIn(answer, response.status));
}

function faultsIn(answer: unknown, status: number): Fault[] {
  const { detail } = (answer ?? {}) as { detail?: unknown };
  if (Array.isArray(detail)) {
    return detail.map(({ loc, msg }: { loc: string[]; msg: string }) => ({
      field: loc.slice(1).join("."),
      message: msg,
    }));
  }
  const { errors } = (detail ?? {}) as { errors?: Fault[] };
  if (Array.isArray(errors)) return errors;
  const text = (detail as string | undefined) ?? `the server answered ${status}`;
  return [{ field: "request", message: String(text) }];
}

/** What the socket tells of a job. */
export interface JobNews {
  status(status: string, payload: { error?: string; warnings?: readonly string[] }): void;
  progress(fraction: number, message: string): void;
  result(result: Result): void;
  /** The connection ended; `isWell` when all was said. */
  closed(isWell: boolean): void;
}

/** Follows a job over the socket of the seed tool's API. */
export function followJob(id: string, news: JobNews): () => void {
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/${id}`);
  let isDone = false;
  socket.onmessage = ({ data }) => {
    const { type, payload } = JSON.parse(data as string);
    if (type === "status") {
      isDone ||= ["finished", "failed", "cancelled"].includes(payload.status);
      news.status(payload.status, payload);
    }
    if (type === "progress") news.progress(payload.fraction, payload.message ?? "");
    if (type === "results") news.result(payload as Result);
  };
  socket.onclose = () => news.closed(isDone);
  return () => {
    socket.onclose = null;
    socket.close();
  };
}

/** The card of the job that was submitted or opened last. */
export class JobCard {
  readonly #box = byId("job");
  readonly #onResult: (id: string, result: Result) => void;
  readonly #onChange: () => void;
  #stop: () => void = () => {};

  constructor(handlers: { result(id: string, result: Result): void; changed(): void }) {
    this.#onResult = handlers.result;
    this.#onChange = handlers.changed;
  }

  clear(): void {
    this.#stop();
    this.#box.replaceChildren();
  }

  refuse(error: Error): void {
    const faults = error instanceof Refused
      ? error.faults.map(({ field, message }) => element("li", {}, element("b", {}, field), ` ${message}`))
      : [element("li", {}, error.message)];
    this.#box.replaceChildren(element("ul", { class: "faults", role: "alert" }, ...faults));
  }

  /** Shows a job from now to its end. */
  follow(id: string): void {
    this.#stop();
    const state = element("span", { class: "state", "data-state": "queued" }, "queued");
    const bar = element("progress", { max: "1", value: "0", "aria-label": "Progress" });
    const words = element("div", { class: "quiet" }), links = element("div", { class: "downloads" });
    const cancel = element("button", {
      type: "button",
      class: "danger slight",
      click: () => void this.#cancel(id),
    }, "Cancel");
    const head = element(
      "div",
      { class: "row tight" },
      state,
      element("a", { href: `/#/jobs/${id}`, class: "mono" }, id.slice(0, 13)),
      cancel,
    );
    this.#box.replaceChildren(head, bar, words, links);
    const show = (status: string) => {
      state.textContent = status;
      state.dataset.state = status === "finished" ? "completed" : status;
    };
    this.#stop = followJob(id, {
      status: (status, { error, warnings }) => {
        show(status);
        const isFinal = ["finished", "failed", "cancelled"].includes(status);
        cancel.hidden = bar.hidden = isFinal;
        if (isFinal) words.replaceChildren();
        if (error !== undefined) words.replaceChildren(element("p", { class: "failure" }, error));
        if (warnings !== undefined) words.append(...warnings.map((text) => element("p", {}, text)));
        if (isFinal) links.replaceChildren(...downloads(id));
        this.#onChange();
      },
      progress: (fraction, message) => {
        bar.value = fraction;
        words.textContent = message;
      },
      result: (result) => {
        const { method_used: method, stats } = result.meta;
        const facts = `${method} · ${stats.steps} steps · solved in ${shortNumber(stats.wall_ms, 3)} ms`;
        words.prepend(element("p", {}, facts), ...analysisWords(result));
        this.#onResult(id, result);
      },
      closed: (isWell) => {
        if (!isWell) {
          words.append(
            element("p", { class: "failure" }, "The connection was lost; the job goes on. See all jobs."),
          );
        }
      },
    });
  }

  async #cancel(id: string): Promise<void> {
    await fetch(`/cancel/${id}`, { method: "POST" }).catch(() => null);
  }
}

function analysisWords({ analysis, meta }: Result): HTMLElement[] {
  if (analysis === null) return [];
  const { lyapunov, notes = [] } = analysis;
  return [
    ...(lyapunov === undefined ? [] : [
      element("p", {}, `Lyapunov exponents ${lyapunov.exponents.map((x) => shortNumber(x, 4)).join(", ")}`),
    ]),
    ...notes.map((note) => element("p", {}, note)),
    ...(meta.state_names.length > 0 ? [] : []),
  ];
}

function downloads(id: string): HTMLElement[] {
  const artifact = (name: string) => `/api/v1/jobs/${id}/artifacts/${name}`;
  return [
    element("a", { href: artifact("portrait.svg"), download: "portrait.svg" }, "SVG"),
    element("a", { href: artifact("portrait.png"), download: "portrait.png" }, "PNG"),
    element("a", { href: `/results/${id}.csv` }, "CSV"),
    element("a", { href: `/results/${id}.json` }, "JSON"),
    element("a", { href: `/results/${id}.bin` }, "binary"),
  ];
}

const HISTORY = 30;

/** The portraits in the database, newest first. */
export class History {
  readonly #list = byId("history");
  readonly #open: (id: string) => void;
  #shown = "";

  constructor(open: (id: string) => void) {
    this.#open = open;
  }

  async refresh(): Promise<void> {
    const { jobs } = await api.list(`task=phase-portrait&limit=${HISTORY}`);
    const text = JSON.stringify(jobs.map(({ id, state }) => [id, state]));
    if (text === this.#shown) return;
    this.#shown = text;
    byId("history-empty").hidden = jobs.length > 0;
    this.#list.replaceChildren(...jobs.map((job) => this.#item(job)));
  }

  #item(job: JobSummary): HTMLElement {
    const { name, equations } = portraitWords(job.inputPreview);
    return element(
      "li",
      {},
      element(
        "button",
        { type: "button", class: "pick", title: "Open request and result", click: () => this.#open(job.id) },
        element("span", { class: "state", "data-state": job.state, "aria-label": job.state }),
        element(
          "span",
          { class: "what" },
          name === "" ? primed(equations) : name,
          element("small", {}, `${shortTime(job.createdAtMs)} · ${job.state}`),
        ),
      ),
    );
  }
}

/** Request and result of a job. */
export async function loadJob(id: string): Promise<{ job: JobDetail; result: Result | null }> {
  const job = await api.job(id);
  if (job.task !== "phase-portrait") {
    throw new Error(`Job ${id} is no phase portrait: its task is ${job.task}`);
  }
  const response = await fetch(`/results/${id}`);
  return { job, result: response.ok ? await response.json() as Result : null };
}
