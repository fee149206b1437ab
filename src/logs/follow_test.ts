import assert from "node:assert/strict";
import {
  chunkOf,
  COMPLETED,
  newJob,
  NO_OUTPUT,
  runningJob,
  storeHost,
  testDatabase,
} from "../../tests/support/store_fixture.ts";
import { isGlassboxError } from "../core/errors.ts";
import type { JobEvent, LogLine } from "../core/job.ts";
import type { Store } from "../store/store.ts";
import type { Fence } from "../store/transitions.ts";
import { follow, type FollowOptions, type News } from "./follow.ts";

const ALL: FollowOptions = { afterLine: 0, afterEvent: 0, live: false };
const text = (value: string) => new TextEncoder().encode(value);

interface Seen {
  readonly lines: LogLine[];
  readonly events: JobEvent[];
  readonly partials: string[];
  readonly news: number;
}

async function collect(news: AsyncIterable<News>): Promise<Seen> {
  const seen = { lines: [] as LogLine[], events: [] as JobEvent[], partials: [] as string[], news: 0 };
  for await (const { lines, events, partials } of news) {
    seen.lines.push(...lines);
    seen.events.push(...events);
    for (const { stream, bytes } of partials ?? []) {
      seen.partials.push(`${stream} ${new TextDecoder().decode(bytes)}`);
    }
    seen.news++;
  }
  return seen;
}

function same(a: Seen, b: Seen): void {
  assert.deepEqual(a.lines, b.lines);
  assert.deepEqual(a.events, b.events);
}

/** A job with 30 chunks of 1 to 5 lines and events in between, which takes more than one page to read. */
async function write(store: Store, fence: Fence): Promise<number> {
  let lines = 0;
  for (let chunk = 0; chunk < 30; chunk++) {
    const texts = Array.from({ length: 1 + chunk % 5 }, (_, index) => `chunk ${chunk} line ${index}`);
    const partials = chunk % 3 === 0 ? { stdout: text(`partial ${chunk}`) } : { stdout: null };
    await store.jobs.recordOutput(fence, { chunks: [chunkOf(lines + 1, texts)], partials });
    await store.jobs.recordEvents(fence, [{ kind: "task.chunk", data: chunk }, {
      kind: "task.more",
      data: null,
    }]);
    lines += texts.length;
  }
  await store.jobs.finish(fence, COMPLETED, {
    chunks: [chunkOf(lines + 1, ["last"])],
    partials: { stdout: null },
  });
  return lines + 1;
}

Deno.test("follow() gives live what it gives afterwards, here and from another opening of the database", async () => {
  await using db = await testDatabase("file");
  const [store, other] = [await db.open(), await db.open()];
  const fence = await runningJob(store, "w");
  const watching = [store, other].map((each) => collect(follow(each, fence.jobId, { ...ALL, live: true })));
  const lines = await write(store, fence);
  const [here, there] = await Promise.all(watching);
  const replay = await collect(follow(other, fence.jobId, ALL));
  assert.deepEqual(
    replay.lines.map(({ seq }) => seq),
    Array.from({ length: lines }, (_, index) => index + 1),
  );
  assert.deepEqual(replay.events.map(({ seq }) => seq), replay.events.map((_, index) => index + 1));
  assert.equal(replay.events.length, 2 + 60 + 1);
  same(here!, replay);
  same(there!, replay);
  assert.deepEqual(replay.partials, []);
  assert.ok(here!.news > 1, "it came in more than one piece");
});

Deno.test("follow() resumed after every line and event misses nothing and repeats nothing", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const lines = await write(store, fence);
  const replay = await collect(follow(store, fence.jobId, ALL));
  for (let afterLine = 0; afterLine <= lines + 1; afterLine++) {
    const afterEvent = afterLine % 65;
    const rest = await collect(follow(store, fence.jobId, { afterLine, afterEvent, live: true }));
    assert.deepEqual(rest.lines, replay.lines.slice(afterLine), `after line ${afterLine}`);
    assert.deepEqual(rest.events, replay.events.slice(afterEvent), `after event ${afterEvent}`);
  }
});

