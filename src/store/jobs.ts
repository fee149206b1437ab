import { GlassboxError, isGlassboxError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Attempt, Job, JobEvent, JobFailure, JobState, JobSummary, StreamName } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import { statement } from "./connection.ts";
import type { Result } from "./driver.ts";
import { insist } from "./insist.ts";
import { toAttempt, toEvent, toJob, toJobSummary } from "./rows.ts";
import type { StoreCore } from "./store_core.ts";
import { type ClaimFilter, claimStatements, outlookStatement } from "./claims.ts";
import { type LineChunk, linesAtEndStatement, linesStatement, partialStatement } from "./line_writes.ts";
import {
  abandonStatements,
  cancelStatements,
  droppedStatements,
  type Ended,
  eventAgainStatement,
  eventStatements,
  type Fence,
  type Finish,
  finishStatements,
  type NewJob,
  type Retry,
  retryStatements,
  roomInQueue,
  startedStatements,
  submitStatements,
} from "./transitions.ts";
import { type NewWorker, registerStatement } from "./workers.ts";

/** Subscribed to by workers: something may be claimable. */
export const QUEUE_TOPIC = "queue";

/** Subscribed to by whoever runs the job: someone may have asked it to stop. */
export function cancelTopic(jobId: string): string {
  return `cancel ${jobId}`;
}

export interface ListFilter {
  readonly states?: readonly JobState[];
  readonly task?: string;
  readonly limit: number;
  /** Only jobs before this id; ids are in order of submission. */
  readonly before?: string;
}

/** What a worker has to expect of its queues. */
export interface Outlook {
  readonly isClaimable: boolean;
  /** In wall-clock milliseconds; null when no delayed job waits, or one can be claimed now. */
  readonly dueMs: number | null;
}

/** What an attempt adds to its record in one commit. */
export interface Captured {
  readonly chunks: readonly LineChunk[];
  /** Unfinished text to show; null where a stream has none any more; absent where nothing changed. */
  readonly partials: Partial<Record<StreamName, Uint8Array | null>>;
  /** The chunk is stored only while no line has come since it was read what to store: others may store the same text. */
  readonly onlyAtEnd?: true;
}

/** All but input and result: a list of jobs must not hold gigabytes. */
const SUMMARY_COLUMNS = `id, task, substr(input, 1, ${
  LIMITS.inputPreviewCharactersMax + 1
}) AS input_preview, key, queue,
  priority, state, epoch, owner, timeout_ms, grace_ms, output_bytes_max, max_attempts, backoff_ms, concurrency_key,
  not_before_ms, failure, retry_of, schedule, due_at_ms, created_at_ms, started_at_ms, finished_at_ms, cancel_at_ms, cancel_actor,
  cancel_reason`;

/** Jobs, their attempts and their events. Every change of state goes through here. */
export class Jobs {
  #core: StoreCore;
  #host: Host;
  #twins = new Twins();

  constructor(core: StoreCore, host: Host) {
    this.#core = core;
    this.#host = host;
  }

  /**
   * T1. Resolves after COMMIT with the job's id: an older one's when key and request are the same. With `queuedMax`
   * no new job is taken while so many wait.
   */
  async submit(job: NewJob, queuedMax: number | null = null): Promise<{ id: string; created: boolean }> {
    const refusal = this.#core.refusal();
    if (refusal !== null) throw refusal;
    const room = queuedMax === null ? undefined : roomInQueue(queuedMax);
    const writing = this.#core.write(submitStatements(job, this.#now(), room), [job.id, QUEUE_TOPIC]);
    const results = await writing.catch((error) =>
      this.#confirm(error, async () => await this.find(job.id) !== null)
    );
    return results === "done" ? { id: job.id, created: true } : submitted(job, results, queuedMax);
  }

