/**
 * The state machine as SQL. Every transition is one batch whose first statement is a guarded change of one row;
 * what follows happens only if that row changed (`changes() = 1`). So a batch may stand beside others in a group
 * commit, and runs the same on a database server, where no transaction may stay open between round trips.
 */
import type { ExitEvidence, JobFailure, JobState } from "../core/job.ts";
import { type Statement, statement } from "./driver.ts";

/** The attempt that writes: every one of its writes must still be allowed by the job's row. */
export interface Fence {
  readonly jobId: string;
  readonly worker: string;
  readonly epoch: number;
  /**
   * Aborts when the attempt may write no more. Until then a write is repeated while a server cannot be reached;
   * without it, nothing is.
   */
  readonly lost?: AbortSignal;
}

export interface NewJob {
  readonly id: string;
  readonly task: string;
  readonly inputJson: string;
  /** Empty without a key, as nothing is ever compared with it then. */
  readonly requestSha256: string;
  readonly key: string | null;
  readonly queue: string;
  readonly priority: number;
  readonly timeoutMs: number | null;
  readonly graceMs: number;
  readonly outputBytesMax: number;
  readonly maxAttempts: number;
  readonly backoffMs: number;
  /** Counted from the submission. */
  readonly delayMs: number;
  readonly concurrencyKey: string | null;
  readonly reservedFor: string | null;
  readonly retryOf: string | null;
}

const INSERT_EVENT = `INSERT INTO events (job_id, seq, epoch, kind, data, at_ms)
  SELECT ?1, (SELECT coalesce(max(seq), 0) + 1 FROM events WHERE job_id = ?1), ?2, ?3, ?4, ?5`;

/** A condition on job, worker and epoch: the attempt that writes still holds its job. */
export const STILL_OURS =
  "EXISTS (SELECT 1 FROM jobs WHERE id = ? AND owner = ? AND epoch = ? AND state = 'running')";

/** An event that exists only if the statement before it changed exactly one row. */
export function eventIfChanged(
  jobId: string,
  epoch: number,
  kind: string,
  data: unknown,
  atMs: number,
): Statement {
  return statement(`${INSERT_EVENT} WHERE changes() = 1`, jobId, epoch, kind, JSON.stringify(data), atMs);
}

/** A condition of `submitStatements`: fewer than so many jobs wait. */
export function roomInQueue(queuedMax: number): Statement {
  return statement(
    "(SELECT count(*) FROM (SELECT 1 FROM jobs WHERE state = 'queued' LIMIT ?)) < ?",
    queuedMax,
    queuedMax,
  );
}

/** `onlyIf` is a condition in SQL without which nothing is stored. */
export function submitStatements(
  job: NewJob,
  atMs: number,
  onlyIf: Statement = statement("true"),
): Statement[] {
  return [
    statement(
      `INSERT INTO jobs (id, task, input, request_sha256, key, queue, priority, state, reserved_for, timeout_ms,
         grace_ms, output_bytes_max, max_attempts, backoff_ms, not_before_ms, concurrency_key, retry_of, created_at_ms)
       SELECT ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE ${onlyIf.sql}
       ON CONFLICT (key) DO NOTHING`,
      job.id,
      job.task,
      job.inputJson,
      job.requestSha256,
      job.key,
      job.queue,
      job.priority,
      job.reservedFor,
      job.timeoutMs,
      job.graceMs,
      job.outputBytesMax,
      job.maxAttempts,
      job.backoffMs,
      job.delayMs === 0 ? 0 : atMs + job.delayMs,
      job.concurrencyKey,
      job.retryOf,
      atMs,
      ...onlyIf.args,
    ),
    eventIfChanged(job.id, 0, "submitted", { task: job.task }, atMs),
    // Only a key can meet an older job.
    ...job.key === null ? [] : [statement("SELECT id, request_sha256 FROM jobs WHERE key = ?", job.key)],
  ];
}

export function startedStatements(
  fence: Fence,
  child: { pid: number; startTicks: string; program: string },
  atMs: number,
): Statement[] {
  return [
    statement(
      `UPDATE attempts SET pid = ?, start_ticks = ? WHERE job_id = ? AND epoch = ? AND pid IS NULL AND ${STILL_OURS}`,
      child.pid,
      child.startTicks,
      fence.jobId,
      fence.epoch,
      fence.jobId,
      fence.worker,
      fence.epoch,
    ),
    eventIfChanged(fence.jobId, fence.epoch, "started", { pid: child.pid, program: child.program }, atMs),
  ];
}

const HOLDER_OF_EVENT =
  "EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND owner = ?6 AND epoch = ?2 AND state = 'running')";

