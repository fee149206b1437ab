import { isArtifactName } from "../core/artifact_name.ts";
import { GlassboxError, isGlassboxError, messageOf } from "../core/errors.ts";
import type { ControlMessage } from "../core/control.ts";
import type { JobFailure } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import { isInside, resolvePath } from "../core/paths.ts";
import type { Secrets } from "../logs/secrets.ts";
import type { Fence } from "../store/transitions.ts";
import { ArtifactWriter } from "./artifact_writer.ts";
import type { ExecutorContext } from "./context.ts";
import { readControl } from "./control_reader.ts";

/** What a task said about its own outcome; the last word counts. */
export type Said = { readonly result: unknown } | { readonly failure: JobFailure };

export interface ReportsOptions {
  readonly fence: Fence;
  readonly scratch: string;
  /** Cleaned away from everything that is recorded. */
  readonly secrets: Secrets;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Records what an attempt reports besides its output: progress, events, artifacts, and the word about its
 * outcome. Everything is recorded in the order in which it was said; bounds are kept, and what is refused is told.
 */
export class Reports {
  readonly artifacts: ArtifactWriter;
  #context: ExecutorContext;
  #fence: Fence;
  #scratch: string;
  #secrets: Secrets;
  #onFailure: (error: unknown) => void;
  #order: Promise<void> = Promise.resolve();
  #said: Said | null = null;
  #progressEvents = 0;
  #taskEvents = 0;
  #refusals = 0;

  constructor(context: ExecutorContext, { fence, scratch, secrets, onFailure }: ReportsOptions) {
    this.#context = context;
    this.#fence = fence;
    this.#scratch = scratch;
    this.#secrets = secrets;
    this.#onFailure = onFailure;
    this.artifacts = new ArtifactWriter(context.host.files, context.store.artifacts, fence, secrets);
  }

  /** What the task said about its outcome, once `settled`. */
  get said(): Said | null {
    return this.#said;
  }

  get droppedProgress(): number {
    return Math.max(0, this.#progressEvents - LIMITS.progressEventsMax);
  }

  /** Reads the control channel to its end. */
  async read(control: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const item of readControl(control)) {
      if ("message" in item) await this.take(item.message);
      else await this.#refuse(item.refused);
    }
  }

  /** Takes one message; resolves when it is recorded. */
  take(message: ControlMessage): Promise<void> {
    return this.record(() => this.#take(message));
  }

  event(kind: string, data: unknown): void {
    void this.record(() => this.#write(kind, data));
  }

  /** Puts a write into the order of reports; a failing one stops the attempt rather than being lost silently. */
  record(write: Promise<void> | (() => Promise<void>)): Promise<void> {
    if (typeof write !== "function") write.catch(() => undefined);
    this.#order = this.#order
      .then(() => typeof write === "function" ? write() : write)
      .catch((error) => this.#onFailure(error));
    return this.#order;
  }

  /** Resolves when everything said so far is recorded. */
  async settled(): Promise<void> {
    await this.#order;
  }

  async #take(message: ControlMessage): Promise<void> {
    switch (message.type) {
      case "progress":
        return await this.#progress(message);
      case "event":
        return await this.#taskEvent(message.kind, message.data);
      case "artifact":
        return await this.#artifact(message);
      case "result":
        this.#said = { result: message.value };
        return;
      case "failure": {
        const { type: _, trace, ...failure } = message;
        if (trace !== undefined) await this.#write("trace", { text: trace });
        this.#said = { failure: failure as JobFailure };
      }
    }
  }

  async #progress({ type: _, ...data }: Extract<ControlMessage, { type: "progress" }>): Promise<void> {
    // Each one is an event that stays; what is above the bound is counted and told at the end.
    if (++this.#progressEvents > LIMITS.progressEventsMax) return;
    await this.#write("progress", data);
  }

  async #taskEvent(kind: string, data: unknown): Promise<void> {
    if (++this.#taskEvents > LIMITS.taskEventsMax) {
      return await this.#refuseText(`more than ${LIMITS.taskEventsMax} events`);
    }
    const bytes = new TextEncoder().encode(JSON.stringify(data)).length;
    if (bytes > LIMITS.eventBytesMax) return await this.#refuseText(`event ${kind} of ${bytes} bytes`);
    await this.#write(`task.${kind}`, data);
  }

  async #artifact(message: Extract<ControlMessage, { type: "artifact" }>): Promise<void> {
    const path = resolvePath(this.#scratch, message.path);
    if (!isArtifactName(message.name)) {
      return await this.#refuseText(`artifact name ${JSON.stringify(message.name)}`);
    }
    if (!isInside(this.#scratch, path)) {
      return await this.#refuseText(`artifact ${message.name} outside the scratch directory`);
    }
    try {
      await this.artifacts.store(message.name, path, message.mediaType);
    } catch (error) {
      if (error instanceof GlassboxError && !isGlassboxError(error, "too_large")) throw error;
      await this.#refuseText(`artifact ${message.name}: ${messageOf(error)}`);
    }
  }

  #refuse(what: string): Promise<void> {
    return this.record(() => this.#refuseText(what));
  }

  /** Refusals are told, but a program that writes nothing but rubbish to the channel cannot fill the database. */
  async #refuseText(what: string): Promise<void> {
    if (++this.#refusals <= 100) await this.#write("report_refused", { what });
  }

  async #write(kind: string, data: unknown): Promise<void> {
    const safe = this.#secrets.json(data);
    await this.#context.store.jobs.recordEvents(this.#fence, [{ kind, data: safe }]);
  }
}
