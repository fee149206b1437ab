import { parseStrictJson } from "../config/strict_json.ts";
import { GlassboxError } from "../core/errors.ts";
import type { Job } from "../core/job.ts";
import type { JobRequestInput } from "../core/request.ts";
import type { KbaseSurroundings } from "../core/task.ts";
import { isObject } from "../kbase/envelope.ts";
import {
  answersInFile,
  checkArguments,
  type Method,
  type MethodFiles,
  methodRequest,
  names,
} from "../kbase/methods.ts";
import { RPC, RpcError } from "../kbase/rpc_error.ts";
import { Secrets } from "../logs/secrets.ts";
import type { NewJob } from "../store/transitions.ts";
import { callDirectory } from "./attempt_directory.ts";
import type { Confidential } from "./confidential.ts";
import type { ExecutorContext } from "./context.ts";
import { kbaseEnvironment } from "./kbase_surroundings.ts";
import { prepareJob, type SubmitOptions } from "./submit.ts";

/** One call of a KBase method, however it came: by a waiting input.json or over HTTP. */
export interface KbaseCall {
  /** The id of the job it becomes. */
  readonly jobId: string;
  readonly method: Method;
  readonly params: readonly unknown[];
  /** The request's own id and context, for a program that reads it whole. */
  readonly id: string | number | null;
  readonly context: unknown;
  readonly surroundings: KbaseSurroundings;
  /** The rendered deploy.cfg; null where there is none. */
  readonly configFile: string | null;
}

export interface KbaseContext extends ExecutorContext {
  readonly confidential: Confidential;
}

/** TERM and KILL of a KBase job must both fit into the eight seconds within which its runner hears of its end. */
const GRACE_MS = 3_000;

const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** A call on its way through the ordinary road. Must be run by this process, as only it knows the token. */
export class CallInProgress {
  readonly #context: KbaseContext;
  readonly #call: KbaseCall;
  readonly #directory: string;
  readonly #files: MethodFiles;

