import { parseWith } from "../core/schema.ts";
import { type GlassboxError, isGlassboxError, messageOf } from "../core/errors.ts";
import type { Child, ChildExit, Host, SpawnRequest } from "../core/host.ts";
import type { Job, JobFailure, StreamName } from "../core/job.ts";
import { baseName, resolvePath } from "../core/paths.ts";
import { LIMITS } from "../core/limits.ts";
import {
  type Command,
  type FunctionTask,
  type ProgramTask,
  type Task,
  type TaskContext,
  taskFailure,
} from "../core/task.ts";
import { attemptEnvironment, dispatchRequest, keeperMarker, programRequest } from "./command.ts";
import type { ExecutorContext } from "./context.ts";
import { StartFailure } from "./start_failure.ts";
import { kbaseSurroundings } from "./kbase_surroundings.ts";
import { taskContext } from "./task_context.ts";
import type { Reports } from "./reports.ts";

export interface StartRequest {
  readonly job: Job;
  readonly task: Task;
  /** Already parsed with the task's schema. */
  readonly input: unknown;
  readonly scratch: string;
  /** Where its output is kept until that is stored. */
  readonly kept: Readonly<Record<StreamName, string>>;
  readonly reports: Reports;
  readonly signal: AbortSignal;
  readonly log: (stream: StreamName, bytes: Uint8Array) => Promise<void>;
}

/** How the work itself ended, before any stop from outside is taken into account. */
export type Ending = { readonly result: unknown } | { readonly failure: JobFailure };

/** Work under way: in a child, with what to make of its exit, or in this very process. */
export type Started =
  | { readonly child: Child; readonly program: string; end(exit: ChildExit, task: Task): Promise<Ending> }
  | { readonly inline: Promise<Ending> };

/** Starts the work of an attempt in the way its task asks for. Throws StartFailure. */
export async function start(context: ExecutorContext, request: StartRequest): Promise<Started> {
  const { task } = request;
  if (task.isolation === "program") return await startProgram(context, request, task);
  if (task.isolation === "child") return await startDispatch(context, request, task);
  return { inline: runInline(context, request, task) };
}

async function startProgram(
  context: ExecutorContext,
  request: StartRequest,
  task: ProgramTask,
): Promise<Started> {
  const { host, store } = context;
  const command = task.command(request.input);
  const cwd = command.cwd ?? request.scratch;
  const env = attemptEnvironment(host, store, request.job, {
    scratch: request.scratch,
    cwd,
    env: { ...command.env, ...context.confidential?.environmentOf(request.job.id) },
  });
  await demandDirectory(context, cwd);
  const [found, asked] = await Promise.all([
    host.processes.findProgram(command.program, cwd, env),
    programRequest(host, command, cwd, env),
  ]);
  if ("missing" in found) throw missingProgram(command.program, found.missing);
  const memory = new MemoryWatch(host);
  const child = await spawn(context, request, asked, command.program);
  return {
    child,
    program: command.program,
    end: async (exit) => {
      const failure = exitFailure(exit, memory);
      if (failure !== null) return { failure };
      const missing = await collectOutputs(context, request.reports, command, cwd);
      return missing ?? { result: task.result({ exitCode: 0 }) };
    },
  };
}

async function startDispatch(
  context: ExecutorContext,
  request: StartRequest,
  task: FunctionTask,
): Promise<Started> {
  const { host, store } = context;
  const { job, scratch, reports } = request;
  const env = attemptEnvironment(host, store, job, {
    scratch,
    cwd: scratch,
    env: context.confidential?.environmentOf(job.id) ?? {},
  });
  const order = JSON.stringify({
    task: task.name,
    input: job.input,
    jobId: job.id,
    epoch: job.epoch,
    directory: scratch,
  });
  const memory = new MemoryWatch(host);
  const child = await spawn(
    context,
    request,
    await dispatchRequest(host, scratch, env, new TextEncoder().encode(order)),
    task.name,
  );
  return {
    child,
    program: task.name,
    end: (exit) => {
      const said = reports.said;
      if (said !== null && "failure" in said) return Promise.resolve(said);
      const failure = exitFailure(exit, memory);
      if (failure !== null) return Promise.resolve({ failure });
      if (said === null) return Promise.resolve(endedSilently(task));
      return Promise.resolve(checkResult(task, said.result));
    },
  };
}

async function runInline(
  context: ExecutorContext,
  request: StartRequest,
  task: FunctionTask,
): Promise<Ending> {
  try {
    return checkResult(task, await task.run(inlineContext(context, request), request.input));
  } catch (error) {
    return { failure: taskFailure(error) };
  }
}

