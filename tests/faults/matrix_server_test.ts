/** Rows 25 to 29 of the fault matrix: what can befall the way to a libSQL server. docs/reliability.md has the table. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Job } from "../../src/core/job.ts";
import { seededRandom } from "../../src/platform/memory_clock.ts";
import { startCuttingProxy } from "../support/cutting_proxy.ts";
import { newSandbox, type Sandbox } from "../support/glassbox.ts";
import { complaints, showJob } from "../support/jobs.ts";
import { demandRecovery, oneProgram } from "../support/matrix.ts";
import { eventually, makeGate } from "../support/processes.ts";
import { rigRun } from "../support/rig.ts";
import { type Sqld, startSqld } from "../support/sqld.ts";
import { newJob, testDatabase } from "../support/store_fixture.ts";

const { seed: SEED, rounds: ROUNDS } = rigRun("matrix_server", { short: 1, long: 10 });
const TOKEN = "a-secret-that-nobody-may-see";

function toServer(url: string) {
  return { env: { GLASSBOX_DB: url, GLASSBOX_DB_TOKEN: TOKEN } };
}

async function submit(sandbox: Sandbox, script: string, url: string, ...own: string[]): Promise<string> {
  const args = ["run", "--detach", "-q", ...own, "--", "sh", "-c", script];
  const { code, out, err } = await sandbox.run(args, toServer(url));
  assert.equal(code, 0, err);
  return out.trim();
}

async function jobOf(sandbox: Sandbox, id: string, url: string): Promise<Job> {
  return (await showJob(sandbox, id, toServer(url))).job;
}

async function restart(sqld: Sqld, directory: string): Promise<Sqld> {
  const { port } = new URL(sqld.url);
  await sqld[Symbol.asyncDispose]();
  return await startSqld(directory, Number(port));
}

/** A port that nobody listens at, below those that the kernel gives to whoever asks for any. */
function deadPort(): number {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

for (const program of oneProgram()) {
  const name = `(${program.name})`;

  Deno.test(`fault 25: a start ${name} against a dead server ends with 69 within 10 s and shows no secret`, async () => {
    await using sandbox = await newSandbox(program);
    const port = deadPort();
    const url = `http://127.0.0.1:${port}`;
    for (
      const args of [["run", "--", "touch", "ran"], ["jobs", "list"], ["worker"], ["serve", "--port", "0"]]
    ) {
      const startedMs = performance.now();
      const ended = await sandbox.run(args, toServer(url));
      assert.equal(ended.code, 69, ended.err);
      assert.ok(performance.now() - startedMs < 10_000);
      const [complaint, ...more] = complaints(ended.err);
      assert.match(complaint!, new RegExp(`Cannot reach the database server ${url}/?: `));
      assert.deepEqual(more, []);
      assert.ok(!ended.err.includes(TOKEN));
    }
    await using _sqld = await startSqld(join(sandbox.directory, "sqld"), port);
    await demandRecovery(sandbox, toServer(url));
  });

  Deno.test(`fault 25: a start ${name} against a server that takes requests and never answers ends with 69 within 10 s`, async () => {
    await using sandbox = await newSandbox(program);
    await using sqld = await startSqld(join(sandbox.directory, "sqld"));
    await using proxy = startCuttingProxy(sqld.url);
    proxy.goSilent(true);
    const startedMs = performance.now();
    const ended = await sandbox.run(["run", "--", "touch", "ran"], toServer(proxy.url));
    assert.equal(ended.code, 69, ended.err);
    assert.ok(performance.now() - startedMs < 10_000, `took ${performance.now() - startedMs} ms`);
    assert.match(complaints(ended.err)[0]!, /Cannot reach the database server \S+: no answer within 5 s$/);
    proxy.goSilent(false);
    await demandRecovery(sandbox, toServer(proxy.url));
  });

  Deno.test(`fault 25: a server that dies and comes back under jobs ${name} is waited for, and no line is lost`, async () => {
    await using sandbox = await newSandbox(program);
    const directory = join(sandbox.directory, "sqld");
    let sqld = await startSqld(directory);
    try {
      const { url } = sqld;
      const script = "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 0.1; done";
      const expected = Array.from({ length: 40 }, (_, i) => `line ${i + 1}\n`).join("");
      const worker = await sandbox.worker(["--concurrency", "2"], toServer(url));
      const id = await submit(sandbox, script, url);
      const running = sandbox.start(["run", "--", "sh", "-c", script], toServer(url));
      await running.said(/line 3/, "stdout");
      await eventually("the job runs", async () => (await jobOf(sandbox, id, url)).state === "running");
      await sqld[Symbol.asyncDispose]();
      await running.said(/line 3/, "stdout");
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      sqld = await startSqld(directory, Number(new URL(url).port));
      const ended = await running.ended;
      assert.deepEqual([ended.code, ended.out], [0, expected], ended.err);
      await eventually("the job ends", async () => (await jobOf(sandbox, id, url)).state !== "running");
      assert.equal((await jobOf(sandbox, id, url)).state, "completed");
      assert.equal((await sandbox.run(["jobs", "logs", "-q", id], toServer(url))).out, expected);
      worker.signal("SIGTERM");
      assert.equal((await worker.ended).code, 0);
      await demandRecovery(sandbox, toServer(url));
    } finally {
      await sqld[Symbol.asyncDispose]();
    }
  });

  Deno.test(`fault 25: a server that stays away ${name} makes a worker stop itself before its lease is over`, async () => {
    await using sandbox = await newSandbox(program);
    const directory = join(sandbox.directory, "sqld");
    let sqld = await startSqld(directory);
    try {
      const { url } = sqld;
      const worker = await sandbox.worker([], toServer(url));
      const id = await submit(sandbox, "echo here; sleep 1000", url);
      await eventually("the job runs", async () => (await jobOf(sandbox, id, url)).state === "running");
      const awayMs = performance.now();
      await sqld[Symbol.asyncDispose]();
      const ended = await worker.ended;
      const tookMs = performance.now() - awayMs;
      assert.ok([69, 75].includes(ended.code), ended.err);
      assert.match(
        ended.err,
        /its heartbeats were not acknowledged for \d+ ms: its jobs belong to others now/,
      );
      assert.ok(tookMs < 10_000, `it took ${tookMs} ms, and its lease is 10 s`);
      assert.ok(!ended.err.includes(TOKEN));
      sqld = await startSqld(directory, Number(new URL(url).port));
      await demandRecovery(sandbox, toServer(url));
      const job = await jobOf(sandbox, id, url);
      assert.deepEqual([job.state, job.failure?.code], ["failed", "lost"]);
    } finally {
      await sqld[Symbol.asyncDispose]();
    }
  });

  Deno.test(`fault 26: a server behind 64 kbit/s ${name} is waited for, with no more than 5 connections`, async () => {
    await using sandbox = await newSandbox(program);
    await using sqld = await startSqld(join(sandbox.directory, "sqld"));
    await sandbox.run(["run", "--", "true"], toServer(sqld.url));
    await using proxy = startCuttingProxy(sqld.url);
    proxy.slowDown(8);
    const ended = await sandbox.run(["run", "--", "seq", "1", "300"], toServer(proxy.url));
    assert.equal(ended.code, 0, ended.err);
    assert.equal(ended.out.split("\n").length, 301);
    assert.ok(proxy.peak <= 5, `${proxy.peak} connections at once`);
    proxy.slowDown(null);
    await demandRecovery(sandbox, toServer(sqld.url));
  });

  Deno.test(`fault 26: a connection that goes half-open for 5 s ${name} is given up, and the job goes on`, async () => {
    await using sandbox = await newSandbox(program);
    await using sqld = await startSqld(join(sandbox.directory, "sqld"));
    await using proxy = startCuttingProxy(sqld.url);
    const gate = await makeGate(sandbox.directory);
    const script = 'echo before; read x < "$0"; echo after';
    const running = sandbox.start(["run", "--", "sh", "-c", script, gate.path], toServer(proxy.url));
    await running.said(/before/, "stdout");
    proxy.goSilent(true);
    await gate.open();
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    proxy.goSilent(false);
    const ended = await running.ended;
    assert.deepEqual([ended.code, ended.out], [0, "before\nafter\n"], ended.err);
    assert.ok(proxy.peak <= 6, `${proxy.peak} connections at once`);
    await demandRecovery(sandbox, toServer(sqld.url));
  });

  Deno.test(`fault 28: jobs ${name} whose commits stand while their answers are lost run once each (seed ${SEED})`, async () => {
    const random = seededRandom(SEED);
    const share = () => random.bytes(1)[0]! / 256;
    for (let round = 0; round < ROUNDS; round++) {
      await using sandbox = await newSandbox(program);
      await using sqld = await startSqld(join(sandbox.directory, "sqld"));
      await using proxy = startCuttingProxy(sqld.url);
      const effects = join(sandbox.directory, "effects");
      const script = `echo "$GLASSBOX_JOB_ID" >> ${effects}; echo one; echo two >&2; echo three`;
      const worker = await sandbox.worker(["--concurrency", "8"], toServer(proxy.url));
      proxy.loseAnswers(0.2, share);
      const ids: string[] = [];
      while (ids.length < 100) {
        const some = Array.from({ length: 4 }, () => submit(sandbox, script, sqld.url));
        ids.push(...await Promise.all(some));
      }
      for (const id of ids) {
        await eventually(`job ${id} ended (seed ${SEED})`, async () => {
          const { state } = await jobOf(sandbox, id, sqld.url);
          return !["queued", "running"].includes(state);
        });
        assert.equal((await jobOf(sandbox, id, sqld.url)).state, "completed", `seed ${SEED}`);
      }
      proxy.loseAnswers(0, share);
      assert.ok(proxy.cuts > 0);
      assert.deepEqual((await Deno.readTextFile(effects)).trim().split("\n").sort(), ids.toSorted());
      await rm(effects);
      worker.signal("SIGTERM");
      const ended = await worker.ended;
      assert.equal(ended.code, 0, ended.err);
      await demandRecovery(sandbox, toServer(sqld.url));
    }
  });

  for (
    const [what, text] of [
      ["claim", null],
      ["record of a start", "SET pid ="],
      ["record of output", "INSERT INTO lines"],
      ["record of an end", "UPDATE jobs SET state = ?"],
    ] as const
  ) {
    Deno.test(`fault 28: a ${what} ${name} whose answer is lost is read again, and the job runs once`, async () => {
      await using sandbox = await newSandbox(program);
      await using sqld = await startSqld(join(sandbox.directory, "sqld"));
      await using proxy = startCuttingProxy(sqld.url);
      const worker = await sandbox.worker([], toServer(proxy.url));
      const effects = join(sandbox.directory, "effects");
      await eventually("the worker has looked for work", () => proxy.requests > 5);
      // A claim that finds nothing reads the same; the first answer that tells of the job is that of its claim.
      if (text === null) proxy.cutAnswersHolding(effects, 1);
      else proxy.cutAnswers(text, 1);
      const id = await submit(sandbox, `echo ran >> ${effects}; echo said; sleep 0.5`, sqld.url);
      await eventually("it ended", async () => {
        return !["queued", "running"].includes((await jobOf(sandbox, id, sqld.url)).state);
      });
      assert.equal(proxy.cuts, 1);
      const { job, events } = await showJob(sandbox, id, toServer(sqld.url));
      assert.equal(job.state, "completed", JSON.stringify(job.failure));
      assert.deepEqual(events.map(({ kind }) => kind), ["submitted", "claimed", "started", "finished"]);
      assert.equal(await Deno.readTextFile(effects), "ran\n");
      worker.signal("SIGTERM");
      assert.equal((await worker.ended).code, 0);
      await demandRecovery(sandbox, toServer(sqld.url));
    });
  }

  Deno.test(`fault 28: run ${name} whose first commit stands while its answer is lost runs its job once`, async () => {
    await using sandbox = await newSandbox(program);
    await using sqld = await startSqld(join(sandbox.directory, "sqld"));
    await using proxy = startCuttingProxy(sqld.url);
    await sandbox.run(["run", "--", "true"], toServer(proxy.url));
    proxy.cutAnswers("INSERT INTO jobs", 1);
    const ended = await sandbox.run(["run", "--", "sh", "-c", "echo ran"], toServer(proxy.url));
    assert.deepEqual([ended.code, ended.out, proxy.cuts], [0, "ran\n", 1], ended.err);
    await demandRecovery(sandbox, toServer(sqld.url));
  });

  Deno.test(`fault 29: a server that restarts again and again ${name} loses no job`, async () => {
    await using sandbox = await newSandbox(program);
    const directory = join(sandbox.directory, "sqld");
    let sqld = await startSqld(directory);
    try {
      const { url } = sqld;
      const worker = await sandbox.worker(["--concurrency", "2"], toServer(url));
      const ids: string[] = [];
      const script = "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done";
      for (let count = 0; count < 6; count++) ids.push(await submit(sandbox, script, url));
      for (let round = 0; round < 4; round++) {
        sqld = await restart(sqld, directory);
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      for (const id of ids) {
        await eventually("it ended", async () => {
          return !["queued", "running"].includes((await jobOf(sandbox, id, url)).state);
        });
        assert.equal((await jobOf(sandbox, id, url)).state, "completed");
        assert.equal((await sandbox.run(["jobs", "logs", "-q", id], toServer(url))).out, "1\n2\n3\n4\n5\n");
      }
      worker.signal("SIGTERM");
      const ended = await worker.ended;
      assert.equal(ended.code, 0, ended.err);
      await demandRecovery(sandbox, toServer(url));
    } finally {
      await sqld[Symbol.asyncDispose]();
    }
  });

  Deno.test(`fault 29: a token that is no longer taken (401) ${name} is said so with 77, and asked about only a few times`, async () => {
    await using sandbox = await newSandbox(program);
    await using sqld = await startSqld(join(sandbox.directory, "sqld"));
    await using proxy = startCuttingProxy(sqld.url);
    const worker = await sandbox.worker([], toServer(proxy.url));
    proxy.answerWith("401 Unauthorized");
    const before = proxy.requests;
    const ended = await sandbox.run(["run", "--", "touch", "ran"], toServer(proxy.url));
    assert.equal(ended.code, 77, ended.err);
    assert.match(
      complaints(ended.err)[0]!,
      /Cannot use the database server \S+ as it refuses our token \(HTTP 401\): give a valid one in GLASSBOX_DB_TOKEN$/,
    );
    assert.ok(!ended.err.includes(TOKEN));
    const stopped = await worker.ended;
    assert.ok([75, 77].includes(stopped.code), stopped.err);
    assert.ok(proxy.requests - before < 200, `${proxy.requests - before} requests`);
    proxy.answerWith(null);
    await demandRecovery(sandbox, toServer(proxy.url));
  });
}

Deno.test(`fault 27: a request cut off at any byte is done whole or not at all`, async () => {
  await using db = await testDatabase("server");
  await using proxy = startCuttingProxy(db.options.url);
  const store = await db.open(undefined, { url: proxy.url });
  const direct = await db.open();
  const { rounds } = rigRun("matrix_server", { short: 60, long: 400 });
  for (let round = 0; round < rounds; round++) {
    const jobs = [newJob(), newJob()];
    proxy.cutRequestAfter(Math.floor(round * 5_000 / rounds));
    const results = await Promise.allSettled(jobs.map((job) => store.jobs.submit(job)));
    const stored = await Promise.all(jobs.map((job) => direct.jobs.find(job.id)));
    assert.equal(stored[0] === null, stored[1] === null, `cut at round ${round}`);
    for (const [index, result] of results.entries()) {
      if (result.status === "fulfilled") assert.notEqual(stored[index], null);
    }
    if (stored[0] !== null) {
      const kinds = (await direct.jobs.events(jobs[0]!.id, 0, 10)).map(({ kind }) => kind);
      assert.deepEqual(kinds, ["submitted"]);
    }
  }
  assert.equal((await store.jobs.submit(newJob())).created, true);
});
