/** What is true after kill -9: the next start of anything records it, and nothing of the job is left running. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { attemptMarker } from "../../src/executor/command.ts";
import { newSandbox, programs, type Running, type Sandbox, type Server } from "../support/glassbox.ts";
import { linesOf, listJobs, showJob, workerAppears } from "../support/jobs.ts";
import { fileAppears, holdWriteLock, makeGate, pidsWith, processesEnd } from "../support/processes.ts";

/** A job that has a child, and one in a session of its own, and says so when all of them run. */
function familyCommand(gate: string): string[] {
  const script = `
setsid sh -c 'echo one; read x < "$0.1"' "$0" &
sh -c 'echo two; read x < "$0.2"' "$0" &
echo three
read x < "$0"`;
  return ["sh", "-c", script, gate];
}

/** The processes of a job, by the mark that all of them carry. */
async function familyOf(sandbox: Sandbox, job: { id: string; epoch: number }): Promise<number[]> {
  const [launch] = (await sandbox.run(["--log-format", "json", "jobs", "list"])).err.split("\n");
  const database = { id: JSON.parse(launch!).databaseId, runDirectory: runDirectory(sandbox) };
  const { name, value } = attemptMarker(database, job.id, job.epoch);
  return pidsWith(`${name}=${value}`);
}

async function makeFamilyGate(sandbox: Sandbox): Promise<string> {
  const gate = await makeGate(sandbox.directory);
  for (const name of ["gate.1", "gate.2"]) await makeGate(sandbox.directory, name);
  return gate.path;
}

async function kill(running: Running): Promise<void> {
  running.signal("SIGKILL");
  await running.ended;
}

function runDirectory(sandbox: Sandbox): string {
  return `${sandbox.database}.run`;
}

function attemptDirectories(sandbox: Sandbox): string[] {
  return readdirSync(join(runDirectory(sandbox), "attempts"));
}

