import { monotonicFactory } from "ulid";
import { EMPTY_BYTES, sha256Hex } from "../core/bytes.ts";
import { canonicalJson } from "../core/canonical.ts";
import { GlassboxError, quoted } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Job } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import { JobRequest } from "../core/request.ts";
import { parseWith } from "../core/schema.ts";
import type { Task, TaskRegistry } from "../core/task.ts";
import type { NewJob } from "../store/transitions.ts";
import type { ExecutorContext } from "./context.ts";

/** Makes ids that sort in the order of submission: lower-case ULIDs (https://github.com/ulid/spec). */
export function idMaker(host: Host): () => string {
  // An id takes sixteen random characters, and asking for each by itself takes longer than all the rest.
  let pool = EMPTY_BYTES;
  let at = 0;
  const make = monotonicFactory(() => {
    if (at === pool.length) [pool, at] = [host.random.bytes(16), 0];
    return pool[at++]! / 256;
  });
  return () => make(host.clock.nowMs()).toLowerCase();
}

export interface SubmitOptions {
  /** The worker that is about to claim the job itself. */
  readonly reservedFor?: string;
  readonly retryOf?: string;
}

/** Checks a request against its own schema and its task's, and makes the row that submitting it will store. */
export async function prepareJob(
  context: Pick<ExecutorContext, "registry">,
  id: string,
  request: unknown,
  options: SubmitOptions = {},
): Promise<NewJob> {
  const parsed = parseWith(JobRequest, request, "", "this request");
  const task = findTask(context.registry, parsed.task);
  parseWith(task.input, parsed.input, "input", `this input of task ${task.name}`);
  const inputJson = JSON.stringify(parsed.input);
  checkInputSize(inputJson);
  const { key, ...body } = parsed;
  return {
    id,
    task: task.name,
    inputJson,
    requestSha256: key === null ? "" : await sha256Hex(canonicalJson(body)),
    key,
    queue: parsed.queue,
    priority: parsed.priority,
    timeoutMs: parsed.timeoutMs,
    graceMs: parsed.graceMs,
    outputBytesMax: parsed.outputBytesMax,
    maxAttempts: parsed.maxAttempts ?? (task.idempotent ? LIMITS.attemptsIdempotent : 1),
    backoffMs: parsed.backoffMs,
    delayMs: parsed.delayMs,
    concurrencyKey: parsed.concurrencyKey,
    reservedFor: options.reservedFor ?? null,
    retryOf: options.retryOf ?? null,
  };
}

/** What keeps a job from being submitted once more: it may still end well by itself. */
export function jobNotFinal({ id, state }: Job): GlassboxError {
  return new GlassboxError("job_not_final", `Cannot retry job ${id} as it must be final: it is ${state}`);
}

/** The request that an older job was made from, to submit it once more; without its key, which is taken. */
export function requestOf(job: Job): JobRequest {
  return {
    task: job.task,
    input: job.input as JobRequest["input"],
    key: null,
    queue: job.queue,
    priority: job.priority,
    timeoutMs: job.timeoutMs,
    graceMs: job.graceMs,
    outputBytesMax: job.outputBytesMax,
    maxAttempts: job.maxAttempts,
    backoffMs: job.backoffMs,
    delayMs: 0,
    concurrencyKey: job.concurrencyKey,
  };
}

/** The task of that name, or `task_unknown` with the names there are. */
export function findTask(registry: TaskRegistry, name: string): Task {
  const task = registry.get(name);
  if (task !== undefined) return task;
  const names = registry.list().map((known) => known.name).join(", ");
  throw new GlassboxError("task_unknown", `Cannot find task ${quoted(name)}: there are ${names}`, {
    fields: [{ field: "task", message: `must be one of ${names}` }],
  });
}

function checkInputSize(inputJson: string): void {
  const bytes = new TextEncoder().encode(inputJson).length;
  if (bytes <= LIMITS.inputBytesMax) return;
  throw new GlassboxError(
    "too_large",
    `Cannot accept the input as it must be at most ${LIMITS.inputBytesMax} bytes of JSON: it has ${bytes}`,
    { fields: [{ field: "input", message: `must be at most ${LIMITS.inputBytesMax} bytes` }] },
  );
}
