/** What a child has written is stored to the last byte, whenever the process that reads its pipes is killed. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { assertNothingLost, type Flood, newFlood } from "../support/flood.ts";
import { newSandbox, programs, type Running, type Sandbox } from "../support/glassbox.ts";
import { listJobs, showJob } from "../support/jobs.ts";
import { eventually, pidsWith, processesEnd } from "../support/processes.ts";
import { type SeededRandom, seededRandom } from "../support/random.ts";

const LONG = Deno.env.get("GLASSBOX_LONG") === "1";
const ROUNDS = LONG ? 50 : 3;
const ENDLESS = 100_000_000;
/** Long enough for some commits, short enough that the stored output stays small. */
const FLOOD_BYTES_MAX = 6_000_000;
const STALL_MS_MAX = 200;

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
}
