/**
 * Recovery: workers are killed (kill -9) in the middle of a job, at random moments. How long until another worker
 * has started the next attempt, or recorded the job as lost where there is none? On one machine the dead are known by
 * their lock files; over a database server, from another machine, only by their heartbeats.
 *
 * GLASSBOX_RECOVERY_ROUNDS sets the kills on one machine, with as many over a server by hand and a quarter of that
 * otherwise; GLASSBOX_SEED repeats a run.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createHost } from "../../src/platform/host.ts";
import { Store, type StoreOptions } from "../../src/store/store.ts";
import { newSandbox, type Program, programs, type Running, type Sandbox } from "../support/glassbox.ts";
import {
  NOTE,
  type Note,
  spreadOf,
  spreadText,
  toNote,
  uptimeMs,
  wallToUptimeMs,
} from "../support/moments.ts";
import { eventually } from "../support/processes.ts";
import { randomOf, type SeededRandom } from "../support/random.ts";
import { rigRun } from "../support/rig.ts";
import { startSqld } from "../support/sqld.ts";
import { fileOptions, newJob } from "../support/store_fixture.ts";

const { seed: SEED, rounds: KILLS, long: IS_LONG } = rigRun("recovery", { short: 40, long: 500 });
/** Each of these takes as long as a lease. */
const [REMOTE_KILLS, REMOTE_LANES] = IS_LONG ? [KILLS, 10] : [Math.ceil(KILLS / 4), 5];

/** What was promised: 99 of 100 recoveries are at least as fast. */
const LOCAL_MS = 2_000;
const REMOTE_MS = 13_000;

/** Workers of one database, each taking one job at a time, so that a kill hits one job only. */
class Crew implements AsyncDisposable {
  readonly #workers = new Set<Running>();
  #count = 0;

  constructor(readonly start: (number: number) => Promise<Running>) {}

