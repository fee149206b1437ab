import type { Order, Word } from "./protocol.ts";

const WORKER_URL = "/phase-worker.js";

/** Threads that are still at what nobody waits for any more are ended after so long. */
const STALE_MS = 1_500;

/** An order before it has its number. */
export type OrderBody = Order extends infer One ? One extends Order ? Omit<One, "id"> : never : never;

type Hear = (word: Word, part: number) => void;

interface Question {
  readonly parts: readonly OrderBody[];
  readonly hear: Hear;
}

/** Threads that answer the newest question only: what was asked before and has not begun is forgotten. */
export class Lane {
  readonly #threads: Worker[] = [];
  #nextId = 0;
  #busy: {
    readonly firstId: number;
    readonly open: Set<number>;
    readonly sinceMs: number;
    readonly hear: Hear;
  } | null = null;
  #next: Question | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Starts a thread ahead of the first question. */
  warm(): void {
    this.#thread(0);
  }

  /** Asks a question in parts, each for a thread of its own; `hear` gets every word with the number of its part. */
  ask(parts: readonly OrderBody[], hear: Hear): void {
    this.#next = { parts, hear };
    if (this.#busy === null) return this.#send();
    clearTimeout(this.#timer);
    const left = this.#busy.sinceMs + STALE_MS - performance.now();
    this.#timer = setTimeout(() => this.#endStale(), Math.max(0, left));
  }

  close(): void {
    for (const thread of this.#threads.splice(0)) thread.terminate();
    this.#busy = null;
  }

  #thread(index: number): Worker {
    return this.#threads[index] ??= this.#start();
  }

  #start(): Worker {
    const worker = new Worker(WORKER_URL, { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data);
    worker.onerror = (event) => {
      event.preventDefault();
      const busy = this.#busy;
      this.close();
      busy?.hear({
        id: busy.firstId,
        kind: "failed",
        message: event.message ?? "The solver could not be started",
      }, 0);
    };
    return worker;
  }

  #send(): void {
    if (this.#next === null) return;
    const { parts, hear } = this.#next, firstId = this.#nextId;
    this.#next = null;
    this.#nextId += parts.length;
    const open = new Set(parts.map((_, part) => firstId + part));
    this.#busy = { firstId, open, sinceMs: performance.now(), hear };
    parts.forEach((body, part) => this.#thread(part).postMessage({ ...body, id: firstId + part }));
  }

  #hear(word: Word): void {
    const busy = this.#busy;
    if (busy === null || !busy.open.has(word.id)) return;
    if (word.kind !== "found" || word.isLast) busy.open.delete(word.id);
    if (busy.open.size === 0) {
      this.#busy = null;
      clearTimeout(this.#timer);
      // The threads go on with the next question while this answer is drawn.
      this.#send();
    }
    busy.hear(word, word.id - busy.firstId);
  }

  #endStale(): void {
    if (this.#busy === null || this.#next === null) return;
    this.close();
    this.#send();
  }
}
