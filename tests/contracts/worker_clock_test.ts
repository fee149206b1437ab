/** Workers and clocks that are set while they wait. */
import assert from "node:assert/strict";
import { Worker } from "../../src/executor/worker.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { builtInTasks } from "../../src/tasks/registry.ts";
import { eventually } from "../support/processes.ts";
import { newJob, storeHost, testDatabase } from "../support/store_fixture.ts";

Deno.test("a delayed job starts soon after the wall clock is set forward past its time", async () => {
  await using db = await testDatabase("file");
  let aheadMs = 0;
  const waits = Promise.withResolvers<void>();
  // Long waits are made short here, but one for the whole hour would still be too long for this test.
  const sleep = (ms: number, signal?: AbortSignal) => {
    if (ms <= 2_000) return systemClock.sleep(ms, signal);
    // News may still wake the worker at first; after a while without any it waits for the time alone.
    const undisturbed = setTimeout(() => waits.resolve(), 60);
    signal?.addEventListener("abort", () => clearTimeout(undisturbed), { once: true });
    return systemClock.sleep(ms / 50, signal).finally(() => clearTimeout(undisturbed));
  };
  const host = storeHost({ clock: { ...systemClock, sleep, nowMs: () => Date.now() + aheadMs } });
  const context = { host, store: await db.open(host), registry: builtInTasks };
  const options = { launch: "worker", concurrency: 1, queues: ["default"], onError: assert.ifError } as const;
  const worker = await Worker.create(context, options);
  await worker.register();
  const working = worker.work();
  const job = newJob({ delayMs: 3600_000 });
  await context.store.jobs.submit(job);
  await waits.promise;
  aheadMs = 3600_000;
  await eventually(
    "the job is done",
    async () => (await context.store.jobs.get(job.id)).state === "completed",
  );
  worker.drain();
  await working;
  await worker.close();
});
