/** The store's promises about jobs, on an embedded file and on a real libSQL server alike. */
import assert from "node:assert/strict";
import type { Job } from "../../src/core/job.ts";
import type { Store } from "../../src/store/store.ts";
import type { Fence } from "../../src/store/transitions.ts";
import {
  chunkOf,
  claimAny,
  COMPLETED,
  fenceOf,
  newJob,
  NO_OUTPUT,
  runningJob,
  type TestDatabase,
} from "../support/store_fixture.ts";
import { onEach, refusedAs } from "../support/store_suite.ts";

async function kinds(store: Store, jobId: string): Promise<string[]> {
  const events = await store.jobs.events(jobId, 0, 1000);
  assert.deepEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1), "events are 1..n");
  return events.map(({ kind }) => kind);
}

onEach("a job goes from submit to its end with events 1..n, one attempt and its result", async (db) => {
  const store = await db.open();
  const job = newJob({
    inputJson: '{"program":"seq","args":["3"]}',
    timeoutMs: 9_000,
    priority: 7,
    key: "k",
  });
  assert.deepEqual(await store.jobs.submit(job), { id: job.id, created: true });
  const queued = await store.jobs.get(job.id);
  assert.equal(queued.state, "queued");
  assert.deepEqual(queued.input, { program: "seq", args: ["3"] });
  assert.deepEqual([queued.timeoutMs, queued.priority, queued.key, queued.epoch], [9_000, 7, "k", 0]);

  const claimed = await store.jobs.claim("worker-1", claimAny());
  assert.ok(claimed);
  assert.deepEqual([claimed.state, claimed.owner, claimed.epoch], ["running", "worker-1", 1]);
  const fence = fenceOf(claimed);
  await store.jobs.recordStarted(fence, { pid: 4711, startTicks: "99", program: "seq" });
  await store.jobs.recordOutput(fence, { chunks: [chunkOf(1, ["1", "2"])], partials: {} });
  await store.jobs.recordEvents(fence, [{ kind: "progress", data: { fraction: 0.5 } }]);
  await store.jobs.finish(fence, COMPLETED, { chunks: [chunkOf(3, ["3"])], partials: {} });

  const done = await store.jobs.get(job.id);
  assert.equal(done.state, "completed");
  assert.deepEqual(done.result, { ok: true });
  assert.ok(done.finishedAtMs! >= done.startedAtMs! && done.startedAtMs! >= done.createdAtMs);
  assert.deepEqual(await kinds(store, job.id), ["submitted", "claimed", "started", "progress", "finished"]);
  const attempts = await store.jobs.attempts(job.id);
  assert.equal(attempts.length, 1);
  assert.deepEqual([attempts[0]!.pid, attempts[0]!.outcome, attempts[0]!.worker], [
    4711,
    "completed",
    "worker-1",
  ]);
  assert.equal(await store.lines.lastSeq(job.id), 3);
});

onEach(
  "submit() with a used key gives the first job for the same request and key_conflict for another",
  async (db) => {
    const store = await db.open();
    const first = newJob({ key: "once" });
    await store.jobs.submit(first);
    assert.deepEqual(await store.jobs.submit(newJob({ key: "once" })), { id: first.id, created: false });
    const other = newJob({ key: "once", requestSha256: "1".repeat(64) });
    await assert.rejects(store.jobs.submit(other), refusedAs("key_conflict"));
    assert.equal(await store.jobs.find(other.id), null);
    assert.equal((await store.jobs.count()).queued, 1);
    assert.deepEqual(await kinds(store, first.id), ["submitted"]);
  },
);

onEach("submit() twenty times at once with one key makes one job", async (db) => {
  const stores = await Promise.all([db.open(), db.open()]);
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => stores[index % 2]!.jobs.submit(newJob({ key: "same" }))),
  );
  assert.equal(new Set(answers.map(({ id }) => id)).size, 1);
  assert.equal(answers.filter(({ created }) => created).length, 1);
  assert.equal((await stores[0]!.jobs.count()).queued, 1);
});