  /**
   * T1 and T2 of a new worker's own job. All or nothing: a job that is held by or kept for a worker that has no row
   * would never be settled. `claimed` is null while the job must wait.
   */
  async submitAndClaim(
    worker: NewWorker,
    job: NewJob,
  ): Promise<{ id: string; created: boolean; claimed: Job | null }> {
    const atMs = this.#now();
    const submitting = submitStatements(job, atMs);
    const own = { jobId: job.id, queues: [], tasks: [] };
    const statements = [
      registerStatement(this.#host, worker),
      ...submitting,
      ...claimStatements(worker.id, own, atMs),
    ];
    const writing = this.#core.write(statements, [job.id, QUEUE_TOPIC]);
    const results = await writing.catch((error) =>
      this.#confirm(error, async () => await this.find(job.id) !== null)
    );
    if (results === "done") {
      const now = await this.get(job.id);
      const isOurs = now.state === "running" && now.owner === worker.id;
      return { id: job.id, created: true, claimed: isOurs ? now : null };
    }
    const row = results[1 + submitting.length]!.rows[0];
    return { ...submitted(job, results.slice(1)), claimed: row === undefined ? null : toJob(row) };
  }

  /**
   * T2. The job that this worker now owns; null when there is none to be had. When the answer to a claim from a queue
   * is lost nobody knows which job that is: it then is among those that the worker holds, but never heard of.
   */
  async claim(worker: string, filter: ClaimFilter): Promise<Job | null> {
    const topics = filter.jobId === null ? [] : [filter.jobId];
    try {
      const results = await this.#core.write(claimStatements(worker, filter, this.#now()), topics);
      const row = results[0]!.rows[0];
      return row === undefined ? null : toJob(row);
    } catch (error) {
      if (filter.jobId === null || !isGlassboxError(error, "storage_unreachable")) throw error;
      const job = await this.find(filter.jobId).catch(() => null);
      if (job?.owner !== worker || job.state !== "running") throw error;
      return job;
    }
  }

  /** Whether there is something for `claim` to take, and if not, when the next delayed job may be claimed. Only reads. */
  async outlook(worker: string, filter: ClaimFilter): Promise<Outlook> {
    const rows = await this.#core.read(outlookStatement(worker, filter, this.#now()));
    const { claimable, due } = rows[0]!;
    return {
      isClaimable: Number(claimable) === 1,
      dueMs: due === null || due === undefined ? null : Number(due),
    };
  }

  /** T6: the last output and the return to the queue in one commit; or the job's end, when it was asked to stop. */
  async retry(fence: Fence, retry: Retry, last: Captured): Promise<void> {
    const output = this.#lastStatements(fence, retry, last);
    const isDone = async () => {
      const job = await this.find(fence.jobId);
      return job !== null && job.epoch >= fence.epoch &&
        (job.owner !== fence.worker || job.state === "cancelled");
    };
    await insist(this.#host, fence.lost, async (wasTried) => {
      if (wasTried && await isDone()) return;
      const statements = [...output, ...retryStatements(fence, retry, this.#now())];
      const writing = this.#core.write(statements, [fence.jobId, QUEUE_TOPIC]);
      const results = await writing.catch((error) => this.#confirm(error, isDone));
      if (results === "done" || results.slice(output.length).some(({ rowsAffected }) => rowsAffected > 0)) {
        return;
      }
      if (wasTried && await isDone()) return;
      this.#demand(0, fence);
    });
  }

  async recordStarted(
    fence: Fence,
    child: { pid: number; startTicks: string; program: string },
  ): Promise<void> {
    const statements = startedStatements(fence, child, this.#now());
    await insist(this.#host, fence.lost, async (wasTried) => {
      const results = await this.#core.write(statements, [fence.jobId]);
      // Tried before, it may have been done then; whoever holds the job no longer learns that by its next write.
      if (!wasTried) this.#demand(results[0]!.rowsAffected, fence);
    });
  }

  async recordEvents(fence: Fence, events: readonly { kind: string; data: unknown }[]): Promise<void> {
    const atMs = this.#now();
    const told = events.map((event) => ({ ...event, twins: this.#twins.count(fence, event, atMs) }));
    await insist(this.#host, fence.lost, async (wasTried) => {
      const statements = told.flatMap(({ kind, data, twins }) =>
        wasTried
          ? eventAgainStatement(fence, kind, data, atMs, twins)
          : eventStatements(fence, kind, data, atMs)
      );
      const results = await this.#core.write(statements, [fence.jobId]);
      if (!wasTried) { for (const result of results) this.#demand(result.rowsAffected, fence); }
    });
  }

  async recordOutput(fence: Fence, captured: Captured): Promise<void> {
    const statements = this.#outputStatements(fence, captured);
    const results = await insist(
      this.#host,
      fence.lost,
      () => this.#core.write(statements, [fence.jobId]),
    );
    const shown = Object.values(captured.partials);
    results.forEach((result, index) => {
      // Removing unfinished text changes no row where none was stored; everything else must change one.
      const isRemoval = index >= captured.chunks.length && shown[index - captured.chunks.length] === null;
      if (!isRemoval) this.#demand(result.rowsAffected, fence);
    });
  }

  /** T4, T5, T10: the last output and the final state in one commit. */
  async finish(fence: Fence, finish: Finish, last: Captured): Promise<void> {
    const output = this.#lastStatements(fence, finish, last);
    const endings: JobState[] = finish.killedOnRequest ? [finish.state, "cancelled"] : [finish.state];
    const isDone = async () => {
      const job = await this.find(fence.jobId);
      return job !== null && endings.includes(job.state) && job.owner === fence.worker &&
        job.epoch === fence.epoch;
    };
    await insist(this.#host, fence.lost, async (wasTried) => {
      if (wasTried && await isDone()) return;
      const statements = [...output, ...finishStatements(fence, finish, this.#now())];
      const writing = this.#core.write(statements, [fence.jobId, QUEUE_TOPIC]);
      const results = await writing.catch((error) => this.#confirm(error, isDone));
      if (results === "done") return;
      if (results.slice(output.length).some(({ rowsAffected }) => rowsAffected > 0)) return;
      if (wasTried && await isDone()) return;
      this.#demand(0, fence);
    });
  }

  /** Fails a queued job whose own command line died before claiming it. True when it was so. */
  async abandon(jobId: string, worker: string, failure: JobFailure): Promise<boolean> {
    const results = await this.#core.write(abandonStatements(jobId, worker, failure, this.#now()), [jobId]);
    return results[0]!.rowsAffected === 1;
  }

  /** T8, T9. A queued job is cancelled at once; a running one is asked to stop. Asking twice changes nothing. */
  async cancel(jobId: string, actor: string, reason: string): Promise<Job> {
    const atMs = this.#now();
    const writing = this.#core.write(
      cancelStatements(jobId, actor, reason, atMs),
      [jobId, cancelTopic(jobId)],
    );
    const isDone = async () => {
      const cancel = (await this.find(jobId))?.cancel;
      return cancel?.atMs === atMs && cancel.actor === actor && cancel.reason === reason;
    };
    const results = await writing.catch((error) => this.#confirm(error, isDone));
    if (results === "done") return await this.get(jobId);
    const row = results[4]!.rows[0];
    if (row === undefined) throw jobNotFound(jobId);
    const job = toJob(row);
    const changed = results[0]!.rowsAffected === 1;
    if (!changed && job.state !== "running" && job.state !== "cancelled") {
      throw new GlassboxError("job_final", `Cannot cancel job ${jobId} as it is already ${job.state}`);
    }
    return job;
  }

  async get(jobId: string): Promise<Job> {
    const job = await this.find(jobId);
    if (job === null) throw jobNotFound(jobId);
    return job;
  }

  async find(jobId: string): Promise<Job | null> {
    const rows = await this.#core.read(statement("SELECT * FROM jobs WHERE id = ?", jobId));
    return rows[0] === undefined ? null : toJob(rows[0]);
  }

  /** Newest first. */
  async list(filter: ListFilter): Promise<JobSummary[]> {
    const rows = await this.#core.read(statement(
      `SELECT ${SUMMARY_COLUMNS} FROM jobs
       WHERE (?1 IS NULL OR state IN (SELECT value FROM json_each(?1))) AND (?2 IS NULL OR task = ?2)
         AND (?3 IS NULL OR id < ?3)
       ORDER BY id DESC LIMIT ?4`,
      filter.states === undefined ? null : JSON.stringify(filter.states),
      filter.task ?? null,
      filter.before ?? null,
      filter.limit,
    ));
    return rows.map(toJobSummary);
  }

  /** Ids alone, newest first: they can be had of jobs whose rows are damaged as well. */
  async ids(before: string | null, limit: number): Promise<string[]> {
    const rows = await this.#core.read(
      statement("SELECT id FROM jobs WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2", before, limit),
    );
    return rows.map((row) => String(row.id));
  }

  async count(): Promise<Record<JobState, number>> {
    const rows = await this.#core.read(statement("SELECT state, count(*) AS jobs FROM jobs GROUP BY state"));
    const counts = { queued: 0, running: 0, completed: 0, failed: 0, cancelled: 0 };
    for (const row of rows) counts[String(row.state) as JobState] = Number(row.jobs);
    return counts;
  }

  /** Events after `after`, in order. */
  async events(jobId: string, after: number, limit: number): Promise<JobEvent[]> {
    const rows = await this.#core.read(statement(
      "SELECT * FROM events WHERE job_id = ? AND seq > ? ORDER BY seq LIMIT ?",
      jobId,
      after,
      limit,
    ));
    return rows.map(toEvent);
  }

  async attempts(jobId: string): Promise<Attempt[]> {
    const rows = await this.#core.read(
      statement("SELECT * FROM attempts WHERE job_id = ? ORDER BY epoch", jobId),
    );
    return rows.map(toAttempt);
  }

  /** Jobs a worker still holds: running ones, and those reserved for it that it never claimed. */
  async heldBy(worker: string): Promise<{ running: Job[]; reserved: string[] }> {
    const running = await this.#core.read(
      statement("SELECT * FROM jobs WHERE owner = ? AND state = 'running'", worker),
    );
    const reserved = await this.#core.read(
      statement("SELECT id FROM jobs WHERE reserved_for = ? AND state = 'queued'", worker),
    );
    return { running: running.map(toJob), reserved: reserved.map((row) => String(row.id)) };
  }

