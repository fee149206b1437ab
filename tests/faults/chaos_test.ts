/**
 * Chaos: four workers, two servers, command lines and HTTP clients on one database, while processes are killed,
 * stopped and drained, clocks jump by a day, foreign programs hold the file, networks fail, and the database server is
 * killed. Afterwards, once all works again, everything that was told must stand, and nothing may be left over.
 *
 * GLASSBOX_CHAOS_ROUNDS sets the seconds; GLASSBOX_SEED repeats what is random. The rig's own part follows from the
 * seed, the kernel's part does not.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isFinal, type LogLine } from "../../src/core/job.ts";
import { decodeFrames } from "../../src/logs/frames.ts";
import { createHost } from "../../src/platform/host.ts";
import { Store } from "../../src/store/store.ts";
import { checkHistory, type JobFact, type Told } from "../../src/verify/history.ts";
import {
  commandClient,
  httpClient,
  Memory,
  overlaps,
  postSentinels,
  sha256,
} from "../support/chaos/clients.ts";
import { effectsPath, pulsesPath, torment } from "../support/chaos/nemesis.ts";
import { CAN_FAKE_CLOCKS, clearFakeClocks, makeWorld, MARK, type World } from "../support/chaos/world.ts";
import { newSandbox, programs } from "../support/glassbox.ts";
import { toNote } from "../support/moments.ts";
import { eventually, pidsWith } from "../support/processes.ts";
import { randomOf } from "../support/random.ts";
import { rigRun } from "../support/rig.ts";
import { fileOptions } from "../support/store_fixture.ts";

const { seed: SEED, rounds: SECONDS } = rigRun("chaos", { short: 60, long: 600 });

/** Everything is settled so long after all works again: a lease, the longest job, and time to spare. */
const SETTLE_MS = 60_000;

async function chaos(isRemote: boolean): Promise<void> {
  await using sandbox = await newSandbox(programs()[0]!);
  const world = await makeWorld(sandbox, programs(), isRemote);
  const memory = new Memory();
  let deeds: string[] = [];
  try {
    const over = AbortSignal.timeout(SECONDS * 1_000);
    const seed = SEED + (isRemote ? 1_000 : 0);
    [deeds] = await Promise.all([
      torment(world, randomOf(seed), over),
      httpClient("one", world, memory, randomOf(seed + 1), over),
      httpClient("two", world, memory, randomOf(seed + 2), over),
      httpClient("three", world, memory, randomOf(seed + 3), over),
      commandClient(world, memory, randomOf(seed + 4), over),
      postSentinels(world, memory, randomOf(seed + 5), over),
    ]);
    const store = await openStore(world);
    try {
      const startMs = performance.now();
      await settled(store);
      console.log(
        `  ${world.name}: settled ${Math.round(performance.now() - startMs)} ms after all worked again`,
      );
      await judge(world, store, memory);
    } finally {
      await store.close();
    }
  } catch (error) {
    console.log(`  seed ${SEED}\n  ${deeds.join("\n  ")}`);
    throw error;
  } finally {
    await world[Symbol.asyncDispose]();
  }
}

async function openStore({ sandbox, judge }: World): Promise<Store> {
  const url = judge.GLASSBOX_DB;
  const file = fileOptions(sandbox.database);
  const run = join(sandbox.directory, "reader.run");
  const remote = url === undefined ? {} : { url, path: null, display: url, runDirectory: run };
  return await Store.open({ ...file, ...remote }, createHost());
}

