/** Who counts as dead, where the lock file tells. */
import assert from "node:assert/strict";
import { livenessPath, reap } from "../../src/executor/reaper.ts";
import { Silence } from "../../src/executor/silence.ts";
import { sweep } from "../../src/executor/sweep.ts";
import { Worker } from "../../src/executor/worker.ts";
import { storedBytes } from "../../src/logs/replay.ts";
import { VirtualClock } from "../../src/platform/memory_clock.ts";
import { builtInTasks } from "../../src/tasks/registry.ts";
import { startCuttingProxy } from "../support/cutting_proxy.ts";
import { eventually } from "../support/processes.ts";
import {
  claimAny,
  COMPLETED,
  fenceOf,
  newJob,
  NO_OUTPUT,
  runningJob,
  storeHost,
  testDatabase,
} from "../support/store_fixture.ts";

Deno.test("a worker beside an embedded file lives as long as its lock is held, however long it is silent", async () => {
  await using db = await testDatabase("file");
  const host = storeHost();
  const context = { host, store: await db.open(host), registry: builtInTasks };
  const options = { launch: "worker", concurrency: 1, queues: ["default"], onError: assert.ifError } as const;
  const worker = await Worker.create(context, options);
  await worker.register();
  const clock = new VirtualClock(0);
  const silence = new Silence(clock);
  for (let round = 0; round < 5; round++) {
    assert.deepEqual(await reap(context, silence), []);
    await clock.advance(60_000);
  }
  const [row] = await context.store.workers.unsettled();
  assert.equal(row?.id, worker.id);
  assert.equal(row.stoppedAtMs, null);
  await worker.close();
});

Deno.test("text that two streams had shown becomes lines only within the job's bound, and the rest is told", async () => {
  await using db = await testDatabase("file");
  const host = storeHost();
  const context = { host, store: await db.open(host), registry: builtInTasks };
  const { store } = context;
  const worker = { id: "dead", launch: "run", version: "0" };
  const job = newJob({ outputBytesMax: 10, reservedFor: "dead" });
  const { claimed } = await store.jobs.submitAndClaim(worker, job);
  const partials = { stderr: new Uint8Array(6), stdout: new Uint8Array(7) };
  await store.jobs.recordOutput(fenceOf(claimed!), { chunks: [], partials });
  assert.deepEqual(await reap(context), [{ worker: "dead", jobId: job.id, as: "lost" }]);
  assert.deepEqual(await storedBytes(store, job.id, 1), { stdout: 0, stderr: 6 });
  const [dropped] = (await store.jobs.events(job.id, 0, 10)).filter(({ kind }) => kind === "output_dropped");
  assert.deepEqual(dropped?.data, { droppedLines: 1, droppedBytes: 7, outputBytesMax: 10 });
});

Deno.test("text that comes while a lost job is settled does not stay behind as unfinished", async () => {
  await using db = await testDatabase("file");
  const host = storeHost();
  const context = { host, store: await db.open(host), registry: builtInTasks };
  const { store } = context;
  const job = newJob({ reservedFor: "dead" });
  const { claimed } = await store.jobs.submitAndClaim({ id: "dead", launch: "run", version: "0" }, job);
  const look = store.lines.unfinished.bind(store.lines);
  store.lines.unfinished = async (jobId) => {
    const found = await look(jobId);
    await store.jobs.recordOutput(fenceOf(claimed!), { chunks: [], partials: { stdout: new Uint8Array(3) } });
    return found;
  };
  assert.deepEqual(await reap(context), [{ worker: "dead", jobId: job.id, as: "lost" }]);
  assert.deepEqual(await store.lines.partials(job.id), []);
});

Deno.test("the lock file of a worker that was declared dead elsewhere is removed once it is free", async () => {
  await using db = await testDatabase("server");
  const host = storeHost();
  const context = { host, store: await db.open(host), registry: builtInTasks };
  const { store } = context;
  const options = {
    launch: "worker",
    concurrency: 1,
    queues: ["default"],
    onError: () => undefined,
  } as const;
  const lives = await Worker.create(context, options);
  await lives.register();
  const stopped = await Worker.create(context, options);
  await stopped.register();
  const path = (id: string) => livenessPath(store.runDirectory, id);
  await store.workers.register({ id: "dead", launch: "worker", version: "0" });
  (await host.locks.acquire(path("dead"))).release();
  for (const id of ["dead", stopped.id]) {
    // One that still beats may do so between the look and the word.
    await eventually(`${id} is declared dead`, async () => {
      const row = (await store.workers.unsettled()).find((worker) => worker.id === id)!;
      return await store.workers.declareDead(id, row.heartbeatSeq);
    });
  }
  await sweep(context);
  const isThere = async (id: string) => await host.files.info(path(id)) !== null;
  assert.deepEqual([await isThere("dead"), await isThere(lives.id), await isThere(stopped.id)], [
    false,
    true,
    true,
  ]);
  for (const worker of [lives, stopped]) await worker.close();
});

Deno.test("a job that waits for its command line alone is given up even when whoever declared that dead has died", async () => {
  await using db = await testDatabase("server");
  await using proxy = startCuttingProxy(db.options.url);
  const host = storeHost();
  const context = { host, store: await db.open(host), registry: builtInTasks };
  const cutOff = { ...context, store: await db.open(host, { url: proxy.url }) };
  await context.store.queues.setPaused("default", true);
  const options = { launch: "run", concurrency: 1, queues: [], onError: () => undefined } as const;
  const worker = await Worker.create(cutOff, options);
  const job = newJob({ reservedFor: worker.id });
  // The commit stands; neither its answer comes, nor that of the look whether it does.
  proxy.loseAnswers(1, () => 0);
  await assert.rejects(worker.runNew(job), { code: "storage_unreachable" });
  await assert.rejects(worker.close(), { code: "storage_unreachable" });
  const waiting = await context.store.jobs.get(job.id);
  assert.equal(waiting.state, "queued");
  await context.store.queues.setPaused("default", false);
  assert.equal(await context.store.jobs.claim("other", claimAny({ jobId: job.id })), null);
  // One who has seen it silent for a lease declares it dead, and dies before it has settled anything.
  const [row] = await context.store.workers.unsettled();
  assert.equal(await context.store.workers.declareDead(worker.id, row!.heartbeatSeq), true);
  assert.deepEqual(await reap(context), [{ worker: worker.id, jobId: job.id, as: "lost" }]);
  const { state, failure } = await context.store.jobs.get(job.id);
  assert.deepEqual([state, failure?.code], ["failed", "lost"]);
  assert.deepEqual(await context.store.workers.unsettled(), []);
});

Deno.test("files of an attempt whose worker died after it had recorded the end are removed, beside a file as well", async () => {
  await using db = await testDatabase("file");
  const host = storeHost();
  const context = { host, store: await db.open(host), registry: builtInTasks };
  const { store } = context;
  const done = await runningJob(store, "dead", { id: "done" });
  await store.jobs.finish(done, COMPLETED, NO_OUTPUT);
  const runs = await runningJob(store, "dead", { id: "runs" });
  const place = (id: string) => `${store.runDirectory}/attempts/${id}.1`;
  for (const { jobId } of [done, runs]) await host.files.makeDirectory(place(jobId));
  await sweep(context);
  assert.equal(await host.files.info(place(done.jobId)), null);
  // This one is to be settled, with what its files hold.
  assert.notEqual(await host.files.info(place(runs.jobId)), null);
});
