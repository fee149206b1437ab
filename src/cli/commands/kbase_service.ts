import { asGlassboxError } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { Confidential } from "../../executor/confidential.ts";
import { Methods } from "../../kbase/methods.ts";
import {
  configOf,
  environmentConfig,
  methodsOf,
  placeOf,
  scratchOf,
  secretsOf,
  withSafeOutput,
} from "../kbase_place.ts";
import type { KbasePlan } from "../launch_plan.ts";
import { type Cli, type GlobalFlags, type Session, withSession } from "../session.ts";
import type { Worker } from "../../executor/worker.ts";
import type { KbaseOffer } from "../../server/kbase_service.ts";
import { onStopSignals, startWorker } from "./worker.ts";

/** Answers JSON-RPC as a dynamic service of KBase, and runs what it is called for. */
export async function kbaseService(
  cli: Cli,
  flags: GlobalFlags,
  plan: KbasePlan,
  address: { readonly host: string; readonly port: number },
): Promise<number> {
  const secrets = secretsOf(cli.host, null);
  const safe = { ...cli, host: withSafeOutput(cli.host, secrets) };
  const place = await placeOf(safe.host, plan);
  const methods = await methodsOf(safe.host, cli.registry, place);
  const config = await configOf(safe.host, place, methods, null);
  const scratch = await scratchOf(safe.host, place, config, null) ?? place.module;
  const confidential = new Confidential(secrets);
  const offer = { methods, config, scratch, confidential, only: true };
  const options = {
    confidential,
    defaults: place.work === null ? {} : { kbaseScratch: scratch },
  };
  return await withSession(safe, flags, async (session) => {
    for (const text of [...config.warnings, config.told]) await session.talk.say(text);
    const worker = await startWorker(session, "kbase");
    try {
      return await serveUntilStopped(safe, session, worker, offer, address);
    } finally {
      await worker.close();
    }
  }, options);
}

async function serveUntilStopped(
  cli: Cli,
  session: Session,
  worker: Worker,
  offer: KbaseOffer,
  address: { readonly host: string; readonly port: number },
): Promise<number> {
  const { talk, settings } = session;
  const { serve } = await import("../../server/serve.ts");
  const server = await serve({
    ...session,
    settings: {
      host: settings.source.host === "default" ? address.host : settings.host,
      port: settings.source.port === "default" ? address.port : settings.port,
    },
    worker,
    launch: { mode: "kbase", why: cli.plan.why },
    graceMs: LIMITS.drainMs,
    report: (error) => void talk.error(asGlassboxError(error)),
    kbase: offer,
  });
  const stop = onStopSignals(cli.host, {
    first: (signal) => {
      void talk.say(`${signal}: no new calls; what runs may finish; again to stop it now`);
      void server.close();
    },
    second: () => void server.close(),
  });
  const names = offer.methods.list().map(({ name }) => name).join(", ");
  await talk.say(`answering JSON-RPC on ${server.url} · ${names}`, { url: server.url });
  await server.done;
  const exitCode = stop();
  return worker.outdatedBy?.exitCode ?? worker.lostBy?.exitCode ?? exitCode;
}

/** What `glassbox serve` offers beside the rest: the methods of built-in tasks, to callers of this machine. */
export async function builtInOffer(cli: Cli, confidential: Confidential): Promise<KbaseOffer> {
  const place = { work: null, module: cli.host.processes.workingDirectory };
  const { registry, host } = cli;
  const methods = new Methods(registry, { ...NO_MODULE, directory: place.module });
  const config = await environmentConfig(host);
  return { methods, config, scratch: place.module, confidential, only: false };
}

const NO_MODULE = { name: null, version: null, methods: [], init: null, test: null };
