import { isGlassboxError, messageOf } from "../core/errors.ts";
import type { Job } from "../core/job.ts";
import type { Store } from "../store/store.ts";
import { checkJob, type Surroundings, type Violation } from "./check.ts";
import { readRecord } from "./read.ts";

export interface VerifyReport {
  readonly jobs: number;
  readonly violations: readonly Violation[];
}

const PAGE_JOBS = 200;

/**
 * Checks every job of a database, and the file itself. Reads only. A job that changes while it is read is read
 * again, so a database in use can be verified; `onProgress` is told how many jobs are done.
 */
export async function verifyDatabase(
  store: Store,
  around: Surroundings,
  onProgress: (jobs: number) => Promise<void> = () => Promise.resolve(),
): Promise<VerifyReport> {
  const violations: Violation[] = [];
  for (const message of await store.integrityErrors()) {
    violations.push({ invariant: "I14", job: null, message });
  }
  let before: string | null = null;
  let count = 0;
  for (;;) {
    const ids: string[] = await store.jobs.ids(before, PAGE_JOBS);
    for (const id of ids) violations.push(...await verifyReadable(store, id, around));
    count += ids.length;
    await onProgress(count);
    if (ids.length < PAGE_JOBS) return { jobs: count, violations };
    before = ids.at(-1)!;
  }
}

/** A job whose rows are damaged is one that breaks I14, and no reason to leave the others unchecked. */
async function verifyReadable(store: Store, jobId: string, around: Surroundings): Promise<Violation[]> {
  try {
    return await verifyJob(store, jobId, around);
  } catch (error) {
    if (!isGlassboxError(error, "storage_damaged")) throw error;
    return [{ invariant: "I14", job: jobId, message: `cannot be read: ${messageOf(error)}` }];
  }
}

/** Checks one job. A job is read in several steps, so a verdict counts only if nothing moved meanwhile. */
export async function verifyJob(store: Store, jobId: string, around: Surroundings): Promise<Violation[]> {
  for (let job = await store.jobs.find(jobId); job !== null;) {
    const { record, violations } = await readRecord(store, job);
    const found = [...violations, ...checkJob(record, around)];
    if (found.length === 0) return [];
    const then = await store.jobs.find(jobId);
    if (then !== null && isSame(job, then)) return found;
    job = then;
  }
  return [];
}

function isSame(a: Job, b: Job): boolean {
  return a.state === b.state && a.epoch === b.epoch && a.cancel?.atMs === b.cancel?.atMs;
}