  async grow(by: number): Promise<void> {
    await Promise.all(
      Array.from({ length: by }, async () => this.#workers.add(await this.start(this.#count++))),
    );
  }

  /** Gives the moment of the kill. */
  kill(pid: number): number {
    const worker = [...this.#workers].find((one) => one.pid === pid);
    assert.ok(worker, `no worker has pid ${pid}`);
    const atMs = uptimeMs();
    worker.signal("SIGKILL");
    this.#workers.delete(worker);
    return atMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) worker.signal("SIGTERM");
    await Promise.all([...this.#workers].map(({ ended }) => ended));
  }
}

/** One database, those who work on it, and what their programs note. */
interface Place {
  readonly sandbox: Sandbox;
  readonly store: Store;
  readonly crew: Crew;
  /** A start settles what is dead on its machine: a newcomer too early would hide how slow those are who went on. */
  readonly newcomers: "at once" | "afterwards";
  readonly random: SeededRandom;
}

const PROGRAM = `exec 9>>"$1"; ${NOTE}; note $GLASSBOX_JOB_ID $GLASSBOX_EPOCH $PPID
[ "$GLASSBOX_EPOCH" = 2 ] || exec sleep 1000`;

function notesOf({ sandbox }: Place, job: string, epoch: number): Note | null {
  try {
    const lines = readFileSync(join(sandbox.directory, "notes"), "utf8").split("\n").slice(0, -1).map(toNote);
    return lines.find(({ words }) => words[0] === job && Number(words[1]) === epoch) ?? null;
  } catch {
    return null;
  }
}

/** Kills the worker of one job somewhere in its course; gives how long it took until the job went on. */
async function killOnce(place: Place, attempts: 1 | 2): Promise<number> {
  const { sandbox, store, crew, random } = place;
  const input = { program: "sh", args: ["-c", PROGRAM, "program", join(sandbox.directory, "notes")] };
  const job = newJob({ inputJson: JSON.stringify(input), maxAttempts: attempts, backoffMs: 0 });
  await store.jobs.submit(job);
  const begun = await eventually("the job runs", () => notesOf(place, job.id, 1));
  await new Promise((resolve) => setTimeout(resolve, random.int(0, 1_500)));
  const killedMs = crew.kill(Number(begun.words[2]));
  const growing = place.newcomers === "at once" ? crew.grow(1) : null;
  await eventually(
    `job ${job.id} is final`,
    async () => (await store.jobs.get(job.id)).finishedAtMs !== null,
  );
  await (growing ?? crew.grow(1));
  const end = await store.jobs.get(job.id);
  if (attempts === 2) {
    assert.equal(end.state, "completed", JSON.stringify(end.failure));
    return notesOf(place, job.id, 2)!.atMs - killedMs;
  }
  assert.equal(end.failure?.code, "lost");
  return Math.round(wallToUptimeMs(end.finishedAtMs!)) - killedMs;
}

/** How long it took until jobs went on that had an attempt left, and until others were recorded as lost. */
interface Took {
  readonly again: number[];
  readonly lost: number[];
}

/** Kills workers one after the other, as long as `left` says so; every second holds a job with an attempt left. */
async function killMany(place: Place, left: () => boolean): Promise<Took> {
  const took: Took = { again: [], lost: [] };
  while (left()) {
    const attempts = took.again.length > took.lost.length ? 1 : 2;
    (attempts === 2 ? took.again : took.lost).push(await killOnce(place, attempts));
  }
  return took;
}

/** True so many times. */
function counter(times: number): () => boolean {
  return () => times-- > 0;
}

function judge(what: string, lanes: readonly Took[], boundMs: number): void {
  const took = { again: lanes.flatMap(({ again }) => again), lost: lanes.flatMap(({ lost }) => lost) };
  const all = spreadOf([...took.again, ...took.lost]);
  const line = spreadText(what, all);
  console.log(`  ${line}`);
  console.log(`    ${spreadText("until the next attempt", spreadOf(took.again))}`);
  console.log(`    ${spreadText("until recorded as lost", spreadOf(took.lost))}`);
  assert.ok(all.p99 <= boundMs, `recovery took longer than ${boundMs} ms: ${line}, seed ${SEED}`);
}

async function openStore(options: StoreOptions): Promise<{ store: Store } & AsyncDisposable> {
  const store = await Store.open(options, createHost());
  return { store, [Symbol.asyncDispose]: () => store.close() };
}

/** One heir only, so that the figure is what one worker's own looking makes of it. */
async function oneMachine(program: Program, left: () => boolean, random: SeededRandom): Promise<Took> {
  await using sandbox = await newSandbox(program);
  await sandbox.run(["jobs", "list"]);
  await using opened = await openStore(fileOptions(sandbox.database));
  let took: Took;
  {
    await using crew = new Crew(() => sandbox.worker(["--concurrency", "1"]));
    await crew.grow(2);
    took = await killMany({ sandbox, store: opened.store, crew, newcomers: "afterwards", random }, left);
  }
  const verdict = await sandbox.run(["verify", "--quiet"]);
  assert.equal(verdict.code, 0, `verify found, seed ${SEED}: ${verdict.out}`);
  return took;
}

async function onOneMachine(program: Program): Promise<void> {
  const left = counter(KILLS);
  const machines = Array.from({ length: 3 }, (_, index) => oneMachine(program, left, randomOf(SEED + index)));
  judge(`${KILLS} kills on one machine (${program.name})`, await Promise.all(machines), LOCAL_MS);
}

async function overAServer(program: Program): Promise<void> {
  await using sandbox = await newSandbox(program);
  await using sqld = await startSqld(join(sandbox.directory, "sqld"));
  const at = (name: string) => ({ GLASSBOX_DB: sqld.url, XDG_STATE_HOME: join(sandbox.directory, name) });
  const run = join(sandbox.directory, "judge.run");
  const options = { ...fileOptions(run), url: sqld.url, path: null, display: sqld.url, runDirectory: run };
  await using opened = await openStore(options);
  {
    // A state directory of its own stands for a machine of its own: a newcomer finds no lock file of the dead.
    await using crew = new Crew((number) =>
      sandbox.worker(["--concurrency", "1"], { env: at(`machine-${number}`) })
    );
    const lanes = Math.min(REMOTE_LANES, REMOTE_KILLS);
    await crew.grow(lanes + 1);
    const random = randomOf(SEED + 10);
    const place = { sandbox, store: opened.store, crew, newcomers: "at once" as const, random };
    const left = counter(REMOTE_KILLS);
    const took = await Promise.all(Array.from({ length: lanes }, () => killMany(place, left)));
    judge(`${REMOTE_KILLS} kills seen over a server only (${program.name})`, took, REMOTE_MS);
  }
  const verdict = await sandbox.run(["verify", "--quiet"], { env: at("judge") });
  assert.equal(verdict.code, 0, `verify found, seed ${SEED}: ${verdict.out}`);
}

for (const program of programs()) {
  const name = `(${program.name}, seed ${SEED})`;
  Deno.test(`workers killed are followed within ${LOCAL_MS} ms, over a server within ${REMOTE_MS} ms ${name}`, async (test) => {
    // Both at the same time, as both mostly wait.
    const both = [["on one machine", onOneMachine], ["over a server", overAServer]] as const;
    await Promise.all(
      both.map(([where, rig]) =>
        test.step({
          name: where,
          fn: () => rig(program),
          sanitizeOps: false,
          sanitizeResources: false,
          sanitizeExit: false,
        })
      ),
    );
  });
}
