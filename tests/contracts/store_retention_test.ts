/** What prune deletes and what it leaves, on an embedded file and on a real libSQL server alike. */
import assert from "node:assert/strict";
import { prune, retain } from "../../src/executor/retention.ts";
import { createMemoryHost } from "../../src/platform/memory.ts";
import { PRUNE_JOBS_MAX, type PruneFilter } from "../../src/store/retention.ts";
import type { Store } from "../../src/store/store.ts";
import {
  chunkOf,
  COMPLETED,
  newJob,
  NO_OUTPUT,
  runningJob,
  storeHost,
  type TestDatabase,
} from "../support/store_fixture.ts";
import { onEach } from "../support/store_suite.ts";

const START_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;

/** A store at a wall time of the test's own. */
async function openAt(db: TestDatabase, now: { ms: number }): Promise<Store> {
  const host = storeHost();
  return await db.open(storeHost({ clock: { ...host.clock, nowMs: () => now.ms } }));
}

async function finished(store: Store, state: "completed" | "failed" = "completed"): Promise<string> {
  const fence = await runningJob(store, "w");
  const failure = state === "failed" ? { code: "internal" as const, message: "no" } : null;
  await store.jobs.finish(fence, { ...COMPLETED, state, failure }, NO_OUTPUT);
  return fence.jobId;
}

async function left(store: Store): Promise<string[]> {
  return (await store.jobs.list({ limit: 1_000 })).map(({ id }) => id).reverse();
}

async function pruned(store: Store, filter: PruneFilter, dryRun = false) {
  return await prune({ host: storeHost(), store }, filter, { dryRun });
}

onEach("prune() deletes what meets all that is given, and never what is queued or running", async (db) => {
  const now = { ms: START_MS };
  const store = await openAt(db, now);
  const jobs: string[] = [];
  for (const state of ["completed", "failed", "completed", "failed", "completed"] as const) {
    jobs.push(await finished(store, state));
    now.ms += HOUR_MS;
  }
  const [first, , third, fourth, fifth] = jobs as [string, string, string, string, string];
  const queued = newJob();
  await store.jobs.submit(queued);
  const running = await runningJob(store, "w");
  const open = [queued.id, running.jobId];
  now.ms += 1_000 * HOUR_MS;

  const before = await left(store);
  const dry = await pruned(store, { keep: 0 }, true);
  assert.equal(dry.jobs, 5);
  assert.ok(dry.bytes > 0);
  assert.deepEqual(await left(store), before);

  assert.equal((await pruned(store, { finishedBeforeMs: START_MS })).jobs, 0);
  assert.equal((await pruned(store, { states: ["failed"], keep: 1 })).jobs, 1);
  assert.deepEqual(await left(store), [first, third, fourth, fifth, ...open]);
  assert.equal((await pruned(store, { finishedBeforeMs: START_MS + 3 * HOUR_MS, keep: 3 })).jobs, 1);
  assert.deepEqual(await left(store), [third, fourth, fifth, ...open]);
  assert.equal((await pruned(store, { keep: 3 })).jobs, 0);
  assert.equal((await pruned(store, { finishedBeforeMs: START_MS + 2 * HOUR_MS + 1 })).jobs, 1);
  assert.deepEqual(await left(store), [fourth, fifth, ...open]);
  assert.equal((await pruned(store, { states: ["completed", "failed", "cancelled"] })).jobs, 2);
  assert.deepEqual(await left(store), open);
});

onEach("prune() leaves nothing of a job behind, and frees its key", async (db) => {
  const store = await db.open();
  const fence = await runningJob(store, "w", { key: "once" });
  await store.jobs.recordOutput(fence, {
    chunks: [chunkOf(1, ["a line", "x".repeat(10_000)])],
    partials: { stderr: new TextEncoder().encode("unfinished") },
  });
  await store.jobs.finish(fence, COMPLETED, NO_OUTPUT);
  const other = await finished(store);
  const { jobs, bytes } = await pruned(store, { keep: 1 });
  assert.equal(jobs, 1);
  assert.ok(bytes > 10_000, `${bytes} bytes`);
  for (const table of ["attempts", "events", "lines", "partial_lines", "artifacts", "artifact_parts"]) {
    const rows = (await db.raw().execute(`SELECT DISTINCT job_id FROM ${table}`)).rows;
    assert.ok(rows.every((row) => row.job_id === other), table);
  }
  assert.deepEqual(await store.integrityErrors(), []);
  assert.equal((await store.jobs.submit(newJob({ key: "once" }))).created, true);
});

onEach("prune() goes through many jobs in transactions of a bounded size", async (db) => {
  const store = await db.open();
  const count = 2 * PRUNE_JOBS_MAX + 1;
  await Promise.all(Array.from({ length: count }, () => store.jobs.submit(newJob())));
  for (const id of await left(store)) await store.jobs.cancel(id, "a test", "");
  const sizes: number[] = [];
  const remove = store.retention.delete.bind(store.retention);
  store.retention.delete = (ids) => {
    sizes.push(ids.length);
    return remove(ids);
  };
  assert.equal((await pruned(store, { keep: 0 })).jobs, count);
  assert.deepEqual(sizes, [PRUNE_JOBS_MAX, PRUNE_JOBS_MAX, 1]);
  assert.ok(await store.retention.freeBytes() > 0, "the pages of what was deleted");
  assert.deepEqual(await left(store), []);
});

onEach("two that prune at once delete each job once", async (db) => {
  const [one, two] = [await db.open(), await db.open()];
  for (let index = 0; index < 20; index++) await finished(one);
  const sums = await Promise.all([pruned(one, { keep: 5 }), pruned(two, { keep: 5 })]);
  assert.equal(sums[0].jobs + sums[1].jobs, 15);
  assert.equal((await left(one)).length, 5);
});

Deno.test("retain() prunes by age and by number at its start and again later, and ends when told", async () => {
  const { testDatabase } = await import("../support/store_fixture.ts");
  await using db = await testDatabase("file");
  const now = { ms: START_MS };
  const store = await openAt(db, now);
  const old = await finished(store);
  now.ms += 10 * HOUR_MS;
  const young = [await finished(store), await finished(store), await finished(store)];
  const host = createMemoryHost({ nowMs: now.ms });
  const stop = new AbortController();
  const counts: number[] = [];
  let wake = () => {};
  const next = () => new Promise<void>((resolve) => wake = resolve);
  const tell = {
    pruned: ({ jobs }: { jobs: number }) => {
      counts.push(jobs);
      wake();
    },
    error: (error: Error) => assert.fail(error),
  };
  const told = next();
  const rules = { retentionMaxAgeMs: 2 * HOUR_MS, retentionMaxJobs: 3 };
  const running = retain({ host, store }, rules, stop.signal, tell);
  await told;
  assert.deepEqual(await left(store), young);
  assert.ok(!young.includes(old));
  const again = next();
  young.push(await finished(store));
  while (host.clock.sleeping === 0) await storeHost().clock.turn();
  await host.clock.advance(60_000);
  await again;
  assert.deepEqual(await left(store), young.slice(1));
  stop.abort();
  await running;
  assert.deepEqual(counts, [1, 1]);
  await retain(
    { host, store },
    { retentionMaxAgeMs: null, retentionMaxJobs: null },
    new AbortController().signal,
    tell,
  );
});
