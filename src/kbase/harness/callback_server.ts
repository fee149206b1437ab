import type { Clock } from "../../core/host.ts";
import { isObject } from "../envelope.ts";
import { rpcResponse } from "./answer.ts";
import type { ModuleRunner, Ran } from "./module_runner.ts";
import type { Provenance } from "./provenance.ts";
import { verdictOf } from "./verdict.ts";

export interface CallbackServerOptions {
  readonly clock: Clock;
  readonly uuid: () => string;
  /** The execution engine's id of the job. */
  readonly jobId: string;
  readonly provenance: Provenance;
  /** Whether a caller may replace the job's provenance, as `CALLBACK_ALLOW_SET_PROVENANCE` allows in KBase. */
  readonly allowsSetProvenance: boolean;
  /** Sub-jobs at once. */
  readonly limit: number;
  /** What carries out a module's methods; null for a module that nobody knows. */
  readonly runnerOf: (module: string) => ModuleRunner | null;
  readonly signal: AbortSignal;
  readonly log: (text: string) => Promise<void>;
}

/** A sub-job as it was, for the report at the end. */
export interface SubJob {
  readonly id: string;
  readonly method: string;
  readonly how: string;
  readonly startedMs: number;
  endedMs: number | null;
  ran: Ran | null;
  /** Its end was seen by whoever asked for it. */
  isCounted: boolean;
}

const SYNC_LIMIT_MS = 3_600_000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Refused in the words of KBase's callback server. */
class CallbackError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Answers what a running module asks of its runner: other modules' methods, and the provenance of the job. */
export class CallbackServer {
  readonly #options: CallbackServerOptions;
  readonly #jobs = new Map<string, SubJob>();
  readonly #ends = new Map<string, Promise<Ran>>();
  /** The first call of a module decides its version for the whole job. */
  readonly #versions = new Map<string, string>();

  constructor(options: CallbackServerOptions) {
    this.#options = options;
  }

  get jobs(): readonly SubJob[] {
    return [...this.#jobs.values()];
  }

  async answer(request: Request): Promise<Response> {
    try {
      const document: unknown = request.method === "POST" ? await request.json() : {};
      if (!isObject(document) || document["method"] === undefined) return rpcResponse([{}]);
      return await this.#answerCall(String(document["method"]), document);
    } catch (error) {
      return refused(error);
    }
  }

  /** Resolves when no sub-job runs any more; they are told to stop by the signal. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#ends.values()]);
  }

  /** For a module whose main job runs: its version is fixed by that. */
  fixVersion(module: string, version: string): void {
    this.#versions.set(module, version);
  }

  async #answerCall(method: string, document: Record<string, unknown>): Promise<Response> {
    const [module, name, ...rest] = method.split(".");
    if (!module || !name || rest.length > 0) {
      throw new CallbackError(-32000, `Illegal method name: ${method}`);
    }
    const { params } = document;
    if (module === "CallbackServer") return this.#own(name, method, params);
    if (name.startsWith("_check_job")) return this.#check(params);
    const submit = /^_(.+)_submit$/.exec(name)?.[1];
    const job = this.#start(`${module}.${submit ?? name}`, document);
    if (submit !== undefined) return rpcResponse({ result: [job.id] });
    return await this.#awaited(job);
  }

