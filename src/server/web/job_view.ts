import type { JobDetail } from "../documents.ts";
import { api } from "./api.ts";
import { element } from "./element.ts";
import { byteSize, clockTime, describeInput, duration } from "./format.ts";
import { Live, type Message } from "./live.ts";
import { OutputView } from "./output_view.ts";

/** The last lines that are asked for of a job that has many. */
const LINES_AT_FIRST = 2_000;

const EVENTS_MAX = 500;

const PORTRAIT_TASK = "phase-portrait";

const FINAL = ["completed", "failed", "cancelled"];

/** Events that change what the job's document says. */
const TELLING = ["claimed", "started", "finished", "cancel_requested", "artifact"];

export interface JobViewHandlers {
  /** Told what went wrong, or null when it is well again. */
  trouble(text: string | null): void;
  changed(): void;
}

/** One job, live until it ends. */
export class JobView {
  readonly root = element("div");
  readonly #id: string;
  readonly #handlers: JobViewHandlers;
  readonly #head = element("div", { class: "head" });
  readonly #bar = element("progress", { max: "1", "aria-label": "Progress" });
  readonly #percent = element("span");
  readonly #word = element("span", { class: "word" });
  readonly #progress = element(
    "div",
    { class: "progress", hidden: true },
    this.#bar,
    this.#percent,
    this.#word,
  );
  readonly #events = element("tbody");
  readonly #picture = element("div");
  readonly #after = element("div");
  #job: JobDetail;
  #live: Live | null = null;
  #tick: ReturnType<typeof setInterval> | undefined;
  #isReloading = false;
  #isStale = false;

  private constructor(job: JobDetail, handlers: JobViewHandlers) {
    this.#id = job.id;
    this.#job = job;
    this.#handlers = handlers;
  }

  static async open(id: string, handlers: JobViewHandlers): Promise<JobView> {
    const view = new JobView(await api.job(id), handlers);
    view.#build();
    return view;
  }

  close(): void {
    this.#live?.close();
    clearInterval(this.#tick);
  }

  #build(): void {
    const { id, lastLine } = this.#job;
    const from = Math.max(0, lastLine - LINES_AT_FIRST);
    const output = new OutputView(id, from);
    const links = element(
      "span",
      { class: "links" },
      element("span", { class: "key" }, "stderr"),
      " · ",
      element("a", { href: `/api/v1/jobs/${id}/logs?format=text`, target: "_blank" }, "as text"),
      " · ",
      element("a", { href: `/api/v1/jobs/${id}/logs?format=raw` }, "download"),
    );
    const title = element("div", { class: "row" }, element("h3", {}, "Output"), links);
    this.root.append(
      this.#head,
      this.#progress,
      this.#picture,
      element("section", {}, title, output.root),
      this.#after,
      element(
        "section",
        {},
        element("h3", {}, "Events"),
        element("table", { class: "events" }, this.#events),
      ),
    );
    this.#showJob();
    this.#tick = setInterval(() => this.#showHead(), 1_000);
    this.#live = new Live(id, `L${from}.E0`, {
      line: (line) => output.add(line),
      partial: (partial) => output.setPartial(partial),
      event: (event) => this.#takeEvent(event),
      end: () => void this.#reload(),
      connected: (isConnected) =>
        this.#handlers.trouble(isConnected ? null : "The stream was interrupted; it goes on where it was"),
    });
  }

  #takeEvent(event: Message<"event">): void {
    const { fraction, message } = (event.data ?? {}) as { fraction?: number; message?: string };
    if (event.kind === "progress" && typeof fraction === "number") {
      this.#showProgress(fraction, message ?? "");
    } else this.#events.append(eventRow(event));
    if (TELLING.includes(event.kind)) void this.#reload();
  }

  #addEvent(event: Message<"event">): void {
    this.#events.append(eventRow(event));
    if (this.#events.childElementCount > EVENTS_MAX) this.#events.firstElementChild!.remove();
  }

  #showProgress(fraction: number, word: string): void {
    // How far it had come says nothing more once it has ended well.
    this.#progress.hidden = this.#job.state === "completed";
    this.#bar.value = fraction;
    this.#percent.textContent = `${Math.floor(fraction * 100)} %`;
    this.#word.textContent = word;
  }

  /** Events may come in a burst; the document is asked for once at a time, and once more after the last. */
  async #reload(): Promise<void> {
    this.#isStale = true;
    if (this.#isReloading) return;
    this.#isReloading = true;
    try {
      while (this.#isStale) {
        this.#isStale = false;
        this.#job = await api.job(this.#id);
      }
      this.#showJob();
      this.#handlers.changed();
    } catch (error) {
      this.#handlers.trouble((error as Error).message);
    } finally {
      this.#isReloading = false;
    }
  }

  #showJob(): void {
    this.#headText = "";
    this.#showHead();
    if (FINAL.includes(this.#job.state)) {
      clearInterval(this.#tick);
      this.#progress.hidden ||= this.#job.state === "completed";
    }
    const { artifacts, result } = this.#job;
    const files = artifacts.map((artifact) =>
      element(
        "li",
        {},
        element("a", { href: artifact.url, download: true }, artifact.name),
        element("span", { class: "quiet" }, ` ${byteSize(artifact.sizeBytes)} · ${artifact.mediaType}`),
      )
    );
    this.#showPortrait();
    this.#after.replaceChildren(
      ...(files.length === 0 ? [] : [
        element(
          "section",
          { class: "card" },
          element("h3", {}, "Artifacts"),
          element("ul", { class: "files" }, ...files),
        ),
      ]),
      ...(result === null ? [] : [
        element(
          "section",
          { class: "card" },
          element("h3", {}, "Result"),
          element("pre", {}, JSON.stringify(readable(this.#job), null, 2)),
        ),
      ]),
    );
  }

  /** The picture that a phase portrait left, and the way to the page where it can be moved and changed. */
  #showPortrait(): void {
    const { id, task, artifacts } = this.#job;
    if (task !== PORTRAIT_TASK) return;
    const link = element("a", { href: `/phase#job=${id}` }, "Open in the phase portraits");
    const picture = artifacts.find(({ name }) => name === "portrait.svg") ??
      artifacts.find(({ name }) => name === "portrait.png");
    const image = picture === undefined
      ? null
      : element("img", { class: "portrait", src: picture.url, alt: "Phase portrait" });
    this.#picture.replaceChildren(
      element("section", {}, element("div", { class: "row" }, element("h3", {}, "Portrait"), link), image),
    );
  }

  #headText = "";

  /** Built anew only when its words change, so that a button keeps the focus while time passes. */
  #showHead(): void {
    const facts = factsOf(this.#job);
    const { state, failure, cancel } = this.#job;
    const text = JSON.stringify([state, failure, cancel, facts.slice(1)]);
    if (text === this.#headText) {
      this.#head.querySelector(".facts span")!.textContent = facts[0]!;
      return;
    }
    this.#headText = text;
    const hadFocus = this.#head.contains(document.activeElement);
    this.#head.replaceChildren(...this.#headParts(facts));
    if (hadFocus) this.#head.querySelector<HTMLElement>("button:not(:disabled)")?.focus();
  }

  #headParts(facts: readonly string[]): HTMLElement[] {
    const { state, task, input, failure } = this.#job;
    return [
      element("div", {}, element("a", { class: "back", href: "#/" }, "← All jobs")),
      element("h2", {}, describeInput(task, input).slice(0, 2_000)),
      element(
        "div",
        { class: "row" },
        element("span", { class: "state", "data-state": state, role: "status" }, state),
        element("span", { class: "buttons" }, this.#button()),
      ),
      element(
        "div",
        { class: "row facts" },
        ...facts.map((fact) => element("span", {}, fact)),
      ),
      ...(failure === null
        ? []
        : [element("p", { class: "failure" }, `${failure.code}: ${failure.message}`)]),
    ];
  }

  #button(): HTMLElement {
    const { state, cancel } = this.#job;
    if (FINAL.includes(state)) {
      return element("button", { type: "button", click: (event) => void this.#retry(event) }, "Run again");
    }
    return element(
      "button",
      {
        type: "button",
        class: "danger",
        disabled: cancel !== null,
        click: (event) => void this.#cancel(event),
      },
      cancel === null ? "Cancel" : "Stopping …",
    );
  }

  #cancel(event: Event): Promise<void> {
    return this.#act(event, async () => {
      await api.cancel(this.#id);
      await this.#reload();
    });
  }

  #retry(event: Event): Promise<void> {
    return this.#act(event, async () => {
      const { id } = await api.retry(this.#id);
      location.hash = `#/jobs/${id}`;
    });
  }

  async #act(event: Event, action: () => Promise<void>): Promise<void> {
    const button = event.currentTarget as HTMLButtonElement;
    button.disabled = true;
    try {
      await action();
    } catch (error) {
      this.#handlers.trouble((error as Error).message);
      button.disabled = false;
    }
  }
}