  constructor(context: KbaseContext, call: KbaseCall) {
    this.#context = context;
    this.#call = call;
    const directory = this.#directory = callDirectory(context.store.runDirectory, call.jobId);
    this.#files = {
      input: `${directory}/input.json`,
      output: `${directory}/output.json`,
      token: `${directory}/token`,
      params: `${directory}/params.json`,
      config: call.configFile ?? "",
    };
  }

  /** Checks the arguments and gives the job to submit. */
  async prepare(options: SubmitOptions = {}): Promise<NewJob> {
    const { jobId, method, params, surroundings, configFile } = this.#call;
    checkArguments(method, params);
    const secrets = Secrets.of(surroundings.token === null ? [] : [surroundings.token]);
    const asked = { ...methodRequest(method, params, this.#files), graceMs: GRACE_MS } as JobRequestInput;
    const job = await prepareJob(this.#context, jobId, asked, options).catch((error) => {
      throw underParamsName(error);
    });
    refuseSecret(job.inputJson, this.#context.confidential.everywhere.and(secrets));
    if (method.work.kind === "program") await this.#writeFiles();
    const environment = {
      ...kbaseEnvironment(surroundings),
      ...(configFile === null ? {} : { KB_DEPLOYMENT_CONFIG: configFile }),
      GLASSBOX_KBASE_METHOD: method.name,
    };
    this.#context.confidential.give(jobId, { environment, secrets });
    return job;
  }

  /** The return values of a final job, or the RpcError that it ended with. */
  async outcome(job: Job): Promise<readonly unknown[]> {
    const { method } = this.#call;
    if (job.state === "cancelled") {
      const why = job.cancel?.reason ? `: ${job.cancel.reason}` : "";
      throw new RpcError(RPC.server, `The job was cancelled${why}`);
    }
    // Of a program that failed, its failure tells more than what is wrong with its half of an answer.
    const unreadable = (error: unknown) => job.failure === null ? Promise.reject(error) : null;
    const answer = answersInFile(method.work) ? await this.#answer().catch(unreadable) : null;
    const error = answer?.["error"] ?? null;
    if (error !== null) throw answeredError(isObject(error) ? error : { message: error });
    if (job.failure !== null) throw await this.#failure(job);
    return answer === null ? [job.result] : answeredResult(answer);
  }

  /** Forgets the token and removes the files of the call; the job's row stays. */
  async end(): Promise<void> {
    this.#context.confidential.drop(this.#call.jobId);
    await this.#context.host.files.remove(this.#directory).catch(() => undefined);
  }

  async #writeFiles(): Promise<void> {
    const { files } = this.#context.host;
    const { id, method, params, context, surroundings } = this.#call;
    const document = { version: "1.1", id, method: method.name, params, context: context ?? {} };
    await files.makeDirectory(this.#directory, 0o700);
    const texts = [
      [this.#files.input, JSON.stringify(document)],
      [this.#files.params, JSON.stringify(params)],
      [this.#files.token, surroundings.token ?? ""],
    ] as const;
    for (const [path, text] of texts) {
      // A token is written nowhere unless the program is told where.
      if (path === this.#files.token && !names(method.work, "{token}")) continue;
      await files.writeAtomic(path, new TextEncoder().encode(text), { mode: 0o600 });
    }
  }

  /** The document that the program wrote, cleaned of secrets; null where it wrote none that can be read. */
  async #answer(): Promise<Record<string, unknown> | null> {
    const { host, confidential } = this.#context;
    try {
      const bytes = await host.files.read(this.#files.output, ANSWER_BYTES_MAX);
      const what = "the program's output.json";
      const document = parseStrictJson(bytes, { what, bytesMax: ANSWER_BYTES_MAX, depthMax: 512 });
      if (!isObject(document)) throw new RpcError(RPC.server, "The program's output.json holds no object");
      return confidential.secretsOf(this.#call.jobId).json(document);
    } catch (error) {
      if (error instanceof RpcError) throw error;
      if (!(error instanceof GlassboxError)) return null;
      throw new RpcError(RPC.server, error.message, { cause: error });
    }
  }

  /** What failed, with where it failed: the trace that the task gave, or the last lines that it wrote. */
  async #failure({ id, failure }: Job): Promise<RpcError> {
    const { jobs } = this.#context.store;
    const events = await jobs.events(id, 0, 100_000);
    const told = events.findLast(({ kind }) => kind === "trace")?.data as { text?: string } | undefined;
    const lines = (await jobs.attempts(id)).at(-1)?.evidence?.lastLines ?? [];
    const trace = told?.text ?? (lines.length > 0 ? lines.join("\n") : null);
    const kind = failure!.code === "invalid_input" ? RPC.params : RPC.server;
    return new RpcError(kind, failure!.message, { trace });
  }
}

/** The return values that a program wrote; an empty answer, and a null, stand for none. */
function answeredResult(answer: Record<string, unknown>): readonly unknown[] {
  const { result } = answer;
  if (Array.isArray(result)) return result;
  if (result === null || Object.keys(answer).length === 0) return [];
  const what = result === undefined ? "neither a result nor an error" : "a result that is not a list";
  throw new RpcError(RPC.server, `The program's output.json has ${what}`);
}

/** An error that a program of the module wrote itself, in the words it chose. */
function answeredError(error: Record<string, unknown>): RpcError {
  const { code, name, message, error: trace, data } = error;
  const kind = [Number(code) || RPC.server[0], typeof name === "string" ? name : RPC.server[1]] as const;
  const text = (value: unknown) => typeof value === "string" ? value : JSON.stringify(value);
  const told = trace ?? data ?? null;
  return new RpcError(kind, message === null || message === undefined ? null : text(message), {
    trace: told === null ? null : text(told),
  });
}

/** What is wrong with a task's input is wrong with the caller's first argument. */
function underParamsName(error: unknown): unknown {
  if (!(error instanceof GlassboxError) || error.code !== "invalid_input") return error;
  const fields = error.fields.map(({ field, message }) =>
    `${field.replace(/^input/, "params[0]")}: ${message}`
  );
  return new RpcError(RPC.params, fields.length > 0 ? fields.join("; ") : error.message, {
    exitCode: error.exitCode,
    cause: error,
  });
}

/** A row keeps what it was asked for good, so a token may not be part of it. */
function refuseSecret(inputJson: string, secrets: Secrets): void {
  if (!secrets.isIn(inputJson)) return;
  throw new RpcError(RPC.params, "params must not hold the token: it is passed beside them", {
    exitCode: 65,
  });
}