  #own(name: string, method: string, params: unknown): Response {
    const { provenance, allowsSetProvenance, clock } = this.#options;
    if (name === "get_provenance") {
      this.#countAnew();
      return rpcResponse({ result: [provenance.actions] });
    }
    if (name === "set_provenance") {
      if (!allowsSetProvenance) throw new CallbackError(-32000, "Setting provenance is not enabled");
      const [action, ...rest] = Array.isArray(params) ? params : [];
      if (!isObject(action) || rest.length > 0) {
        throw new CallbackError(
          -32000,
          "method params must be a list containing exactly one provenance action",
        );
      }
      provenance.set(action, runnerTime(clock.nowMs()));
      return rpcResponse({ result: [provenance.actions] });
    }
    throw new CallbackError(-32601, `No such CallbackServer method: ${method}`);
  }

  #check(params: unknown): Response {
    const [id, ...rest] = Array.isArray(params) ? params : [];
    if (typeof id !== "string" || rest.length > 0) {
      throw new CallbackError(-32000, "method params must be a list containing exactly one job ID string");
    }
    if (!UUID.test(id)) throw new CallbackError(-32000, `Invalid job ID: ${id}`);
    const job = this.#jobs.get(id);
    if (job === undefined) throw new CallbackError(-32000, `No such job ID: ${id}`);
    this.#countAnew();
    if (job.ran === null) return rpcResponse({ result: [{ finished: 0 }] });
    const { document } = job.ran.verdict;
    if ("error" in document) return failure(document);
    return rpcResponse({ result: [{ ...document, finished: 1 }] });
  }

  async #awaited(job: SubJob): Promise<Response> {
    const { clock, signal } = this.#options;
    const over = new AbortController();
    const late = clock.sleep(SYNC_LIMIT_MS, AbortSignal.any([over.signal, signal])).then(() => null);
    const ran = await Promise.race([this.#ends.get(job.id)!, late]);
    over.abort();
    this.#countAnew();
    if (ran === null) {
      throw new CallbackError(-32000, `The method has not ended within ${SYNC_LIMIT_MS / 1000} s`);
    }
    const { document } = ran.verdict;
    return "error" in document ? failure(document) : rpcResponse({ ...document, finished: 1 });
  }

  /** Finished sub-jobs count against the limit until somebody asks about any of them, as in KBase. */
  #countAnew(): void {
    for (const job of this.#jobs.values()) if (job.ran !== null) job.isCounted = false;
  }

  #start(method: string, document: Record<string, unknown>): SubJob {
    const { limit, runnerOf, uuid, clock, provenance, log } = this.#options;
    if (this.jobs.filter(({ isCounted }) => isCounted).length >= limit) {
      throw new CallbackError(-32000, `No more than ${limit} concurrently running methods are allowed`);
    }
    const module = method.split(".")[0]!;
    const asked = askedVersion(document);
    const runner = runnerOf(module);
    if (runner === null) {
      const text = "Module cannot be found based on module_name or git_url parameters.";
      throw new CallbackError(-32000, `Error looking up module ${module} with version ${asked}: ${text}`);
    }
    const fixed = this.#versions.get(module);
    if (fixed !== undefined && fixed !== asked) {
      void log(
        `${method} runs as version ${fixed}, not as ${asked}: the first call of a module decides for the whole job`,
      );
    }
    const tag = fixed ?? asked;
    this.#versions.set(module, tag);
    provenance.add(module, { version: runner.version, tag, url: "", commit: "" });
    const job: SubJob = {
      id: uuid(),
      method,
      how: runner.how,
      startedMs: clock.monotonicMs(),
      endedMs: null,
      ran: null,
      isCounted: true,
    };
    this.#jobs.set(job.id, job);
    this.#ends.set(job.id, this.#run(job, runner, { params: document["params"], version: tag }));
    return job;
  }

  async #run(
    job: SubJob,
    runner: ModuleRunner,
    asked: { readonly params: unknown; readonly version: string },
  ): Promise<Ran> {
    const { signal, clock, jobId, log } = this.#options;
    const { id, method } = job;
    const params = Array.isArray(asked.params) ? asked.params : [];
    // A sub-job hears of itself alone, whatever its caller sent.
    const context = contextOf({ method, jobId, version: asked.version, nowMs: clock.nowMs() });
    await log(`Subjob method: ${method} JobID: ${id} (${runner.how})`);
    const call = { id, jobId, method, params, context, signal };
    const ran = await runner.run(call).catch((error): Ran => launchFailed(error));
    job.endedMs = clock.monotonicMs();
    job.ran = ran;
    const { state, text } = ran.verdict;
    const ms = Math.round(job.endedMs - job.startedMs);
    await log(`Subjob ${id}: ${state === "completed" ? "done" : text} after ${ms} ms`);
    return ran;
  }
}

/** What a runner tells a job of how it was called: always one step. */
export function contextOf(
  call: { readonly method: string; readonly jobId: string; readonly version: string; readonly nowMs: number },
): object {
  const time = runnerTime(call.nowMs);
  return {
    service_ver: call.version,
    call_stack: [{ method: call.method, time, job_id: call.jobId }],
  };
}

/** A moment as the runner writes it, to the second. */
export function runnerTime(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/\.\d+Z$/, "+00:00");
}

/** Every submit must end in a result or an error, also when the sub-job could not be started at all. */
function launchFailed(error: unknown): Ran {
  const message = error instanceof Error ? error.message : String(error);
  const document = {
    version: "1.1",
    error: { code: -32601, name: "CallbackServerError", message, error: message },
  };
  return { verdict: verdictOf(new TextEncoder().encode(JSON.stringify(document))), exitCode: null };
}

/** No context at all means the release; a context without a version leaves it to the catalog. */
function askedVersion({ service_ver, context }: Record<string, unknown>): string {
  if (typeof service_ver === "string") return service_ver;
  const named = isObject(context) ? context["service_ver"] : undefined;
  return typeof named === "string" && named !== "" ? named : "release";
}

/** A `result` beside the error would make Java clients give up. */
function failure(document: Record<string, unknown>): Response {
  const { result: _, ...rest } = document;
  return rpcResponse({ ...rest, finished: 1 }, 500);
}

function refused(error: unknown): Response {
  const known = error instanceof CallbackError ? error : new CallbackError(-32000, "Unexpected error");
  const trace = error instanceof CallbackError
    ? {}
    : { error: error instanceof Error ? error.message : String(error) };
  return rpcResponse({
    error: { message: known.message, code: known.code, name: "CallbackServerError", ...trace },
  }, 500);
}
