/** Runs one world from its seed to the verdict. */
import { isFinal } from "../../../src/core/job.ts";
import { statement } from "../../../src/store/driver.ts";
import type { Violation } from "../../../src/verify/check.ts";
import { DO, drawAction, drawPauseMs } from "./actions.ts";
import { QUEUES, startCommand, startService } from "./actors.ts";
import type { SimulatedDatabase } from "./database.ts";
import { judge } from "./judge.ts";
import type { SimulatedProcess } from "./process.ts";
import { World } from "./world.ts";

export const STEPS = 200;

/** Long enough for leases to run out, retries to follow and the longest program to be stopped. */
const REST_MS_MAX = 240_000;
const DAY_MS = 86_400_000;
/** A program is stopped this much after its grace period at the latest, where nothing goes wrong on the way. */
const CANCEL_SLACK_MS = 5_000;

export interface Verdict {
  readonly seed: number;
  readonly violations: readonly Violation[];
  /** Equal for equal seeds. */
  readonly hash: string;
  readonly trace: readonly string[];
  readonly jobs: number;
}

/** The world that is being simulated now, to blame for what nobody catches. */
export let current: World | null = null;

export async function simulate(seed: number, database: SimulatedDatabase): Promise<Verdict> {
  const world = new World(seed, database);
  current = world;
  try {
    for (let step = 0; step < STEPS && world.violations.length === 0; step++) {
      DO[drawAction(world)](world);
      await world.clock.advance(drawPauseMs(world));
      judgeStops(world);
    }
    await rest(world);
    await judge(world);
  } catch (error) {
    world.violate("crash", null, error instanceof Error ? error.stack ?? error.message : String(error));
  }
  const { violations, hash, lines } = world;
  return { seed, violations, hash, trace: lines, jobs: world.jobs.length };
}

/** I12: whoever was asked to stop has stopped in time, where neither its process nor its database was hindered. */
function judgeStops(world: World): void {
  const nowMs = world.clock.monotonicMs();
  for (const { job, atMs } of [...world.stopping]) {
    if (nowMs - atMs < job.graceMs + CANCEL_SLACK_MS) continue;
    world.stopping.splice(world.stopping.findIndex((asked) => asked.job === job), 1);
    const running = world.programs.find(({ owner, program }) =>
      program.job === job.id && program.epoch === job.epoch && program.child.alive && owner.isRunning &&
      !owner.wasStopped
    );
    if (running === undefined || Object.values(world.profile.chances).some((chance) => chance > 0)) continue;
    world.violate("I12", job.id, `was asked to stop ${nowMs - atMs} ms ago, and its program still runs`);
  }
}

/** Ends all faults and lets a healthy worker settle what is left. */
async function rest(world: World): Promise<void> {
  world.trace("all faults end");
  world.endFaults();
  world.latencyMs = Math.min(world.latencyMs, 2);
  // Rests are long; late timers make them short to simulate.
  const wallOffsetMs = Math.max(...world.machines.map((machine) => machine.wallOffsetMs)) + 2 * DAY_MS;
  for (const process of world.alive) process.continue();
  await openQueues(world);
  for (const machine of world.machines) machine.wallOffsetMs = wallOffsetMs;
  for (const process of world.alive) if (/^(serve|worker)-/.test(process.name)) process.raise("SIGTERM");
  const healthy = world.machines.map((machine) =>
    startService(world, machine, { launch: "worker", concurrency: 4 })
  );
  await settled(world, () => openJobs(world) === 0, "nothing is queued or running");
  const left = () => world.alive.filter((process) => !healthy.includes(process));
  await settled(world, () => left().length === 0, "the others end", () => left());
  for (const process of healthy) process.raise("SIGTERM");
  await settled(world, () => world.alive.length === 0, "the healthy workers end", () => world.alive);
}

/** Advances until `isDone`; asks jobs to stop once, and processes to end now, when that takes long. */
async function settled(
  world: World,
  isDone: () => boolean,
  what: string,
  stuck: () => SimulatedProcess[] = () => [],
): Promise<void> {
  for (let restedMs = 0; !isDone(); restedMs += 500) {
    if (restedMs === 15_000) await cancelAll(world);
    if (restedMs === 60_000) for (const process of stuck()) process.raise("SIGINT");
    if (restedMs > REST_MS_MAX) {
      const names = stuck().map(({ name }) => name).join(", ");
      return world.violate("I10", null, `waited ${REST_MS_MAX} ms in vain until ${what}: ${names}`);
    }
    await world.clock.advance(500);
  }
}

async function openQueues(world: World): Promise<void> {
  const command = startCommand(world, "command", world.machines[0]!, async ({ store }) => {
    for (const queue of QUEUES) {
      await store.queues.setPaused(queue, false);
      await store.queues.setConcurrencyMax(queue, null);
    }
    for (const { name } of await store.schedules.list()) await store.schedules.remove(name);
    return "queues are open, schedules removed";
  });
  while (command.isAlive) await world.clock.advance(100);
}

async function cancelAll(world: World): Promise<void> {
  const command = startCommand(world, "command", world.machines[0]!, async ({ store }) => {
    const jobs = await store.jobs.list({ limit: 1_000, states: ["queued", "running"] });
    for (const { id } of jobs) await store.jobs.cancel(id, "operator", "the end").catch(() => undefined);
    return `${jobs.length} jobs asked to stop`;
  });
  while (command.isAlive) await world.clock.advance(100);
}

function openJobs(world: World): number {
  const found = world.database.run(statement("SELECT state, count(*) AS jobs FROM jobs GROUP BY state")).rows;
  return found.filter(({ state }) => !isFinal(String(state) as "queued")).reduce(
    (sum, { jobs }) => sum + Number(jobs),
    0,
  );
}
