/** What only a database server can do to a store: refuse large values, lose an answer, go away and come back. */
import assert from "node:assert/strict";
import type { Clock } from "../../src/core/host.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { follow } from "../../src/logs/follow.ts";
import { startCuttingProxy } from "../support/cutting_proxy.ts";
import { startSqld } from "../support/sqld.ts";
import {
  chunkOf,
  claimAny,
  COMPLETED,
  newJob,
  NO_OUTPUT,
  runningJob,
  storeHost,
  type TestDatabase,
  testDatabase,
} from "../support/store_fixture.ts";
import { refusedAs } from "../support/store_suite.ts";

async function eventKinds(db: TestDatabase, jobId: string): Promise<unknown[]> {
  const sql = "SELECT kind FROM events WHERE job_id = ? ORDER BY seq";
  return (await db.raw().execute({ sql, args: [jobId] })).rows.map(({ kind }) => kind);
}

Deno.test("a value that the server cannot take is refused as too_large, alone of its group", async () => {
  await using db = await testDatabase("server");
  const store = await db.open();
  const large = newJob({ inputJson: JSON.stringify("x".repeat(6_000_000)) });
  const [first, second] = await Promise.allSettled([store.jobs.submit(large), store.jobs.submit(newJob())]);
  assert.ok(first.status === "rejected" && refusedAs("too_large")(first.reason));
  assert.equal(second.status, "fulfilled");
});

Deno.test("an answer larger than the server gives is refused as too_large, and the next is given", async () => {
  await using db = await testDatabase("server");
  const store = await db.open();
  const inputJson = JSON.stringify("x".repeat(3_000_000));
  for (let count = 0; count < 4; count++) await store.jobs.submit(newJob({ inputJson, reservedFor: "cli" }));
  for (const { id } of await store.jobs.list({ limit: 10 })) {
    await store.jobs.claim("cli", claimAny({ jobId: id }));
  }
  await assert.rejects(store.jobs.heldBy("cli"), refusedAs("too_large"));
  assert.equal((await store.jobs.list({ limit: 10 })).length, 4);
});

Deno.test("list() gives no more of an input than its beginning", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  for (const text of ["short", "x".repeat(300_000)]) {
    await store.jobs.submit(newJob({ inputJson: JSON.stringify(text) }));
  }
  const [long, short] = await store.jobs.list({ limit: 10 });
  assert.equal(short?.inputPreview, '"short"');
  assert.equal(long?.inputPreview, `"${"x".repeat(298)}…`);
});

Deno.test("follow() reads a job whose lines and events are all as large as they may be", async () => {
  await using db = await testDatabase("server");
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const quotes = '"'.repeat(LIMITS.eventBytesMax / 2 - 1);
  for (let round = 0; round < 20; round++) {
    const events = Array.from({ length: 10 }, () => ({ kind: "task.large", data: quotes }));
    await store.jobs.recordEvents(fence, events);
  }
  const line = new Uint8Array(LIMITS.lineBytesMax - 100).fill(255);
  for (let chunk = 0; chunk < 20; chunk++) {
    await store.jobs.recordOutput(fence, {
      chunks: [chunkOf(chunk * 4 + 1, [line, line, line, line])],
      partials: { stdout: line, stderr: line },
    });
  }
  let lines = 0;
  let events = 0;
  for await (const news of follow(store, fence.jobId, { afterLine: 0, afterEvent: 0, live: false })) {
    lines += news.lines.length;
    events += news.events.length;
  }
  assert.deepEqual([lines, events], [80, 202]);
});

Deno.test("submit() whose answer is lost finds its job stored once", async () => {
  await using db = await testDatabase("server");
  await using proxy = startCuttingProxy(db.options.url);
  const store = await db.open(undefined, { url: proxy.url });
  for (let round = 1; round <= 5; round++) {
    const jobs = Array.from({ length: round }, () => newJob());
    proxy.cutAnswers("INSERT INTO jobs", 1);
    const answers = await Promise.all(jobs.map((job) => store.jobs.submit(job)));
    assert.equal(proxy.cuts, round);
    assert.deepEqual(answers, jobs.map(({ id }) => ({ id, created: true })));
    for (const { id } of jobs) assert.deepEqual(await eventKinds(db, id), ["submitted"]);
  }
});

