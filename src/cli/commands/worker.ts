import { EXIT } from "../../core/errors.ts";
import { signalExitCode } from "../exit_code.ts";
import type { Clock, Host } from "../../core/host.ts";
import { askUntil } from "../../executor/ask_until.ts";
import { Worker } from "../../executor/worker.ts";
import { startScheduler } from "../scheduling.ts";
import { type Cli, type GlobalFlags, type Session, withSession } from "../session.ts";

/** `glassbox worker`: claims jobs until it is told to stop. */
export function worker(cli: Cli, flags: GlobalFlags): Promise<number> {
  return withSession(cli, flags, async (session) => {
    const { settings, talk } = session;
    const claimer = await startWorker(session, "worker");
    const scheduling = startScheduler(session);
    const ended = new AbortController();
    const stop = onStopSignals(cli.host, {
      first: (signal) => {
        void talk.say(
          `${signal}: no new jobs; ${claimer.running.length} still running; again to stop them now`,
        );
        void scheduling.stop();
        claimer.drain();
      },
      second: () => void stopNow(claimer, cli.host.clock, ended.signal),
    });
    await talk.say(
      `worker ${claimer.id} takes up to ${settings.concurrency} jobs at once from ${
        settings.queues.join(", ")
      }; Ctrl-C to stop`,
    );
    try {
      await claimer.work();
      return claimer.outdatedBy?.exitCode ?? claimer.lostBy?.exitCode ?? stop();
    } finally {
      ended.abort();
      await scheduling.stop();
      await closeWorker(claimer);
    }
  });
}

/** A worker with this session's settings, registered and ready to `work`. */
export async function startWorker(session: Session, launch: "serve" | "worker" | "kbase"): Promise<Worker> {
  const { settings, talk } = session;
  const worker = await Worker.create(session, {
    launch,
    concurrency: settings.concurrency,
    queues: settings.queues,
    onError: (error) => void talk.error(error),
    onWarning: (text) => void talk.say(text),
  });
  await worker.register();
  return worker;
}

/** A worker that may write nothing more leaves its goodbye, and what it ran, to the next start. */
export async function closeWorker(worker: Worker): Promise<void> {
  await worker.close().catch((error) => {
    if (worker.outdatedBy === null) throw error;
  });
}

/** Cancels and kills what runs until `ended`. */
export async function stopNow(
  worker: Pick<Worker, "cancelRunning" | "insist">,
  clock: Clock,
  ended: AbortSignal,
): Promise<void> {
  await askUntil(ended, clock, async () => {
    await worker.cancelRunning("glassbox", "the worker was told to stop at once");
    worker.insist();
  });
}

/** First signal: drain. Second: now. The returned function stops listening and gives the exit code. */
export function onStopSignals(
  host: Host,
  on: { first: (signal: string) => void; second: (signal: string) => void },
): () => number {
  let count = 0;
  let last: number = EXIT.completed;
  const off = host.signals.on((signal) => {
    count++;
    if (count === 1) return on.first(signal);
    last = signalExitCode(signal);
    on.second(signal);
  });
  return () => {
    off();
    return last;
  };
}
