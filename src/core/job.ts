import type { FieldError } from "./errors.ts";

export const JOB_STATES = ["queued", "running", "completed", "failed", "cancelled"] as const;
export type JobState = (typeof JOB_STATES)[number];

/** The states no job ever leaves. */
export const FINAL_STATES: readonly JobState[] = ["completed", "failed", "cancelled"];

export function isFinal(state: JobState): boolean {
  return FINAL_STATES.includes(state);
}

/** Which state may follow which. The store enforces it a second time with a trigger. */
export const TRANSITIONS: Readonly<Record<JobState, readonly JobState[]>> = {
  queued: ["running", "cancelled", "failed"],
  running: ["running", "completed", "failed", "cancelled", "queued"],
  completed: [],
  failed: [],
  cancelled: [],
};

/** Why a job failed; stable words for programs to test. */
export const FAILURE_CODES = [
  "program_failed",
  "program_signalled",
  "out_of_memory",
  "program_not_found",
  "program_not_executable",
  "start_failed",
  "timeout",
  "missing_output",
  "bad_output",
  "output_too_large",
  "task_failed",
  "invalid_input",
  "lost",
  "storage_full",
  "internal",
] as const;
export type FailureCode = (typeof FAILURE_CODES)[number];

export interface JobFailure {
  readonly code: FailureCode;
  readonly message: string;
  readonly fields?: readonly FieldError[];
  /** JSON that the task adds for programs that want to know more. */
  readonly details?: unknown;
  /** True when the task says that another attempt would fail the same way. */
  readonly permanent?: true;
}

/** One request to run a task, as stored. Times are wall-clock milliseconds, for display. */
export interface Job {
  readonly id: string;
  readonly task: string;
  readonly input: unknown;
  readonly key: string | null;
  readonly queue: string;
  readonly priority: number;
  readonly state: JobState;
  /** Counts claims; every write of an attempt names the epoch it belongs to. */
  readonly epoch: number;
  /** The worker that holds the job, or null. */
  readonly owner: string | null;
  readonly timeoutMs: number | null;
  readonly graceMs: number;
  readonly outputBytesMax: number;
  /** Attempts there may be in all; a failing one before the last is followed by another. */
  readonly maxAttempts: number;
  /** The pause before the second attempt; it doubles with each further one. */
  readonly backoffMs: number;
  /** Jobs with equal keys run one after the other; null for no such rule. */
  readonly concurrencyKey: string | null;
  /** Not claimed before this wall time; 0 for at once. */
  readonly notBeforeMs: number;
  readonly result: unknown;
  readonly failure: JobFailure | null;
  readonly retryOf: string | null;
  /** The schedule that fired this job, and the time it was due. */
  readonly schedule: string | null;
  readonly dueAtMs: number | null;
  readonly createdAtMs: number;
  readonly startedAtMs: number | null;
  readonly finishedAtMs: number | null;
  readonly cancel: { readonly atMs: number; readonly actor: string; readonly reason: string } | null;
}

/** A job in a list: without its input and result, which may be large. */
export interface JobSummary extends Omit<Job, "input" | "result"> {
  /** The input as JSON text; cut, and ending in `…`, where it is long. */
  readonly inputPreview: string;
}

/** How one try at a job ended, as far as anyone saw it. */
export interface Attempt {
  readonly job: string;
  readonly epoch: number;
  readonly worker: string;
  readonly pid: number | null;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  readonly outcome: JobState | "lost" | null;
  readonly evidence: ExitEvidence | null;
}

export interface ExitEvidence {
  /** Null when a signal ended the program, or it never started. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly wallMs: number;
  /** User and system time of the program as last sampled; null where the kernel was never asked in time. */
  readonly cpuMs: number | null;
  /** The kernel's own high-water mark of the program's memory as last sampled; null like `cpuMs`. */
  readonly peakMemoryBytes: number | null;
  readonly lineCount: number;
  readonly outputBytes: number;
  readonly droppedLines: number;
  readonly droppedBytes: number;
  /** The last lines of both streams, escaped for display, each at most 200 characters. */
  readonly lastLines: readonly string[];
}

export interface JobEvent {
  readonly job: string;
  /** 1, 2, 3 … per job, without gaps. */
  readonly seq: number;
  readonly epoch: number;
  readonly kind: string;
  readonly data: unknown;
  readonly atMs: number;
}

export type StreamName = "stdout" | "stderr";

/** How a line ended: with its newline, cut at the length bound, or with the stream itself. */
export type LineEnd = "newline" | "cut" | "eof";

export interface LogLine {
  /** 1, 2, 3 … per job, in the order in which lines were completed. */
  readonly seq: number;
  readonly epoch: number;
  readonly stream: StreamName;
  readonly atMs: number;
  readonly end: LineEnd;
  /** The line as written, without its newline; a CR before it is kept. */
  readonly bytes: Uint8Array;
}

/** Text of a stream that has no newline yet. It becomes a LogLine, with all its bytes, when the line ends. */
export interface PartialLine {
  readonly epoch: number;
  readonly stream: StreamName;
  readonly atMs: number;
  readonly bytes: Uint8Array;
}

export interface Artifact {
  readonly job: string;
  /** Unique per job; a relative name with forward slashes, never a path of the machine. */
  readonly name: string;
  readonly epoch: number;
  readonly sizeBytes: number;
  readonly mediaType: string;
  readonly sha256: string;
  readonly createdAtMs: number;
}

export interface Worker {
  readonly id: string;
  readonly launch: string;
  readonly pid: number;
  readonly startTicks: string;
  readonly bootId: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly stoppedAtMs: number | null;
  /** Counts its heartbeats; a worker on an embedded file has none, as its lock file says more. */
  readonly heartbeatSeq: number;
  readonly leaseMs: number;
}
