/** Who counts as dead, where the lock file tells. */
import assert from "node:assert/strict";
import { livenessPath, reap } from "../../src/executor/reaper.ts";
import { Silence } from "../../src/executor/silence.ts";
import { sweep } from "../../src/executor/sweep.ts";
import { Worker } from "../../src/executor/worker.ts";
import { storedBytes } from "../../src/logs/replay.ts";
import { VirtualClock } from "../../src/platform/memory_clock.ts";
import { builtInTasks } from "../../src/tasks/registry.ts";
import { fenceOf, newJob, storeHost, testDatabase } from "../support/store_fixture.ts";

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
    const row = (await store.workers.unsettled()).find((worker) => worker.id === id)!;
    assert.ok(await store.workers.declareDead(id, row.heartbeatSeq));
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
