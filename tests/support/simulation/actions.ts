/** The steps of a world: each does one thing that users, operators or fate may do at any time. */
import { ScheduleDefinition } from "../../../src/core/schedule.ts";
import type { ExecutorContext } from "../../../src/executor/context.ts";
import { prune } from "../../../src/executor/retention.ts";
import { idMaker, prepareJob, requestOf } from "../../../src/executor/submit.ts";
import { acknowledge, QUEUES, startCommand, startRun, startService, watch } from "./actors.ts";
import type { Machine } from "./machine.ts";
import { type ActionName, ACTIONS } from "./profile.ts";
import { drawBehaviour, LEFT_FILE, PROGRAM } from "./programs.ts";
import type { World } from "./world.ts";

const RUNS_MAX = 2;

/** Draws one action by the weights of this world. */
export function drawAction(world: World): ActionName {
  const { weights } = world.profile;
  let left = world.actions.next() * ACTIONS.reduce((sum, name) => sum + weights[name], 0);
  return ACTIONS.find((name) => (left -= weights[name]) < 0) ?? "wait";
}

export const DO: Readonly<Record<ActionName, (world: World) => void>> = {
  submit: (world) => {
    const request = drawRequest(world);
    inContext(world, "submit", async (context) => {
      const job = await prepareJob(context, idMaker(context.host)(), request);
      const { id } = await context.store.jobs.submit(job);
      acknowledge(world, id, request);
      return world.short(id);
    });
  },
  run: (world) => {
    const runs = world.alive.filter(({ name }) => name.startsWith("run-"));
    if (runs.length < RUNS_MAX) startRun(world, drawMachine(world), drawRequest(world));
  },
  serve: (world) => {
    const services = world.alive.filter(({ name }) => /^(serve|worker)-/.test(name));
    if (services.length >= world.profile.servicesMax) return;
    const launch = world.actions.pick(["serve", "worker"] as const);
    startService(world, drawMachine(world), { launch, concurrency: world.actions.int(1, 4) });
  },
  cancel: (world) => {
    const id = drawJob(world);
    if (id === null) return;
    inContext(world, `cancel ${world.short(id)}`, async (context) => {
      const job = await context.store.jobs.cancel(id, "client", "no longer wanted");
      if (job.state === "running") world.stopping.push({ job, atMs: world.clock.monotonicMs() });
      return job.state;
    });
  },
  retry: (world) => {
    const id = drawJob(world);
    if (id === null) return;
    inContext(world, `retry ${world.short(id)}`, async (context) => {
      const job = await context.store.jobs.get(id);
      if (job.finishedAtMs === null) return "not final";
      const options = { retryOf: id };
      const again = await prepareJob(context, idMaker(context.host)(), requestOf(job), options);
      const submitted = await context.store.jobs.submit(again);
      acknowledge(world, submitted.id, requestOf(job));
      return world.short(submitted.id);
    });
  },
  queue: (world) => {
    const name = world.actions.pick(QUEUES);
    const how = world.actions.pick(["pause", "resume", "resume", 1, 2, null] as const);
    inContext(world, `queue ${name} ${how}`, async ({ store: { queues } }) => {
      if (how === "pause" || how === "resume") await queues.setPaused(name, how === "pause");
      else await queues.setConcurrencyMax(name, how);
      return "done";
    });
  },
  schedule: (world) => {
    const name = world.actions.pick(["first", "second"]);
    const cron = world.actions.pick(["*/5 * * * * *", "*/10 * * * * *", "* * * * *"]);
    // Each missed time of a schedule that is put late would be a job, after the last jump of the clock.
    const catchUp = world.actions.pick(["skip", "last", cron === "* * * * *" ? "all" : "last"] as const);
    const { key: _, ...request } = drawRequest(world);
    const how = world.actions.pick(["put", "put", "pause", "resume", "remove"] as const);
    inContext(world, `schedule ${name} ${how}`, async ({ store: { schedules } }) => {
      const definition = ScheduleDefinition.parse({ cron, catchUp, request });
      if (how === "put") return (await schedules.put(name, definition, { replace: true })).outcome;
      await schedules[how](name);
      return "done";
    });
  },
  prune: (world) => {
    const keep = world.actions.int(0, 10);
    inContext(world, `prune, keep ${keep}`, async (context) => {
      const { jobs } = await prune(context, { keep }, { dryRun: false });
      return `${jobs} jobs`;
    });
  },
  drain: (world) => {
    const alive = world.alive.filter(({ name, isRunning }) => isRunning && !name.startsWith("command-"));
    if (alive.length === 0) return;
    const process = world.actions.pick(alive);
    world.trace(`SIGTERM to ${process.name}`);
    process.raise("SIGTERM");
  },
  watch: (world) => {
    const id = drawJob(world);
    if (id === null) return;
    const cutAfterMs = world.actions.int(1, 3_000);
    inContext(world, `watch ${world.short(id)}`, async (context) => {
      const left = new AbortController();
      void context.host.clock.sleep(cutAfterMs).then(() => left.abort());
      const seen = await watch(world, context, id, left.signal);
      // The connection is lost and taken up again with the last numbers.
      const end = await watch(world, context, id, undefined, seen);
      return `${end.line} lines, ${end.event} events`;
    });
  },
  kill: (world) => {
    const { alive } = world;
    if (alive.length === 0) return;
    const process = world.actions.pick(alive);
    if (world.actions.next() < 0.3) process.die("is killed");
    else process.dieAfter(world.actions.int(0, 40));
  },
  stop: (world) => {
    const running = world.alive.filter(({ isRunning }) => isRunning);
    if (running.length === 0) return;
    const process = world.actions.pick(running);
    const ms = world.actions.pick([50, 500, 3_000, 12_000, 25_000]);
    world.trace(`${process.name} stands still for ${ms} ms`);
    process.stop();
    void world.clock.sleep(ms).then(() => {
      if (process.isAlive) world.trace(`${process.name} goes on`);
      process.continue();
    });
  },
  reboot: (world) => {
    const machine = drawMachine(world);
    world.trace(`${machine.name} loses its power`);
    for (const process of world.alive) if (process.machine === machine) process.die("is gone");
    machine.reboot();
  },
  wallJump: (world) => {
    const machine = drawMachine(world);
    // Each time that a schedule has missed costs more to simulate than a step.
    const farMs = world.profile.weights.schedule > 0 ? 60_000 : 86_400_000;
    machine.wallOffsetMs += world.actions.pick([-farMs, -5_000, 5_000, farMs]);
    world.trace(`the wall clock of ${machine.name} is set ${machine.wallOffsetMs} ms from the time`);
  },
  wait: () => undefined,
};

