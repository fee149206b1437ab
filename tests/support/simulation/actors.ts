/** The simulated processes: what the commands of glassbox do with the executor, without their terminals and sockets. */
import { asGlassboxError } from "../../../src/core/errors.ts";
import type { ExecutorContext } from "../../../src/executor/context.ts";
import { reap } from "../../../src/executor/reaper.ts";
import { sweep } from "../../../src/executor/sweep.ts";
import { retain } from "../../../src/executor/retention.ts";
import { Scheduler } from "../../../src/executor/scheduler.ts";
import { idMaker, prepareJob } from "../../../src/executor/submit.ts";
import { Worker } from "../../../src/executor/worker.ts";
import { follow } from "../../../src/logs/follow.ts";
import { Store } from "../../../src/store/store.ts";
import { builtInTasks } from "../../../src/tasks/registry.ts";
import type { Machine } from "./machine.ts";
import type { SimulatedProcess } from "./process.ts";
import type { World } from "./world.ts";

export const QUEUES = ["default", "side"] as const;

/** Opens the database and settles what dead processes left, as every command does first. */
export async function openSession(world: World, process: SimulatedProcess): Promise<ExecutorContext> {
  const { host } = process;
  const context = {
    host,
    store: await Store.open(world.storeOptions(process), host),
    registry: builtInTasks,
  };
  try {
    for (const { jobId, as } of await reap(context)) {
      world.trace(`${process.name} settles ${world.short(jobId)} as ${as}`);
    }
    // As every start does: others may have settled what was left on this machine.
    await sweep(context);
  } catch (error) {
    world.trace(`${process.name} cannot settle: ${asGlassboxError(error).code}`);
  }
  return context;
}

/** A command that does one thing and ends. */
export function startCommand(
  world: World,
  kind: string,
  machine: Machine,
  work: (context: ExecutorContext) => Promise<string>,
): SimulatedProcess {
  return world.start(kind, machine, async (process) => {
    const context = await openSession(world, process);
    try {
      return await work(context);
    } finally {
      await context.store.close();
    }
  });
}

/** `glassbox run`: submits a job, runs it and shows it to its end. */
export function startRun(world: World, machine: Machine, request: unknown): SimulatedProcess {
  return world.start("run", machine, async (process) => {
    const context = await openSession(world, process);
    const worker = await Worker.create(context, {
      launch: "run",
      concurrency: 1,
      queues: [],
      onError: (error) => world.trace(`${process.name} reports ${error.code}`),
    });
    world.workers.set(worker.id, process);
    let isAsked = false;
    try {
      const job = await prepareJob(context, idMaker(process.host)(), request);
      const { id, created, done } = await worker.runNew({ ...job, reservedFor: worker.id });
      acknowledge(world, id, request);
      const left = new AbortController();
      void done.then((error) => error === null || left.abort());
      process.host.signals.on(() => {
        if (isAsked) return worker.insist();
        isAsked = true;
        if (created) void context.store.jobs.cancel(id, "command line", "SIGINT").catch(() => undefined);
        else left.abort();
      });
      await watch(world, context, id, left.signal);
      await done;
      return `job ${world.short(id)}`;
    } finally {
      await worker.close();
      await context.store.close();
    }
  });
}

/** `glassbox serve` and `glassbox worker`: run jobs and fire schedules until they are told to stop. */
export function startService(
  world: World,
  machine: Machine,
  { launch, concurrency }: { readonly launch: "serve" | "worker"; readonly concurrency: number },
): SimulatedProcess {
  return world.start(launch, machine, async (process) => {
    const context = await openSession(world, process);
    const onError = (error: { code: string }) => world.trace(`${process.name} reports ${error.code}`);
    const worker = await Worker.create(context, { launch, concurrency, queues: QUEUES, onError });
    world.workers.set(worker.id, process);
    await worker.register();
    const stop = new AbortController();
    const scheduler = new Scheduler(context, { onError, onMissed: () => undefined });
    const scheduling = scheduler.run(stop.signal);
    const rules = { retentionMaxAgeMs: null, retentionMaxJobs: launch === "serve" ? 200 : null };
    void retain(context, rules, stop.signal, { pruned: () => undefined, error: onError });
    let isAsked = false;
    process.host.signals.on(() => {
      stop.abort();
      worker.drain();
      if (isAsked) {
        void worker.cancelRunning("glassbox", "the worker was told to stop at once");
        worker.insist();
      }
      isAsked = true;
    });
    if (launch === "serve") world.services.push({ process, context });
    try {
      await worker.work();
    } finally {
      stop.abort();
      await scheduling;
      await worker.close();
      await context.store.close();
    }
    return worker.lostBy !== null ? "lost its lease" : "drained";
  });
}

/** Writes down that a job's id was given for a request. */
export function acknowledge(world: World, id: string, request: unknown): void {
  const { key = null } = request as { key?: string | null };
  world.told.push({ kind: "submitted", job: id, ...(key === null ? {} : { key }) });
  world.jobs.push(id);
  world.trace(`acknowledged ${world.short(id)}${key === null ? "" : ` for key ${key}`}`);
  if (key === null) return;
  const body = JSON.stringify({ ...(request as object), key: null });
  const before = world.keys.get(key);
  if (before?.job === id && before.body !== body) {
    world.violate("I5", id, `was given for key ${key} to two different requests`);
  }
  world.keys.set(key, { job: id, body });
}

/** Follows a job and holds what is shown against the rule that numbers have no gap. */
export async function watch(
  world: World,
  { store }: Pick<ExecutorContext, "store">,
  id: string,
  signal?: AbortSignal,
  after: { line: number; event: number } = { line: 0, event: 0 },
): Promise<{ line: number; event: number }> {
  const at = { ...after };
  const options = { afterLine: at.line, afterEvent: at.event, live: true };
  for await (const news of follow(store, id, { ...options, ...(signal === undefined ? {} : { signal }) })) {
    for (const { seq, bytes } of news.lines) {
      if (seq !== at.line + 1) world.violate("I6", id, `showed line ${seq} after line ${at.line}`);
      at.line = seq;
      world.told.push({ kind: "line", job: id, seq, sha256: lineName(bytes) });
    }
    for (const { seq } of news.events) {
      if (seq !== at.event + 1) world.violate("I6", id, `showed event ${seq} after event ${at.event}`);
      at.event = seq;
    }
  }
  const job = await store.jobs.find(id);
  if (job !== null && job.finishedAtMs !== null) {
    world.told.push({ kind: "ended", job: id, state: job.state });
    world.trace(`told that ${world.short(id)} is ${job.state}`);
  }
  return at;
}

/** Stands for the digest of a line: the text itself, as programs here write nothing that is long or secret. */
export function lineName(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