Deno.test("follow() that is left and taken up again at every piece gives each line and event once", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const fence = await runningJob(store, "w");
  await write(store, fence);
  const replay = await collect(follow(store, fence.jobId, ALL));
  const seen: Seen = { lines: [], events: [], partials: [], news: 0 };
  for (let isDone = false; !isDone;) {
    const afterLine = seen.lines.at(-1)?.seq ?? 0;
    const afterEvent = seen.events.at(-1)?.seq ?? 0;
    isDone = true;
    for await (const { lines, events } of follow(store, fence.jobId, { afterLine, afterEvent, live: true })) {
      seen.lines.push(...lines);
      seen.events.push(...events);
      isDone = false;
      break;
    }
  }
  same(seen, replay);
});

Deno.test("follow() gives `finished` last, after every line", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const lines = await write(store, fence);
  let seen = 0;
  for await (const news of follow(store, fence.jobId, ALL)) {
    seen += news.lines.length;
    if (news.events.some(({ kind }) => kind === "finished")) assert.equal(seen, lines);
    if (news.partials === null) assert.deepEqual(news.events, []);
  }
  assert.equal(seen, lines);
});

Deno.test("follow() shows unfinished text as it grows, and once each time", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const news = follow(store, fence.jobId, { ...ALL, afterEvent: 2, live: true });
  const shown = async () => {
    const { value } = await news.next();
    return (value as News).partials?.map(({ stream, bytes }) =>
      `${stream} ${new TextDecoder().decode(bytes)}`
    );
  };
  for (const [bytes, wanted] of [["a", ["stdout a"]], ["ab", ["stdout ab"]], [null, []]] as const) {
    const next = shown();
    await store.jobs.recordOutput(fence, {
      chunks: [],
      partials: { stdout: bytes === null ? null : text(bytes) },
    });
    assert.deepEqual(await next, wanted);
  }
  await store.jobs.finish(fence, COMPLETED, NO_OUTPUT);
  assert.deepEqual((await collect(news)).events.map(({ kind }) => kind), ["finished"]);
});

Deno.test("follow() waits for a queued job and ends when it is cancelled", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const job = newJob();
  await store.jobs.submit(job);
  const watching = collect(follow(store, job.id, { ...ALL, live: true }));
  await store.jobs.cancel(job.id, "alice", "");
  assert.deepEqual((await watching).events.map(({ kind }) => kind), ["submitted", "finished"]);
});

Deno.test("follow() that is not live ends with what there is", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const fence = await runningJob(store, "w");
  await store.jobs.recordOutput(fence, { chunks: [chunkOf(1, ["a"])], partials: { stderr: text("b") } });
  const seen = await collect(follow(store, fence.jobId, ALL));
  assert.deepEqual([seen.lines.length, seen.events.length, seen.partials], [1, 2, ["stderr b"]]);
});

Deno.test("follow() ends when its signal aborts, before it begins and while it waits", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const aborted = await collect(
    follow(store, fence.jobId, { ...ALL, live: true, signal: AbortSignal.abort() }),
  );
  assert.equal(aborted.news, 0);
  const abort = new AbortController();
  const news = follow(store, fence.jobId, { ...ALL, live: true, signal: abort.signal });
  assert.equal((await news.next()).done, false);
  const waiting = news.next();
  abort.abort();
  assert.equal((await waiting).done, true);
});

Deno.test("follow() ends with an error when the store is closed under it", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const news = follow(store, fence.jobId, { ...ALL, live: true });
  await news.next();
  const waiting = news.next();
  await store.close();
  await assert.rejects(waiting, (error) => isGlassboxError(error, "shutting_down"));
});

Deno.test("follow() of a job that is not there throws job_not_found", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  await assert.rejects(
    follow(store, "nothing", ALL).next(),
    (error) => isGlassboxError(error, "job_not_found"),
  );
});

Deno.test("follow() looks at the database once for each change, not again and again", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const fence = await runningJob(store, "w");
  let looks = 0;
  const after = store.lines.after.bind(store.lines);
  store.lines.after = (...args) => (looks++, after(...args));
  const watching = collect(follow(store, fence.jobId, { ...ALL, live: true }));
  const { turn } = storeHost().clock;
  for (let count = 0; count < 100; count++) await turn();
  assert.ok(looks <= 3, `${looks} looks at a quiet job`);
  await store.jobs.finish(fence, COMPLETED, NO_OUTPUT);
  await watching;
  assert.ok(looks <= 5, `${looks} looks in all`);
});
