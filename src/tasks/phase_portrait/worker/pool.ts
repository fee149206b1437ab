import { GlassboxError } from "../../../core/errors.ts";
import type { WorkerOrder, WorkerWord } from "./protocol.ts";
import { workerSource } from "./worker.gen.ts";

/** Without the fields that the pool adds. */
export type Order = WorkerOrder extends infer One
  ? One extends WorkerOrder ? Omit<One, "id" | "cancelFlag"> : never
  : never;

/** What comes before an answer. */
export type Report = Extract<WorkerWord, { kind: "progress" | "analysing" }>;
type Answer = Exclude<WorkerWord, Report | { kind: "failed" }>;

interface Pending {
  readonly onReport: (report: Report) => void;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** After a cancel a worker that has not stopped by then is ended. */
const CANCEL_MS = 1_000;

/** Threads that solve; close it when done, or the process stays. */
export class SolverPool {
  readonly #threads: Thread[] = [];
  readonly #flag = new SharedArrayBuffer(4);
  readonly #url: string;

  /** Starts no thread yet. */
  constructor(readonly size: number) {
    this.#url = URL.createObjectURL(new Blob([workerSource()], { type: "text/javascript" }));
  }

  /** Does an order on a free thread, a new one while there are fewer than `size`; waits when all are busy. */
  async run(order: Order, onReport: Pending["onReport"]): Promise<Answer> {
    const thread = await this.#free();
    try {
      return await thread.run(order, this.#flag, onReport);
    } finally {
      thread.release();
    }
  }

  /** Asks all threads to stop, and ends those that have not within a second. */
  cancel(): void {
    Atomics.store(new Int32Array(this.#flag), 0, 1);
    const timer = setTimeout(
      () => this.#threads.forEach((thread) => thread.end("the job was cancelled")),
      CANCEL_MS,
    );
    if (typeof timer === "object") (timer as { unref?: () => void }).unref?.();
  }

  close(): void {
    for (const thread of this.#threads) thread.end("the pool was closed");
    URL.revokeObjectURL(this.#url);
  }

  async #free(): Promise<Thread> {
    const idle = this.#threads.find((thread) => thread.take());
    if (idle !== undefined) return idle;
    if (this.#threads.length < this.size) {
      const thread = new Thread(this.#url);
      this.#threads.push(thread);
      thread.take();
      return thread;
    }
    await Promise.race(this.#threads.map((thread) => thread.idle));
    return await this.#free();
  }
}

/** One worker, which does one order at a time. */
class Thread {
  idle: Promise<void> = Promise.resolve();
  #freed: () => void = () => {};
  #busy = false;
  #pending: Pending | null = null;
  #next = 0;
  #ended: Error | null = null;
  readonly #worker: Worker;

  constructor(url: string) {
    this.#worker = new Worker(url, { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerWord>) => this.#hear(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.end(event.message);
    };
  }

  /** True when it was free and is now the caller's. */
  take(): boolean {
    if (this.#busy) return false;
    this.#busy = true;
    this.idle = new Promise((resolve) => this.#freed = resolve);
    return true;
  }

  release(): void {
    this.#busy = false;
    this.#freed();
  }

  run(order: Order, cancelFlag: SharedArrayBuffer, onReport: Pending["onReport"]): Promise<Answer> {
    // A worker that was ended would keep silent for ever.
    if (this.#ended !== null) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#pending = { onReport, resolve, reject };
      this.#worker.postMessage({ ...order, id: ++this.#next, cancelFlag });
    });
  }

  end(why: string): void {
    this.#worker.terminate();
    this.#ended ??= new GlassboxError("internal", `The solver's thread ended: ${why}`);
    this.#pending?.reject(this.#ended);
    this.#pending = null;
  }

  #hear(word: WorkerWord): void {
    switch (word.kind) {
      case "progress":
      case "analysing":
        return this.#pending?.onReport(word);
      case "failed":
        this.#pending?.reject(new GlassboxError("internal", word.message));
        break;
      default:
        this.#pending?.resolve(word);
    }
    this.#pending = null;
  }
}