export function eventStatements(fence: Fence, kind: string, data: unknown, atMs: number): Statement[] {
  return [
    statement(
      `${INSERT_EVENT} WHERE ${HOLDER_OF_EVENT}`,
      fence.jobId,
      fence.epoch,
      kind,
      JSON.stringify(data),
      atMs,
      fence.worker,
    ),
  ];
}

/** What is known at the end of an attempt about what of it is not stored. */
export interface Ended {
  readonly evidence: ExitEvidence | null;
  /** Reports of progress beyond the bound, which were not stored; none when left out. */
  readonly droppedProgress?: number;
}

/** The same event once more after a lost answer: only where it is not there. `twins` were told in the same millisecond. */
export function eventAgainStatement(
  fence: Fence,
  kind: string,
  data: unknown,
  atMs: number,
  twins: number,
): Statement {
  return statement(
    `${INSERT_EVENT} WHERE ${HOLDER_OF_EVENT} AND (SELECT count(*) FROM events
       WHERE job_id = ?1 AND epoch = ?2 AND kind = ?3 AND data = ?4 AND at_ms = ?5) <= ?7`,
    fence.jobId,
    fence.epoch,
    kind,
    JSON.stringify(data),
    atMs,
    fence.worker,
    twins,
  );
}

/**
 * Says what of an attempt was dropped, once, in the commit that ends it: evidence of a loss without its event, or the
 * event without its evidence, would be found by nobody.
 */
export function droppedStatements(
  fence: Fence,
  { evidence, droppedProgress = 0 }: Ended,
  atMs: number,
): Statement[] {
  const output = evidence === null || evidence.droppedLines === 0 ? [] : [droppedStatement(
    fence,
    "output_dropped",
    { droppedLines: evidence.droppedLines, droppedBytes: evidence.droppedBytes },
    "json_object('outputBytesMax', output_bytes_max)",
    atMs,
  )];
  const progress = droppedProgress === 0
    ? []
    : [droppedStatement(fence, "progress_dropped", { droppedProgress }, "'{}'", atMs)];
  return [...output, ...progress];
}

/** An event that is told once for each attempt; `also` is JSON made in SQL, with what only the row knows. */
function droppedStatement(fence: Fence, kind: string, data: unknown, also: string, atMs: number): Statement {
  return statement(
    `INSERT INTO events (job_id, seq, epoch, kind, data, at_ms)
     SELECT ?1, (SELECT coalesce(max(seq), 0) + 1 FROM events WHERE job_id = ?1), ?2, ?3, json_patch(?4, ${also}), ?5
     FROM jobs WHERE id = ?1 AND owner = ?6 AND epoch = ?2 AND state = 'running'
       AND NOT EXISTS (SELECT 1 FROM events WHERE job_id = ?1 AND epoch = ?2 AND kind = ?3)`,
    fence.jobId,
    fence.epoch,
    kind,
    JSON.stringify(data),
    atMs,
    fence.worker,
  );
}

export interface Finish extends Ended {
  readonly state: Extract<JobState, "completed" | "failed" | "cancelled">;
  readonly resultJson: string | null;
  readonly failure: JobFailure | null;
  /** It was killed for somebody who wanted no more of it: where a cancel is recorded by now, that is how it ended. */
  readonly killedOnRequest?: boolean;
}

/** T4, T5, T10. */
export function finishStatements(fence: Fence, finish: Finish, atMs: number): Statement[] {
  const asItEnded = endStatements(fence, finish, atMs);
  return finish.killedOnRequest ? [...ifAskedToStop(fence, finish, atMs), ...asItEnded] : asItEnded;
}

/** Cancelled, if it was asked to stop; nothing otherwise. */
function ifAskedToStop(fence: Fence, { evidence }: Ended, atMs: number): Statement[] {
  const cancelled: Finish = { state: "cancelled", resultJson: null, failure: null, evidence };
  return endStatements(fence, cancelled, atMs, true);
}

