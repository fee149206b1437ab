import { z } from "zod";
import { toBase64 } from "../core/bytes.ts";
import {
  type Artifact,
  type Attempt,
  FAILURE_CODES,
  type Job,
  JOB_STATES,
  type JobEvent,
  type JobSummary as StoredSummary,
  type LogLine,
  type PartialLine,
  type Worker,
} from "../core/job.ts";

/**
 * The documents of the HTTP interface: the words of core as JSON. A schema here is what /openapi.json shows, and
 * what the tests hold every answer against. Times are wall-clock milliseconds since 1970.
 */

const FieldErrorDocument = z.strictObject({ field: z.string(), message: z.string() });

const FailureDocument = z.strictObject({
  code: z.enum(FAILURE_CODES),
  message: z.string(),
  fields: z.array(FieldErrorDocument).optional(),
  details: z.json().optional().describe("What the task adds for programs"),
  permanent: z.literal(true).optional().describe("Set when another attempt would fail the same way"),
}).meta({ id: "Failure", description: "Why a job failed" });

const CancelDocument = z.strictObject({
  atMs: z.number(),
  actor: z.string(),
  reason: z.string(),
});

const jobFields = {
  id: z.string(),
  task: z.string(),
  key: z.string().nullable().describe("The idempotency key it was submitted with"),
  queue: z.string(),
  priority: z.int(),
  state: z.enum(JOB_STATES),
  epoch: z.int().describe("Counts the attempts"),
  owner: z.string().nullable().describe("The worker that holds it or held it last"),
  timeoutMs: z.int().nullable(),
  graceMs: z.int(),
  outputBytesMax: z.int(),
  maxAttempts: z.int().describe("Attempts there may be in all"),
  backoffMs: z.int().describe("The pause before the second attempt; it doubles with each further one"),
  concurrencyKey: z.string().nullable().describe("Jobs with equal keys run one after the other"),
  notBeforeMs: z.number().describe("Not started before this time; 0 for at once"),
  failure: FailureDocument.nullable(),
  retryOf: z.string().nullable().describe("The job that this one repeats"),
  schedule: z.string().nullable().describe("The schedule that fired it"),
  dueAtMs: z.number().nullable().describe("The time at which its schedule was due"),
  createdAtMs: z.number(),
  startedAtMs: z.number().nullable(),
  finishedAtMs: z.number().nullable(),
  cancel: CancelDocument.nullable().describe("Who asked it to stop, if anyone"),
};

export const JobDocument = z.strictObject({
  ...jobFields,
  input: z.unknown().describe("Any JSON"),
  result: z.unknown().describe("Any JSON; null until the job is completed"),
}).meta({ id: "Job", description: "One request to run a task" });

export const JobSummary = z.strictObject({
  ...jobFields,
  inputPreview: z.string().describe("The input as JSON text, cut where it is long"),
}).meta({ id: "JobSummary", description: "A job in a list: without input and result, which may be large" });

export const AttemptDocument = z.strictObject({
  epoch: z.int(),
  worker: z.string(),
  pid: z.int().nullable(),
  startedAtMs: z.number(),
  endedAtMs: z.number().nullable(),
  outcome: z.enum([...JOB_STATES, "lost"]).nullable(),
  evidence: z.strictObject({
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    wallMs: z.number(),
    cpuMs: z.number().nullable(),
    peakMemoryBytes: z.number().nullable(),
    lineCount: z.int(),
    outputBytes: z.int(),
    droppedLines: z.int(),
    droppedBytes: z.int(),
    lastLines: z.array(z.string()),
  }).nullable().describe("How it ended, as far as anyone saw it"),
}).meta({ id: "Attempt", description: "One try at a job" });

export const ArtifactDocument = z.strictObject({
  name: z.string(),
  epoch: z.int(),
  sizeBytes: z.int(),
  mediaType: z.string(),
  sha256: z.string(),
  createdAtMs: z.number(),
  url: z.string().describe("Where its bytes are"),
}).meta({ id: "Artifact", description: "A named file that a job left" });

