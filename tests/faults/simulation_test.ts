/**
 * Deterministic simulation: each seed makes a world of machines, processes, programs and one database, in which users
 * submit, cancel and watch jobs while processes die, stand still and meet faults. When all faults have ended and a
 * healthy worker has settled what was left, everything that was told and done is held against the database.
 *
 * GLASSBOX_SIMULATION_ROUNDS sets the number of worlds; the seed of the first is GLASSBOX_SEED, so that
 * `GLASSBOX_SEED=N GLASSBOX_SIMULATION_ROUNDS=1` plays world N again, step by step.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { rigRun } from "../support/rig.ts";

const { seed: SEED, rounds: ROUNDS } = rigRun("simulation", { short: 5_000, long: 100_000 });
const MAIN = join(import.meta.dirname!, "../support/simulation/main.ts");
const STEPS = 200;
/** Worlds leave much behind that dies young. */
const YOUNG = "--v8-flags=--max-semi-space-size=64";

interface Verdict {
  readonly seed: number;
  readonly violations: readonly { invariant: string; job: string | null; message: string }[];
  readonly hash: string;
  readonly jobs: number;
  /** Only of a world in which something was violated. */
  readonly trace?: readonly string[];
}

/** Plays worlds in a process of its own, which ends with the first in which something is violated. */
async function play(first: number, count: number, stride: number, signal?: AbortSignal): Promise<Verdict[]> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", YOUNG, MAIN, String(first), String(count), String(stride)],
    stdin: "null",
    ...(signal === undefined ? {} : { signal }),
  }).output();
  const verdicts = new TextDecoder().decode(stdout).trim().split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Verdict);
  const isComplete = verdicts.length === count || verdicts.some(isBroken);
  if (isComplete || signal?.aborted) return verdicts;
  throw new Error(
    `The simulation ended with ${code} in world ${first + verdicts.length * stride}:\n${
      new TextDecoder().decode(stderr).slice(-4_000)
    }`,
  );
}

/** Some of a world's promises are never settled and stay for as long as their process: a new one is made in time. */
const WORLDS_A_PROCESS = 2_500;

/** Plays worlds in one process after the other, up to the first in which something is violated. */
async function playMany(
  first: number,
  count: number,
  stride: number,
  signal: AbortSignal,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  while (verdicts.length < count && !signal.aborted) {
    const portion = Math.min(WORLDS_A_PROCESS, count - verdicts.length);
    const played = await play(first + verdicts.length * stride, portion, stride, signal);
    verdicts.push(...played);
    if (played.some(isBroken)) break;
  }
  return verdicts;
}

function isBroken({ violations }: Verdict): boolean {
  return violations.length > 0;
}

/** What happened in a world, and how to see it again. */
function report({ seed, violations, trace = [] }: Verdict): string {
  const found = violations.map(({ invariant, job, message }) => `${invariant} ${job ?? ""} ${message}`);
  return [
    `world ${seed} violates ${violations.length} rules:`,
    ...found,
    "what happened, by milliseconds:",
    ...trace,
    `to play it again: GLASSBOX_SEED=${seed} GLASSBOX_SIMULATION_ROUNDS=1 deno task test:faults simulation`,
  ].join("\n");
}

Deno.test(`${ROUNDS} worlds of ${STEPS} steps come to rest with every invariant (seed ${SEED})`, async () => {
  const players = Math.min(navigator.hardwareConcurrency, 4, ROUNDS);
  const failed = new AbortController();
  const played = await Promise.all(Array.from({ length: players }, async (_, index) => {
    const count = Math.ceil((ROUNDS - index) / players);
    const verdicts = await playMany(SEED + index, count, players, failed.signal);
    // One world is enough to look at; the others need not be played to their end.
    if (verdicts.some(isBroken)) failed.abort();
    return verdicts;
  }));
  const verdicts = played.flat();
  const broken = verdicts.filter(isBroken);
  assert.ok(broken.length === 0, broken.map(report).join("\n\n"));
  assert.equal(verdicts.length, ROUNDS);
  const jobs = verdicts.reduce((sum, verdict) => sum + verdict.jobs, 0);
  assert.ok(ROUNDS < 20 || jobs > ROUNDS, `only ${jobs} jobs in ${ROUNDS} worlds: nothing was tried`);
  console.log(`${ROUNDS} worlds, ${jobs} jobs${ROUNDS === 1 ? `, trace ${verdicts[0]!.hash}` : ""}`);
});

Deno.test(`a world is the same each time it is played (seed ${SEED})`, async () => {
  const count = Math.min(40, ROUNDS);
  const [forth, back] = await Promise.all([play(SEED, count, 1), play(SEED + count - 1, count, -1)]);
  const traces = (verdicts: readonly Verdict[]) => verdicts.map(({ seed, hash }) => `${seed} ${hash}`).sort();
  assert.deepEqual(traces(forth), traces(back));
});
