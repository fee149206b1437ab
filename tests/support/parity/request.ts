/** One and the same request, as a command line and as a body over HTTP. */
import { toBase64 } from "../../../src/core/bytes.ts";
import type { JobRequestInput } from "../../../src/core/request.ts";
import { type ParityJob, QUEUE_NOBODY_TAKES } from "./job.ts";

/** One job to be launched. */
export interface Order {
  readonly job: ParityJob;
  readonly key: string;
  /** The program's working directory, the same for all forms as it is part of the request. */
  readonly cwd: string;
}

/** The input of the order's task as JSON, spelt as the command line spells it. */
function inputOf({ job, cwd }: Order): JobRequestInput["input"] {
  if (job.program === undefined) return job.task!.input as JobRequestInput["input"];
  const [program, ...args] = job.program;
  return {
    program,
    args,
    cwd,
    ...(job.env === undefined ? {} : { env: { ...job.env } }),
    ...(job.stdin === undefined
      ? {}
      : { stdin: typeof job.stdin === "string" ? job.stdin : { base64: toBase64(job.stdin) } }),
    ...(job.outputs === undefined ? {} : { outputs: job.outputs.map((output) => ({ ...output })) }),
  };
}

export function requestOf(order: Order): Omit<JobRequestInput, "key"> {
  const { timeoutMs, graceMs, outputBytesMax, priority, act } = order.job;
  return {
    task: order.job.task?.name ?? "exec",
    input: inputOf(order),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(graceMs === undefined ? {} : { graceMs }),
    ...(outputBytesMax === undefined ? {} : { outputBytesMax }),
    ...(priority === undefined ? {} : { priority }),
    ...(act === "cancel queued" ? { queue: QUEUE_NOBODY_TAKES } : {}),
  };
}

/** The words behind `run`; `stdin` is what the file named `stdinName` must hold, when not null. */
export function commandLine(
  order: Order,
  cwd: string | null,
  stdinName: string,
): { args: string[]; stdin: string | Uint8Array | null } {
  const { job, key } = order;
  const flags = [
    ...["--key", key],
    ...(job.timeoutMs === undefined ? [] : ["--timeout", `${job.timeoutMs}ms`]),
    ...(job.graceMs === undefined ? [] : ["--grace", `${job.graceMs}ms`]),
    ...(job.outputBytesMax === undefined ? [] : ["--output-max", String(job.outputBytesMax)]),
    ...(job.priority === undefined ? [] : ["--priority", String(job.priority)]),
    ...(job.act === "cancel queued" ? ["--job-queue", QUEUE_NOBODY_TAKES] : []),
  ];
  if (job.task !== undefined) {
    return { args: [...flags, job.task.name, "--input", JSON.stringify(job.task.input)], stdin: null };
  }
  if (job.asInput) {
    return { args: [...flags, "exec", "--input", stdinName], stdin: JSON.stringify(inputOf(order)) };
  }
  const place = [
    ...(cwd === null ? [] : ["--cwd", cwd]),
    ...Object.entries(job.env ?? {}).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
    ...(job.stdin === undefined ? [] : ["--stdin", stdinName]),
    ...(job.outputs ?? []).flatMap((
      { name, path },
    ) => ["--artifact", name === undefined ? path : `${name}=${path}`]),
  ];
  return { args: [...flags, ...place, "--", ...job.program!], stdin: job.stdin ?? null };
}
