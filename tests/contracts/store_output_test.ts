/** What jobs leave in the store, byte for byte, and who is told of it; on an embedded file and on a server alike. */
import assert from "node:assert/strict";
import { sha256Hex } from "../../src/core/bytes.ts";
import type { LogLine } from "../../src/core/job.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { decodeFrames } from "../../src/logs/frames.ts";
import { QUEUE_TOPIC } from "../../src/store/jobs.ts";
import type { Sighting } from "../../src/store/lines.ts";
import type { Store } from "../../src/store/store.ts";
import { randomOf } from "../support/random.ts";
import { chunkOf, COMPLETED, newJob, NO_OUTPUT, runningJob } from "../support/store_fixture.ts";
import { onEach, refusedAs } from "../support/store_suite.ts";

const ALL = { chunks: 100, events: 100 };

function linesOf(sighting: Sighting): LogLine[] {
  return sighting.chunks.flatMap((chunk) => decodeFrames(chunk.frames, chunk.firstSeq, chunk.epoch));
}

onEach("lines.after() starts at the chunk that holds the wanted line, for every line", async (db) => {
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const sizes = [1, 4, 2, 1, 7, 3];
  const texts: string[] = [];
  for (const size of sizes) {
    const chunk = Array.from({ length: size }, (_, index) => `line ${texts.length + index + 1}`);
    await store.jobs.recordOutput(fence, { chunks: [chunkOf(texts.length + 1, chunk)], partials: {} });
    texts.push(...chunk);
  }
  assert.equal(await store.lines.lastSeq(fence.jobId), texts.length);
  for (let after = 0; after <= texts.length + 2; after++) {
    const sighting = await store.lines.after(fence.jobId, after, 0, ALL);
    const wanted = linesOf(sighting).filter(({ seq }) => seq > after);
    assert.deepEqual(wanted.map(({ bytes }) => new TextDecoder().decode(bytes)), texts.slice(after));
    assert.ok(
      linesOf(sighting).length - wanted.length < 7,
      "at most the one chunk that is cut begins earlier",
    );
    const page = await store.lines.after(fence.jobId, after, 0, { chunks: 1, events: 1 });
    assert.equal(page.chunks.length, after < texts.length ? 1 : 0);
    if (after < texts.length) {
      assert.ok(page.chunks[0]!.lastSeq > after && page.chunks[0]!.firstSeq <= after + 1);
    }
  }
});

onEach(
  "lines.after() gives state, lines, events and partial lines, and says when there is no job",
  async (db) => {
    const store = await db.open();
    const fence = await runningJob(store, "w");
    const partials = { stdout: new Uint8Array([65]), stderr: new Uint8Array([66, 0]) };
    await store.jobs.recordOutput(fence, { chunks: [chunkOf(1, ["x"])], partials });
    const sighting = await store.lines.after(fence.jobId, 0, 1, ALL);
    assert.deepEqual([sighting.state, sighting.isFinal], ["running", false]);
    assert.deepEqual(sighting.events.map(({ seq, kind }) => [seq, kind]), [[2, "claimed"]]);
    assert.deepEqual(sighting.partials.map(({ stream, bytes }) => [stream, [...bytes]]), [
      ["stderr", [66, 0]],
      ["stdout", [65]],
    ]);
    await store.jobs.finish(fence, COMPLETED, { chunks: [], partials: { stdout: null, stderr: null } });
    assert.equal((await store.lines.after(fence.jobId, 1, 3, ALL)).isFinal, true);
    const nothing = await store.lines.after("nothing", 0, 0, ALL);
    assert.deepEqual([nothing.state, nothing.isFinal, nothing.chunks.length], [null, false, 0]);
  },
);

onEach("a partial line is replaced by its longer self and removed when its stream has none", async (db) => {
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const shown = async () =>
    (await store.lines.partials(fence.jobId)).map(({ stream, bytes, epoch }) =>
      `${stream} ${epoch} ${new TextDecoder().decode(bytes)}`
    );
  const show = (stdout: string | null) =>
    store.jobs.recordOutput(fence, {
      chunks: [],
      partials: { stdout: stdout === null ? null : new TextEncoder().encode(stdout) },
    });
  await show("abc");
  assert.deepEqual(await shown(), ["stdout 1 abc"]);
  await show("abcdef");
  assert.deepEqual(await shown(), ["stdout 1 abcdef"]);
  await show(null);
  await show(null);
  assert.deepEqual(await shown(), []);
});

