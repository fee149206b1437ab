import { z } from "zod";
import { fromBase64, toBase64 } from "../core/bytes.ts";
import type { FileLock, Files, Locks } from "../core/host.ts";
import type { StreamName } from "../core/job.ts";
import type { Captured } from "../store/jobs.ts";
import type { Finish } from "../store/transitions.ts";

const SavedOutcome = z.lazy(() =>
  z.object({
    finish: z.object({
      state: z.enum(["completed", "failed", "cancelled"]),
      resultJson: z.string().nullable(),
      failure: z.any(),
      evidence: z.any(),
      droppedProgress: z.number().default(0),
      killedOnRequest: z.boolean().default(false),
    }),
    chunks: z.array(z.object({ firstSeq: z.number(), lastSeq: z.number(), frames: z.string() })),
  })
);

const OUTCOME_BYTES_MAX = 64 * 1024 * 1024;

/** How an attempt ended, with its last lines. */
export interface Outcome {
  readonly finish: Finish;
  readonly last: Captured;
}

/** Where the files of a job's KBase call lie while it runs, the caller's token among them. */
export function callDirectory(runDirectory: string, jobId: string): string {
  return `${runDirectory}/kbase/${jobId}`;
}

/** The private directory of an attempt: its scratch space, and its outcome until that is in the database. */
export class AttemptDirectory {
  /** The task's own space. */
  readonly scratch: string;
  readonly #root: string;
  readonly #files: Files;

  constructor(files: Files, runDirectory: string, jobId: string, epoch: number) {
    this.#files = files;
    this.#root = `${runDirectory}/attempts/${jobId}.${epoch}`;
    this.scratch = `${this.#root}/scratch`;
  }

  /** Where the output of each stream is kept until it is in the database, and what the kernel's pipes held at our death. */
  get kept(): Readonly<Record<StreamName, string>> {
    return { stdout: `${this.#root}/stdout`, stderr: `${this.#root}/stderr` };
  }

  /** For whoever settles the attempt, alone; null when there is no such directory on this machine. */
  async lock(locks: Locks): Promise<FileLock | null> {
    if (await this.#files.info(this.#root) === null) return null;
    // It may go between the two, with all that was to be settled.
    return await locks.acquire(`${this.#root}/settling`).catch(() => null);
  }

  async make(): Promise<void> {
    await this.#files.makeDirectory(this.scratch, 0o700);
  }

  /** Keeps what tells secrets, without being them, for whoever records the output after a crash. */
  async saveSeal(sealed: string): Promise<void> {
    await this.#files.writeAtomic(`${this.#root}/sealed`, new TextEncoder().encode(sealed), { mode: 0o600 });
  }

  /** What `saveSeal` kept; null where there was nothing to hide. */
  async readSeal(): Promise<string | null> {
    if (await this.#files.info(`${this.#root}/sealed`) === null) return null;
    return new TextDecoder().decode(await this.#files.read(`${this.#root}/sealed`, OUTCOME_BYTES_MAX));
  }

  /**
   * Notes how the attempt ended before that is committed: should this process die between the two, whoever
   * starts next records what happened instead of calling the attempt lost.
   */
  async saveOutcome(finish: Finish, last: Captured): Promise<void> {
    const chunks = last.chunks.map((chunk) => ({ ...chunk, frames: toBase64(chunk.frames) }));
    const text = JSON.stringify({ finish, chunks });
    await this.#files.writeAtomic(`${this.#root}/outcome.json`, new TextEncoder().encode(text), {
      mode: 0o600,
    });
  }

  /** What `saveOutcome` noted, or null when nothing usable is there. */
  async readOutcome(): Promise<Outcome | null> {
    try {
      const bytes = await this.#files.read(`${this.#root}/outcome.json`, OUTCOME_BYTES_MAX);
      const saved = SavedOutcome.parse(JSON.parse(new TextDecoder().decode(bytes)));
      const chunks = saved.chunks.map((chunk) => ({ ...chunk, frames: fromBase64(chunk.frames) }));
      return { finish: saved.finish, last: { chunks, partials: { stdout: null, stderr: null } } };
    } catch {
      return null;
    }
  }

  async remove(): Promise<void> {
    await this.#files.remove(this.#root);
  }
}
