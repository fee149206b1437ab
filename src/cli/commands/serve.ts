import { asGlassboxError } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import { Confidential } from "../../executor/confidential.ts";
import type { Serving } from "../../server/serve.ts";
import { type Cli, type GlobalFlags, type Session, withSession } from "../session.ts";
import { startRetention } from "../retaining.ts";
import { type Scheduling, startScheduler } from "../scheduling.ts";
import { closeWorker, onStopSignals, startWorker } from "./worker.ts";

/** `glassbox serve`: the API and the page over HTTP, and a worker in the same process. */
export function serveCommand(cli: Cli, flags: GlobalFlags): Promise<number> {
  const confidential = new Confidential();
  return withSession(cli, flags, async (session) => {
    const { talk } = session;
    // Loaded only here: no other command should pay for the web server at its start.
    const { serve } = await import("../../server/serve.ts");
    const { builtInOffer } = await import("./kbase_service.ts");
    const worker = await startWorker(session, "serve");
    let scheduling: Scheduling | null = null;
    const retention = startRetention(session);
    try {
      const server = await serve({
        ...session,
        worker,
        launch: { mode: "serve", why: cli.plan.why },
        graceMs: LIMITS.drainMs,
        report: (error) => void talk.error(asGlassboxError(error)),
        kbase: await builtInOffer(cli, confidential),
      });
      scheduling = startScheduler(session);
      const exitCode = await serveUntilStopped(cli, session, server, scheduling);
      return worker.outdatedBy?.exitCode ?? worker.lostBy?.exitCode ?? exitCode;
    } finally {
      await Promise.all([scheduling?.stop(), retention.stop()]);
      await closeWorker(worker);
    }
  }, { confidential });
}

async function serveUntilStopped(
  { host }: Cli,
  { settings, talk }: Session,
  server: Serving,
  scheduling: Scheduling,
): Promise<number> {
  // Before anyone is told that it is there: whoever hears that may want to stop it at once.
  const stop = onStopSignals(host, {
    first: (signal) => {
      void talk.say(`${signal}: no new jobs; what runs may finish; again to stop it now`);
      void scheduling.stop();
      void server.close();
    },
    second: () => void server.close(),
  });
  await talk.say(
    `listening on ${server.url} · up to ${settings.concurrency} jobs at once; Ctrl-C to stop`,
    { url: server.url },
  );
  await server.done;
  return stop();
}
