/** What a child has written is stored to the last byte, whenever the process that reads its pipes is killed. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { assertNothingLost, type Flood, floodBytes, newFlood } from "../support/flood.ts";
import { newSandbox, programs, type Running, type Sandbox } from "../support/glassbox.ts";
import { listJobs, showJob } from "../support/jobs.ts";
import { eventually } from "../support/processes.ts";
import { type SeededRandom, seededRandom } from "../support/random.ts";

const LONG = Deno.env.get("GLASSBOX_LONG") === "1";
const ROUNDS = LONG ? 50 : 3;
const ENDLESS = 100_000_000;
/** Long enough for some commits, short enough that the stored output stays small. */
const FLOOD_BYTES_MAX = 6_000_000;
const STALL_MS_MAX = 200;
/** A million lines of the flood, and what any process may take of memory for them. */
const MILLION_LINES_BYTES = 58_000_000;
const MEMORY_BYTES_MAX = 250 * 1024 * 1024;

/** A process that runs jobs, and a job that floods in it. */
type Start = (sandbox: Sandbox, flood: Flood) => Promise<Running>;

const OWNERS: Readonly<Record<string, Start>> = {
  run: (sandbox, flood) => Promise.resolve(sandbox.start(["run", "-q", "--", ...flood.command])),
  serve: async (sandbox, flood) => {
    const server = await sandbox.serve();
    const [program, ...args] = flood.command;
    const body = JSON.stringify({ task: "exec", input: { program, args } });
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${server.url}/api/v1/jobs`, { method: "POST", headers, body });
    assert.equal(response.status, 201, await response.text());
    return server;
  },
  worker: async (sandbox, flood) => {
    const worker = await sandbox.worker();
    const detached = await sandbox.run(["run", "-q", "--detach", "--", ...flood.command]);
    assert.equal(detached.code, 0, detached.err);
    return worker;
  },
};

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Kills at a random moment of the flood; in half of the cases after a stall, with which the pipes fill up. */
async function killSomewhere(owner: Running, flood: Flood, random: SeededRandom): Promise<void> {
  await flood.reaches(random.int(1, FLOOD_BYTES_MAX));
  await pause(random.next() * 5);
  if (random.next() < 0.5) {
    owner.signal("SIGSTOP");
    await pause(random.int(0, STALL_MS_MAX));
  }
  owner.signal("SIGKILL");
  await owner.ended;
}

/** The most memory a living process has had so far; 0 when it has ended. */
function peakMemory(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Runs a command to its end, and gives the most memory it had. */
async function peakOf(sandbox: Sandbox, args: readonly string[]): Promise<number> {
  const running = sandbox.start(args);
  let [peak, over] = [0, false];
  void running.ended.then(() => over = true);
  await eventually(`${args.join(" ")} has ended`, () => {
    peak = Math.max(peak, peakMemory(running.pid));
    return over;
  });
  assert.equal((await running.ended).code, 0);
  return peak;
}

function inMiB(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}

async function assertClean(sandbox: Sandbox): Promise<void> {
  const { code, out, err } = await sandbox.run(["verify"]);
  assert.equal(code, 0, `${out}\n${err}`);
  assert.deepEqual(readdirSync(`${sandbox.database}.run/attempts`), []);
}

for (const program of programs()) {
  for (const [name, start] of Object.entries(OWNERS)) {
    Deno.test(`${name} (${program.name}) killed in a flood: every byte is stored once and in order`, async () => {
      const random = seededRandom(`${name} ${program.name}`);
      for (let round = 0; round < ROUNDS; round++) {
        await using sandbox = await newSandbox(program);
        const flood = newFlood(sandbox, "flood", ENDLESS);
        const owner = await start(sandbox, flood);
        await killSomewhere(owner, flood, random);

        const [job] = await listJobs(sandbox);
        assert.equal(job!.failure?.code, "lost");
        const bytes = await assertNothingLost(sandbox, job!.id, flood);
        assert.ok(bytes > 0);
        assert.equal((await showJob(sandbox)).attempts[0]!.evidence, null);
        await assertClean(sandbox);
      }
    });
  }

  Deno.test(`serve (${program.name}) killed within a million lines: nothing is lost, in bounded memory`, async () => {
    const random = seededRandom(`million ${program.name}`);
    for (let round = 0; round < (LONG ? 10 : 1); round++) {
      await using sandbox = await newSandbox(program);
      const flood = newFlood(sandbox, "flood", MILLION_LINES_BYTES / 2);
      const server = await OWNERS["serve"]!(sandbox, flood);
      await flood.reaches(random.int(MILLION_LINES_BYTES / 3, MILLION_LINES_BYTES * 0.8));
      const serving = peakMemory(server.pid);
      server.signal("SIGKILL");
      await server.ended;

      const settling = await peakOf(sandbox, ["jobs", "list"]);
      const [job] = await listJobs(sandbox);
      assert.equal(job!.failure?.code, "lost");
      const bytes = await assertNothingLost(sandbox, job!.id, flood);
      console.log(`${bytes} bytes; peak ${inMiB(serving)} serving, ${inMiB(settling)} settling`);
      assert.ok(serving <= MEMORY_BYTES_MAX, `serve took ${inMiB(serving)}`);
      assert.ok(settling <= MEMORY_BYTES_MAX, `settling took ${inMiB(settling)}`);
      await assertClean(sandbox);
    }
  });

  Deno.test(`run (${program.name}) with a terminal that takes nothing: the job ends and is recorded all the same`, async () => {
    await using sandbox = await newSandbox(program);
    const bytes = 10_000_000;
    const flood = newFlood(sandbox, "flood", bytes);
    const [command, ...args] = [...program.command, "run", "-q", "--", ...flood.command];
    const child = new Deno.Command(command!, {
      args,
      cwd: sandbox.cwd,
      clearEnv: true,
      env: { ...sandbox.env },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    await flood.reaches(2 * bytes);
    const job = await eventually("the job is final", async () => {
      const [job] = await listJobs(sandbox);
      return job !== undefined && job.state !== "running" && job;
    });
    const peak = peakMemory(child.pid);
    assert.equal(job.state, "completed");
    assert.ok(peak > 0, "the watcher ended before anyone read what it shows");
    console.log(`peak ${inMiB(peak)} while nobody reads`);
    assert.ok(peak <= MEMORY_BYTES_MAX, `run took ${inMiB(peak)}`);
    await assertNothingLost(sandbox, job.id, flood);

    const shown = new Uint8Array(await new Response(child.stdout).arrayBuffer());
    assert.equal((await child.status).code, 0);
    assert.deepEqual(shown, floodBytes("stdout", bytes));
  });
}