  /** The id that a user's word stands for: an id, or `latest`. */
  async resolveId(word: string): Promise<string> {
    if (word !== "latest") return word;
    const rows = await this.#core.read(statement("SELECT max(id) AS id FROM jobs"));
    if (rows[0]?.id === null || rows[0] === undefined) {
      throw new GlassboxError("job_not_found", "Cannot find the latest job as there are none yet");
    }
    return String(rows[0].id);
  }

  /** What goes into the commit that ends an attempt, before the end itself. */
  #lastStatements(fence: Fence, ended: Ended, last: Captured) {
    return [...this.#outputStatements(fence, last), ...droppedStatements(fence, ended, this.#now())];
  }

  #outputStatements(fence: Fence, captured: Captured) {
    const atMs = this.#now();
    const partials = Object.entries(captured.partials) as [StreamName, Uint8Array | null][];
    return [
      ...captured.chunks.map((chunk) =>
        captured.onlyAtEnd ? linesAtEndStatement(fence, chunk) : linesStatement(fence, chunk)
      ),
      ...partials.map(([stream, bytes]) => partialStatement(fence, stream, bytes, atMs)),
    ];
  }

  /** When the answer of a server was lost its commit may stand all the same: looks, and never does it twice. */
  async #confirm(error: unknown, isDone: () => Promise<boolean>): Promise<"done"> {
    if (!isGlassboxError(error, "storage_unreachable")) throw error;
    if (!await isDone().catch(() => false)) throw error;
    return "done";
  }

  /** An attempt whose write changed nothing has lost its job to someone else, and must stop. */
  #demand(rowsAffected: number, fence: Fence): void {
    if (rowsAffected === 1) return;
    throw new GlassboxError(
      "fenced",
      `Cannot record for job ${fence.jobId} as attempt ${fence.epoch} of worker ${fence.worker} no longer holds it`,
    );
  }

  #now(): number {
    return this.#host.clock.nowMs();
  }
}

