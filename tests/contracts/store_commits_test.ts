/** Group commit: many writes, few commits, and each write its own fate; on a file and on a server alike. */
import assert from "node:assert/strict";
import type { Store } from "../../src/store/store.ts";
import { LIMITS } from "../../src/core/limits.ts";
import {
  COMPLETED,
  newJob,
  NO_OUTPUT,
  runningJob,
  storeHost,
  type TestDatabase,
  testDatabase,
} from "../support/store_fixture.ts";
import { onEach, refusedAs } from "../support/store_suite.ts";

/** Counts commits: takings of the write lock of a file, batches sent to a server. */
async function countCommits(db: TestDatabase, work: (store: Store) => Promise<void>): Promise<number> {
  let commits = 0;
  const host = storeHost();
  const locks = {
    ...host.locks,
    open: async (path: string) => {
      const lock = await host.locks.open(path);
      return { ...lock, lock: () => (commits++, lock.lock()) };
    },
  };
  const plainFetch = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    if ((await request.clone().text()).includes("BEGIN IMMEDIATE")) commits++;
    return await plainFetch(request);
  };
  try {
    const store = await db.open({ ...host, locks });
    commits = 0;
    await work(store);
    return commits;
  } finally {
    globalThis.fetch = plainFetch;
  }
}

onEach("200 submits at once share a few commits, all or none of them lost", async (db) => {
  const jobs = Array.from({ length: 200 }, () => newJob());
  const commits = await countCommits(db, async (store) => {
    const answers = await Promise.all(jobs.map((job) => store.jobs.submit(job)));
    assert.ok(answers.every(({ created }, index) => created && answers[index]!.id === jobs[index]!.id));
    assert.equal((await store.jobs.count()).queued, 200);
  });
  assert.ok(commits >= 1 && commits <= 5, `${commits} commits for 200 submits`);
});

onEach("one bad member of a group fails alone, and the others are committed once", async (db) => {
  const store = await db.open();
  const jobs = Array.from({ length: 20 }, () => newJob());
  jobs[7] = { ...jobs[7]!, id: jobs[3]!.id };
  const answers = await Promise.allSettled(jobs.map((job) => store.jobs.submit(job)));
  assert.deepEqual(answers.flatMap(({ status }, index) => status === "rejected" ? [index] : []), [7]);
  assert.equal((await store.jobs.count()).queued, 19);
  for (const { id } of jobs) assert.equal((await store.jobs.events(id, 0, 10)).length, 1);
  await store.jobs.submit(newJob());
});

onEach("submitAndClaim() stores the worker, its job and its claim, or none of them", async (db) => {
  const store = await db.open();
  const worker = (id: string) => ({ id, launch: "run", version: "0" });
  const first = newJob({ reservedFor: "w1" });
  const { id, created, claimed } = await store.jobs.submitAndClaim(worker("w1"), first);
  assert.deepEqual([id, created, claimed?.state, claimed?.owner], [first.id, true, "running", "w1"]);
  // The row of the worker is what fails here: its job must not be left running for a worker that nobody knows.
  const second = newJob({ reservedFor: "w1" });
  await assert.rejects(store.jobs.submitAndClaim(worker("w1"), second));
  assert.equal(await store.jobs.find(second.id), null);
  const delayed = await store.jobs.submitAndClaim(
    worker("w2"),
    newJob({ reservedFor: "w2", delayMs: 60_000 }),
  );
  assert.deepEqual([delayed.created, delayed.claimed], [true, null]);
});

onEach(
  "submitAndClaim() with a key that was used gives the older job, or refuses another request",
  async (db) => {
    const store = await db.open();
    const worker = (id: string) => ({ id, launch: "run", version: "0" });
    const older = await store.jobs.submit(newJob({ key: "k" }));
    const again = await store.jobs.submitAndClaim(worker("w1"), newJob({ key: "k", reservedFor: "w1" }));
    assert.deepEqual(again, { id: older.id, created: false, claimed: null });
    const other = newJob({ key: "k", requestSha256: "1".repeat(64) });
    await assert.rejects(store.jobs.submitAndClaim(worker("w2"), other), refusedAs("key_conflict"));
  },
);

Deno.test("submit() is refused at once while as many writes as may wait for the disk, and running jobs are not", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const lock = await storeHost().locks.acquire(`${await Deno.realPath(db.path)}.lock`);
  const taken = Array.from({ length: LIMITS.writesWaitingMax }, () => store.jobs.submit(newJob()));
  await assert.rejects(store.jobs.submit(newJob()), refusedAs("storage_busy"));
  const ending = store.jobs.finish(fence, COMPLETED, NO_OUTPUT);
  lock.release();
  assert.ok((await Promise.all(taken)).every(({ created }) => created));
  await ending;
  assert.equal((await store.jobs.submit(newJob())).created, true);
});