onEach("storing a chunk a second time, as after a lost answer, changes nothing", async (db) => {
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const captured = { chunks: [chunkOf(1, ["a", "b"]), chunkOf(3, ["c"])], partials: {} };
  await store.jobs.recordOutput(fence, captured);
  await store.jobs.finish(fence, COMPLETED, captured);
  const lines = linesOf(await store.lines.after(fence.jobId, 0, 0, ALL));
  assert.deepEqual(lines.map(({ seq, bytes }) => [seq, new TextDecoder().decode(bytes)]), [
    [1, "a"],
    [2, "b"],
    [3, "c"],
  ]);
});

onEach("a chunk of another attempt is never overwritten", async (db) => {
  const store = await db.open();
  const fence = await runningJob(store, "w");
  await store.jobs.recordOutput(fence, { chunks: [chunkOf(1, ["theirs"])], partials: {} });
  await db.raw().execute("UPDATE lines SET epoch = 9");
  const late = store.jobs.recordOutput(fence, { chunks: [chunkOf(1, ["ours"])], partials: {} });
  await assert.rejects(late, refusedAs("fenced"));
  const [line] = linesOf(await store.lines.after(fence.jobId, 0, 0, ALL));
  assert.equal(new TextDecoder().decode(line?.bytes), "theirs");
});

onEach("bytes of lines survive as they are: NUL, invalid UTF-8, CR, every byte, none at all", async (db) => {
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const every = Uint8Array.from({ length: 256 }, (_, index) => index).filter((byte) => byte !== 10);
  const lines = [
    new Uint8Array([97, 0, 98]),
    new Uint8Array([0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80]),
    new Uint8Array([13]),
    new Uint8Array(0),
    every,
    randomOf(7).bytes(LIMITS.lineBytesMax),
  ];
  await store.jobs.recordOutput(fence, { chunks: [chunkOf(1, lines)], partials: { stderr: every } });
  const sighting = await store.lines.after(fence.jobId, 0, 0, ALL);
  assert.deepEqual(linesOf(sighting).map(({ bytes }) => [...bytes]), lines.map((bytes) => [...bytes]));
  assert.deepEqual([...sighting.partials[0]!.bytes], [...every]);
});

onEach("JSON survives as it is: NUL, lone surrogates, whole numbers at the edge, odd keys", async (db) => {
  const store = await db.open();
  const value = {
    nul: "a\0b",
    surrogate: "\ud800",
    emoji: "\u{1f9ec}",
    separator: "\u2028",
    large: Number.MAX_SAFE_INTEGER,
    small: Number.MIN_SAFE_INTEGER,
    past: 2 ** 53 + 2,
    tiny: 5e-324,
    list: [[], {}, null, true],
    "": 1,
    "a\0b": 2,
  };
  const fence = await runningJob(store, "w", { inputJson: JSON.stringify(value) });
  await store.jobs.recordEvents(fence, [{ kind: "task.odd", data: value }]);
  const failure = { code: "task_failed", message: "a\0b \ud800 c" } as const;
  await store.jobs.finish(fence, { ...COMPLETED, resultJson: JSON.stringify(value), failure }, NO_OUTPUT);
  const job = await store.jobs.get(fence.jobId);
  assert.deepEqual(job.input, value);
  assert.deepEqual(job.result, value);
  assert.deepEqual(job.failure, failure);
  const events = await store.jobs.events(fence.jobId, 2, 1);
  assert.deepEqual(events[0]?.data, value);
});

onEach("numbers of a job survive up to 2^53 - 1", async (db) => {
  const store = await db.open();
  const job = newJob({ outputBytesMax: Number.MAX_SAFE_INTEGER, timeoutMs: Number.MAX_SAFE_INTEGER - 1 });
  await store.jobs.submit(job);
  const stored = await store.jobs.get(job.id);
  assert.equal(stored.outputBytesMax, Number.MAX_SAFE_INTEGER);
  assert.equal(stored.timeoutMs, Number.MAX_SAFE_INTEGER - 1);
});

async function storeArtifact(
  store: Store,
  fence: Parameters<Store["artifacts"]["publish"]>[0],
  name: string,
  bytes: Uint8Array,
) {
  for (let part = 0; part * LIMITS.artifactPartBytes < bytes.length; part++) {
    const start = part * LIMITS.artifactPartBytes;
    await store.artifacts.writePart(
      fence,
      name,
      part,
      bytes.subarray(start, start + LIMITS.artifactPartBytes),
    );
  }
  const sha256 = await sha256Hex(bytes);
  await store.artifacts.publish(fence, { name, sizeBytes: bytes.length, mediaType: "text/plain", sha256 });
}

