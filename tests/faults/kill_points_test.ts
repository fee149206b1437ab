/**
 * Kill points: command lines and servers are killed (kill -9) at random moments, again and again, on one database.
 * What was acknowledged must stand, no effect may be had twice, and every record must be sound.
 *
 * A round costs some 0.2 s. GLASSBOX_KILL_POINTS_ROUNDS sets their number; GLASSBOX_SEED repeats a run.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Job, JobSummary } from "../../src/core/job.ts";
import { createHost } from "../../src/platform/host.ts";
import { seededRandom } from "../../src/platform/memory_clock.ts";
import { Store } from "../../src/store/store.ts";
import { checkHistory, type Told } from "../../src/verify/history.ts";
import { newSandbox, programs, type Running, type Sandbox, type Server } from "../support/glassbox.ts";
import { fileOptions } from "../support/store_fixture.ts";
import { eventually } from "../support/processes.ts";
import { rigRun } from "../support/rig.ts";

const { seed: SEED, rounds: ROUNDS } = rigRun("kill_points", { short: 40, long: 1000 });
/** Longer than a whole run takes on a slow machine, so that some rounds are not hit at all. */
const KILL_WITHIN_MS = 400;

/** The effect is an appended line, which the kernel writes whole or not at all. */
function effectCommand(sandbox: Sandbox): string[] {
  const script = 'echo "$GLASSBOX_JOB_ID $GLASSBOX_EPOCH $1" >> "$0"; echo one; echo two >&2; echo three';
  return ["sh", "-c", script, join(sandbox.directory, "effects")];
}

interface Effect {
  readonly job: string;
  readonly epoch: number;
  readonly key: string;
}

function effectsOf(sandbox: Sandbox): Effect[] {
  try {
    const lines = readFileSync(join(sandbox.directory, "effects"), "utf8").trim().split("\n");
    return lines.map((line) => {
      const [job, epoch, key] = line.split(" ") as [string, string, string];
      return { job, epoch: Number(epoch), key };
    });
  } catch {
    return [];
  }
}

/** It may have ended by itself a moment ago. */
function kill(running: Running): void {
  try {
    running.signal("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

/** Numbers from 0 to 1 that follow from the seed. */
function chance(seed: number): () => number {
  const random = seededRandom(seed);
  return () => {
    const [high, low] = random.bytes(2) as Uint8Array & [number, number];
    return (high * 256 + low) / 65_536;
  };
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

/** Settles the past by one more start, then holds everything that was told against the database. */
async function judge(sandbox: Sandbox, told: readonly Told[]): Promise<void> {
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
  assert.deepEqual({ violations, repeated, open, verify }, sound, `seed ${SEED}`);
}

for (const program of programs()) {
  Deno.test(`${ROUNDS} command lines killed at random moments (${program.name}, seed ${SEED})`, async () => {
    await using sandbox = await newSandbox(program);
    const next = chance(SEED);
    const told: Told[] = [];
    let hit = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const key = `round-${round}`;
      const args = ["run", "--json", "--key", key, "--", ...effectCommand(sandbox), key];
      const killed = sandbox.start(args);
      const timer = setTimeout(() => kill(killed), next() * KILL_WITHIN_MS);
      const ended = await killed.ended;
      clearTimeout(timer);
      if (ended.signal !== null) hit++;
      // The user asks again: the same key must never have its effect a second time.
      const answer = ended.signal === null ? ended : await sandbox.run(args);
      const { job } = JSON.parse(answer.out) as { job: Job };
      told.push({ kind: "submitted", job: job.id, key }, { kind: "ended", job: job.id, state: job.state });
      assert.match(job.state, /^(completed|failed)$/, `round ${round}, seed ${SEED}`);
    }
    assert.ok(
      hit > ROUNDS / 10,
      `only ${hit} of ${ROUNDS} were killed in time: the rig did not try what it is for`,
    );
    await judge(sandbox, told);
  });

  Deno.test(`servers killed at random moments under load (${program.name}, seed ${SEED})`, async () => {
    await using sandbox = await newSandbox(program);
    const next = chance(SEED + 1);
    const told: Told[] = [];
    for (let round = 0; round < Math.ceil(ROUNDS / 8); round++) {
      const server = await sandbox.serve(["--workers", "4"]);
      const timer = setTimeout(() => kill(server), 50 + next() * 2 * KILL_WITHIN_MS);
      await load(sandbox, server, round, told);
      clearTimeout(timer);
      kill(server);
      await server.ended;
    }
    assert.ok(told.length > 0, "no submission was ever acknowledged");
    // What was acknowledged and never begun is still to be run.
    await using worker = await sandbox.worker();
    await eventually("nothing is queued or running", async () => {
      const args = ["jobs", "list", "--state", "queued,running", "--limit", "1000"];
      return (await sandbox.json<Job[]>(args)).length === 0;
    });
    worker.signal("SIGTERM");
    await worker.ended;
    await judge(sandbox, told);
  });
}

/** Submits until the server is gone; every 201 is an acknowledgement. */
async function load(sandbox: Sandbox, server: Server, round: number, told: Told[]): Promise<void> {
  const [command, ...args] = effectCommand(sandbox) as [string, ...string[]];
  for (let count = 0; count < 40; count++) {
    const key = `server-${round}-${count}`;
    const body = JSON.stringify({ task: "exec", input: { program: command, args: [...args, key] }, key });
    try {
      const headers = { "content-type": "application/json" };
      const response = await fetch(`${server.url}/api/v1/jobs`, { method: "POST", headers, body });
      const { id } = await response.json();
      if (response.status === 201) told.push({ kind: "submitted", job: id, key });
    } catch {
      return;
    }
  }
}
