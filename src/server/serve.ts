import type { Settings } from "../config/settings.ts";
import { GlassboxError, messageOf, quoted } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import type { Listener } from "../core/host.ts";
import { askUntil } from "../executor/ask_until.ts";
import type { ExecutorContext } from "../executor/context.ts";
import { idMaker } from "../executor/submit.ts";
import type { Worker } from "../executor/worker.ts";
import { type App, createApp } from "./app.ts";
import type { LaunchInfo, Report } from "./context.ts";
import { createKbaseApp } from "./kbase_app.ts";
import { type KbaseOffer, KbaseService } from "./kbase_service.ts";
import { type Address, hostInUrl } from "./guard.ts";

export interface ServeDeps extends ExecutorContext {
  readonly settings: Pick<Settings, "host" | "port"> & Partial<Pick<Settings, "queuedMax" | "submitRate">>;
  readonly launch: LaunchInfo;
  /** Registered already; whoever made it closes it, once the server is done. */
  readonly worker: Worker;
  /** How long running jobs may go on once the server was asked to close; then they are cancelled. */
  readonly graceMs: number;
  /** Methods to answer JSON-RPC for; absent where there are none. */
  readonly kbase?: KbaseOffer;
  /** Told of every error that is not a caller's; `requestId` is what the caller was told. */
  readonly report: Report;
}

/** A server that listens and runs jobs. */
export interface Serving {
  /** Where to reach it, with the real port. */
  readonly url: string;
  /** Resolves when it has ended: the last job is final, and every connection closed. */
  readonly done: Promise<void>;
  /**
   * Asks it to end: no new jobs, those that run may finish within the grace time. A second call cancels them now,
   * a third kills them.
   */
  close(): Promise<void>;
}

/** What answers are still being sent when all jobs have ended may take this long. */
const LAST_ANSWERS_MS = 2_000;

/** Listens, and runs jobs until it is closed. Resolves when both have begun. */
export async function serve(deps: ServeDeps): Promise<Serving> {
  const { settings } = deps;
  // A dynamic service answers nothing but methods, each of which says who may call it.
  if (deps.kbase?.only !== true) refuseOpenHost(settings.host);
  let address: Address = settings;
  const app = appOf(deps, () => address);
  const listener = await listen(deps, app);
  address = { host: settings.host, port: listener.port };
  const server = new Server(deps, app, listener);
  const done = server.run();
  // The caller decides when to look at it; until then a failure must not count as unhandled.
  done.catch(() => undefined);
  const close = () => {
    server.ask();
    return done;
  };
  return { url: `http://${hostInUrl(address.host)}:${address.port}`, done, close };
}

function appOf(deps: ServeDeps, address: () => Address): App {
  const { worker, kbase: offer, host } = deps;
  const draining = new AbortController();
  const kbase = offer === undefined ? null : new KbaseService({
    ...deps,
    confidential: offer.confidential,
    offer,
    workerId: worker.id,
    newId: idMaker(host),
    isDraining: () => draining.signal.aborted,
  });
  const drain = () => draining.abort();
  if (kbase !== null && offer?.only) {
    return createKbaseApp(kbase, { newRequestId: () => host.random.uuid(), drain });
  }
  const status = () => ({ id: worker.id, running: worker.running });
  const { queuedMax, submitRate } = deps.settings;
  const intake = { queuedMax: queuedMax ?? LIMITS.queuedDefault, submitRate: submitRate ?? null };
  const app = createApp({ ...deps, kbase, intake, address, worker: status });
  return {
    ...app,
    drain: () => {
      drain();
      app.drain();
    },
  };
}

/** One run from listening to the end. */
class Server {
  readonly #deps: ServeDeps;
  readonly #app: App;
  readonly #listener: Listener;
  readonly #asked = new AbortController();
  readonly #hurried = new AbortController();

  constructor(deps: ServeDeps, app: App, listener: Listener) {
    this.#deps = deps;
    this.#app = app;
    this.#listener = listener;
  }

  /** The first ask is a request to end, the second makes it urgent, any further insists. */
  ask(): void {
    if (!this.#asked.signal.aborted) return this.#asked.abort();
    if (!this.#hurried.signal.aborted) return this.#hurried.abort();
    this.#deps.worker.insist();
  }

  async run(): Promise<void> {
    const { worker } = this.#deps;
    const working = worker.work();
    try {
      await Promise.race([working, aborted(this.#asked.signal)]);
      this.#app.drain();
      worker.drain();
      await this.#finish(working);
    } finally {
      this.#app.endWatchers();
      await this.#listener.close(LAST_ANSWERS_MS);
    }
  }

  /** Running jobs end by themselves within the grace time, or are cancelled. */
  async #finish(working: Promise<void>): Promise<void> {
    const { host: { clock }, graceMs } = this.#deps;
    const ended = new AbortController();
    const end = working.finally(() => ended.abort());
    end.catch(() => undefined);
    await clock.sleep(graceMs, AbortSignal.any([ended.signal, this.#hurried.signal]));
    await askUntil(
      ended.signal,
      clock,
      () => this.#deps.worker.cancelRunning("server", "the server is shutting down"),
    );
    await end;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Whoever reaches the server may run any program, so only this machine may until callers have to show a token. */
function refuseOpenHost(host: string): void {
  const isLoopback = host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
  if (isLoopback) return;
  throw new GlassboxError(
    "configuration",
    `Cannot listen on ${quoted(host)} as the host must be localhost, 127.0.0.1 or ::1: ` +
      "other addresses need access tokens, which come with a later version",
  );
}

async function listen({ host, settings }: ServeDeps, app: App): Promise<Listener> {
  try {
    return await host.network.listen({
      host: settings.host,
      port: settings.port,
      fetch: (request) => app.fetch(request),
      upgrade: (request) => app.upgrade(request),
    });
  } catch (error) {
    const place = `${hostInUrl(settings.host)}:${settings.port}`;
    throw new GlassboxError("listen_failed", `Cannot listen on ${place} as ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function reasonOf(error: unknown): string {
  switch ((error as { code?: unknown } | null)?.code) {
    case "EADDRINUSE":
      return "the port must be free, and another program has it: end that one, or name another with --port " +
        "(0 takes any free port)";
    case "EACCES":
      return "this user may not use the port: name one of 1024 or above with --port";
    case "EADDRNOTAVAIL":
      return "this machine has no such address: name another with --host";
    default:
      return messageOf(error);
  }
}