/** The result without the rows of a portrait, which are an artifact and may be very many. */
function readable({ task, result }: JobDetail): unknown {
  if (task !== PORTRAIT_TASK || typeof result !== "object" || result === null) return result;
  const { times: _times, trajectories: _trajectories, ...rest } = result as Record<string, unknown>;
  return rest;
}

/** The first of them changes as time passes; the others only when the job does. */
function factsOf(job: JobDetail): string[] {
  const { id, startedAtMs, finishedAtMs, createdAtMs, attempts, cancel, retryOf, timeoutMs } = job;
  const last = attempts.at(-1)?.evidence;
  const since = startedAtMs ?? createdAtMs;
  const ran = duration((finishedAtMs ?? Date.now()) - since);
  const exit = last?.exitCode ?? null;
  return [
    startedAtMs === null && finishedAtMs === null ? `waiting for ${ran}` : ran,
    `submitted ${new Date(createdAtMs).toLocaleString()}`,
    ...(exit === null ? [] : [`exit code ${exit}`]),
    ...(last?.signal ? [`signal ${last.signal}`] : []),
    ...(last?.peakMemoryBytes ? [`peak ${byteSize(last.peakMemoryBytes)}`] : []),
    ...(timeoutMs === null ? [] : [`at most ${duration(timeoutMs)}`]),
    ...(cancel === null
      ? []
      : [`cancel asked by ${cancel.actor}${cancel.reason === "" ? "" : `: ${cancel.reason}`}`]),
    ...(retryOf === null ? [] : [`again of ${retryOf}`]),
    id,
  ];
}

function eventRow({ seq, kind, data, atMs }: Message<"event">): HTMLElement {
  const entries = Object.entries((data ?? {}) as Record<string, unknown>).filter(([, value]) =>
    value !== null
  );
  const words = entries.map(([name, value]) =>
    `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`
  );
  const time = element("time", { datetime: new Date(atMs).toISOString() }, clockTime(atMs));
  return element(
    "tr",
    { "data-seq": String(seq) },
    element("td", { class: "quiet" }, time),
    element("td", { class: "kind" }, kind),
    element("td", { class: "quiet" }, words.join(" · ").slice(0, 1_000)),
  );
}