onEach(
  "claim() takes the highest priority first, then the oldest, of the wanted queues and tasks",
  async (db) => {
    const store = await db.open();
    const low = newJob({ priority: -1 });
    const early = newJob();
    const late = newJob();
    const high = newJob({ priority: 5 });
    const elsewhere = newJob({ queue: "other", priority: 9 });
    const unknown = newJob({ task: "unknown", priority: 9 });
    const reserved = newJob({ reservedFor: "cli", priority: 9 });
    for (const job of [late, low, elsewhere, high, early, unknown, reserved]) await store.jobs.submit(job);
    const order: string[] = [];
    for (let count = 0; count < 5; count++) {
      order.push((await store.jobs.claim("worker", claimAny()))?.id ?? "none");
    }
    assert.deepEqual(order, [high.id, early.id, late.id, low.id, "none"]);
    assert.equal(await store.jobs.claim("worker", claimAny({ jobId: reserved.id })), null);
    const own = await store.jobs.claim("cli", claimAny({ jobId: reserved.id }));
    assert.equal(own?.id, reserved.id);
  },
);

onEach(
  "claim() by many at once gives each job to exactly one, with one attempt and one event each",
  async (db) => {
    const stores = await Promise.all([db.open(), db.open(), db.open()]);
    const jobs = Array.from({ length: 60 }, () => newJob());
    await Promise.all(jobs.map((job) => stores[0]!.jobs.submit(job)));
    const claimed: Job[] = [];
    await Promise.all(stores.flatMap((store, index) =>
      ["a", "b"].map(async (name) => {
        for (;;) {
          const got = await store.jobs.claim(`worker-${index}${name}`, claimAny());
          if (got === null) return;
          claimed.push(got);
        }
      })
    ));
    assert.equal(claimed.length, jobs.length);
    assert.deepEqual(new Set(claimed.map(({ id }) => id)), new Set(jobs.map(({ id }) => id)));
    for (const job of claimed) {
      const [attempt, ...more] = await stores[0]!.jobs.attempts(job.id);
      assert.deepEqual([attempt?.worker, more.length], [job.owner, 0]);
      assert.deepEqual(await kinds(stores[0]!, job.id), ["submitted", "claimed"]);
    }
  },
);

onEach("submit and claim asked for in one turn share the order in which they were asked for", async (db) => {
  const store = await db.open();
  const job = newJob({ reservedFor: "me" });
  const [submitted, claimed] = await Promise.all([
    store.jobs.submit(job),
    store.jobs.claim("me", claimAny({ jobId: job.id })),
  ]);
  assert.equal(submitted.created, true);
  assert.equal(claimed?.id, job.id);
});

/** Every write of an attempt, each of which must be refused when the attempt does not hold the job. */
function attemptWrites(store: Store, fence: Fence): Record<string, () => Promise<void>> {
  const artifact = { name: "a.txt", sizeBytes: 1, mediaType: "text/plain", sha256: "0".repeat(64) };
  const bytes = new Uint8Array([65]);
  return {
    recordStarted: () => store.jobs.recordStarted(fence, { pid: 1, startTicks: "1", program: "x" }),
    recordEvents: () => store.jobs.recordEvents(fence, [{ kind: "x", data: null }]),
    recordLines: () => store.jobs.recordOutput(fence, { chunks: [chunkOf(1, ["late"])], partials: {} }),
    recordPartial: () => store.jobs.recordOutput(fence, { chunks: [], partials: { stdout: bytes } }),
    writePart: () => store.artifacts.writePart(fence, "a.txt", 0, bytes),
    publish: () => store.artifacts.publish(fence, artifact),
    finish: () => store.jobs.finish(fence, COMPLETED, { chunks: [chunkOf(1, ["late"])], partials: {} }),
  };
}

/** Everything the database holds, to show that nothing changed. */
async function dump(db: TestDatabase): Promise<string> {
  const raw = db.raw();
  const tables = ["jobs", "attempts", "events", "lines", "partial_lines", "artifacts", "artifact_parts"];
  const results = await raw.batch(tables.map((table) => `SELECT * FROM ${table} ORDER BY 1, 2`), "read");
  const plain = (value: unknown) => value instanceof ArrayBuffer ? [...new Uint8Array(value)] : value;
  return JSON.stringify(results.map(({ rows }) => rows.map((row) => Object.values(row).map(plain))));
}

onEach("every write of an attempt that does not hold its job is fenced and changes nothing", async (db) => {
  const store = await db.open();
  const fence = await runningJob(store, "owner");
  await store.jobs.recordOutput(fence, {
    chunks: [],
    partials: { stdout: new TextEncoder().encode("so far") },
  });
  const finished = await runningJob(store, "owner");
  await store.jobs.finish(finished, COMPLETED, NO_OUTPUT);
  const before = await dump(db);
  const strangers = {
    "wrong owner": { ...fence, worker: "other" },
    "older epoch": { ...fence, epoch: 0 },
    "newer epoch": { ...fence, epoch: 2 },
    "after the final state": finished,
    "no such job": { ...fence, jobId: "nothing" },
  };
  for (const [why, stranger] of Object.entries(strangers)) {
    for (const [name, write] of Object.entries(attemptWrites(store, stranger))) {
      await assert.rejects(write(), refusedAs("fenced"), `${name}: ${why}`);
      assert.equal(await dump(db), before, `${name}: ${why}`);
    }
    await store.jobs.recordOutput(stranger, { chunks: [], partials: { stdout: null } }).catch(() =>
      undefined
    );
    assert.equal(await dump(db), before, `removing a partial line: ${why}`);
  }
});

