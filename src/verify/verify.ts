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
  let before: string | undefined;
  let count = 0;
  for (;;) {
    const jobs = await store.jobs.list({ limit: PAGE_JOBS, ...(before === undefined ? {} : { before }) });
    for (const { id } of jobs) violations.push(...await verifyJob(store, id, around));
    count += jobs.length;
    await onProgress(count);
    if (jobs.length < PAGE_JOBS) return { jobs: count, violations };
    before = jobs.at(-1)!.id;
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
