import type { Job, JobFailure, LineEnd, PartialLine, Worker } from "../core/job.ts";
import { encodeFrames } from "../logs/frames.ts";
import type { Captured } from "../store/jobs.ts";
import type { Fence } from "../store/transitions.ts";
import { AttemptDirectory } from "./attempt_directory.ts";
import { attemptMarker } from "./command.ts";
import type { ExecutorContext } from "./context.ts";

/** What the reaper found and settled. */
export interface Reaped {
  readonly worker: string;
  readonly jobId: string;
  /** `finished`: the job had ended and only the record was missing; `lost`: nobody knows how it would have ended. */
  readonly as: "finished" | "lost";
}

/** The file a living worker keeps locked; the kernel frees it the moment the worker dies, however it dies. */
export function livenessPath(runDirectory: string, worker: string): string {
  return `${runDirectory}/workers/${worker}.lock`;
}

/**
 * Settles what dead workers of this machine left behind: kills what is left of their jobs and records the truth.
 * A worker is dead when its lock file is free, or when the machine has booted since. Every start calls this.
 */
export async function reap(context: ExecutorContext): Promise<Reaped[]> {
  const reaped: Reaped[] = [];
  for (const worker of await context.store.workers.open()) {
    const path = livenessPath(context.store.runDirectory, worker.id);
    const lock = await proofOfDeath(context, worker, path);
    if (lock === null) continue;
    try {
      reaped.push(...await settle(context, worker));
      await context.store.workers.markStopped(worker.id);
      await context.host.files.remove(path);
    } finally {
      lock.release();
    }
  }
  return reaped;
}

/** The dead worker's own lock, held so that two starters do not settle the same worker at once; null if it lives. */
async function proofOfDeath(context: ExecutorContext, worker: Worker, path: string) {
  // A worker on another machine, known through a database server, has no lock file here to prove anything by.
  const isOurs = worker.bootId === context.host.about.bootId || context.store.isEmbedded;
  return isOurs ? await context.host.locks.tryAcquire(path) : null;
}

/** Who held what is to be settled. */
type Holder = Pick<Worker, "id" | "launch" | "pid">;

async function settle(context: ExecutorContext, worker: Holder): Promise<Reaped[]> {
  const reaped: Reaped[] = [];
  const held = await context.store.jobs.heldBy(worker.id);
  for (const job of held.running) {
    reaped.push({ worker: worker.id, jobId: job.id, as: await settleJob(context, worker, job) });
  }
  for (const jobId of held.reserved) {
    const message = "The command line that was about to run this job died before it could";
    if (await context.store.jobs.abandon(jobId, worker.id, { code: "lost", message })) {
      reaped.push({ worker: worker.id, jobId, as: "lost" });
    }
  }
  return reaped;
}

/** Ends a job that nobody attends any more: kills what is left of it, and records its outcome if that is known. */
export async function settleJob(context: ExecutorContext, worker: Holder, job: Job): Promise<Reaped["as"]> {
  const marker = attemptMarker(context.store.id, job.id, job.epoch);
  await context.host.processes.killMarked(`${marker.name}=${marker.value}`);
  return await recordTruth(context, worker, job);
}

async function recordTruth(context: ExecutorContext, worker: Holder, job: Job): Promise<Reaped["as"]> {
  const { store, host } = context;
  const fence: Fence = { jobId: job.id, worker: worker.id, epoch: job.epoch };
  const directory = new AttemptDirectory(host.files, store.runDirectory, job.id, job.epoch);
  const outcome = await directory.readOutcome();
  if (outcome !== null) {
    await store.jobs.finish(fence, outcome.finish, outcome.last);
  } else {
    const last = await lastWords(context, job.id);
    await store.jobs.finish(fence, {
      state: "failed",
      resultJson: null,
      failure: lost(worker),
      evidence: null,
    }, last);
  }
  await directory.remove();
  return outcome === null ? "lost" : "finished";
}

/** Unfinished text that was already shown becomes lines, so that nothing a watcher saw disappears. */
async function lastWords(context: ExecutorContext, jobId: string): Promise<Captured> {
  const partials = await context.store.lines.partials(jobId);
  if (partials.length === 0) return { chunks: [], partials: {} };
  const firstSeq = await context.store.lines.lastSeq(jobId) + 1;
  const lines = partials.map((partial: PartialLine, index) => ({
    seq: firstSeq + index,
    stream: partial.stream,
    atMs: partial.atMs,
    end: "eof" as LineEnd,
    bytes: partial.bytes,
  }));
  const chunk = { firstSeq, lastSeq: firstSeq + lines.length - 1, frames: encodeFrames(lines) };
  return { chunks: [chunk], partials: { stdout: null, stderr: null } };
}

function lost(worker: Holder): JobFailure {
  return {
    code: "lost",
    message:
      `The process that ran this job (${worker.launch}, pid ${worker.pid}) died before the job ended; ` +
      "how it would have ended is not known",
  };
}