async function readArtifact(store: Store, jobId: string, name: string) {
  const artifact = await store.artifacts.get(jobId, name);
  const parts: Uint8Array[] = [];
  for await (const part of store.artifacts.parts(artifact)) parts.push(part);
  const bytes = new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
  return { artifact, bytes, parts: parts.length };
}

onEach(
  "an artifact comes back part by part with its size and hash, whether empty, exact or large",
  async (db) => {
    const store = await db.open();
    const fence = await runningJob(store, "w");
    const part = LIMITS.artifactPartBytes;
    const sizes = {
      "empty": 0,
      "one": 1,
      "exact": part,
      "over": part + 1,
      "three/parts.bin": 2 * part + 12_345,
    };
    for (const [name, size] of Object.entries(sizes)) {
      const bytes = new Uint8Array(size).map((_, index) => (index * 31 + size) & 0xff);
      await storeArtifact(store, fence, name, bytes);
      const back = await readArtifact(store, fence.jobId, name);
      assert.equal(back.parts, Math.ceil(size / part), name);
      assert.equal(back.artifact.sizeBytes, size);
      assert.equal(await sha256Hex(back.bytes), back.artifact.sha256, name);
    }
    assert.deepEqual(
      (await store.artifacts.list(fence.jobId)).map(({ name }) => name),
      Object.keys(sizes).sort(),
    );
    const events = await store.jobs.events(fence.jobId, 2, 100);
    assert.deepEqual(
      events.map(({ kind, data }) => [kind, (data as { name: string }).name]),
      Object.keys(sizes).map((name) => ["artifact", name]),
    );
  },
);

onEach("an artifact without a publish is not there, and publishing a name again replaces it", async (db) => {
  const store = await db.open();
  const fence = await runningJob(store, "w");
  await store.artifacts.writePart(fence, "half", 0, new Uint8Array(10));
  await assert.rejects(store.artifacts.get(fence.jobId, "half"), refusedAs("artifact_not_found"));
  await storeArtifact(store, fence, "a", new TextEncoder().encode("first"));
  await storeArtifact(store, fence, "a", new TextEncoder().encode("second"));
  const { bytes } = await readArtifact(store, fence.jobId, "a");
  assert.equal(new TextDecoder().decode(bytes), "second");
  assert.equal((await store.artifacts.list(fence.jobId)).length, 1);
});

onEach("an artifact stays whole while its name is uploaded again, and when that upload fails", async (db) => {
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const part = LIMITS.artifactPartBytes;
  const [first, second, third] = [2 * part + 1, part + 2, 3].map((size, index) =>
    new Uint8Array(size).fill(index + 1)
  );
  const same = async (wanted: Uint8Array) => {
    const { bytes, artifact } = await readArtifact(store, fence.jobId, "a");
    assert.equal(bytes.length, wanted.length);
    assert.equal(await sha256Hex(bytes), await sha256Hex(wanted));
    assert.equal(artifact.sha256, await sha256Hex(wanted));
  };
  await storeArtifact(store, fence, "a", first!);
  const stale = await store.artifacts.get(fence.jobId, "a");
  await store.artifacts.writePart(fence, "a", 0, second!.subarray(0, part));
  await same(first!);
  // That upload is given up here; a shorter one takes the name, and then none of the others is left.
  await storeArtifact(store, fence, "a", third!);
  await same(third!);
  await storeArtifact(store, fence, "a", second!);
  await same(second!);
  const parts = await db.raw().execute("SELECT count(*) AS n FROM artifact_parts");
  assert.equal(Number(parts.rows[0]?.n), 2);
  await assert.rejects(store.artifacts.parts(stale).next(), refusedAs("storage_io"));
  await storeArtifact(store, fence, "a", new Uint8Array(0));
  await same(new Uint8Array(0));
});

