/** Which job a worker takes next, and the transition by which it does. */
import { type Statement, statement } from "./driver.ts";

export interface ClaimFilter {
  /** One job, or null for the best of the queues. */
  readonly jobId: string | null;
  readonly queues: readonly string[];
  /** Only tasks this build knows: another worker may know the rest. */
  readonly tasks: readonly string[];
}

/** A place is free in the job's queue, and no job with its concurrency key is running. */
const MAY_RUN = `NOT EXISTS (
    SELECT 1 FROM queues WHERE queues.name = jobs.queue AND (paused = 1 OR concurrency_max <= (
      SELECT count(*) FROM jobs AS other WHERE other.state = 'running' AND other.queue = jobs.queue)))
  AND (concurrency_key IS NULL OR NOT EXISTS (
    SELECT 1 FROM jobs AS other WHERE other.state = 'running' AND other.concurrency_key = jobs.concurrency_key))`;

/** Selects the id that a claim of `worker` (?1) would take now (?2); the filter's own arguments follow these. */
function claimable(filter: ClaimFilter): Statement {
  if (filter.jobId !== null) {
    return statement(
      `SELECT id FROM jobs WHERE id = ?3 AND state = 'queued' AND cancel_at_ms IS NULL AND not_before_ms <= ?2
         AND (reserved_for IS NULL OR reserved_for = ?1) AND ${MAY_RUN}`,
      filter.jobId,
    );
  }
  return statement(
    `SELECT id FROM jobs WHERE state = 'queued' AND cancel_at_ms IS NULL AND not_before_ms <= ?2
       AND (reserved_for IS NULL OR reserved_for = ?1)
       AND queue IN (SELECT value FROM json_each(?3)) AND task IN (SELECT value FROM json_each(?4))
       AND ${MAY_RUN}
       ORDER BY priority DESC, id LIMIT 1`,
    JSON.stringify(filter.queues),
    JSON.stringify(filter.tasks),
  );
}

/** Asks whether a claim would find a job, and if not, when the next delayed one is due: both at the same moment. */
export function outlookStatement(worker: string, filter: ClaimFilter, atMs: number): Statement {
  const { sql, args } = claimable(filter);
  const waiting = filter.jobId === null ? "queue IN (SELECT value FROM json_each(?3))" : "id = ?3";
  return statement(
    `SELECT claimable, CASE claimable WHEN 0 THEN
       (SELECT min(not_before_ms) FROM jobs WHERE state = 'queued' AND not_before_ms > ?2 AND ${waiting}) END AS due
     FROM (SELECT EXISTS (${sql}) AS claimable)`,
    worker,
    atMs,
    ...args,
  );
}

/**
 * Claims one job. One at a time, as the next may be claimed only with this one counted; several claims still
 * share a group commit.
 */
export function claimStatements(worker: string, filter: ClaimFilter, atMs: number): Statement[] {
  const { sql, args } = claimable(filter);
  return [
    statement(
      `UPDATE jobs SET state = 'running', epoch = epoch + 1, owner = ?1, reserved_for = NULL,
         started_at_ms = coalesce(started_at_ms, ?2)
       WHERE id IN (${sql})
         AND NOT EXISTS (SELECT 1 FROM workers WHERE id = ?1 AND stopped_at_ms IS NOT NULL) RETURNING *`,
      worker,
      atMs,
      ...args,
    ),
    // One batch may claim several jobs, so these find the newly claimed by what they still lack.
    statement(
      `INSERT INTO events (job_id, seq, epoch, kind, data, at_ms)
       SELECT id, (SELECT coalesce(max(seq), 0) + 1 FROM events WHERE job_id = jobs.id), epoch, 'claimed',
         json_object('worker', owner), ?2
       FROM jobs WHERE owner = ?1 AND state = 'running'
         AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.job_id = jobs.id AND a.epoch = jobs.epoch)`,
      worker,
      atMs,
    ),
    statement(
      `INSERT INTO attempts (job_id, epoch, worker, started_at_ms)
       SELECT id, epoch, owner, ?2 FROM jobs WHERE owner = ?1 AND state = 'running'
         AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.job_id = jobs.id AND a.epoch = jobs.epoch)`,
      worker,
      atMs,
    ),
  ];
}
