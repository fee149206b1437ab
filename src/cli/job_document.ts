import type { Artifact, Attempt, Job, JobEvent } from "../core/job.ts";
import { type DigestParts, jobDigest } from "../logs/digest.ts";
import type { Store } from "../store/store.ts";

/** A job as `--json` shows it: everything but its lines and events. */
export interface JobDocument {
  readonly job: Job;
  readonly attempts: readonly Attempt[];
  readonly artifacts: readonly Omit<Artifact, "job">[];
  /** See `jobDigest`; null while the job is not final. */
  readonly digest: string | null;
  /** The digests that `digest` is made of. */
  readonly digestParts: DigestParts | null;
}

export async function jobDocument(store: Store, jobId: string): Promise<JobDocument> {
  const job = await store.jobs.get(jobId);
  const artifacts = await store.artifacts.list(jobId);
  const digested = job.finishedAtMs === null ? null : await jobDigest(store, job);
  return {
    job,
    attempts: await store.jobs.attempts(jobId),
    artifacts: artifacts.map(({ job: _, ...artifact }) => artifact),
    digest: digested?.digest ?? null,
    digestParts: digested?.parts ?? null,
  };
}

/** All events of a job, in order. */
export async function allEvents(store: Store, jobId: string): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  for (;;) {
    const page = await store.jobs.events(jobId, events.length, 1000);
    events.push(...page);
    if (page.length < 1000) return events;
  }
}