function inlineContext(context: ExecutorContext, request: StartRequest): TaskContext {
  const { job, scratch, signal, reports } = request;
  const kbase = kbaseSurroundings(context.confidential?.environmentOf(job.id) ?? {});
  const { files, databases } = context.host;
  return taskContext(
    { jobId: job.id, epoch: job.epoch, directory: scratch, signal, files, databases, kbase },
    {
      send: (message) => reports.take(message),
      log: request.log,
      save: (path, bytes) => context.host.files.writeAtomic(path, bytes),
    },
  );
}

/** A result is believed only after the task's own schema has accepted it. */
function checkResult(task: Task, result: unknown): Ending {
  try {
    const checked = parseWith(task.output, result, "result", `this result of task ${task.name}`);
    const bytes = new TextEncoder().encode(JSON.stringify(checked)).length;
    if (bytes <= LIMITS.resultBytesMax) return { result: checked };
    const message =
      `The result has ${bytes} bytes as JSON, and may have ${LIMITS.resultBytesMax}: leave an artifact instead`;
    return { failure: { code: "output_too_large", message } };
  } catch (error) {
    if (!isGlassboxError(error)) throw error;
    return { failure: { code: "bad_output", message: error.message, fields: error.fields } };
  }
}

function endedSilently(task: Task): Ending {
  return { failure: { code: "task_failed", message: `Task ${task.name} ended without a result` } };
}

/** Whether the kernel has killed anything for lack of memory since the program was started. */
class MemoryWatch {
  readonly #host: Host;
  readonly #before: number | null;

  constructor(host: Host) {
    this.#host = host;
    this.#before = host.processes.killedForMemory();
  }

  get ranOut(): boolean {
    const now = this.#host.processes.killedForMemory();
    return this.#before !== null && now !== null && now > this.#before;
  }
}

/** What a shell says of a program that was killed. */
const KILLED = 128 + 9;

function exitFailure(
  exit: ChildExit,
  memory: MemoryWatch,
): { code: "program_failed" | "program_signalled" | "out_of_memory"; message: string } | null {
  if ((exit.signal === "SIGKILL" || exit.code === KILLED) && memory.ranOut) {
    const message = "The program was killed while the kernel killed for lack of memory: " +
      "give it more, or have it take less";
    return { code: "out_of_memory", message };
  }
  if (exit.signal !== null) {
    return { code: "program_signalled", message: `The program was ended by signal ${exit.signal}` };
  }
  if (exit.code === 0) return null;
  return { code: "program_failed", message: `The program ended with exit code ${exit.code}` };
}

async function spawn(
  context: ExecutorContext,
  { job, kept }: StartRequest,
  request: SpawnRequest,
  program: string,
): Promise<Child> {
  const marker = keeperMarker(context.store, job.id, job.epoch);
  const keep = { ...kept, bytesMax: job.outputBytesMax, marker };
  try {
    return await context.host.processes.spawn({ ...request, keep });
  } catch (error) {
    const code = String((error as { code?: unknown }).code ?? messageOf(error));
    const why = code === "E2BIG" ? "its arguments and environment are too long (E2BIG)" : code;
    throw new StartFailure("start_failed", `Cannot start ${JSON.stringify(program)}: ${why}`);
  }
}

async function demandDirectory(context: ExecutorContext, cwd: string): Promise<void> {
  const info = await context.host.files.info(cwd).catch(() => null);
  if (info?.kind === "directory") return;
  throw new StartFailure("start_failed", `Cannot start in ${cwd} as it is not a directory that can be read`);
}

function missingProgram(program: string, why: "not-found" | "not-executable"): StartFailure {
  const name = JSON.stringify(program);
  return why === "not-found"
    ? new StartFailure("program_not_found", `Cannot find program ${name}: it is neither a path nor on PATH`)
    : new StartFailure(
      "program_not_executable",
      `Cannot start ${name} as it is not executable: try chmod +x`,
    );
}

/** Stores the files a program was expected to leave; null when all that are required were there. */
async function collectOutputs(
  context: ExecutorContext,
  reports: Reports,
  command: Command,
  cwd: string,
): Promise<Ending | null> {
  for (const output of command.outputs) {
    const path = resolvePath(cwd, output.path);
    const info = await context.host.files.info(path).catch(() => null);
    if (info?.kind !== "file") {
      if (output.required === false && info === null) continue;
      const what = info === null ? "is not there" : `is a ${info.kind}, not a file`;
      return {
        failure: {
          code: "missing_output",
          message: `The program ended well, but its output ${output.path} ${what}`,
        },
      };
    }
    try {
      await reports.artifacts.store(output.name ?? baseName(path), path, output.mediaType);
    } catch (error) {
      if (!isGlassboxError(error, "too_large")) throw error;
      return { failure: { code: "output_too_large", message: (error as GlassboxError).message } };
    }
  }
  return null;
}
