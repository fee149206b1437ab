import type { PortraitRequest } from "../../../tasks/phase_portrait/request.ts";
import { DRAFT_LENGTH_PX } from "./draft.ts";
import { Lane, type OrderBody } from "./lane.ts";
import { joinTraced } from "./lines.ts";
import type { Found, Part, Problem, Traced, Word } from "./protocol.ts";

/** From so many starts on they are shared among threads. */
const SHARE_FROM = 48;
const THREADS_MOST = 4;

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
    const began = performance.now(), parts = shared(problem.starts);
    const answers: Traced[] = [];
    const lengthMost = options.draft ? DRAFT_LENGTH_PX / Math.max(1, problem.starts.length) : null;
    let left = parts.length, hasFailed = false;
    const orders = parts.map((starts): OrderBody => ({
      kind: "trace",
      problem: { ...problem, starts },
      lengthMost,
      ...options,
    }));
    this.#tracing.ask(orders, (word, part) => {
      if (word.kind === "failed" && !hasFailed) {
        hasFailed = true;
        hear(new Error(word.message));
      }
      if (word.kind !== "traced") return;
      answers[part] = word.traced;
      if (--left > 0) return;
      hear(parts.length === 1 ? answers[0]! : { ...joinTraced(answers), tookMs: performance.now() - began });
    });
  }

  /** Everything else about the system, part by part as it is found. */
  look(
    problem: Problem,
    options: { readonly parts: readonly Part[]; readonly draft: boolean },
    hear: (found: Partial<Found>) => void,
  ): void {
    if (options.parts.length === 0) return;
    this.#looking.ask([{ kind: "look", problem, ...options }], (word) => {
      if (word.kind === "found") hear(word.found);
    });
  }

  /** Lines for a picture that is not the page's own, such as a thumbnail or one that follows the pointer. */
  sketch(problem: Problem, pixels: number): Promise<Traced> {
    return new Promise((resolve, reject) =>
      this.#sketching.ask([{ kind: "trace", problem, pixels, draft: false, lengthMost: null }], (word) => {
        if (word.kind === "traced") resolve(word.traced);
        else reject(unexpected(word));
      })
    );
  }

  /** The rows that a job of this request would leave, as the text of a file. */
  async file(request: PortraitRequest, format: "csv" | "json"): Promise<string> {
    const lane = new Lane();
    try {
      return await new Promise<string>((resolve, reject) =>
        lane.ask([{ kind: "file", request, format }], (word) => {
          if (word.kind === "file") resolve(word.text);
          else reject(unexpected(word));
        })
      );
    } finally {
      lane.close();
    }
  }
}

function unexpected(word: Word): Error {
  return new Error(word.kind === "failed" ? word.message : "The solver answered another question");
}

/** The starts in as many even parts as there are threads; in one when they are few. */
function shared(starts: Problem["starts"]): Problem["starts"][] {
  const cores = navigator.hardwareConcurrency || 2;
  const count = starts.length < SHARE_FROM ? 1 : Math.max(1, Math.min(THREADS_MOST, cores - 1));
  const size = Math.ceil(starts.length / count);
  return count === 1
    ? [starts]
    : Array.from({ length: count }, (_, k) => starts.slice(k * size, (k + 1) * size));
}
