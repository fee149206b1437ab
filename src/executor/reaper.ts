import { isGlassboxError } from "../core/errors.ts";
import type { FileLock } from "../core/host.ts";
import type { Job, JobFailure, LineEnd, PartialLine, Worker } from "../core/job.ts";
import { directoryOf } from "../core/paths.ts";
import { encodeFrames } from "../logs/frames.ts";
import { replayKept, storedBytes } from "../logs/replay.ts";
import { sealedStream } from "../logs/sealed_secrets.ts";
import type { Captured } from "../store/jobs.ts";
import type { Fence, Finish } from "../store/transitions.ts";
import { AttemptDirectory, callDirectory, type Outcome } from "./attempt_directory.ts";
import { attemptMarker, keeperMarker } from "./command.ts";
import type { ExecutorContext } from "./context.ts";
import { recordEnd } from "./retry.ts";
import type { Silence } from "./silence.ts";

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
 * Settles what dead workers left behind: kills what is left of their jobs on this machine and records the truth.
 * Two proofs count: the worker's lock file is free, for those of this machine; or, for those known through a
 * database server, `silence` has seen no heartbeat for a whole lease. Every start calls this, and workers go on.
 */
export async function reap(context: ExecutorContext, silence?: Silence): Promise<Reaped[]> {
  const reaped: Reaped[] = [];
  const workers = await context.store.workers.unsettled();
  silence?.look(workers);
  const errors: unknown[] = [];
  for (const worker of workers) {
    try {
      reaped.push(...await reapWorker(context, worker, silence));
    } catch (error) {
      // One worker whose remains cannot be settled now must not keep the others waiting.
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
  return reaped;
}

async function reapWorker(context: ExecutorContext, worker: Worker, silence?: Silence): Promise<Reaped[]> {
  const { store, host } = context;
  // Declared dead by someone who died before it could settle the jobs.
  if (worker.stoppedAtMs !== null) return await settle(context, worker);
  const path = livenessPath(store.runDirectory, worker.id);
  const lock = await freeLock(context, worker, path);
  if (lock === null) {
    // Beside an embedded file nobody beats: there the lock is the whole truth.
    const isSilent = !store.isEmbedded && (silence?.isOver(worker) ?? false);
    return isSilent && await store.workers.declareDead(worker.id, worker.heartbeatSeq)
      ? await settle(context, worker)
      : [];
  }
  try {
    const reaped = await settle(context, worker);
    await store.workers.markStopped(worker.id);
    await host.files.remove(path);
    return reaped;
  } finally {
    lock.release();
  }
}

/** True when this machine can tell that a worker is dead; over a server the silence of one elsewhere is no proof yet. */
export async function isProvenDead(context: ExecutorContext, worker: Worker): Promise<boolean> {
  const lock = await freeLock(context, worker, livenessPath(context.store.runDirectory, worker.id));
  lock?.release();
  return lock !== null;
}

/** The dead worker's own lock, held so that two starters do not settle the same worker at once; null if it lives. */
async function freeLock(context: ExecutorContext, worker: Worker, path: string): Promise<FileLock | null> {
  const { host, store } = context;
  if (!store.isEmbedded) {
    // Known through a server: it may live on another machine, or keep its lock file in another user's directory.
    if (worker.bootId !== host.about.bootId) return null;
    if (await host.files.info(path).catch(() => null) === null) return null;
  }
  await host.files.makeDirectory(directoryOf(path), 0o700);
  return await host.locks.tryAcquire(path);
}

/** Who held what is to be settled. */
type Holder = Pick<Worker, "id" | "launch" | "pid" | "bootId">;

async function settle(context: ExecutorContext, worker: Holder): Promise<Reaped[]> {
  const reaped: Reaped[] = [];
  const held = await context.store.jobs.heldBy(worker.id);
  for (const job of held.running) {
    try {
      reaped.push({ worker: worker.id, jobId: job.id, as: await settleJob(context, worker, job) });
    } catch (error) {
      // Another process reaped the same worker and was faster with this job.
      if (!isGlassboxError(error, "fenced")) throw error;
    }
  }
  for (const jobId of held.reserved) {
    const message = "The command line that was about to run this job died before it could";
    if (await context.store.jobs.abandon(jobId, worker.id, { code: "lost", message })) {
      await context.host.files.remove(callDirectory(context.store.runDirectory, jobId));
      reaped.push({ worker: worker.id, jobId, as: "lost" });
    }
  }
  return reaped;
}

/** Ends a job that nobody attends any more: kills what is left of it, and records its outcome if it is `known` or noted. */
export async function settleJob(
  context: ExecutorContext,
  worker: Holder,
  job: Job,
  known: Outcome | null = null,
): Promise<Reaped["as"]> {
  const marker = attemptMarker(context.store, job.id, job.epoch);
  await context.host.processes.killMarked(`${marker.name}=${marker.value}`);
  await keeperEnds(context, job);
  const { files, locks } = context.host;
  const directory = new AttemptDirectory(files, context.store.runDirectory, job.id, job.epoch);
  // Two who replay the same output at once would mix up its numbers.
  const lock = await directory.lock(locks);
  try {
    const as = await recordTruth(context, worker, job, directory, known);
    await files.remove(callDirectory(context.store.runDirectory, job.id));
    return as;
  } finally {
    lock?.release();
  }
}

const KEEPER_LOOK_MS = 5;
const KEEPER_WAIT_MS = 5_000;

/** The keeper ends by itself once all that wrote is dead; only a process that hides from us can hold it up. */
export async function keeperEnds(
  { host, store }: ExecutorContext,
  job: Pick<Job, "id" | "epoch">,
): Promise<void> {
  const { name, value } = keeperMarker(store, job.id, job.epoch);
  const marker = `${name}=${value}`;
  const giveUpMs = host.clock.monotonicMs() + KEEPER_WAIT_MS;
  while (await host.processes.countMarked(marker) > 0) {
    if (host.clock.monotonicMs() > giveUpMs) return void await host.processes.killMarked(marker);
    await host.clock.sleep(KEEPER_LOOK_MS);
  }
}

async function recordTruth(
  context: ExecutorContext,
  worker: Holder,
  job: Job,
  directory: AttemptDirectory,
  known: Outcome | null,
): Promise<Reaped["as"]> {
  const fence: Fence = { jobId: job.id, worker: worker.id, epoch: job.epoch };
  const outcome = known ?? await directory.readOutcome();
  const ended = { job, fence, keepFor: null };
  if (outcome !== null) {
    await recordEnd(context, ended, outcome.finish, outcome.last);
  } else {
    const finish: Finish = { state: "failed", resultJson: null, failure: lost(worker), evidence: null };
    const last = await keptWords(context, worker, job, fence, directory) ??
      await lastWords(context, job, fence);
    await recordEnd(context, ended, finish, last);
  }
  await directory.remove();
  return outcome === null ? "lost" : "finished";
}

/**
 * The output that was read but not stored, and what was still in the pipes. After a reboot the files may hold
 * anything, as nothing had made sure of the disk: then they are not believed.
 */
async function keptWords(
  { host, store }: ExecutorContext,
  worker: Holder,
  job: Job,
  fence: Fence,
  directory: AttemptDirectory,
): Promise<Captured | null> {
  if (worker.bootId !== host.about.bootId) return null;
  const sealed = await directory.readSeal();
  const kept = {
    jobId: job.id,
    epoch: job.epoch,
    outputBytesMax: job.outputBytesMax,
    files: directory.kept,
    cleaner: sealed === null ? undefined : () => sealedStream(sealed),
  };
  const replayed = await replayKept(
    store,
    host,
    kept,
    (captured) => store.jobs.recordOutput(fence, captured),
  );
  if (replayed === null) return null;
  await tellDropped(store, job, fence, replayed.totals);
  return { chunks: replayed.last.chunks, partials: { stdout: null, stderr: null } };
}

/**
 * Unfinished text that was already shown becomes lines, so that nothing a watcher saw disappears; except what is
 * beyond the job's bound, as the text of one stream was within it only as long as the other's did not count.
 */
export async function lastWords(
  { store }: Pick<ExecutorContext, "store">,
  job: Job,
  fence: Fence,
): Promise<Captured> {
  const { partials, lastSeq } = await store.lines.unfinished(job.id);
  // Also where none was read: a write that was under way when its worker was given up may come before the end does.
  const partialsGone = { stdout: null, stderr: null };
  if (partials.length === 0) return { chunks: [], partials: partialsGone };
  const stored = await storedBytes(store, job.id, job.epoch);
  const { kept, dropped } = withinBound(partials, job.outputBytesMax - stored.stdout - stored.stderr);
  await tellDropped(store, job, fence, dropped);
  const firstSeq = lastSeq + 1;
  const lines = kept.map((partial: PartialLine, index) => ({
    seq: firstSeq + index,
    stream: partial.stream,
    atMs: partial.atMs,
    end: "eof" as LineEnd,
    bytes: partial.bytes,
  }));
  const chunk = { firstSeq, lastSeq: firstSeq + lines.length - 1, frames: encodeFrames(lines) };
  // The machine of the dead worker may be storing all of the kept output at this moment, this text among it.
  return { chunks: kept.length === 0 ? [] : [chunk], partials: partialsGone, onlyAtEnd: true };
}

function withinBound(partials: readonly PartialLine[], bytesMax: number) {
  const kept: PartialLine[] = [];
  const dropped = { droppedLines: 0, droppedBytes: 0 };
  let left = bytesMax;
  for (const partial of partials) {
    const { length } = partial.bytes;
    if (length <= left) {
      kept.push(partial);
      left -= length;
    } else {
      dropped.droppedLines++;
      dropped.droppedBytes += length;
    }
  }
  return { kept, dropped };
}

async function tellDropped(
  store: ExecutorContext["store"],
  { outputBytesMax }: Job,
  fence: Fence,
  { droppedLines, droppedBytes }: { readonly droppedLines: number; readonly droppedBytes: number },
): Promise<void> {
  if (droppedLines === 0) return;
  const data = { droppedLines, droppedBytes, outputBytesMax };
  await store.jobs.recordEvents(fence, [{ kind: "output_dropped", data }]);
}

function lost(worker: Holder): JobFailure {
  return {
    code: "lost",
    message:
      `The process that ran this job (${worker.launch}, pid ${worker.pid}) died before the job ended; ` +
      "how it would have ended is not known",
  };
}
