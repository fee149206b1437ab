/** What the kill-point rig aims with, keeps of each of its databases, and judges them by. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { JobSummary } from "../../src/core/job.ts";
import { createHost } from "../../src/platform/host.ts";
import { Store } from "../../src/store/store.ts";
import { checkHistory, type Told } from "../../src/verify/history.ts";
import { newSandbox, type Program, type Running, type Sandbox } from "./glassbox.ts";
import { allEnded } from "./processes.ts";
import { randomOf, type SeededRandom } from "./random.ts";
import { fileOptions } from "./store_fixture.ts";
import { KILL_CALLS, type KillCall, type KillPoint, type Shim } from "./system_calls/shim.ts";

/** When a process is killed: at a call of its own, or by us after so many milliseconds. */
export type Aim = KillPoint | { readonly afterMs: number };

/** Aims at random. Calls that a process never gets to are aimed at less and less. */
export class Aims {
  readonly #random: SeededRandom;
  readonly #withinMs: number;
  readonly #last = new Map<KillCall, number>();

  /** `reach` says about how many calls of a kind there are; a third of the aims are moments within `withinMs`. */
  constructor(random: SeededRandom, withinMs: number, reach: Partial<Record<KillCall, number>>) {
    this.#random = random;
    this.#withinMs = withinMs;
    for (const call of KILL_CALLS) if (reach[call] !== undefined) this.#last.set(call, reach[call]);
  }

  next(): Aim {
    const calls = [...this.#last.keys()];
    if (calls.length === 0 || this.#random.next() < 1 / 3) {
      return { afterMs: this.#random.next() * this.#withinMs };
    }
    const call = this.#random.pick(calls);
    const order = this.#random.pick(["before", "after"] as const);
    return { call, at: this.#random.int(1, this.#last.get(call)!), order };
  }

  missed(aim: Aim): void {
    if ("afterMs" in aim) return;
    if (aim.at === 1) this.#last.delete(aim.call);
    else this.#last.set(aim.call, Math.min(this.#last.get(aim.call) ?? 1, aim.at - 1));
  }
}

/** One database with all that was done to it, beside others that are tried at the same time. */
export interface Lane {
  readonly sandbox: Sandbox;
  readonly random: SeededRandom;
  readonly shim: Shim;
  readonly told: Told[];
  /** How many processes were killed, and how many of them at a system call that they were aimed at. */
  kills: number;
  atCalls: number;
}

const LANES_MAX = 4;

/** Kills until there are `count`, on as many databases at once as there are cores; then each of them is judged. */
export async function inLanes(
  program: Program,
  shim: Shim,
  { count, seed }: { count: number; seed: number },
  work: (lane: Lane, count: number) => Promise<void>,
): Promise<void> {
  const lanes = Math.min(LANES_MAX, navigator.hardwareConcurrency, count);
  const ended = await allEnded(Array.from({ length: lanes }, async (_, index) => {
    await using sandbox = await newSandbox(program);
    const lane: Lane = { sandbox, random: randomOf(seed + index), shim, told: [], kills: 0, atCalls: 0 };
    await work(lane, Math.ceil(count / lanes));
    await judge(lane, seed);
    return lane;
  }));
  const sum = (of: (lane: Lane) => number) => ended.reduce((sum, lane) => sum + of(lane), 0);
  const [kills, atCalls] = [sum((lane) => lane.kills), sum((lane) => lane.atCalls)];
  // Not of each lane: all few processes of one may be killed before they answer anything.
  assert.ok(
    sum((lane) => lane.told.length) > 0,
    "nothing was ever acknowledged: the rig did not try what it is for",
  );
  const told = `${kills} were killed, ${atCalls} of them at a system call`;
  assert.ok(
    kills >= count && atCalls >= Math.floor(count / 10),
    `the rig did not try what it is for: ${told}`,
  );
  console.log(told);
}

/** What the environment needs so that a process kills itself where it is aimed at. */
export function aimedAt({ sandbox, shim }: Lane, aim: Aim): Record<string, string> {
  return "afterMs" in aim ? {} : shim.environment({ directory: sandbox.directory, kill: aim });
}

/**
 * Waits until an aimed-at process has ended, which it does by our hand at the latest after so many milliseconds.
 * Counts it, and learns from a miss.
 */
export async function struck(lane: Lane, aims: Aims, aim: Aim, running: Running, latestMs: number) {
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    kill(running);
  }, "afterMs" in aim ? aim.afterMs : latestMs);
  const ended = await running.ended;
  clearTimeout(timer);
  if (ended.signal !== null) lane.kills++;
  if (ended.signal !== null && !isLate) lane.atCalls++;
  else aims.missed(aim);
  return ended;
}

/** It may have ended by itself a moment ago. */
function kill(running: Running): void {
  try {
    running.signal("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

/** The effect is an appended line, which the kernel writes whole or not at all. */
export function effectCommand({ directory }: Sandbox): [string, ...string[]] {
  const script = 'echo "$GLASSBOX_JOB_ID $GLASSBOX_EPOCH $1" >> "$0"; echo one; echo two >&2; echo three';
  return ["sh", "-c", script, join(directory, "effects")];
}

export interface Effect {
  readonly job: string;
  readonly epoch: number;
  readonly key: string;
}

export function effectsOf({ directory }: Sandbox): Effect[] {
  try {
    // A program that is killed between opening the file and writing to it leaves it empty.
    const lines = readFileSync(join(directory, "effects"), "utf8").split("\n").filter((line) => line !== "");
    return lines.map((line) => {
      const [job, epoch, key] = line.split(" ") as [string, string, string];
      return { job, epoch: Number(epoch), key };
    });
  } catch {
    return [];
  }
}

/** Settles the past by one more start, then holds everything that was told against the database. */
async function judge({ sandbox, told }: Lane, seed: number): Promise<void> {
  const list = await allJobs(sandbox);
  const jobs = new Map(list.map((job) => [job.id, job]));
  const effects = effectsOf(sandbox);
  const history = [...told, ...effects.map(({ job, epoch }) => ({ kind: "effect", job, epoch }) as const)];
  const violations = checkHistory(history, (id) => {
    const job = jobs.get(id);
    if (job === undefined) return null;
    return { state: job.state, key: job.key, maxAttempts: job.maxAttempts, lineSha256: () => null };
  });
  const keys = effects.map(({ key }) => key);
  const repeated = keys.filter((key, index) => keys.indexOf(key) !== index);
  const open = list.filter(({ state }) => state === "running" || state === "queued").map(({ id }) => id);
  const verify = (await sandbox.run(["verify", "--quiet"])).out;
  const sound = { violations: [], repeated: [], open: [], verify: "" };
  assert.deepEqual({ violations, repeated, open, verify }, sound, `seed ${seed}`);
}

/** Every job there is; the command line shows a thousand at most. */
async function allJobs(sandbox: Sandbox): Promise<JobSummary[]> {
  await sandbox.run(["jobs", "list"]);
  const store = await Store.open(fileOptions(sandbox.database), createHost());
  try {
    const jobs: JobSummary[] = [];
    for (;;) {
      const before = jobs.at(-1)?.id;
      const page = await store.jobs.list({ limit: 1000, ...(before === undefined ? {} : { before }) });
      jobs.push(...page);
      if (page.length < 1000) return jobs;
    }
  } finally {
    await store.close();
  }
}
