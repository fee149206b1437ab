import { isGlassboxError } from "../core/errors.ts";
import type { Socket, SocketHandler } from "../core/host.ts";
import type { Job } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import type { ServerContext } from "./context.ts";
import { chunksOf } from "./portrait_chunks.ts";
import { portraitStatus, resultOf, statusDocument } from "./portrait_documents.ts";
import { CLOSE } from "./socket.ts";
import { START, watch, type WatchMessage } from "./watch.ts";
import type { Place } from "./watchers.ts";

/** Between two messages of progress. */
const PROGRESS_MS = 100;

/** As the task tells it: initial conditions done, of how many, the steps that took, and where the running one is. */
interface PortraitProgressEvent {
  readonly fraction: number;
  readonly message: string;
  readonly counts: {
    readonly done: number;
    readonly total: number;
    readonly steps: number;
    readonly t: number;
  };
}

/**
 * A socket in the words of the seed tool's clients: `status` on opening and at every change, `progress`, at the end
 * `results` once, then closed with 1000. Who comes late gets status and results at once. Who asked for a stream gets the
 * rows in pieces before.
 */
export class PortraitSocket implements SocketHandler {
  readonly #context: ServerContext;
  readonly #job: Job;
  readonly #stream: boolean;
  readonly #onError: (error: unknown) => void;
  #place: Place | null = null;
  #status: string;
  #toldAtMs = -Infinity;

  constructor(context: ServerContext, job: Job, stream: boolean, onError: (error: unknown) => void) {
    [this.#context, this.#job, this.#stream, this.#onError] = [context, job, stream, onError];
    this.#status = portraitStatus(job);
  }

  open(socket: Socket): void {
    try {
      this.#place = this.#context.watchers.enter();
    } catch {
      return socket.close(CLOSE.tryAgain, "there is no room for another watcher: come again");
    }
    const payload = { job_id: this.#job.id, status: this.#status };
    // Clients of old read the bare fields, newer ones the payload.
    socket.send(JSON.stringify({ type: "status", ...payload, status: "connected", payload }));
    void this.#follow(socket, this.#place).catch((error) => {
      if (!isGlassboxError(error, "shutting_down")) this.#onError(error);
      this.#close(socket, CLOSE.internal, "the server cannot go on: connect again");
    });
  }

  /** These clients say nothing; what one says is ignored, as it always was. */
  message(): void {}

  closed(): void {
    this.#place?.leave();
  }

  async #follow(socket: Socket, place: Place): Promise<void> {
    const { store } = this.#context;
    for await (const news of watch(store, this.#job.id, START, place)) {
      for (const { message } of news) {
        if (message.type === "event") this.#tellEvent(socket, message);
        if (message.type !== "end") continue;
        if (message.reason === "shutdown") {
          return this.#close(socket, CLOSE.goingAway, "the server is shutting down: connect again");
        }
        return await this.#tellEnd(socket);
      }
    }
  }

  #tellEvent(socket: Socket, event: Extract<WatchMessage, { type: "event" }>): void {
    if (event.kind === "progress") return this.#tellProgress(socket, event.data as PortraitProgressEvent);
    const status = STATUS_AFTER[event.kind];
    if (status === undefined || status === this.#status) return;
    this.#status = status;
    const payload = { job_id: this.#job.id, status };
    socket.send(JSON.stringify({ type: "status", ...payload, payload }));
  }

  #tellProgress(socket: Socket, { fraction, message, counts }: PortraitProgressEvent): void {
    const now = this.#context.host.clock.monotonicMs();
    // A watcher that takes nothing is not sent what will be old.
    if (now - this.#toldAtMs < PROGRESS_MS || socket.bufferedBytes > LIMITS.watcherBufferBytesMax) return;
    this.#toldAtMs = now;
    const payload = { job_id: this.#job.id, ...counts, fraction, message };
    socket.send(JSON.stringify({ type: "progress", payload }));
  }

  async #tellEnd(socket: Socket): Promise<void> {
    const { store } = this.#context, job = await store.jobs.get(this.#job.id);
    const document = statusDocument(job);
    const { error_details: details, ...rest } = document as typeof document & { error_details?: unknown };
    const payload = { ...rest, ...(details === undefined ? {} : { details }) };
    socket.send(JSON.stringify({ type: "status", job_id: job.id, status: rest.status, payload }));
    const text = await this.#resultText(job);
    if (text !== null && this.#stream) {
      for (const payload of chunksOf(JSON.parse(text))) {
        socket.send(JSON.stringify({ type: "chunk", payload }));
      }
    }
    if (text !== null) socket.send(`{"type":"results","payload":${text}}`);
    this.#close(socket, CLOSE.done, `the job is ${rest.status}`);
  }

  /** The result as it is stored; one too long for a message is left to /results. */
  async #resultText(job: Job): Promise<string | null> {
    const { store } = this.#context, result = await resultOf(store, job);
    if (result === null) return null;
    if ("inline" in result) return JSON.stringify(result.inline);
    const artifact = await store.artifacts.get(job.id, result.artifact);
    if (artifact.sizeBytes > LIMITS.resultBytesMax) {
      return JSON.stringify({ times: null, trajectories: null, url: `/results/${job.id}` });
    }
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for await (const part of store.artifacts.parts(artifact)) parts.push(Uint8Array.from(part));
    return (await new Blob(parts).text()).trim();
  }

  #close(socket: Socket, code: number, reason: string): void {
    this.#place?.leave();
    socket.close(code, reason);
  }
}

/** The kinds of events that change what these clients call the status. */
const STATUS_AFTER: Readonly<Record<string, string>> = {
  claimed: "running",
  started: "running",
  retry_scheduled: "queued",
};