Deno.test("finish() whose answer is lost finds the job ended once", async () => {
  await using db = await testDatabase("server");
  await using proxy = startCuttingProxy(db.options.url);
  const store = await db.open(undefined, { url: proxy.url });
  const fence = await runningJob(store, "w");
  proxy.cutAnswers("UPDATE jobs SET state", 1);
  await store.jobs.finish(fence, COMPLETED, { chunks: [chunkOf(1, ["last"])], partials: {} });
  assert.equal(proxy.cuts, 1);
  assert.deepEqual(await eventKinds(db, fence.jobId), ["submitted", "claimed", "finished"]);
  const stranger = { ...fence, epoch: 2 };
  proxy.cutAnswers("UPDATE jobs SET state", 1);
  await assert.rejects(store.jobs.finish(stranger, COMPLETED, NO_OUTPUT), refusedAs("storage_unreachable"));
});

Deno.test("events of a group whose answer is lost are refused as storage_unreachable, and not stored twice", async () => {
  await using db = await testDatabase("server");
  await using proxy = startCuttingProxy(db.options.url);
  const store = await db.open(undefined, { url: proxy.url });
  const fence = await runningJob(store, "w");
  proxy.cutAnswers("INSERT INTO events", 1);
  const writes = [1, 2, 3].map((data) => store.jobs.recordEvents(fence, [{ kind: "task.x", data }]));
  for (const write of await Promise.allSettled(writes)) {
    assert.ok(write.status === "rejected" && refusedAs("storage_unreachable")(write.reason));
  }
  assert.deepEqual(await eventKinds(db, fence.jobId), ["submitted", "claimed", "task.x", "task.x", "task.x"]);
});

Deno.test("a server that goes away is storage_unreachable, and the same store goes on when it is back", async () => {
  await using db = await testDatabase("server");
  await using directory = await testDatabase("file");
  const path = `${directory.directory}/server`;
  const first = await startSqld(path);
  const store = await db.open(undefined, { url: first.url, display: first.url });
  const { id } = await store.jobs.submit(newJob());
  await first[Symbol.asyncDispose]();
  await assert.rejects(store.jobs.submit(newJob()), refusedAs("storage_unreachable"));
  await assert.rejects(store.jobs.get(id), refusedAs("storage_unreachable"));
  const message = (error: unknown) => error instanceof Error && error.message.includes(first.url);
  await assert.rejects(db.open(undefined, { url: first.url, display: first.url }), message);
  await using _second = await startSqld(path, Number(new URL(first.url).port));
  assert.equal((await store.jobs.get(id)).state, "queued");
  await store.jobs.submit(newJob());
  assert.equal((await store.jobs.count()).queued, 2);
});

Deno.test("a server that takes requests and never answers is storage_unreachable after a while", async () => {
  await using db = await testDatabase("server");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const held: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const conn of listener) held.push(conn);
  })().catch(() => undefined);
  const real = storeHost();
  const waits: number[] = [];
  const sleep: Clock["sleep"] = (ms, signal) => {
    waits.push(ms);
    return real.clock.sleep(20, signal);
  };
  const url = `http://127.0.0.1:${listener.addr.port}`;
  const host = storeHost({ clock: { ...real.clock, sleep } });
  await assert.rejects(db.open(host, { url, display: url }), refusedAs("storage_unreachable"));
  assert.equal(waits.length, 1);
  assert.ok(waits[0]! >= LIMITS.serverAnswerMs && waits[0]! < LIMITS.serverAnswerMs + 1_000, `${waits}`);
  listener.close();
  await accepting;
  for (const conn of held) conn.close();
});

Deno.test("two stores that first open a server's database at once agree on its id", async () => {
  for (let round = 0; round < 5; round++) {
    await using db = await testDatabase("server");
    const stores = await Promise.all(Array.from({ length: 8 }, () => db.open()));
    assert.equal(new Set(stores.map(({ id }) => id)).size, 1);
  }
});
