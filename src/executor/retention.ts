import { asGlassboxError, type GlassboxError } from "../core/errors.ts";
import type { PruneCandidate, PruneFilter, PrunePosition } from "../store/retention.ts";
import type { ExecutorContext } from "./context.ts";

type PruneContext = Pick<ExecutorContext, "host" | "store">;

export interface Pruned {
  readonly jobs: number;
  readonly bytes: number;
}

export interface PruneOptions {
  /** Only count. */
  readonly dryRun: boolean;
  /** Aborts between two transactions. */
  readonly signal?: AbortSignal;
}

/** A transaction that deletes more takes so long that writers notice; one job alone may be larger. */
const BATCH_BYTES_MAX = 32 * 1024 * 1024;

/** Deletes the jobs that a filter lets go, some at a time, so that writers get in between. */
export async function prune(
  { host, store }: PruneContext,
  filter: PruneFilter,
  { dryRun, signal }: PruneOptions,
): Promise<Pruned> {
  const boundary = await store.retention.boundary(filter);
  const sum = { jobs: 0, bytes: 0 };
  if (boundary === null) return sum;
  for (let after: PrunePosition | null = null; !signal?.aborted;) {
    const batch = upTo(await store.retention.candidates(filter, boundary, after), BATCH_BYTES_MAX);
    const last = batch.at(-1);
    if (last === undefined) break;
    sum.jobs += dryRun ? batch.length : await store.retention.delete(batch.map(({ id }) => id));
    sum.bytes += batch.reduce((bytes, job) => bytes + job.bytes, 0);
    after = last;
    await host.clock.turn();
  }
  return sum;
}

/** The first of them that are within the bound together, and at least one. */
function upTo(candidates: readonly PruneCandidate[], bytesMax: number): PruneCandidate[] {
  let bytes = 0;
  const past = candidates.findIndex((job, index) => (bytes += job.bytes) > bytesMax && index > 0);
  return past === -1 ? [...candidates] : candidates.slice(0, past);
}

/** What a server keeps: a job goes when either bound says so. */
export interface RetentionRules {
  readonly retentionMaxAgeMs: number | null;
  readonly retentionMaxJobs: number | null;
}

/** How often a server looks for jobs that may go. */
const EVERY_MS = 60_000;

/** Prunes from time to time until `signal` aborts; returns at once when the rules keep everything. */
export async function retain(
  context: PruneContext,
  rules: RetentionRules,
  signal: AbortSignal,
  tell: { readonly pruned: (pruned: Pruned) => void; readonly error: (error: GlassboxError) => void },
): Promise<void> {
  const { clock } = context.host;
  const filters = () => [
    ...rules.retentionMaxAgeMs === null
      ? []
      : [{ finishedBeforeMs: clock.nowMs() - rules.retentionMaxAgeMs }],
    ...rules.retentionMaxJobs === null ? [] : [{ keep: rules.retentionMaxJobs }],
  ];
  while (filters().length > 0 && !signal.aborted) {
    try {
      for (const filter of filters()) {
        const pruned = await prune(context, filter, { dryRun: false, signal });
        if (pruned.jobs > 0) tell.pruned(pruned);
      }
    } catch (error) {
      tell.error(asGlassboxError(error));
    }
    await clock.sleep(EVERY_MS, signal);
  }
}
