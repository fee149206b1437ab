import type { Job } from "../core/job.ts";
import { AttemptDirectory } from "./attempt_directory.ts";
import { attemptMarker } from "./command.ts";
import type { ExecutorContext } from "./context.ts";
import { keeperEnds, livenessPath } from "./reaper.ts";

/**
 * Ends what dead workers of this machine left here of attempts that others have settled since: whoever follows a
 * worker from another machine can record its end, but reach neither its processes nor its files. And whoever dies
 * between the record of an end and the removal of its files leaves these to us.
 */
export async function sweep(context: ExecutorContext): Promise<void> {
  for (const { jobId, epoch } of await attemptsHere(context)) await sweepAttempt(context, jobId, epoch);
  await sweepLocks(context);
}

/** The same before another attempt of a job, which must not run beside what is left here of the one before. */
export async function sweepBefore(context: ExecutorContext, job: Pick<Job, "id" | "epoch">): Promise<void> {
  if (context.store.isEmbedded || job.epoch === 1) return;
  for (const { jobId, epoch } of await attemptsHere(context)) {
    if (jobId === job.id && epoch < job.epoch) await sweepAttempt(context, jobId, epoch);
  }
}

async function attemptsHere({ host, store }: ExecutorContext): Promise<{ jobId: string; epoch: number }[]> {
  const names = await host.files.list(`${store.runDirectory}/attempts`).catch(() => []);
  return names.flatMap((name) => {
    const [, jobId, epoch] = /^([0-9a-z]+)\.(\d+)$/.exec(name) ?? [];
    return jobId === undefined ? [] : [{ jobId, epoch: Number(epoch) }];
  });
}

/** Lock files of workers that were declared dead: those who did that, on other machines, could not remove them. */
async function sweepLocks({ host, store }: ExecutorContext): Promise<void> {
  const names = await host.files.list(`${store.runDirectory}/workers`).catch(() => []);
  const ids = names.flatMap((name) => /^([0-9a-z]+)\.lock$/.exec(name)?.[1] ?? []);
  for (const id of await store.workers.stoppedOf(ids)) {
    const path = livenessPath(store.runDirectory, id);
    const lock = await host.locks.tryAcquire(path);
    // It was stopped for long and has not noticed yet that it is dead; it removes the file itself.
    if (lock === null) continue;
    try {
      await host.files.remove(path);
    } finally {
      lock.release();
    }
  }
}

async function sweepAttempt(context: ExecutorContext, jobId: string, epoch: number): Promise<void> {
  const { host, store } = context;
  const job = await store.jobs.find(jobId);
  // Still to be settled: with its files, which hold the rest of its output.
  if (job?.state === "running" && job.epoch === epoch) return;
  const attempt = (await store.jobs.attempts(jobId)).find((one) => one.epoch === epoch);
  // Its owner is about to remove the directory itself.
  if (attempt !== undefined && await isAlive(context, attempt.worker)) return;
  const marker = attemptMarker(store, jobId, epoch);
  await host.processes.killMarked(`${marker.name}=${marker.value}`);
  await keeperEnds(context, { id: jobId, epoch });
  await new AttemptDirectory(host.files, store.runDirectory, jobId, epoch).remove();
}

async function isAlive({ host, store }: ExecutorContext, worker: string): Promise<boolean> {
  const path = livenessPath(store.runDirectory, worker);
  if (await host.files.info(path) === null) return false;
  const lock = await host.locks.tryAcquire(path);
  lock?.release();
  return lock === null;
}
