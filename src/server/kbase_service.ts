import { parseStrictJson } from "../config/strict_json.ts";
import { isFinal, type Job } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import type { Confidential } from "../executor/confidential.ts";
import { CallInProgress, type KbaseContext } from "../executor/kbase_call.ts";
import type { DeployConfig } from "../kbase/deploy_config.ts";
import {
  errorDocument,
  NO_REQUEST,
  readRequest,
  replyTo,
  type RpcReplyTo,
  type RpcRequest,
  successDocument,
} from "../kbase/envelope.ts";
import { type Method, type Methods, moduleOf } from "../kbase/methods.ts";
import { asRpcError, RPC, RpcError } from "../kbase/rpc_error.ts";
import { TokenChecker, TokenError } from "../kbase/token_checker.ts";
import { cleanToken } from "../kbase/work_directory.ts";
import { BODY_BYTES_MAX, readBytes } from "./body.ts";
import type { Report } from "./context.ts";

/** What a server offers as a KBase module. */
export interface KbaseOffer {
  readonly methods: Methods;
  readonly config: DeployConfig;
  readonly scratch: string;
  /** Shared with the worker that runs the calls. */
  readonly confidential: Confidential;
  /** True for a dynamic service: any web page may call it, and nothing but JSON-RPC is answered. */
  readonly only: boolean;
}

export interface KbaseServiceDeps extends KbaseContext {
  readonly offer: KbaseOffer;
  /** The worker of this process: tokens live in its memory, so it alone may run the calls. */
  readonly workerId: string;
  readonly newId: () => string;
  readonly isDraining: () => boolean;
  readonly report: Report;
}

/** Who calls, as far as a method wants to know. */
interface Caller {
  readonly token: string | null;
  readonly user: string | null;
}

/** A call that was submitted to be asked about later. */
interface Submitted {
  readonly user: string | null;
  readonly done: Promise<readonly unknown[]>;
  isDone: boolean;
}

/** Answers that nobody fetches are forgotten, the oldest first. */
const SUBMITTED_MAX = 1_000;

/** JSON-RPC as KBase speaks it: each call becomes a job on the same road as any other. */
export class KbaseService {
  readonly #deps: KbaseServiceDeps;
  readonly #checker: TokenChecker | null;
  readonly #submitted = new Map<string, Submitted>();

  constructor(deps: KbaseServiceDeps) {
    this.#deps = deps;
    this.#checker = TokenChecker.from(deps.host.clock, deps.offer.config.values);
  }

  /** Never throws: KBase's clients read every error from a document with status 500. */
  async answer(request: Request, requestId: string): Promise<Response> {
    if (request.method === "OPTIONS") return this.#response(request, 200, null);
    let reply: RpcReplyTo = NO_REQUEST;
    try {
      const document = await this.#document(request);
      reply = replyTo(document);
      const call = readRequest(document);
      const answer = await this.#dispatch(call, request);
      if (call.id === undefined) return this.#response(request, 204, null);
      return this.#response(request, 200, call.id === null ? null : this.#success(reply, answer));
    } catch (error) {
      if (!(error instanceof RpcError)) this.#deps.report(error, requestId);
      const finished = error instanceof FinishedError ? { finished: 1 } : {};
      return this.#response(request, 500, { ...errorDocument(reply, asRpcError(error)), ...finished });
    }
  }

