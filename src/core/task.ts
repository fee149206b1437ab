import type { z } from "zod";
import { messageOf } from "./errors.ts";
import type { Clock, Databases, Files } from "./host.ts";
import type { JobFailure, StreamName } from "./job.ts";

/** What surrounds a task that runs as a method of a KBase module. */
export interface KbaseSurroundings {
  /** Where other modules can be called, as SDK_CALLBACK_URL says; null where nobody answers. */
  readonly callbackUrl: string | null;
  /** The caller's token; null when there is none. Never write it anywhere. */
  readonly token: string | null;
  /** Who the token belongs to, where that was asked. */
  readonly userId: string | null;
  /** The directory that other modules see under the same path. */
  readonly scratch: string;
  /** The module's section of deploy.cfg, by lower-case key, as in `workspace-url`. */
  readonly config: Readonly<Record<string, string>>;
}

/** What a running TypeScript task may do besides returning its result. */
export interface TaskContext {
  readonly jobId: string;
  readonly epoch: number;
  /** Null unless the task was called as a KBase method. */
  readonly kbase: KbaseSurroundings | null;
  /** A private, empty directory for this attempt; removed when the attempt has ended. */
  readonly directory: string;
  /** Aborts when the job is cancelled or its time is up; the process is killed after the grace period. */
  readonly signal: AbortSignal;
  readonly files: Files;
  readonly databases: Databases;
  readonly clock: Clock;
  /** Writes one line; a newline is added. Resolves when the bytes have left this process. */
  log(text: string, stream?: StreamName): Promise<void>;
  /**
   * How far the work is, 0 to 1, with an optional word about what is being done now, and up to 16 numbers that go with it,
   * such as steps or bytes so far.
   */
  progress(fraction: number, message?: string, counts?: Readonly<Record<string, number>>): Promise<void>;
  /** Adds a fact to the job's events. `kind` is lower_snake_case; `data` must be JSON. */
  event(kind: string, data: unknown): Promise<void>;
  /** Leaves a named file. The name is relative with forward slashes; the media type is guessed from it. */
  artifact(name: string, content: Uint8Array | string, mediaType?: string): Promise<void>;
}

/**
 * Thrown by a task that came to an end without a result, and would again: the job fails with `task_failed`, shows
 * `details` (JSON) beside the message, and is not tried again.
 */
export class TaskFailure extends Error {
  override readonly name = "TaskFailure";

  constructor(message: string, readonly details?: unknown) {
    super(message);
  }
}

/** What a task threw, as the failure that its row shows. */
export function taskFailure(error: unknown): JobFailure & { readonly code: "task_failed" } {
  const failure = { code: "task_failed", message: messageOf(error) } as const;
  if (!(error instanceof TaskFailure)) return failure;
  return { ...failure, permanent: true, ...(error.details === undefined ? {} : { details: error.details }) };
}

/** A file an external program is expected to leave. */
export interface ExpectedOutput {
  /** Relative to the program's working directory, or absolute. */
  readonly path: string;
  /** The artifact's name; the base name of `path` when absent. */
  readonly name?: string | undefined;
  readonly mediaType?: string | undefined;
  /** When true (the default), the job fails with `missing_output` if the file is not there. */
  readonly required?: boolean | undefined;
}

/** An external program to start as the job. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  /** Absolute; null means the attempt's private directory. */
  readonly cwd: string | null;
  /** Added to the environment of the process that executes the job. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: Uint8Array | null;
  readonly outputs: readonly ExpectedOutput[];
}

/** What a method's argument must be, as KIDL's types look in JSON; `any` is UnspecifiedObject. */
export const KBASE_TYPES = ["int", "float", "string", "list", "object", "any"] as const;
export type KbaseType = (typeof KBASE_TYPES)[number];

export const KBASE_AUTHENTICATION = ["required", "optional", "none"] as const;
export type KbaseAuthentication = (typeof KBASE_AUTHENTICATION)[number];

/** Makes a task callable as a method of a KBase module. */
export interface KbaseDeclaration {
  /** `Module.method`. */
  readonly method: string;
  readonly authentication: KbaseAuthentication;
  /** Its positional arguments; the first is the task's input. */
  readonly parameters: readonly KbaseType[];
}

interface TaskCommon<Input extends z.ZodType, Output extends z.ZodType> {
  /** lower-kebab-case, unique in the registry. */
  readonly name: string;
  /** One line for `glassbox tasks`. */
  readonly summary: string;
  readonly input: Input;
  readonly output: Output;
  /**
   * Makes the paths of an input absolute, for input that comes from a person in a working directory. What the
   * schema would refuse anyway is left as it is.
   */
  readonly resolvePaths?: (input: unknown, absolute: (path: string) => string) => unknown;
  /** True when running it twice does no harm: its jobs are then tried up to three times by default. */
  readonly idempotent?: boolean;
  /** Absent for a task that no KBase module offers. Its result is then the method's only return value. */
  readonly kbase?: KbaseDeclaration;
}

/** A task that is a function of this code base. */
export interface FunctionTask<Input extends z.ZodType = z.ZodType, Output extends z.ZodType = z.ZodType>
  extends TaskCommon<Input, Output> {
  /**
   * `child`: runs in a process of its own, made from the same binary, so that it can be killed and its output is
   * captured. `inline`: runs in the executor's own event loop; for tasks of a few milliseconds, and at the edge.
   */
  readonly isolation: "child" | "inline";
  run(context: TaskContext, input: z.output<Input>): Promise<z.input<Output>>;
}

/** A task that is a program outside this code base. */
export interface ProgramTask<Input extends z.ZodType = z.ZodType, Output extends z.ZodType = z.ZodType>
  extends TaskCommon<Input, Output> {
  readonly isolation: "program";
  command(input: z.output<Input>): Command;
  /** Makes the result of a program that ended with code 0. */
  result(exit: { readonly exitCode: number }): z.input<Output>;
}

export type Task<Input extends z.ZodType = z.ZodType, Output extends z.ZodType = z.ZodType> =
  | FunctionTask<Input, Output>
  | ProgramTask<Input, Output>;

/** Declares a task; only gives the compiler the schemas to check `run` or `command` with. */
export function defineTask<Input extends z.ZodType, Output extends z.ZodType>(
  task: FunctionTask<Input, Output>,
): FunctionTask<Input, Output>;
export function defineTask<Input extends z.ZodType, Output extends z.ZodType>(
  task: ProgramTask<Input, Output>,
): ProgramTask<Input, Output>;
export function defineTask<Input extends z.ZodType, Output extends z.ZodType>(
  task: Task<Input, Output>,
): Task<Input, Output> {
  return task;
}

/** The tasks of this build, by name. */
export interface TaskRegistry {
  get(name: string): Task | undefined;
  list(): readonly Task[];
}