export const EventDocument = z.strictObject({
  seq: z.int().describe("1, 2, 3 … per job, without gaps"),
  epoch: z.int(),
  kind: z.string(),
  data: z.unknown().describe("Any JSON"),
  atMs: z.number(),
}).meta({ id: "Event", description: "A fact in a job's life" });

const textFields = {
  epoch: z.int(),
  stream: z.enum(["stdout", "stderr"]),
  atMs: z.number(),
  text: z.string().describe("The bytes as UTF-8, with U+FFFD for what is not"),
  base64: z.string().optional().describe("The bytes themselves, where `text` cannot hold them"),
};

export const LineDocument = z.strictObject({
  seq: z.int().describe("1, 2, 3 … per job, without gaps"),
  ...textFields,
  end: z.enum(["newline", "cut", "eof"]).describe("How it ended; a line longer than 64 KiB is cut"),
}).meta({ id: "Line", description: "One line of a job's output, without its newline" });

export const PartialDocument = z.strictObject(textFields)
  .meta({ id: "Partial", description: "Text that has no newline yet; it will come again in its whole line" });

export const WorkerDocument = z.strictObject({
  id: z.string(),
  launch: z.string(),
  pid: z.int(),
  version: z.string(),
  startedAtMs: z.number(),
}).meta({ id: "Worker", description: "A process that runs jobs" });

export const ProblemDocument = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string().describe("Stable, for programs to test"),
  errors: z.array(FieldErrorDocument).describe("One entry per bad field"),
  requestId: z.string(),
}).meta({ id: "Problem", description: "Why a request failed (RFC 9457)" });

export const JobDetail = z.strictObject({
  ...JobDocument.shape,
  digestUrl: z.string().nullable().describe("Where its digest can be had; null until it is final"),
  lastLine: z.int().describe("The number of its last line; 0 when there is none"),
  attempts: z.array(AttemptDocument),
  artifacts: z.array(ArtifactDocument),
}).meta({ id: "JobDetail", description: "A job with its attempts and artifacts" });

export type JobSummary = z.infer<typeof JobSummary>;
export type JobDetail = z.infer<typeof JobDetail>;

export function toJobDocument(job: Job): z.infer<typeof JobDocument> {
  return { ...job, failure: toFailure(job.failure) };
}

export function toJobSummary(job: StoredSummary): JobSummary {
  return { ...job, failure: toFailure(job.failure) };
}

function toFailure(failure: Job["failure"]): z.infer<typeof FailureDocument> | null {
  if (failure === null) return null;
  const { fields, details, ...rest } = failure;
  return {
    ...rest,
    ...(fields === undefined ? {} : { fields: [...fields] }),
    ...(details === undefined ? {} : { details: details as z.core.util.JSONType }),
  };
}

export function toAttemptDocument(
  { job: _, evidence, ...attempt }: Attempt,
): z.infer<typeof AttemptDocument> {
  return { ...attempt, evidence: evidence && { ...evidence, lastLines: [...evidence.lastLines] } };
}

export function toArtifactDocument({ job, ...artifact }: Artifact): z.infer<typeof ArtifactDocument> {
  const name = artifact.name.split("/").map(encodeURIComponent).join("/");
  return { ...artifact, url: `/api/v1/jobs/${job}/artifacts/${name}` };
}

export function toEventDocument({ job: _, ...event }: JobEvent): z.infer<typeof EventDocument> {
  return event;
}

export function toLineDocument({ bytes, ...line }: LogLine): z.infer<typeof LineDocument> {
  return { ...line, ...toText(bytes) };
}

export function toPartialDocument({ bytes, ...partial }: PartialLine): z.infer<typeof PartialDocument> {
  return { ...partial, ...toText(bytes) };
}

export function toWorkerDocument(
  { id, launch, pid, version, startedAtMs }: Worker,
): z.infer<typeof WorkerDocument> {
  return { id, launch, pid, version, startedAtMs };
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** Text holds all but invalid UTF-8; NUL it holds, but many a reader of text stops there. */
function toText(bytes: Uint8Array): { text: string; base64?: string } {
  try {
    const text = strict.decode(bytes);
    return text.includes("\0") ? { text, base64: toBase64(bytes) } : { text };
  } catch {
    return { text: lenient.decode(bytes), base64: toBase64(bytes) };
  }
}
