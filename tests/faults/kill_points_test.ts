/**
 * Kill points: command lines, servers, workers and the programs they run are killed (kill -9) at random moments and
 * at random system calls, again and again, on one database. What was acknowledged must stand, no effect may be had
 * twice, and every record must be sound.
 *
 * The rounds are kills, shared out over all of these. GLASSBOX_KILL_POINTS_ROUNDS sets their number; GLASSBOX_SEED
 * repeats where they were aimed.
 */
import assert from "node:assert/strict";
import type { Job } from "../../src/core/job.ts";
import { createHost } from "../../src/platform/host.ts";
import { Store } from "../../src/store/store.ts";
import type { Told } from "../../src/verify/history.ts";
import { programs, type Running, type Server } from "../support/glassbox.ts";
import {
  aimedAt,
  Aims,
  effectCommand,
  effectsOf,
  inLanes,
  type Lane,
  struck,
} from "../support/kill_points.ts";
import { eventually } from "../support/processes.ts";
import { rigRun } from "../support/rig.ts";
import { fileOptions, newJob } from "../support/store_fixture.ts";
import { buildShim, type KillPoint, shimRefusal } from "../support/system_calls/shim.ts";
import { watchJob } from "../support/watch_job.ts";

const { seed: SEED, rounds: ROUNDS } = rigRun("kill_points", { short: 1000, long: 5000 });
const forms = programs();
const refusal = shimRefusal();

/** What is killed, and which part of the kills it has. */
const VICTIMS = {
  "command lines": { part: 0.4, work: killCommandLines },
  servers: { part: 0.08, work: killServers },
  workers: { part: 0.16, work: killWorkers },
  children: { part: 0.36, work: killChildren },
} as const;

for (const program of forms) {
  for (const [index, [victims, { part, work }]] of Object.entries(VICTIMS).entries()) {
    const count = Math.ceil(ROUNDS * part / forms.length);
    const name =
      `${count} ${victims} killed at random system calls and moments (${program.name}, seed ${SEED})`;
    Deno.test({
      name: refusal === null ? name : `${name}: not tried here as ${refusal}`,
      ignore: refusal !== null,
      fn: async () => {
        await using shim = await buildShim();
        await inLanes(program, shim, { count, seed: SEED + index * 100 }, work);
      },
    });
  }
}

/** One in so many is asked again at once by another command line; all others at the end, by a server. */
const ASK_AT_ONCE_EVERY = 4;

async function killCommandLines(lane: Lane, count: number): Promise<void> {
  const { sandbox, random, told } = lane;
  // Longer than a whole run takes on a slow machine, so that some are not hit at all.
  const aims = new Aims(random, 400, {
    openat: 40,
    pwrite64: 120,
    write: 60,
    fsync: 6,
    fdatasync: 8,
    rename: 2,
    clone: 4,
  });
  const unasked: string[] = [];
  for (let round = 0; lane.kills < count && round < count * 3 + 20; round++) {
    const key = `line-${round}`;
    const args = ["run", "--json", "--key", key, "--", ...effectCommand(sandbox), key];
    const aim = aims.next();
    const running = sandbox.start(args, { env: aimedAt(lane, aim) });
    const ended = await struck(lane, aims, aim, running, 10_000);
    // It may have told how its job ended just before it was killed.
    told.push(...answered(ended.out, key));
    if (ended.signal !== null && round % ASK_AT_ONCE_EVERY > 0) {
      unasked.push(key);
      continue;
    }
    // The user asks again: the same key must never have its effect a second time.
    const answer = ended.signal === null ? ended : await sandbox.run(args);
    const again = answered(answer.out, key);
    assert.ok(again.length > 0, `asking again for ${key} said ${answer.out} ${answer.err}, seed ${SEED}`);
    told.push(...again);
  }
  const server = await sandbox.serve(["--workers", "4"]);
  for (const key of unasked) await submit(lane, server.url, key);
  await finishAll(lane, server);
}

/** What a command line has told of its job; nothing when it did not get as far. */
function answered(out: string, key: string): Told[] {
  if (!out.endsWith("\n")) return [];
  const { job } = JSON.parse(out) as { job: Job };
  return [{ kind: "submitted", job: job.id, key }, { kind: "ended", job: job.id, state: job.state }];
}

async function submit({ sandbox, told }: Lane, url: string, key: string): Promise<string> {
  const [program, ...args] = effectCommand(sandbox);
  const input = { program, args: [...args, key], cwd: sandbox.cwd };
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ task: "exec", input, key });
  const response = await fetch(`${url}/api/v1/jobs`, { method: "POST", headers, body });
  const { id } = await response.json() as Job;
  assert.ok(response.status === 201 || response.status === 200, `submitting ${key}: ${response.status}`);
  told.push({ kind: "submitted", job: id, key });
  return id;
}

/** What was acknowledged and never begun is still to be run. */
async function finishAll({ sandbox }: Lane, process: Running): Promise<void> {
  const args = ["jobs", "list", "--state", "queued,running", "--limit", "1000"];
  // What killed workers left undone may be much for one: it is stuck only when it does not become less.
  for (let left = Infinity; left > 0;) {
    const fewer = await eventually(`fewer than ${left} jobs are queued or running`, async () => {
      const { length } = await sandbox.json<Job[]>(args);
      return length < left ? { length } : null;
    });
    left = fewer.length;
  }
  process.signal("SIGTERM");
  await process.ended;
}

