import { z } from "zod";
import { GlassboxError } from "../../core/errors.ts";
import type { Clock } from "../../core/host.ts";
import { fieldErrors } from "../../core/schema.ts";
import type { ClientSurroundings } from "./http.ts";
import { Meter, type Watcher } from "./progress.ts";
import { RpcClient } from "./rpc.ts";
import { ServiceError } from "./service_error.ts";

export interface CallbackOptions {
  /** One request; a sub-job itself may take as long as it likes. */
  readonly timeoutMs?: number;
  readonly replyBytesMax?: number;
  readonly watcher?: Watcher;
}

export interface SubJobOptions {
  /** The version of the module: a tag, a semantic version or a commit. */
  readonly version?: string;
  /** What a watcher is told is under way. */
  readonly what?: string;
}

const TIMEOUT_MS = 60_000;
const REPLY_BYTES_MAX = 64 * 1024 * 1024;

const FIRST_WAIT_MS = 100;
const WAIT_FACTOR = 1.5;
/** KBase's own clients end up asking every five minutes, and so hear of an end up to five minutes late. */
const WAIT_MAX_MS = 10_000;
/** In all, never reset, as KBase's own clients count. */
const FAILURES_MAX = 3;

const finished = z.union([z.boolean(), z.int()]);
const Checked = z.tuple([z.looseObject({ finished })]);
const Submitted = z.tuple([z.string().regex(/^[\w.-]{1,128}$/, "must be a job id")]);

/** Runs methods of other modules through the callback server of this job. */
export class CallbackClient {
  readonly #rpc: RpcClient;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #watcher: Watcher;

  constructor(surroundings: ClientSurroundings, url: string, options: CallbackOptions = {}) {
    this.#rpc = new RpcClient(surroundings, url, "the callback server", {
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      replyBytesMax: options.replyBytesMax ?? REPLY_BYTES_MAX,
    });
    this.#clock = surroundings.clock;
    this.#signal = surroundings.signal;
    this.#watcher = options.watcher ?? (() => undefined);
  }

  /** Submits a method, waits for its end and gives its return values, checked. */
  async run<Schema extends z.ZodType>(
    method: string,
    params: readonly unknown[],
    schema: Schema,
    { version, what = method }: SubJobOptions = {},
  ): Promise<z.output<Schema>> {
    const meter = new Meter(this.#clock, this.#watcher, what);
    try {
      const id = await this.#submit(method, params, version);
      const result = await this.#wait(method, id, schema);
      await meter.end();
      return result;
    } finally {
      meter.drop();
    }
  }

  /** What the runner will write into the history of everything this job saves. */
  async provenance(): Promise<readonly unknown[]> {
    const call = { method: "CallbackServer.get_provenance", params: [] };
    const [actions] = await this.#rpc.call(call, z.tuple([z.array(z.unknown())]).or(z.tuple([])));
    return actions ?? [];
  }

  /** Asked once only: a submit without an answer may have been heard. */
  async #submit(method: string, params: readonly unknown[], version: string | undefined): Promise<string> {
    const [module, name] = method.split(".");
    const context = version === undefined ? {} : { context: { service_ver: version } };
    const [id] = await this.#rpc.call({ method: `${module}._${name}_submit`, params, ...context }, Submitted);
    return id;
  }

  async #wait<Schema extends z.ZodType>(
    method: string,
    id: string,
    schema: Schema,
  ): Promise<z.output<Schema>> {
    const check = { method: `${method.split(".")[0]}._check_job`, params: [id] };
    let failures = 0;
    for (let waitMs = FIRST_WAIT_MS;; waitMs = Math.min(waitMs * WAIT_FACTOR, WAIT_MAX_MS)) {
      await this.#clock.sleep(waitMs, this.#signal);
      if (this.#signal.aborted) throw new Error(`Cannot call ${method}: the job was stopped`);
      try {
        const [state] = await this.#rpc.call(check, Checked);
        if (state.finished) return resultOf(method, state["result"], schema);
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        failures += 1;
        if (!error.isPassing) throw renamed(error, method, "");
        if (failures >= FAILURES_MAX) throw renamed(error, method, EXCEEDED);
      }
    }
  }
}

const EXCEEDED = `_check_job failed ${FAILURES_MAX} times and exceeded limit, last as `;

/** What a finished job returned. Asking again would not change it, so what is wrong with it ends the call. */
function resultOf<Schema extends z.ZodType>(
  method: string,
  result: unknown,
  schema: Schema,
): z.output<Schema> {
  const parsed = schema.safeParse(result ?? []);
  if (parsed.success) return parsed.data;
  const [first] = fieldErrors("result", parsed.error);
  throw new GlassboxError(
    "service_failed",
    `Cannot call ${method}: it returned ${first!.field}: ${first!.message}`,
  );
}

/** The error of a check is the error of what was checked. */
function renamed(error: ServiceError, method: string, before: string): ServiceError {
  const why = error.message.replace(/^Cannot call [^:]*: /, "").replace(/ \(service_\w+\)$/, "");
  const { answered, cause } = error;
  const options = answered === null ? { cause } : { cause, answered };
  return new ServiceError(`call ${method}`, error.problem, before + why, options);
}