onEach("finish() keeps what was published and removes the parts of what was not", async (db) => {
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const other = await runningJob(store, "w");
  await storeArtifact(store, fence, "kept", new Uint8Array([1]));
  for (const name of ["kept", "half"]) await store.artifacts.writePart(fence, name, 0, new Uint8Array([2]));
  await store.artifacts.writePart(other, "half", 0, new Uint8Array([3]));
  await assert.rejects(store.jobs.finish({ ...fence, epoch: 2 }, COMPLETED, NO_OUTPUT), refusedAs("fenced"));
  const count = async () =>
    Number((await db.raw().execute("SELECT count(*) AS n FROM artifact_parts")).rows[0]?.n);
  assert.equal(await count(), 4);
  await store.jobs.finish(fence, COMPLETED, NO_OUTPUT);
  assert.equal(await count(), 2);
  assert.deepEqual([...(await readArtifact(store, fence.jobId, "kept")).bytes], [1]);
});

onEach("changes wake who waits for the topic of a commit of this process", async (db) => {
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const job = store.changes.subscribe(fence.jobId);
  const queue = store.changes.subscribe(QUEUE_TOPIC);
  job.reset();
  queue.reset();
  const [woken] = await Promise.all([job.next(), store.jobs.recordEvents(fence, [{ kind: "x", data: 1 }])]);
  assert.equal(woken, undefined);
  await Promise.all([queue.next(), store.jobs.submit(newJob())]);
  job.close();
  queue.close();
});

onEach(
  "changes wake who waits for a commit of another opening of the database, again and again",
  async (db) => {
    const [watcher, writer] = [await db.open(), await db.open()];
    const fence = await runningJob(writer, "w");
    const subscription = watcher.changes.subscribe(fence.jobId);
    let seen = 0;
    const look = async () => seen = (await watcher.jobs.events(fence.jobId, 0, 1000)).length;
    for (let count = 1; count <= 5; count++) {
      await writer.jobs.recordEvents(fence, [{ kind: "x", data: count }]);
      while (seen < count + 2) {
        subscription.reset();
        await look();
        if (seen < count + 2) await subscription.next();
      }
    }
    subscription.close();
    assert.equal(seen, 7);
  },
);

const DROPPED = {
  exitCode: 0,
  signal: null,
  wallMs: 1,
  cpuMs: null,
  peakMemoryBytes: null,
  lineCount: 0,
  outputBytes: 0,
  droppedLines: 3,
  droppedBytes: 30,
  lastLines: [],
};

onEach(
  "finish() says in its own commit what was dropped, once, also after a retry that came too late",
  async (db) => {
    const store = await db.open();
    const fence = await runningJob(store, "w", { maxAttempts: 2, outputBytesMax: 150 });
    await store.jobs.cancel(fence.jobId, "user", "");
    const failure = { code: "program_failed", message: "" } as const;
    const dropped = { evidence: DROPPED, droppedProgress: 7 };
    const retry = { ...dropped, failure, delayMs: 0, reservedFor: null };
    await store.jobs.retry(fence, retry, NO_OUTPUT);
    const events = await store.jobs.events(fence.jobId, 0, 10);
    assert.deepEqual(events.map(({ kind }) => kind), [
      "submitted",
      "claimed",
      "cancel_requested",
      "output_dropped",
      "progress_dropped",
      "finished",
    ]);
    assert.deepEqual(events[4]!.data, { droppedProgress: 7 });
    assert.deepEqual(events[3]!.data, { droppedLines: 3, droppedBytes: 30, outputBytesMax: 150 });
    await assert.rejects(
      store.jobs.finish(fence, { ...COMPLETED, ...dropped }, NO_OUTPUT),
      refusedAs("fenced"),
    );
    assert.equal((await store.jobs.events(fence.jobId, 0, 10)).length, 6);
  },
);

onEach("finish() adds no words that another has stored since they were read", async (db) => {
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const partials = { stdout: new TextEncoder().encode("half") };
  await store.jobs.recordOutput(fence, { chunks: [chunkOf(1, ["whole"])], partials });
  const { partials: [half], lastSeq } = await store.lines.unfinished(fence.jobId);
  const words = { chunks: [chunkOf(lastSeq + 1, [half!.bytes])], partials: { stdout: null } };
  await store.jobs.recordOutput(fence, { chunks: [chunkOf(2, ["half and more"])], partials: {} });
  await store.jobs.finish(fence, COMPLETED, { ...words, onlyAtEnd: true });
  const sighting = await store.lines.after(fence.jobId, 0, 0, ALL);
  const texts = linesOf(sighting).map(({ bytes }) => new TextDecoder().decode(bytes));
  assert.deepEqual([sighting.state, sighting.partials, texts], ["completed", [], ["whole", "half and more"]]);
});
