import type {
  Artifact,
  Attempt,
  ExitEvidence,
  Job,
  JobEvent,
  JobFailure,
  JobState,
  JobSummary,
  Worker,
} from "../core/job.ts";
import { GlassboxError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import type { Row } from "./connection.ts";

/** Rows as libSQL gives them become the words of core here, and nowhere else. */

export function toJob(row: Row): Job {
  return {
    ...commonFields(row),
    input: parsed(row, "jobs", "input"),
    result: parsedOrNull(row, "jobs", "result"),
  };
}

/** From a row with `input_preview`, one character longer than the bound where the input is longer than that. */
export function toJobSummary(row: Row): JobSummary {
  const preview = text(row.input_preview);
  const isCut = preview.length > LIMITS.inputPreviewCharactersMax;
  const inputPreview = isCut
    ? `${preview.slice(0, LIMITS.inputPreviewCharactersMax - 1).toWellFormed()}…`
    : preview;
  return { ...commonFields(row), inputPreview };
}

function commonFields(row: Row): Omit<Job, "input" | "result"> {
  return {
    id: text(row.id),
    task: text(row.task),
    key: textOrNull(row.key),
    queue: text(row.queue),
    priority: Number(row.priority),
    state: text(row.state) as JobState,
    epoch: Number(row.epoch),
    owner: textOrNull(row.owner),
    timeoutMs: numberOrNull(row.timeout_ms),
    graceMs: Number(row.grace_ms),
    outputBytesMax: Number(row.output_bytes_max),
    maxAttempts: Number(row.max_attempts),
    backoffMs: Number(row.backoff_ms),
    concurrencyKey: textOrNull(row.concurrency_key),
    notBeforeMs: Number(row.not_before_ms),
    failure: parsedOrNull<JobFailure>(row, "jobs", "failure"),
    retryOf: textOrNull(row.retry_of),
    schedule: textOrNull(row.schedule),
    dueAtMs: numberOrNull(row.due_at_ms),
    createdAtMs: Number(row.created_at_ms),
    startedAtMs: numberOrNull(row.started_at_ms),
    finishedAtMs: numberOrNull(row.finished_at_ms),
    cancel: row.cancel_at_ms === null ? null : {
      atMs: Number(row.cancel_at_ms),
      actor: textOrNull(row.cancel_actor) ?? "",
      reason: textOrNull(row.cancel_reason) ?? "",
    },
  };
}

export function toAttempt(row: Row): Attempt {
  return {
    job: text(row.job_id),
    epoch: Number(row.epoch),
    worker: text(row.worker),
    pid: numberOrNull(row.pid),
    startedAtMs: Number(row.started_at_ms),
    endedAtMs: numberOrNull(row.ended_at_ms),
    outcome: textOrNull(row.outcome) as Attempt["outcome"],
    evidence: parsedOrNull<ExitEvidence>(row, "attempts", "evidence"),
  };
}

export function toEvent(row: Row): JobEvent {
  return {
    job: text(row.job_id),
    seq: Number(row.seq),
    epoch: Number(row.epoch),
    kind: text(row.kind),
    data: parsed(row, "events", "data"),
    atMs: Number(row.at_ms),
  };
}

export function toArtifact(row: Row): Artifact {
  return {
    job: text(row.job_id),
    name: text(row.name),
    epoch: Number(row.epoch),
    sizeBytes: Number(row.size_bytes),
    mediaType: text(row.media_type),
    sha256: text(row.sha256),
    createdAtMs: Number(row.created_at_ms),
  };
}

export function toWorker(row: Row): Worker {
  return {
    id: text(row.id),
    launch: text(row.launch),
    pid: Number(row.pid),
    startTicks: text(row.start_ticks),
    bootId: text(row.boot_id),
    version: text(row.version),
    startedAtMs: Number(row.started_at_ms),
    stoppedAtMs: numberOrNull(row.stopped_at_ms),
    heartbeatSeq: Number(row.heartbeat_seq),
    leaseMs: Number(row.lease_ms),
  };
}

export function toBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return new Uint8Array(value as ArrayBuffer);
}

/** What glassbox stored as JSON; a disk that flips bits gives back something else. */
export function parsed<T>(row: Row, table: string, column: string): T {
  try {
    return JSON.parse(text(row[column])) as T;
  } catch (error) {
    throw damaged(
      `column ${column} of table ${table}, row ${rowName(row)}, is not the JSON that was stored`,
      error,
    );
  }
}

function parsedOrNull<T>(row: Row, table: string, column: string): T | null {
  return row[column] === null ? null : parsed<T>(row, table, column);
}

function rowName(row: Row): string {
  const job = row.job_id ?? row.id ?? row.name;
  const number = row.seq ?? (row.job_id === undefined ? undefined : row.epoch);
  return number === undefined ? text(job) : `${text(job)} number ${text(number)}`;
}

/** What is stored can be read, and is not what was written. */
export function damaged(what: string, cause: unknown): GlassboxError {
  return new GlassboxError(
    "storage_damaged",
    `Cannot read what is stored as ${what}: glassbox verify names all such rows; bring back a backup, or glassbox repair`,
    { cause },
  );
}

function text(value: unknown): string {
  return String(value);
}

function textOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}

function numberOrNull(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}