/** What the statements of a submission say of it. */
function submitted(
  job: NewJob,
  results: readonly Result[],
  queuedMax: number | null = null,
): { id: string; created: boolean } {
  if (results[0]!.rowsAffected === 1) return { id: job.id, created: true };
  const older = results[2]?.rows[0];
  if (older === undefined && queuedMax !== null) {
    throw new GlassboxError(
      "queue_full",
      `Cannot accept another job as at most ${queuedMax} may wait: submit it again when some have been run`,
    );
  }
  if (older === undefined) {
    throw new GlassboxError(
      "internal",
      `Cannot submit job ${job.id}: its row is not there after the commit`,
    );
  }
  if (String(older.request_sha256) !== job.requestSha256) {
    throw new GlassboxError(
      "key_conflict",
      `Cannot submit with key ${
        JSON.stringify(job.key)
      } as job ${older.id} has that key and another request: ` +
        "use another key, or the same task and input",
    );
  }
  return { id: String(older.id), created: false };
}

/** Counts equal events of one attempt in one millisecond, which nothing but their number tells apart. */
class Twins {
  #atMs = 0;
  #counts = new Map<string, number>();

  /** How many such events were told before this one. */
  count(fence: Fence, event: { kind: string; data: unknown }, atMs: number): number {
    if (atMs !== this.#atMs) [this.#atMs, this.#counts] = [atMs, new Map()];
    const key = JSON.stringify([fence.jobId, fence.epoch, event.kind, event.data]);
    const before = this.#counts.get(key) ?? 0;
    this.#counts.set(key, before + 1);
    return before;
  }
}

/** The one wording for a job that is not there. */
export function jobNotFound(jobId: string): GlassboxError {
  return new GlassboxError(
    "job_not_found",
    `Cannot find job ${
      JSON.stringify(jobId.slice(0, 64))
    }: \`glassbox jobs list\` shows the jobs of this database`,
  );
}