onEach("a final job never changes, not even by plain SQL, and its events are append-only", async (db) => {
  const store = await db.open();
  const raw = db.raw();
  for (const state of ["completed", "failed", "cancelled"] as const) {
    const fence = await runningJob(store, "w");
    await store.jobs.finish(fence, { ...COMPLETED, state, resultJson: null }, NO_OUTPUT);
    const before = await dump(db);
    for (const change of ["state = 'queued'", "result = '1'", "finished_at_ms = NULL", "epoch = 9"]) {
      const args = [fence.jobId];
      await assert.rejects(
        raw.execute({ sql: `UPDATE jobs SET ${change} WHERE id = ?`, args }),
        /never changes/,
      );
      await assert.rejects(
        raw.execute({ sql: "UPDATE events SET kind = 'x' WHERE job_id = ?", args }),
        /append-only/,
      );
    }
    assert.equal(await dump(db), before);
  }
});

onEach("cancel() ends a queued job at once, asks a running one, and is told of a final one", async (db) => {
  const store = await db.open();
  const queued = newJob();
  await store.jobs.submit(queued);
  const cancelled = await store.jobs.cancel(queued.id, "alice", "too late");
  assert.equal(cancelled.state, "cancelled");
  assert.deepEqual({ ...cancelled.cancel, atMs: 0 }, { atMs: 0, actor: "alice", reason: "too late" });
  assert.deepEqual(await kinds(store, queued.id), ["submitted", "finished"]);
  assert.equal((await store.jobs.cancel(queued.id, "bob", "again")).cancel?.actor, "alice");
  assert.equal(await store.jobs.claim("w", claimAny()), null);

  const fence = await runningJob(store, "w");
  const asked = await store.jobs.cancel(fence.jobId, "alice", "stop");
  assert.deepEqual([asked.state, asked.cancel?.reason], ["running", "stop"]);
  assert.equal((await store.jobs.cancel(fence.jobId, "bob", "again")).cancel?.actor, "alice");
  assert.deepEqual(await kinds(store, fence.jobId), ["submitted", "claimed", "cancel_requested"]);
  await store.jobs.finish(fence, { ...COMPLETED, state: "cancelled", resultJson: null }, NO_OUTPUT);
  assert.equal((await store.jobs.cancel(fence.jobId, "bob", "once more")).state, "cancelled");

  const done = await runningJob(store, "w");
  await store.jobs.finish(done, COMPLETED, NO_OUTPUT);
  const before = await dump(db);
  await assert.rejects(store.jobs.cancel(done.jobId, "alice", ""), refusedAs("job_final"));
  await assert.rejects(store.jobs.cancel("nothing", "alice", ""), refusedAs("job_not_found"));
  assert.equal(await dump(db), before);
});

onEach("cancel() and finish() at once leave one winner, and both callers are told which", async (db) => {
  const store = await db.open();
  for (let round = 0; round < 10; round++) {
    const fence = await runningJob(store, "w");
    const [asked, ended] = await Promise.allSettled(
      round % 2 === 0
        ? [store.jobs.cancel(fence.jobId, "a", ""), store.jobs.finish(fence, COMPLETED, NO_OUTPUT)]
        : [store.jobs.finish(fence, COMPLETED, NO_OUTPUT), store.jobs.cancel(fence.jobId, "a", "")].reverse(),
    );
    assert.equal(ended!.status, "fulfilled");
    const job = await store.jobs.get(fence.jobId);
    assert.equal(job.state, "completed");
    assert.equal(job.cancel !== null, asked!.status === "fulfilled");
  }
});

