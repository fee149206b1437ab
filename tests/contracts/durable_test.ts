/** Attempts, delays, queues and leases, on an embedded file and on a libSQL server. */
import assert from "node:assert/strict";
import type { Finish, Retry } from "../../src/store/transitions.ts";
import { claimAny, fenceOf, newJob, runningJob } from "../support/store_fixture.ts";
import { onEach, refusedAs } from "../support/store_suite.ts";

const NOTHING = { chunks: [], partials: {} };
const FAILURE = { code: "program_failed", message: "The program ended with exit code 4" } as const;
const FAILED: Finish = { state: "failed", resultJson: null, failure: FAILURE, evidence: null };

function retry(changed: Partial<Retry> = {}): Retry {
  return { failure: FAILURE, evidence: null, delayMs: 0, reservedFor: null, ...changed };
}

onEach("retry() gives a job back to the queue until its attempts are used up", async (db) => {
  const store = await db.open();
  const first = await runningJob(store, "w1", { maxAttempts: 2 });
  await store.jobs.retry(first, retry(), NOTHING);
  const waiting = await store.jobs.get(first.jobId);
  // Without a pause there is no time to wait for, so that no clock can be behind it.
  const { state, owner, epoch, notBeforeMs } = waiting;
  assert.deepEqual([state, owner, epoch, notBeforeMs], ["queued", null, 1, 0]);
  await assert.rejects(store.jobs.finish(first, FAILED, NOTHING), refusedAs("fenced"));

  const again = await store.jobs.claim("w2", claimAny({ jobId: first.jobId }));
  assert.equal(again?.epoch, 2);
  const second = fenceOf(again!);
  await assert.rejects(store.jobs.retry(second, retry(), NOTHING), refusedAs("fenced"));
  await store.jobs.finish(second, FAILED, NOTHING);
  const kinds = (await store.jobs.events(first.jobId, 0, 100)).map(({ kind, epoch }) => `${kind} ${epoch}`);
  assert.deepEqual(kinds, ["submitted 0", "claimed 1", "retry_scheduled 1", "claimed 2", "finished 2"]);
  assert.deepEqual((await store.jobs.attempts(first.jobId)).map(({ outcome }) => outcome), [
    "failed",
    "failed",
  ]);
});

onEach(
  "retry() cancels in the same commit what was asked to stop, and keeps for one worker what is its own",
  async (db) => {
    const store = await db.open();
    const asked = await runningJob(store, "w1", { maxAttempts: 5 });
    await store.jobs.cancel(asked.jobId, "alice", "enough");
    await store.jobs.retry(asked, retry(), NOTHING);
    // Whoever settles the job beside it comes too late to add anything.
    assert.equal((await store.jobs.get(asked.jobId)).state, "cancelled");
    await assert.rejects(store.jobs.retry(asked, retry(), NOTHING), refusedAs("fenced"));
    const ends = (await store.jobs.events(asked.jobId, 0, 10)).map(({ kind }) => kind);
    assert.deepEqual(ends, ["submitted", "claimed", "cancel_requested", "finished"]);

    const kept = await runningJob(store, "cli", { maxAttempts: 5 });
    await store.jobs.retry(kept, retry({ reservedFor: "cli" }), NOTHING);
    assert.equal(await store.jobs.claim("other", claimAny({ jobId: kept.jobId })), null);
    assert.equal((await store.jobs.claim("cli", claimAny({ jobId: kept.jobId })))?.epoch, 2);
  },
);

onEach("claim() waits for the time a job was delayed to, and outlook() tells it", async (db) => {
  const store = await db.open();
  const late = newJob({ delayMs: 3600_000 });
  await store.jobs.submit(late);
  assert.equal(await store.jobs.claim("w", claimAny()), null);
  assert.equal(await store.jobs.claim("w", claimAny({ jobId: late.id })), null);
  const { createdAtMs, notBeforeMs } = await store.jobs.get(late.id);
  assert.equal(notBeforeMs - createdAtMs, 3600_000);
  const nothing = { isClaimable: false, dueMs: null };
  assert.deepEqual(await store.jobs.outlook("w", claimAny()), { isClaimable: false, dueMs: notBeforeMs });
  assert.deepEqual(await store.jobs.outlook("w", claimAny({ queues: ["other"] })), nothing);
});

