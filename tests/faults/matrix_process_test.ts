/** Rows 1 to 6 of the fault matrix: processes that are killed, leave others behind, hold a lock, or sleep. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { jobAt, needsTrace, recovers, stopped, submit, withFault } from "../support/faults.ts";
import { newSandbox, programs, type Running, type Sandbox } from "../support/glassbox.ts";
import { complaints, linesOf, listJobs, showJob } from "../support/jobs.ts";
import { eventually, killAll, makeGate, processesEnd } from "../support/processes.ts";
import { rigRun } from "../support/rig.ts";

const { rounds: POINTS, seed: SEED } = rigRun("matrix_process", { short: 2, long: 60 });

/** Calls that change something which outlives a process, and how many of each a short run makes at most. */
const CALLS = ["pwrite64", "fsync", "openat", "vfork", "splice", "rename"] as const;

for (const program of programs()) {
  const name = `(${program.name})`;

  Deno.test(`fault 1: kill -9 of a job's own process ${name} is that job's failure, with the signal as evidence`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeGate(sandbox.directory);
    const running = sandbox.start(["run", "--", "sh", "-c", 'echo "pid $$"; read x < "$0"', gate.path]);
    const [, pid] = await running.said(/^pid (\d+)\n/, "stdout");
    const killedMs = performance.now();
    Deno.kill(Number(pid), "SIGKILL");
    const ended = await running.ended;
    assert.ok(performance.now() - killedMs < 1_000, "it took more than a second");
    assert.equal(ended.code, 137);
    assert.match(complaints(ended.err)[0]!, /The program was ended by signal SIGKILL/);
    const { job, attempts } = await showJob(sandbox);
    assert.equal(job.failure?.code, "program_signalled");
    assert.equal(attempts[0]!.evidence?.signal, "SIGKILL");
    assert.deepEqual((await linesOf(sandbox)).map(({ text }) => text), [`pid ${pid}`]);
    await recovers(sandbox);
  });

  Deno.test(`fault 2: what a program leaves behind with its output open ${name} is ended 5 s after it, and told`, async () => {
    await using sandbox = await newSandbox(program);
    const startMs = performance.now();
    const running = sandbox.start(["run", "--", "sh", "-c", 'sleep 999 & echo "left $!"']);
    await running.said(/^left \d+$/m, "stdout");
    const leftMs = performance.now();
    const ended = await running.ended;
    assert.equal(ended.code, 0, ended.err);
    // How long a start takes, and how late we hear of it, is the machine's matter.
    const [mostMs, leastMs] = [startMs, leftMs].map((ms) => performance.now() - ms) as [number, number];
    assert.ok(mostMs > 4_000 && leastMs < 12_000, `it took ${leastMs} to ${mostMs} ms`);
    const pid = Number(/^left (\d+)$/m.exec(ended.out)![1]);
    // It was killed, which takes it until it gets a processor.
    await processesEnd([pid]);
    const { events } = await showJob(sandbox);
    assert.ok(events.some(({ kind }) => kind === "leftovers_killed"));
    await recovers(sandbox);
  });

  for (const [row, what] of [[3, "serve"], [4, "run"]] as const) {
    Deno.test({
      ...needsTrace(
        `fault ${row}: kill -9 of ${what} at a chosen system call ${name} leaves what the next start settles (seed ${SEED})`,
      ),
      async fn() {
        await using sandbox = await newSandbox(program);
        await recovers(sandbox);
        const acknowledged = new Set<string>();
        // From source, each start takes seconds under strace.
        for (const call of program.name === "source" ? CALLS.slice(0, 1) : CALLS) {
          for (let round = 1; round <= POINTS; round++) {
            const at = call === "openat" ? 150 + 20 * round : 3 * round - 2 + SEED % 3;
            const fault = withFault(sandbox, `${call}:signal=SIGKILL:when=${at}`);
            for (const id of await (what === "run" ? runOnce(fault) : serveOnce(fault))) acknowledged.add(id);
          }
          await recovers(sandbox);
        }
        const jobs = await listJobs(sandbox);
        for (const id of acknowledged) {
          assert.ok(jobs.some((job) => job.id === id), `job ${id} was acknowledged`);
        }
        assert.deepEqual(jobs.filter(({ state }) => state === "running"), []);
        assert.deepEqual(leftOver(sandbox.database), []);
      },
    });
  }

  Deno.test(`fault 5: kill -9 of a worker between two commits ${name} frees the write lock for the others`, async () => {
    await using sandbox = await newSandbox(program);
    const flood = ["sh", "-c", "while :; do echo line; done"];
    await using one = await sandbox.worker(["--concurrency", "1"]);
    await using two = await sandbox.serve();
    const { body } = await submit(two, flood);
    await eventually("it writes", async () => (await jobAt(two, body.id)).state === "running");
    one.signal("SIGKILL");
    await one.ended;
    const killedMs = performance.now();
    const { status } = await submit(two, ["true"]);
    assert.equal(status, 201);
    assert.ok(performance.now() - killedMs < 5_000, "others waited for more than five seconds");
    await sandbox.run(["jobs", "cancel", body.id]);
    await eventually(
      "nothing runs",
      async () => (await listJobs(sandbox)).every(({ state }) => state !== "running"),
    );
    assert.equal(await stopped(two), 0);
    await recovers(sandbox);
  });

  Deno.test(`fault 6: a worker that was stopped for a while ${name} goes on with its job, as its lock says that it lives`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeGate(sandbox.directory);
    const running = sandbox.start(["run", "--", "sh", "-c", 'echo up; read x < "$0"; echo on', gate.path]);
    await running.said(/up/, "stdout");
    running.signal("SIGSTOP");
    const [job] = await listJobs(sandbox);
    assert.equal(job!.state, "running");
    running.signal("SIGCONT");
    await gate.open();
    const ended = await running.ended;
    assert.deepEqual([ended.code, ended.out], [0, "up\non\n"], ended.err);
    await recovers(sandbox);
  });
}

/** Ids that were told to the caller. */
async function runOnce(sandbox: Sandbox): Promise<string[]> {
  const ended = await sandbox.run(["run", "--", "sh", "-c", "echo one; echo two >&2"]);
  const id = /^job (\w+) completed/m.exec(ended.err)?.[1];
  return id === undefined ? [] : [id];
}

async function serveOnce(sandbox: Sandbox): Promise<string[]> {
  const running: Running = sandbox.start(["serve", "--port", "0"]);
  const url = await running.said(/listening on (http:\/\/\S+?)\/? /).then((match) => match[1]!, () => null);
  const ids: string[] = [];
  if (url !== null) {
    const server = Object.assign(running, { url });
    for (let count = 0; count < 5; count++) {
      const answer = await submit(server, ["echo", `${count}`]).catch(() => null);
      if (answer?.status === 201) ids.push(answer.body.id);
    }
  }
  // Killing the tracer alone would leave the server, with its output open.
  killAll(tracedBy(sandbox.directory));
  await running[Symbol.asyncDispose]();
  return ids;
}

/** A program that outlived its tracer: it has the sandbox in its environment, and is no job. */
function tracedBy(directory: string): number[] {
  return readdirSync("/proc").filter((entry) => /^\d+$/.test(entry)).map(Number).filter((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
      return environment.includes(directory) &&
        /serve\0--port/.test(readFileSync(`/proc/${pid}/cmdline`, "utf8"));
    } catch {
      return false;
    }
  });
}

/** Attempts whose directories are still there although nothing runs. */
function leftOver(database: string): string[] {
  return readdirSync(join(`${database}.run`, "attempts"));
}