const SUBMISSIONS = 8;

async function killServers(lane: Lane, count: number): Promise<void> {
  const { sandbox, random } = lane;
  const aims = new Aims(random, 600, {
    openat: 80,
    pwrite64: 300,
    write: 120,
    fsync: 4,
    fdatasync: 30,
    rename: 8,
    clone: 16,
    sendto: 8,
  });
  for (let round = 0; lane.kills < count; round++) {
    const aim = aims.next();
    const server = sandbox.start(["serve", "--port", "0", "--workers", "4"], { env: aimedAt(lane, aim) });
    const url = await server.said(/listening on (http:\/\/\S+?)\/? /).then(([, url]) => url!, () => null);
    const ended = struck(lane, aims, aim, server, 2000);
    // Until the server is gone; whatever it answered is an acknowledgement.
    for (let one = 0; url !== null && one < SUBMISSIONS; one++) {
      if (!await submit(lane, url, `server-${round}-${one}`).then(() => true, isGone)) break;
    }
    await ended;
  }
  await finishAll(lane, await sandbox.worker(["--concurrency", "4"]));
}

/** A request that broke off says nothing about its job. */
function isGone(error: unknown): false {
  if (error instanceof TypeError || error instanceof SyntaxError) return false;
  throw error;
}

async function killWorkers(lane: Lane, count: number): Promise<void> {
  const { sandbox, random, told } = lane;
  const aims = new Aims(random, 800, {
    openat: 60,
    pwrite64: 250,
    write: 100,
    fsync: 6,
    fdatasync: 25,
    rename: 6,
    clone: 20,
  });
  const [program, ...args] = effectCommand(sandbox);
  await sandbox.run(["jobs", "list"]);
  const store = await Store.open(fileOptions(sandbox.database), createHost());
  try {
    for (let round = 0; lane.kills < count; round++) {
      for (let one = 0; one < SUBMISSIONS; one++) {
        const key = `worker-${round}-${one}`;
        const { id } = await store.jobs.submit(
          newJob({ inputJson: JSON.stringify({ program, args: [...args, key] }), key }),
        );
        told.push({ kind: "submitted", job: id, key });
      }
      const aim = aims.next();
      const worker = sandbox.start(["worker", "--concurrency", "4"], { env: aimedAt(lane, aim) });
      // On a busy machine the start alone may take longer than one that works is given to get to the call aimed at.
      if (!("afterMs" in aim)) await worker.said(/worker \S+ takes up to /).catch(() => null);
      await struck(lane, aims, aim, worker, 1500);
    }
  } finally {
    await store.close();
  }
  await finishAll(lane, await sandbox.worker(["--concurrency", "4"]));
}

/** What the program of effectCommand writes, call by call; the first is its effect. */
const WRITES = ["", "one", "two", "three"];

async function killChildren(lane: Lane, count: number): Promise<void> {
  const server = await lane.sandbox.serve(["--workers", "4"]);
  while (lane.kills < count) {
    const first = lane.kills;
    const some = Array.from({ length: Math.min(4, count - first) }, (_, index) => `child-${first + index}`);
    await Promise.all(some.map((key) => killChild(lane, server, key)));
  }
  await finishAll(lane, server);
}

/** Kills the program of a job at one of its writes; then exactly what it had written must be there. */
async function killChild(lane: Lane, server: Server, key: string): Promise<void> {
  const { sandbox, random, shim, told } = lane;
  const kill: KillPoint = {
    call: "write",
    at: random.int(1, WRITES.length),
    order: random.pick(["before", "after"]),
  };
  const words = Object.entries(shim.environment({ directory: sandbox.directory, kill }))
    .map(([name, value]) => `${name}=${value}`);
  const input = { program: "env", args: [...words, ...effectCommand(sandbox), key], cwd: sandbox.cwd };
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ task: "exec", input, key });
  const response = await fetch(`${server.url}/api/v1/jobs`, { method: "POST", headers, body });
  assert.equal(response.status, 201);
  const { id } = await response.json() as Job;
  told.push({ kind: "submitted", job: id, key });
  const lines = await Array.fromAsync(watchJob(server.url, id), ({ text }) => text);
  const { state, failure } = await (await fetch(`${server.url}/api/v1/jobs/${id}`)).json() as Job;
  told.push({ kind: "ended", job: id, state });
  assert.deepEqual([state, failure?.code], ["failed", "program_signalled"], `${key}, seed ${SEED}`);
  const done = kill.order === "before" ? kill.at - 1 : kill.at;
  const effects = effectsOf(sandbox).filter((effect) => effect.key === key).length;
  const seen = { effects, lines: lines.toSorted() };
  const wanted = { effects: Math.min(1, done), lines: WRITES.slice(1, Math.max(1, done)).toSorted() };
  assert.deepEqual(seen, wanted, `${key} was killed ${kill.order} write ${kill.at}, seed ${SEED}`);
  lane.kills++;
  lane.atCalls++;
}