/** How long the world goes on before its next step: mostly a moment, sometimes long. */
export function drawPauseMs(world: World): number {
  const chance = world.actions.next();
  if (chance < 0.75) return world.actions.int(0, 10);
  if (chance < 0.96) return world.actions.int(10, 100);
  if (chance < 0.994 || !world.isServerForm) return world.actions.int(150, 800);
  return world.actions.int(3_000, 12_000);
}

/** Does it through a server that is up, as an HTTP request, or else as a command of its own. */
function inContext(world: World, what: string, work: (context: ExecutorContext) => Promise<string>): void {
  const { service } = world;
  if (service !== null && world.actions.next() < 0.93) {
    world.trace(`${what} through ${service.process.name}`);
    return world.ask(what, work(service.context));
  }
  world.trace(what);
  startCommand(world, "command", drawMachine(world), work);
}

function drawMachine(world: World): Machine {
  return world.actions.pick(world.machines);
}

function drawJob(world: World): string | null {
  return world.jobs.length === 0 ? null : world.actions.pick(world.jobs.slice(-12));
}

function drawRequest(world: World) {
  const { actions } = world;
  const key = actions.next() < 0.3 ? `key-${actions.int(1, 6)}` : null;
  // Requests with a key are few, so that they meet again, with an equal body or another.
  const behaviour = key === null ? drawBehaviour(actions) : KEYED[actions.int(0, 9) === 0 ? 1 : 0]!;
  const outputs = behaviour.leavesFile === null ? [] : [{ path: LEFT_FILE }];
  const plain = {
    task: "exec",
    input: { program: PROGRAM, args: [JSON.stringify(behaviour)], outputs },
    key,
  };
  if (key !== null) return { ...plain, timeoutMs: 20_000, maxAttempts: 1 };
  return {
    ...plain,
    queue: actions.pick(QUEUES),
    priority: actions.int(-1, 1),
    timeoutMs: actions.pick([null, 300, 3_000, 20_000]),
    graceMs: actions.pick([0, 200, 1_000]),
    maxAttempts: actions.pick([1, 1, 2, 3]),
    backoffMs: actions.pick([0, 50, 1_000]),
    delayMs: actions.pick([0, 0, 0, 100, 5_000]),
    concurrencyKey: actions.pick([null, null, null, "one", "two"]),
    outputBytesMax: actions.pick([...Array(8).fill(1_000_000), 150, 0]),
  };
}

const KEYED = [0, 1].map((exit) => ({
  writes: [{ stream: "stdout", bytes: 40 }],
  pauseMs: 20,
  exit,
  onTerm: "dies",
  leavesBehind: false,
  leavesFile: null,
  says: [],
}));
