import { Hono } from "hono";
import { GlassboxError, isGlassboxError, quoted } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import type { Host, SocketHandler } from "../core/host.ts";
import type { TaskRegistry } from "../core/task.ts";
import { idMaker } from "../executor/submit.ts";
import type { Store } from "../store/store.ts";
import { negotiate } from "./accept.ts";
import type { LaunchInfo, Report, ServerContext, WorkerStatus } from "./context.ts";
import { type Address, checkCaller, checkEnvelope } from "./guard.ts";
import { PORTRAIT_TASK } from "./portrait_documents.ts";
import { PortraitSocket } from "./portrait_socket.ts";
import { Intake, type IntakeBounds } from "./intake.ts";
import type { KbaseService } from "./kbase_service.ts";
import { problemResponse } from "./problem.ts";
import { parseQuery } from "./query.ts";
import type { Route } from "./route.ts";
import { SOCKET_PATH } from "./routes/live.ts";
import { ROUTES } from "./routes/table.ts";
import { positionInQuery, SocketQuery, WatchSocket } from "./socket.ts";
import { Watchers } from "./watchers.ts";

export interface AppDeps {
  readonly host: Host;
  readonly store: Store;
  readonly registry: TaskRegistry;
  readonly launch: LaunchInfo;
  /** Where the server listens; asked for at each request. */
  readonly address: () => Address;
  /** The worker of this process, or null. */
  readonly worker: () => WorkerStatus | null;
  readonly kbase?: KbaseService | null;
  /** Told of every error that is not the caller's. */
  readonly report: Report;
  /** How much is accepted; the defaults when left out. */
  readonly intake?: IntakeBounds;
}

/** The server without its listener: requests in, answers out. */
export interface App {
  fetch(request: Request): Promise<Response>;
  /** Decides about a WebSocket. */
  upgrade(request: Request): Promise<SocketHandler | Response>;
  /** Jobs are no longer accepted; everything else still answers. */
  drain(): void;
  /** Ends all live streams and sockets, each with a word that it may be resumed. */
  endWatchers(): void;
}

/** On every answer. Scripts, styles and frames of others have no place in what this server shows. */
const SECURITY_HEADERS = {
  "content-security-policy":
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "referrer-policy": "no-referrer",
} as const;

export function createApp(deps: AppDeps): App {
  const draining = new AbortController();
  const watchers = new Watchers(deps.host.clock);
  const context: ServerContext = {
    ...deps,
    watchers,
    intake: new Intake(
      deps.host.clock,
      deps.intake ?? { queuedMax: LIMITS.queuedDefault, submitRate: null },
    ),
    kbase: deps.kbase ?? null,
    startedAtMs: deps.host.clock.nowMs(),
    isDraining: () => draining.signal.aborted,
    newId: idMaker(deps.host),
  };
  const door = new Door(context);
  return {
    fetch: (request) => door.fetch(request),
    upgrade: (request) => door.upgrade(request),
    drain: () => draining.abort(),
    endWatchers: () => watchers.stop(),
  };
}

type Router = Hono<{ Bindings: { requestId: string } }>;

/** Every request comes through here: bounds, then who asks, then the route, and headers on what goes out. */
class Door {
  readonly #context: ServerContext;
  readonly #router: Router;

  constructor(context: ServerContext) {
    this.#context = context;
    this.#router = this.#route(ROUTES);
  }

  async fetch(request: Request): Promise<Response> {
    const requestId = this.#context.host.random.uuid();
    const response = await this.#guarded(request, requestId, () =>
      // Errors are made into problems in one place, so Hono is told to let them through.
      this.#router.fetch(request, { requestId }));
    return sealed(response, requestId);
  }

  async upgrade(request: Request): Promise<SocketHandler | Response> {
    const requestId = this.#context.host.random.uuid();
    let handler: SocketHandler | null = null;
    const refusal = await this.#guarded(request, requestId, async () => {
      const jobId = new RegExp(`^${SOCKET_PATH.replace(":id", "([^/]+)")}$`).exec(
        new URL(request.url).pathname,
      )?.[1];
      if (jobId === undefined) throw notFound(request);
      const query = parseQuery(SocketQuery, request.url), from = positionInQuery(query, request.url);
      this.#context.watchers.checkRoom();
      const report = (error: unknown) => this.#context.report(error, requestId);
      // A socket that names no position on a portrait's job is one of the seed tool's clients.
      const job = from === null ? await this.#context.store.jobs.find(jobId) : null;
      handler = job?.task === PORTRAIT_TASK
        ? new PortraitSocket(this.#context, job, query.stream === "1", report)
        : new WatchSocket(this.#context, { jobId, from, requestId }, report);
      return new Response(null);
    });
    return handler ?? sealed(refusal, requestId);
  }

  async #guarded(
    request: Request,
    requestId: string,
    answer: () => Response | Promise<Response>,
  ): Promise<Response> {
    try {
      checkEnvelope(request);
      checkCaller(request, this.#context.address());
      return await answer();
    } catch (error) {
      if (!isTheCallers(error)) this.#context.report(error, requestId);
      return problemResponse(error, requestId);
    }
  }

  #route(routes: readonly Route[]): Router {
    const router: Router = new Hono();
    for (const row of routes) {
      router.on(row.method, row.path, async (call) => {
        const request = call.req.raw;
        const offered = acceptable(row);
        if (offered !== null) negotiate(request, offered);
        return await row.answer({
          request,
          requestId: call.env.requestId,
          params: call.req.param() as Record<string, string>,
          query: parseQuery(row.query, request.url),
          context: this.#context,
        });
      });
    }
    for (const [path, allow] of methodsByPath(routes)) {
      router.all(path, ({ req, env }) => {
        const error = new GlassboxError(
          "method_not_allowed",
          `Cannot ${req.method} ${quoted(req.path)}: it takes ${allow}`,
        );
        return problemResponse(error, env.requestId, { allow });
      });
    }
    router.notFound(({ req }) => {
      throw notFound(req.raw);
    });
    router.onError((error) => {
      throw error;
    });
    return router;
  }
}

/** What a route's good answers are, or null when it chooses by itself or may answer with anything. */
function acceptable(row: Route): readonly string[] | null {
  const types = row.replies.flatMap((reply) =>
    reply.mediaTypes ?? (reply.schema === undefined ? [] : ["application/json"])
  );
  return types.length === 0 || types.includes("*/*") || types.length > row.replies.length ? null : types;
}

function methodsByPath(routes: readonly Route[]): Map<string, string> {
  const byPath = new Map<string, string>();
  for (const { method, path } of routes) {
    const words = method === "GET" ? "GET, HEAD" : method;
    byPath.set(path, byPath.has(path) ? `${byPath.get(path)}, ${words}` : words);
  }
  return byPath;
}

function notFound(request: Request): GlassboxError {
  const { pathname } = new URL(request.url);
  return new GlassboxError("not_found", `Cannot find ${quoted(pathname)}: /openapi.json tells what there is`);
}

/** True for what the caller did wrong and what a shutdown brings; the rest someone has to look into. */
function isTheCallers(error: unknown): boolean {
  return error instanceof GlassboxError &&
    (error.status < 500 || isGlassboxError(error, "shutting_down") ||
      isGlassboxError(error, "too_many_watchers"));
}

function sealed(response: Response, requestId: string): Response {
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
    if (!response.headers.has(name)) response.headers.set(name, value);
  }
  response.headers.set("x-request-id", requestId);
  return response;
}