  #success(reply: RpcReplyTo, result: readonly unknown[]): object {
    return successDocument(reply, result);
  }

  async #document(request: Request): Promise<unknown> {
    try {
      const bytes = await readBytes(request, this.#deps.host.clock);
      const options = { what: "the request", bytesMax: BODY_BYTES_MAX, depthMax: LIMITS.inputDepthMax + 2 };
      return parseStrictJson(bytes, options);
    } catch (error) {
      throw new RpcError(RPC.parse, asRpcError(error).text, { cause: error });
    }
  }

  async #dispatch(call: RpcRequest, request: Request): Promise<readonly unknown[]> {
    const { methods } = this.#deps.offer;
    const module = moduleOf(call.method);
    const name = call.method.slice(module.length + 1);
    if (name.startsWith("_check_job")) return [await this.#check(call, request)];
    const status = methods.status(call.method, call.params);
    if (status !== null) return status;
    const [, later] = /^_(.+)_submit$/.exec(name) ?? [];
    const method = methods.get(later === undefined ? call.method : `${module}.${later}`);
    const caller = await this.#caller(method, request);
    if (later === undefined) return await (await this.#start(call, method, caller)).done;
    return [await this.#submit(call, method, caller)];
  }

  /** Who calls, as `authentication` demands it; a token that a method does not ask for is not even looked at. */
  async #caller({ name, authentication }: Method, request: Request): Promise<Caller> {
    if (authentication === "none") return NOBODY;
    const header = request.headers.get("authorization");
    if (!header && authentication === "optional") return NOBODY;
    if (!header) {
      throw new RpcError(
        RPC.server,
        `Authentication required for ${moduleOf(name)} but no authentication header was passed`,
      );
    }
    try {
      return await this.#identified(header);
    } catch (error) {
      if (authentication === "optional") return NOBODY;
      throw error;
    }
  }

  async #identified(header: string): Promise<Caller> {
    const text = header.replace(/^(oauth|bearer)\s+/i, "");
    try {
      const token = cleanToken(text);
      if (token === null) throw new TokenError("the token is empty", true);
      if (this.#checker === null) throw new TokenError("no auth service is configured here", false);
      return { token, user: await this.#checker.userOf(token) };
    } catch (error) {
      const why = error instanceof TokenError ? error.message : asRpcError(error).text;
      throw new RpcError(RPC.server, `Token validation failed: ${why}`, { cause: error });
    }
  }

  /** Submits the call's job; `done` gives what it returned once it is final. */
  async #start(
    { id, params, context }: RpcRequest,
    method: Method,
    { token, user }: Caller,
  ): Promise<{ jobId: string; done: Promise<readonly unknown[]> }> {
    if (this.#deps.isDraining()) {
      throw new RpcError(RPC.server, "This server is shutting down: call again later");
    }
    const { offer: { config, scratch }, newId, workerId, store } = this.#deps;
    const jobId = newId();
    const surroundings = { callbackUrl: null, token, userId: user, scratch, config: config.values };
    const call = new CallInProgress(this.#deps, {
      jobId,
      method,
      params,
      id: id ?? null,
      context,
      surroundings,
      configFile: config.file,
    });
    try {
      await store.jobs.submit(await call.prepare({ reservedFor: workerId }));
    } catch (error) {
      await call.end();
      throw error;
    }
    return { jobId, done: this.#outcome(jobId, call) };
  }

  async #outcome(jobId: string, call: CallInProgress): Promise<readonly unknown[]> {
    try {
      return await call.outcome(await this.#finalJob(jobId));
    } finally {
      await call.end();
    }
  }

  async #finalJob(jobId: string): Promise<Job> {
    const { store } = this.#deps;
    const news = store.changes.subscribe(jobId);
    try {
      for (;;) {
        news.reset();
        const job = await store.jobs.get(jobId);
        if (isFinal(job.state)) return job;
        await news.next();
      }
    } finally {
      news.close();
    }
  }

  async #submit(call: RpcRequest, method: Method, caller: Caller): Promise<string> {
    const { jobId, done } = await this.#start(call, method, caller);
    const submitted: Submitted = { user: caller.user, done, isDone: false };
    void done.catch(() => undefined).finally(() => submitted.isDone = true);
    this.#submitted.set(jobId, submitted);
    this.#forgetSome();
    return jobId;
  }

  #forgetSome(): void {
    if (this.#submitted.size <= SUBMITTED_MAX) return;
    for (const [id, { isDone }] of this.#submitted) {
      if (isDone) return void this.#submitted.delete(id);
    }
  }

  /** Another user's job looks like none. */
  async #check({ id, params }: RpcRequest, request: Request): Promise<object> {
    const [jobId] = params;
    if (params.length !== 1 || typeof jobId !== "string") {
      throw new RpcError(RPC.server, "method params must be a list containing exactly one job ID string");
    }
    if (!/^[0-9a-z]{26}$/.test(jobId)) {
      throw new RpcError(RPC.server, `Invalid job ID: ${JSON.stringify(jobId.slice(0, 64)).slice(1, -1)}`);
    }
    const submitted = this.#submitted.get(jobId);
    if (submitted === undefined || !await this.#mayAsk(submitted, request)) {
      throw new RpcError(RPC.server, `No such job ID: ${jobId}`);
    }
    if (!submitted.isDone) return { finished: 0 };
    try {
      return { version: "1.1", id: id ?? null, result: await submitted.done, finished: 1 };
    } catch (error) {
      throw new FinishedError(asRpcError(error));
    }
  }

  async #mayAsk({ user }: Submitted, request: Request): Promise<boolean> {
    if (user === null) return true;
    const header = request.headers.get("authorization");
    return header !== null && (await this.#identified(header)).user === user;
  }

  #response(request: Request, status: number, document: object | null): Response {
    const body = document === null ? null : JSON.stringify(document);
    const headers: Record<string, string> = {
      "content-type": "application/json",
      "cache-control": "no-store",
      // Without a body of known length a server would send one in chunks.
      ...(body === null && status !== 204 ? { "content-length": "0" } : {}),
    };
    if (this.#deps.offer.only) {
      headers["access-control-allow-origin"] = "*";
      headers["access-control-allow-headers"] = request.headers.get("access-control-request-headers") ??
        "authorization";
      headers["cross-origin-resource-policy"] = "cross-origin";
    }
    return new Response(body, { status, headers });
  }
}

const NOBODY: Caller = { token: null, user: null };

/** The error with which a submitted job ended, as opposed to one of asking about it. */
class FinishedError extends RpcError {
  constructor({ code, name, text, trace }: RpcError) {
    super([code, name], text, { trace });
  }
}