async function submit(server: Server, [program, ...args]: string[]): Promise<string> {
  const response = await fetch(`${server.url}/api/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ task: "exec", input: { program, args } }),
  });
  return (await response.json()).id;
}

for (const program of programs()) {
  const name = `(${program.name})`;

  Deno.test(`kill -9 of run ${name}: the next start records the job as lost and ends all of its family`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeFamilyGate(sandbox);
    const running = sandbox.start(["run", "--", ...familyCommand(gate)]);
    await Promise.all([/one/, /two/, /three/].map((word) => running.said(word, "stdout")));
    const [job] = await listJobs(sandbox);
    const family = await familyOf(sandbox, job!);
    assert.ok(family.length >= 3, `only ${family.length} processes`);
    await kill(running);

    const next = await sandbox.run(["jobs", "list", "--json"]);
    assert.match(next.err, new RegExp(`^job ${job!.id} was lost when its process died; recorded so$`, "m"));
    await processesEnd(family);
    assert.deepEqual(await familyOf(sandbox, job!), []);
    const shown = await showJob(sandbox, job!.id);
    assert.equal(shown.job.state, "failed");
    assert.equal(shown.job.failure?.code, "lost");
    assert.match(
      shown.job.failure!.message,
      /The process that ran this job \(run, pid \d+\) died before the job ended/,
    );
    assert.deepEqual(shown.attempts.map((attempt) => attempt.outcome), ["lost"]);
    assert.deepEqual(shown.events.map((event) => event.kind), [
      "submitted",
      "claimed",
      "started",
      "finished",
    ]);
    assert.deepEqual((await linesOf(sandbox)).map((line) => line.text).sort(), ["one", "three", "two"]);
    assert.deepEqual(attemptDirectories(sandbox), []);
    assert.deepEqual(readdirSync(join(runDirectory(sandbox), "workers")), []);
    const again = await sandbox.run(["jobs", "list"]);
    assert.doesNotMatch(again.err, /was lost/);
  });

  Deno.test(`kill -9 of run ${name}: text without a newline that was seen becomes a line`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeGate(sandbox.directory);
    const script = 'echo whole; printf "name? "; read x < "$0"';
    const running = sandbox.start(["run", "--", "sh", "-c", script, gate.path]);
    await running.said(/name\? /, "stdout");
    await kill(running);
    assert.deepEqual((await linesOf(sandbox)).map(({ seq, text, end }) => [seq, text, end]), [
      [1, "whole", "newline"],
      [2, "name? ", "eof"],
    ]);
    assert.equal((await showJob(sandbox)).job.failure?.code, "lost");
  });

  Deno.test(`kill -9 of run ${name} after its program ended: the next start records how it ended`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeGate(sandbox.directory);
    const script = 'echo out; echo err >&2; printf unfinished; read x < "$0"; exit 7';
    const running = sandbox.start(["run", "--", "sh", "-c", script, gate.path]);
    await Promise.all([running.said(/out\nunfinished/, "stdout"), running.said(/^err$/m)]);
    const [job] = await listJobs(sandbox);
    {
      using _ = await holdWriteLock(sandbox.database);
      await gate.open();
      await fileAppears(join(runDirectory(sandbox), "attempts", `${job!.id}.${job!.epoch}`, "outcome.json"));
      await kill(running);
    }
    const next = await sandbox.run(["jobs", "wait", job!.id]);
    assert.equal(next.code, 7);
    assert.match(
      next.err,
      new RegExp(`^job ${job!.id} had finished when its process died; recorded so$`, "m"),
    );
    const shown = await showJob(sandbox, job!.id);
    assert.equal(shown.job.state, "failed");
    assert.equal(shown.job.failure?.code, "program_failed");
    assert.equal(shown.attempts[0]!.evidence?.exitCode, 7);
    assert.equal(shown.attempts[0]!.evidence?.lineCount, 3);
    assert.match(shown.digest!, /^[0-9a-f]{64}$/);
    const lines = await linesOf(sandbox, job!.id);
    assert.deepEqual(lines.map((line) => line.seq), [1, 2, 3]);
    assert.deepEqual(lines.map((line) => line.text).sort(), ["err", "out", "unfinished"]);
    assert.deepEqual(attemptDirectories(sandbox), []);
  });

  Deno.test(`kill -9 of run ${name} while its last lines wait for their commit: no line is lost`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeGate(sandbox.directory);
    const script = 'echo up; read x < "$0"; echo last; echo words >&2; printf unfinished; exit 7';
    const running = sandbox.start(["run", "--", "sh", "-c", script, gate.path]);
    await running.said(/up/, "stdout");
    const [job] = await listJobs(sandbox);
    {
      using _ = await holdWriteLock(sandbox.database);
      await gate.open();
      await fileAppears(join(runDirectory(sandbox), "attempts", `${job!.id}.${job!.epoch}`, "outcome.json"));
      await kill(running);
    }
    const next = await sandbox.run(["jobs", "wait", job!.id]);
    assert.equal(next.code, 7, next.err);
    const lines = await linesOf(sandbox, job!.id);
    assert.deepEqual(lines.map((line) => line.seq), [1, 2, 3, 4]);
    assert.deepEqual(lines.map((line) => line.text).sort(), ["last", "unfinished", "up", "words"]);
  });

  Deno.test(`kill -9 of run ${name} before its job was stored: there is no job, and nothing is in the way`, async () => {
    await using sandbox = await newSandbox(program);
    await sandbox.run(["doctor"]);
    {
      using _ = await holdWriteLock(sandbox.database);
      const running = sandbox.start(["run", "--", "touch", "ran"]);
      await workerAppears(sandbox);
      await kill(running);
    }
    assert.deepEqual(await listJobs(sandbox), []);
    assert.deepEqual([...Deno.readDirSync(sandbox.cwd)], []);
    assert.equal((await sandbox.run(["run", "--", "echo", "goes on"])).out, "goes on\n");
  });

  Deno.test(`kill -9 between submit and claim ${name}: a detached job waits for the next worker`, async () => {
    await using sandbox = await newSandbox(program);
    const id = (await sandbox.run(["run", "--detach", "--", "echo", "at last"])).out.trim();
    {
      using _ = await holdWriteLock(sandbox.database);
      const worker = sandbox.start(["worker"]);
      await worker.said(/^glassbox /);
      await kill(worker);
    }
    assert.deepEqual((await listJobs(sandbox)).map((job) => [job.id, job.state]), [[id, "queued"]]);
    await using _worker = await sandbox.worker();
    assert.equal((await sandbox.run(["jobs", "wait", id])).code, 0);
    assert.deepEqual((await linesOf(sandbox, id)).map((line) => line.text), ["at last"]);
  });

  Deno.test(`a job that a dead command line had kept for itself ${name} is recorded as lost, not left queued`, async () => {
    await using sandbox = await newSandbox(program);
    const id = (await sandbox.run(["run", "--detach", "--", "true"])).out.trim();
    // Submit and claim of a command line are one commit on a file; on a server its connection may break between them.
    await runPython(
      `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("insert into workers (id, launch, pid, start_ticks, boot_id, version, started_at_ms) "
           "values ('gone', 'run', 1, '1', 'another boot', '0.1.0', 0)")
db.execute("update jobs set reserved_for = 'gone'")
db.commit()`,
      [sandbox.database],
    );
    const { job } = await showJob(sandbox, id);
    assert.equal(job.state, "failed");
    assert.equal(job.failure?.code, "lost");
  });

  Deno.test(`kill -9 of worker ${name}: its running job is lost, the queued one runs next`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeFamilyGate(sandbox);
    const worker = await sandbox.worker(["--concurrency", "1"]);
    const first = (await sandbox.run(["run", "--detach", "--", ...familyCommand(gate)])).out.trim();
    const second = (await sandbox.run(["run", "--detach", "--", "echo", "second"])).out.trim();
    const watcher = sandbox.start(["jobs", "logs", first, "--follow"]);
    await Promise.all([/one/, /two/, /three/].map((word) => watcher.said(word, "stdout")));
    const family = await familyOf(sandbox, { id: first, epoch: 1 });
    await kill(worker);

    await using _worker = await sandbox.worker(["--concurrency", "1"]);
    assert.equal((await sandbox.run(["jobs", "wait", second])).code, 0);
    assert.equal((await sandbox.run(["jobs", "wait", first])).code, 1);
    await processesEnd(family);
    assert.equal((await showJob(sandbox, first)).job.failure?.code, "lost");
    assert.equal((await showJob(sandbox, second)).job.state, "completed");
    assert.equal((await watcher.ended).code, 0);
  });

  Deno.test(`kill -9 of worker ${name}: another worker that is already there records it, without a new start`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeGate(sandbox.directory);
    const worker = await sandbox.worker();
    const id = (await sandbox.run(["run", "--detach", "--", "sh", "-c", 'echo up; read x < "$0"', gate.path]))
      .out
      .trim();
    const watcher = sandbox.start(["jobs", "logs", id, "--follow"]);
    await watcher.said(/up/, "stdout");
    await using _other = await sandbox.worker();
    await kill(worker);
    // The watcher ends only when the job is final, and reads alone: the other worker must have recorded it.
    assert.equal((await watcher.ended).code, 0);
    assert.equal((await showJob(sandbox, id)).job.failure?.code, "lost");
  });

  Deno.test(`kill -9 of serve ${name}: its running jobs are lost, its queued ones wait for the next`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeFamilyGate(sandbox);
    const server = await sandbox.serve(["--workers", "1"]);
    const first = await submit(server, familyCommand(gate));
    const second = await submit(server, ["echo", "second"]);
    const watcher = sandbox.start(["jobs", "logs", first, "--follow"]);
    await Promise.all([/one/, /two/, /three/].map((word) => watcher.said(word, "stdout")));
    const family = await familyOf(sandbox, { id: first, epoch: 1 });
    await kill(server);

    const jobs = await listJobs(sandbox);
    assert.deepEqual(jobs.map(({ id, state }) => [id, state]), [[second, "queued"], [first, "failed"]]);
    assert.equal(jobs[1]!.failure?.code, "lost");
    await processesEnd(family);
    await using next = await sandbox.serve();
    const response = await fetch(`${next.url}/api/v1/jobs/${first}`);
    assert.equal((await response.json()).failure.code, "lost");
    assert.equal((await sandbox.run(["jobs", "wait", second])).code, 0);
  });
}

async function runPython(script: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("python3", { args: ["-c", script, ...args] })
    .output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}