/** What ten minutes left waiting may be much; it is stuck only when it does not become less. */
async function settled(store: Store): Promise<void> {
  let least = Infinity, giveUpAt = 0;
  for (;;) {
    const open = await store.jobs.list({ states: ["queued", "running"], limit: 1_000 });
    if (open.length === 0) return;
    const now = performance.now();
    if (open.length < least) [least, giveUpAt] = [open.length, now + SETTLE_MS];
    if (now > giveUpAt) {
      const events = await store.jobs.events(open[0]!.id, 0, 100);
      assert.deepEqual([open[0], events], [null, []], `${open.length} jobs are open, as ${SETTLE_MS} ms ago`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Ends everybody, then holds what was told, and what was done, against the record. */
async function judge(world: World, store: Store, memory: Memory): Promise<void> {
  const { sandbox, actors } = world;
  await Promise.all(actors.map((actor) => actor.dismiss()));
  // A start settles what those left behind who were killed last.
  const verdict = await sandbox.run(["verify", "--quiet"], { env: world.judge });
  const effects = effectsOf(world);
  const told: Told[] = [...memory.told, ...effects];
  const facts = await factsOf(store, told);
  const states: Record<string, number> = {};
  for (const { state } of facts.values()) states[state] = (states[state] ?? 0) + 1;
  const lost = await store.jobs.count();
  console.log(
    `  ${world.name}: ${JSON.stringify(lost)}; ` +
      `${memory.answers} answers, ${told.length} facts told, ${effects.length} effects` +
      (CAN_FAKE_CLOCKS ? "" : "; clocks were left alone as the Debian package faketime is not installed"),
  );
  const home = `${MARK}=${sandbox.directory}`;
  await eventually("all processes of the jobs have ended", () => pidsWith(home).length === 0).catch(() =>
    undefined
  );
  const found = {
    verify: verdict.out,
    history: checkHistory(told, (id) => facts.get(id) ?? null).slice(0, 20),
    anomalies: [...world.anomalies, ...memory.anomalies].slice(0, 20),
    leftovers: pidsWith(home).map(describeProcess),
    overlaps: overlaps(linesOf(pulsesPath(world)).map(toNote), world.stopped),
  };
  const sound = { verify: "", history: [], anomalies: [], leftovers: [], overlaps: [] };
  assert.deepEqual(found, sound, `seed ${SEED}`);
  assert.ok(memory.jobs.length > SECONDS / 10, `only ${memory.jobs.length} jobs were ever submitted`);
}

function describeProcess(pid: number): string {
  try {
    const line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return `${pid} ${line.replaceAll("\0", " ").slice(0, 200)}`;
  } catch {
    return `${pid}, gone`;
  }
}

function effectsOf(world: World): Told[] {
  return linesOf(effectsPath(world)).map((line) => {
    const [job, epoch] = line.split(" ") as [string, string];
    return { kind: "effect", job, epoch: Number(epoch) };
  });
}

/** Empty where nobody has written yet. */
function linesOf(path: string): string[] {
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
}

async function factsOf(store: Store, told: readonly Told[]): Promise<Map<string, JobFact>> {
  const facts = new Map<string, JobFact>();
  const shown = new Set(told.filter(({ kind }) => kind === "line").map(({ job }) => job));
  for (const id of new Set(told.map(({ job }) => job))) {
    const job = await store.jobs.find(id);
    if (job === null) continue;
    assert.ok(isFinal(job.state));
    const lines = shown.has(id) ? await firstLines(store, id) : new Map<number, string>();
    const { state, key, maxAttempts } = job;
    facts.set(id, { state, key, maxAttempts, lineSha256: (seq) => lines.get(seq) ?? null });
  }
  return facts;
}

/** Clients read the first lines of a job only. */
async function firstLines(store: Store, id: string): Promise<Map<number, string>> {
  const { chunks } = await store.lines.after(id, 0, 0, { chunks: 20, events: 1 });
  const lines: LogLine[] = chunks.flatMap(({ frames, firstSeq, epoch }) =>
    decodeFrames(frames, firstSeq, epoch)
  );
  return new Map(lines.map(({ seq, bytes }) => [seq, sha256(bytes)]));
}

Deno.test(`${SECONDS} s of chaos on one database find nothing wrong (seed ${SEED})`, async (test) => {
  // Both at the same time, as both mostly wait.
  const options = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };
  try {
    await Promise.all([
      test.step({ name: "on a file", fn: () => chaos(false), ...options }),
      test.step({ name: "over a server", fn: () => chaos(true), ...options }),
    ]);
  } finally {
    clearFakeClocks();
  }
});
