import type { PortraitRequest } from "../../../tasks/phase_portrait/request.ts";
import type { Found, Order, Part, Problem, Traced, Word } from "./protocol.ts";

const WORKER_URL = "/phase-worker.js";

/** A worker that is still at what nobody waits for any more is ended after so long. */
const STALE_MS = 400;

type OrderBody = Order extends infer One ? One extends Order ? Omit<One, "id"> : never : never;

/** A worker that does the newest order only: what was asked before and has not begun is forgotten. */
class Lane {
  #worker: Worker | null = null;
  #id = 0;
  #busy: { readonly id: number; readonly sinceMs: number; readonly hear: (word: Word) => void } | null = null;
  #next: { readonly body: OrderBody; readonly hear: (word: Word) => void } | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Starts the thread ahead of the first order. */
  warm(): void {
    this.#worker ??= this.#start();
  }

  ask(body: OrderBody, hear: (word: Word) => void): void {
    this.#next = { body, hear };
    if (this.#busy === null) return this.#send();
    clearTimeout(this.#timer);
    const left = this.#busy.sinceMs + STALE_MS - performance.now();
    this.#timer = setTimeout(() => this.#endStale(), Math.max(0, left));
  }

  close(): void {
    this.#end();
  }

  #start(): Worker {
    const worker = new Worker(WORKER_URL, { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data);
    worker.onerror = (event) => {
      event.preventDefault();
      const busy = this.#busy;
      this.#end();
      busy?.hear({
        id: busy.id,
        kind: "failed",
        message: event.message ?? "the solver could not be started",
      });
    };
    return worker;
  }

  #send(): void {
    if (this.#next === null) return;
    const { body, hear } = this.#next;
    this.#next = null;
    this.#busy = { id: ++this.#id, sinceMs: performance.now(), hear };
    this.warm();
    this.#worker!.postMessage({ ...body, id: this.#id });
  }

  #hear(word: Word): void {
    if (word.id !== this.#busy?.id) return;
    const { hear } = this.#busy;
    if (word.kind !== "found" || word.isLast) {
      this.#busy = null;
      clearTimeout(this.#timer);
    }
    hear(word);
    if (this.#busy === null) this.#send();
  }

  #endStale(): void {
    if (this.#busy === null || this.#next === null) return;
    this.#end();
    this.#send();
  }

  #end(): void {
    this.#worker?.terminate();
    this.#worker = null;
    this.#busy = null;
  }
}

/** Solves in threads of the page. Only the newest question of each kind is answered. */
export class Solver {
  readonly #tracing = new Lane();
  readonly #looking = new Lane();
  readonly #sketching = new Lane();

  constructor() {
    this.#tracing.warm();
  }

  /** The trajectories as lines. */
  trace(
    problem: Problem,
    options: { readonly pixels: number; readonly draft: boolean },
    hear: (traced: Traced | Error) => void,
  ): void {
    this.#tracing.ask({ kind: "trace", problem, ...options }, (word) => {
      if (word.kind === "traced") hear(word.traced);
      if (word.kind === "failed") hear(new Error(word.message));
    });
  }

  /** Everything else about the system, part by part as it is found. */
  look(
    problem: Problem,
    options: { readonly parts: readonly Part[]; readonly draft: boolean },
    hear: (found: Partial<Found>, isLast: boolean) => void,
  ): void {
    if (options.parts.length === 0) return;
    this.#looking.ask({ kind: "look", problem, ...options }, (word) => {
      if (word.kind === "found") hear(word.found, word.isLast);
      if (word.kind === "failed") hear({}, true);
    });
  }

  /** Lines for a picture that is not the page's own, such as a thumbnail or one that follows the pointer. */
  sketch(problem: Problem, pixels: number): Promise<Traced> {
    return new Promise((resolve, reject) =>
      this.#sketching.ask({ kind: "trace", problem, pixels, draft: false }, (word) => {
        if (word.kind === "traced") resolve(word.traced);
        else {reject(
            new Error(word.kind === "failed" ? word.message : "The solver answered another question"),
          );}
      })
    );
  }

  /** The rows that a job of this request would leave, as the text of a file. */
  async file(request: PortraitRequest, format: "csv" | "json"): Promise<string> {
    const lane = new Lane();
    try {
      return await new Promise<string>((resolve, reject) =>
        lane.ask({ kind: "file", request, format }, (word) => {
          if (word.kind === "file") resolve(word.text);
          else {reject(
              new Error(word.kind === "failed" ? word.message : "The solver answered another question"),
            );}
        })
      );
    } finally {
      lane.close();
    }
  }
}