onEach("abandon() fails a reserved job that was never claimed, and no other", async (db) => {
  const store = await db.open();
  const job = newJob({ reservedFor: "dead" });
  await store.jobs.submit(job);
  const failure = { code: "lost", message: "gone" } as const;
  assert.equal(await store.jobs.abandon(job.id, "other", failure), false);
  assert.deepEqual((await store.jobs.heldBy("dead")).reserved, [job.id]);
  assert.equal(await store.jobs.abandon(job.id, "dead", failure), true);
  assert.deepEqual((await store.jobs.get(job.id)).failure, failure);
  assert.equal(await store.jobs.abandon(job.id, "dead", failure), false);
  assert.deepEqual(await kinds(store, job.id), ["submitted", "finished"]);
});

onEach("markStopped() closes a worker, but not one that still holds a job", async (db) => {
  const store = await db.open();
  for (const id of ["idle", "busy", "reserving"]) {
    await store.workers.register({ id, launch: "worker", version: "0.1.0" });
  }
  const fence = await runningJob(store, "busy");
  const reserved = newJob({ reservedFor: "reserving" });
  await store.jobs.submit(reserved);
  const open = async () => (await store.workers.open()).map(({ id }) => id);
  for (const id of ["idle", "busy", "reserving"]) await store.workers.markStopped(id);
  assert.deepEqual(await open(), ["busy", "reserving"]);
  assert.deepEqual((await store.jobs.heldBy("busy")).running.map(({ id }) => id), [fence.jobId]);
  await store.jobs.finish(fence, COMPLETED, NO_OUTPUT);
  await store.jobs.abandon(reserved.id, "reserving", { code: "lost", message: "gone" });
  for (const id of ["busy", "reserving"]) await store.workers.markStopped(id);
  assert.deepEqual(await open(), []);
});

onEach("list() gives the newest first, in pages that miss and repeat nothing, and filters", async (db) => {
  const store = await db.open();
  const ids: string[] = [];
  for (let count = 0; count < 25; count++) {
    const job = newJob({ task: count % 5 === 0 ? "selftest" : "exec" });
    ids.unshift(job.id);
    await store.jobs.submit(job);
  }
  const seen: string[] = [];
  for (;;) {
    const before = seen.at(-1);
    const page = await store.jobs.list({ limit: 10, ...(before === undefined ? {} : { before }) });
    if (page.length === 0) break;
    seen.push(...page.map(({ id }) => id));
  }
  assert.deepEqual(seen, ids);
  for (let count = 0; count < 3; count++) await store.jobs.claim("w", claimAny());
  assert.equal((await store.jobs.list({ limit: 100, task: "selftest" })).length, 5);
  assert.equal((await store.jobs.list({ limit: 100, states: ["running", "failed"] })).length, 3);
  assert.deepEqual(await store.jobs.list({ limit: 100, states: [] }), []);
  assert.deepEqual(await store.jobs.count(), {
    queued: 22,
    running: 3,
    completed: 0,
    failed: 0,
    cancelled: 0,
  });
  assert.equal(await store.jobs.resolveId("latest"), ids[0]);
});

onEach("get() and resolveId() say job_not_found for what is not there", async (db) => {
  const store = await db.open();
  await assert.rejects(store.jobs.get("nothing"), refusedAs("job_not_found"));
  await assert.rejects(store.jobs.resolveId("latest"), refusedAs("job_not_found"));
  assert.equal(await store.jobs.find("nothing"), null);
});

onEach("jobs_view answers in the words of the phase-portrait service", async (db) => {
  const store = await db.open();
  const done = await runningJob(store, "w", { key: "portrait", inputJson: '{"x":"y"}' });
  await store.jobs.finish(done, { ...COMPLETED, resultJson: '{"svg":"<svg/>"}' }, NO_OUTPUT);
  const failed = await runningJob(store, "w");
  const failure = { code: "timeout", message: "too slow" } as const;
  await store.jobs.finish(failed, { ...COMPLETED, state: "failed", resultJson: null, failure }, NO_OUTPUT);
  const queued = newJob();
  await store.jobs.submit(queued);
  const sql =
    `SELECT job_id, status, created_at, finished_at, substr(result_json,1,200) AS result FROM jobs_view
    ORDER BY job_id`;
  const rows = (await db.raw().execute(sql)).rows;
  assert.deepEqual(rows.map(({ job_id, status, result }) => [job_id, status, result]), [
    [done.jobId, "finished", '{"svg":"<svg/>"}'],
    [failed.jobId, "failed", JSON.stringify(failure)],
    [queued.id, "queued", null],
  ]);
  for (const row of rows) assert.match(String(row.created_at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const job = await store.jobs.get(done.jobId);
  assert.equal(new Date(String(rows[0]!.finished_at)).getTime(), job.finishedAtMs);
  assert.equal(rows[2]!.finished_at, null);
});
