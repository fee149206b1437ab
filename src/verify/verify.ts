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

/** What a check is about to read, or found: `reading` is a job's id, or null for the file and the list of its jobs. */
export type VerifyStep = { readonly reading: string | null } | { readonly violation: Violation };

/**
 * Checks every job of a database, and the file itself. Reads only. A job that changes while it is read is read
 * again, so a database in use can be verified.
 */
export async function verifyDatabase(store: Store, around: Surroundings): Promise<VerifyReport> {
  const violations: Violation[] = [];
  let jobs = 0;
  for await (const step of verifySteps(store, around)) {
    if ("violation" in step) violations.push(step.violation);
    else if (step.reading !== null) jobs++;
  }
  return { jobs, violations };
}

/** The same, step by step, newest job first; with `after`, an earlier check goes on behind that job. */
export async function* verifySteps(
  store: Store,
  around: Surroundings,
  after: string | null = null,
): AsyncGenerator<VerifyStep> {
  yield { reading: null };
  if (after === null) {
    for (const message of await store.integrityErrors()) {
      yield { violation: { invariant: "I14", job: null, message } };
    }
  }
  for (let before = after;;) {
    const ids: string[] = await store.jobs.ids(before, PAGE_JOBS);
    for (const id of ids) {
      yield { reading: id };
      for (const violation of await verifyReadable(store, id, around)) yield { violation };
    }
    if (ids.length < PAGE_JOBS) return;
    before = ids.at(-1)!;
    yield { reading: null };
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