onEach("outlook() tells exactly when claim() would find something", async (db) => {
  const store = await db.open();
  const look = async (worker = "w", filter = claimAny()) =>
    (await store.jobs.outlook(worker, filter)).isClaimable;
  assert.equal(await look(), false);
  const kept = newJob({ reservedFor: "cli" });
  await store.jobs.submit(kept);
  assert.deepEqual([await look("w"), await look("cli")], [false, true]);
  assert.deepEqual([
    await look("cli", claimAny({ jobId: kept.id })),
    await look("w", claimAny({ jobId: kept.id })),
  ], [
    true,
    false,
  ]);
  await store.jobs.submit(newJob());
  assert.equal(await look("w", claimAny({ tasks: ["unknown"] })), false);
  await store.queues.setPaused("default", true);
  assert.equal(await look(), false);
  await store.queues.setPaused("default", false);
  assert.equal(await look(), true);
  assert.notEqual(await store.jobs.claim("w", claimAny()), null);
  assert.equal(await look(), false);
});

onEach("claim() takes nothing from a paused queue, and no more from a bounded one than fits", async (db) => {
  const store = await db.open();
  for (let count = 0; count < 3; count++) await store.jobs.submit(newJob());
  await store.queues.setPaused("default", true);
  assert.equal(await store.jobs.claim("w", claimAny()), null);
  await store.queues.setPaused("default", false);
  await store.queues.setConcurrencyMax("default", 2);
  // Asked for at once, so that they share a group commit: the bound must hold inside it too.
  const claims = await Promise.all(["a", "b", "c"].map((worker) => store.jobs.claim(worker, claimAny())));
  assert.equal(claims.filter((job) => job !== null).length, 2);
  assert.deepEqual(await store.queues.list(), [
    { name: "default", isPaused: false, concurrencyMax: 2, queued: 1, running: 2 },
  ]);
  await store.jobs.finish(fenceOf(claims.find((job) => job !== null)!), FAILED, NOTHING);
  assert.notEqual(await store.jobs.claim("d", claimAny()), null);
  await store.queues.setConcurrencyMax("default", null);
  assert.equal((await store.queues.list())[0]?.concurrencyMax, null);
});

onEach("claim() runs jobs with one concurrency key one after the other", async (db) => {
  const store = await db.open();
  const jobs = [
    newJob({ concurrencyKey: "k" }),
    newJob({ concurrencyKey: "k" }),
    newJob({ concurrencyKey: "other" }),
  ];
  for (const job of jobs) await store.jobs.submit(job);
  const claims = await Promise.all(["a", "b", "c"].map((worker) => store.jobs.claim(worker, claimAny())));
  assert.deepEqual(claims.map((job) => job?.id), [jobs[0]!.id, jobs[2]!.id, undefined]);
  await store.jobs.finish(fenceOf(claims[0]!), FAILED, NOTHING);
  assert.equal((await store.jobs.claim("d", claimAny()))?.id, jobs[1]!.id);
});

onEach(
  "declareDead() counts only without a heartbeat since, and then ends the worker's rights",
  async (db) => {
    const store = await db.open();
    await store.workers.register({ id: "w1", launch: "worker", version: "0" });
    const before = (await store.workers.open())[0]!;
    assert.equal(await store.workers.beat("w1"), true);
    assert.equal(await store.workers.declareDead("w1", before.heartbeatSeq), false);
    const held = await runningJob(store, "w1");
    const now = (await store.workers.open())[0]!;
    assert.equal(await store.workers.declareDead("w1", now.heartbeatSeq), true);
    assert.equal(await store.workers.beat("w1"), false);
    await store.jobs.submit(newJob());
    assert.equal(await store.jobs.claim("w1", claimAny()), null);
    // Its job is still to be settled, so whoever reaps next must find it.
    assert.deepEqual((await store.workers.unsettled()).map(({ id }) => id), ["w1"]);
    await store.jobs.finish(held, FAILED, NOTHING);
    assert.deepEqual(await store.workers.unsettled(), []);
    // So must one that only waits for it, as when its request came after it was declared dead.
    const { id } = await store.jobs.submit(newJob({ reservedFor: "w1" }));
    assert.deepEqual((await store.workers.unsettled()).map(({ id }) => id), ["w1"]);
    assert.equal(await store.jobs.abandon(id, "w1", { code: "lost", message: "its worker is dead" }), true);
    assert.deepEqual(await store.workers.unsettled(), []);
  },
);