function endStatements(
  fence: Fence,
  finish: Finish,
  atMs: number,
  onlyIfAskedToStop = false,
): Statement[] {
  const outcome = finish.failure?.code === "lost" ? "lost" : finish.state;
  return [
    statement(
      `UPDATE jobs SET state = ?, result = ?, failure = ?, finished_at_ms = ?
       WHERE id = ? AND owner = ? AND epoch = ? AND state = 'running'${
        onlyIfAskedToStop ? " AND cancel_at_ms IS NOT NULL" : ""
      }`,
      finish.state,
      finish.resultJson,
      finish.failure === null ? null : JSON.stringify(finish.failure),
      atMs,
      fence.jobId,
      fence.worker,
      fence.epoch,
    ),
    eventIfChanged(fence.jobId, fence.epoch, "finished", {
      state: finish.state,
      failure: finish.failure,
      exitCode: finish.evidence?.exitCode ?? null,
      signal: finish.evidence?.signal ?? null,
    }, atMs),
    statement(
      `UPDATE attempts SET ended_at_ms = ?, outcome = ?, evidence = ?
       WHERE job_id = ? AND epoch = ? AND changes() = 1`,
      atMs,
      outcome,
      finish.evidence === null ? null : JSON.stringify(finish.evidence),
      fence.jobId,
      fence.epoch,
    ),
    // Parts of uploads that were never published belong to nobody now.
    statement(
      `DELETE FROM artifact_parts WHERE changes() = 1 AND job_id = ?1 AND (name, epoch, upload) NOT IN
         (SELECT name, epoch, upload FROM artifacts WHERE job_id = ?1)`,
      fence.jobId,
    ),
  ];
}

export interface Retry extends Ended {
  readonly failure: JobFailure;
  readonly delayMs: number;
  /** The command line that runs the job itself, and is to run it again; null for any worker. */
  readonly reservedFor: string | null;
}

/**
 * T6. The attempt is over and another may follow; when the job was asked to stop meanwhile, it is cancelled instead. Both
 * stand in one commit: between two, another who settles the same job would store its last output once more.
 */
export function retryStatements(fence: Fence, retry: Retry, atMs: number): Statement[] {
  const { failure, evidence, delayMs, reservedFor } = retry;
  return [
    statement(
      `UPDATE jobs SET state = 'queued', owner = NULL, reserved_for = ?, not_before_ms = ?
       WHERE id = ? AND owner = ? AND epoch = ? AND state = 'running' AND cancel_at_ms IS NULL
         AND epoch < max_attempts`,
      reservedFor,
      // At once means at once, whatever the clocks of others say.
      delayMs === 0 ? 0 : atMs + delayMs,
      fence.jobId,
      fence.worker,
      fence.epoch,
    ),
    eventIfChanged(fence.jobId, fence.epoch, "retry_scheduled", {
      failure,
      exitCode: evidence?.exitCode ?? null,
      signal: evidence?.signal ?? null,
      delayMs,
    }, atMs),
    statement(
      `UPDATE attempts SET ended_at_ms = ?, outcome = ?, evidence = ?
       WHERE job_id = ? AND epoch = ? AND changes() = 1`,
      atMs,
      failure.code === "lost" ? "lost" : "failed",
      evidence === null ? null : JSON.stringify(evidence),
      fence.jobId,
      fence.epoch,
    ),
    ...ifAskedToStop(fence, retry, atMs),
  ];
}

/** A queued job that nobody will ever claim: its own command line died before it could. */
export function abandonStatements(
  jobId: string,
  worker: string,
  failure: JobFailure,
  atMs: number,
): Statement[] {
  return [
    statement(
      `UPDATE jobs SET state = 'failed', failure = ?, finished_at_ms = ?
       WHERE id = ? AND state = 'queued' AND reserved_for = ?`,
      JSON.stringify(failure),
      atMs,
      jobId,
      worker,
    ),
    eventIfChanged(jobId, 0, "finished", { state: "failed", failure, exitCode: null, signal: null }, atMs),
  ];
}

export function cancelStatements(jobId: string, actor: string, reason: string, atMs: number): Statement[] {
  const who = { actor, reason };
  return [
    statement(
      `UPDATE jobs SET state = 'cancelled', cancel_at_ms = ?1, cancel_actor = ?2, cancel_reason = ?3, finished_at_ms = ?1
       WHERE id = ?4 AND state = 'queued'`,
      atMs,
      actor,
      reason,
      jobId,
    ),
    eventIfChanged(jobId, 0, "finished", {
      state: "cancelled",
      ...who,
      failure: null,
      exitCode: null,
      signal: null,
    }, atMs),
    statement(
      `UPDATE jobs SET cancel_at_ms = ?, cancel_actor = ?, cancel_reason = ?
       WHERE id = ? AND state = 'running' AND cancel_at_ms IS NULL`,
      atMs,
      actor,
      reason,
      jobId,
    ),
    statement(
      `${INSERT_EVENT} WHERE changes() = 1`,
      jobId,
      0,
      "cancel_requested",
      JSON.stringify(who),
      atMs,
    ),
    statement("SELECT * FROM jobs WHERE id = ?", jobId),
  ];
}
