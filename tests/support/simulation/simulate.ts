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
/** Every delay is over by then, whatever the clock showed when it began. */
const AFTER_ALL_JUMPS_MS = 90 * 86_400_000;
/** Where schedules fire, clocks jump by minutes. */
const AFTER_SHORT_JUMPS_MS = 30 * 60_000;
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
    DO.serve(world);
    for (let step = 0; step < STEPS && world.violations.length === 0; step++) {
      DO[drawAction(world)](world);
      await world.clock.advance(drawPauseMs(world));
      if (step % 10 === 0) judgeRemains(world);
      if (!world.isCalm) continue;
      judgeStops(world);
      if (step % 10 === 0) judgeLost(world);
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
    if (running === undefined) continue;
    world.violate("I12", job.id, `was asked to stop ${nowMs - atMs} ms ago, and its program still runs`);
  }
}

/** I4: a job is lost only with its worker, which is dead or had stood still. */
function judgeLost(world: World): void {
  const lost =
    world.database.run(statement("SELECT job_id, worker FROM attempts WHERE outcome = 'lost'")).rows;
  for (const { job_id, worker } of lost) {
    const process = world.workers.get(String(worker));
    if (process === undefined || !process.isRunning || process.wasStopped) continue;
    world.violate("I4", String(job_id), `was taken from ${process.name}, which lives`);
  }
}

/** I11: where whoever settles a job sees all its programs, none of them outlives its attempt. */
function judgeRemains(world: World): void {
  if (world.isServerForm) return;
  for (const { program } of world.programs) {
    if (!program.child.alive) continue;
    const sql = "SELECT state FROM jobs WHERE id = ? AND (epoch <> ? OR state <> 'running')";
    const [row] = world.database.run(statement(sql, program.job, program.epoch)).rows;
    if (row === undefined) continue;
    const message = `is ${row.state}, and the program of its attempt ${program.epoch} still runs`;
    world.violate("I11", program.job, message);
  }
}

/** Ends all faults and lets a healthy worker settle what is left. */
async function rest(world: World): Promise<void> {
  world.trace("all faults end");
  world.endFaults();
  world.latencyMs = Math.min(world.latencyMs, 2);
  const afterMs = world.profile.weights.schedule > 0 ? AFTER_SHORT_JUMPS_MS : AFTER_ALL_JUMPS_MS;
  for (const process of world.alive) process.continue();
  await openQueues(world);
  for (const machine of world.machines) machine.wallOffsetMs = afterMs;
  for (const process of world.alive) if (/^(serve|worker)-/.test(process.name)) process.raise("SIGTERM");
  const healthy = world.machines.map((machine) =>
    startService(world, machine, { launch: "worker", concurrency: 4 })
  );
  const others = () => world.alive.filter((process) => !healthy.includes(process));
  // A request that was under way may still submit a job when all others have ended.
  const isQuiet = () => others().length === 0 && world.lateRequests === 0 && openJobs(world) === 0;
  const settling = () =>
    settled(world, isQuiet, "nothing is queued or running, and all others have ended", others);
  await settling();
  // Such a request may also have put a schedule once more.
  while (schedules(world) > 0) {
    await openQueues(world);
    await settling();
  }
  for (const process of healthy) process.raise("SIGTERM");
  await settled(world, () => world.alive.length === 0, "the healthy workers end", () => world.alive);
  // One that settled the past may have held it fast until just now; the next start on each machine finds what it left.
  for (const machine of world.machines) {
    startCommand(world, "command", machine, () => Promise.resolve("looks"));
  }
  await settled(world, () => world.alive.length === 0, "the last starts end", () => world.alive);
}

/** Advances until `isDone`; asks jobs to stop, and processes to end now, when that takes long. */
async function settled(
  world: World,
  isDone: () => boolean,
  what: string,
  stuck: () => readonly SimulatedProcess[],
): Promise<void> {
  for (let restedMs = 0; !isDone(); restedMs += 500) {
    if (restedMs % 15_000 === 14_500 && openJobs(world) > 0) {
      await stopAll(world);
      // A request that was under way may have paused one once more.
      await openQueues(world);
    }
    if (restedMs === 60_000) { for (const process of stuck()) process.raise("SIGINT"); }
    if (restedMs > REST_MS_MAX) {
      const names = stuck().map(({ name }) => name).join(", ");
      judgeUnstopped(world);
      return world.violate("I10", null, `waited ${REST_MS_MAX} ms in vain until ${what}: ${names}`);
    }
    await world.clock.advance(500);
  }
}

/** I12: with a healthy worker at hand nobody who was asked to stop runs on. */
function judgeUnstopped(world: World): void {
  const sql = "SELECT id FROM jobs WHERE state = 'running' AND cancel_at_ms IS NOT NULL";
  for (const { id } of world.database.run(statement(sql)).rows) {
    world.violate("I12", String(id), "was asked to stop long ago, and still runs");
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

async function stopAll(world: World): Promise<void> {
  const command = startCommand(world, "command", world.machines[0]!, async ({ store }) => {
    const open = await store.jobs.list({ limit: 1_000, states: ["queued", "running"] });
    // A schedule may have left many that never end by themselves and run one after the other; others must get to run.
    const jobs = open.filter(({ state, schedule }) => state === "running" || schedule !== null);
    for (const { id } of jobs) await store.jobs.cancel(id, "operator", "the end").catch(() => undefined);
    return `${jobs.length} jobs asked to stop`;
  });
  while (command.isAlive) await world.clock.advance(100);
}

function schedules(world: World): number {
  return Number(
    world.database.run(statement("SELECT count(*) AS schedules FROM schedules")).rows[0]!.schedules,
  );
}

function openJobs(world: World): number {
  const found = world.database.run(statement("SELECT state, count(*) AS jobs FROM jobs GROUP BY state")).rows;
  return found.filter(({ state }) => !isFinal(String(state) as "queued")).reduce(
    (sum, { jobs }) => sum + Number(jobs),
    0,
  );
}
