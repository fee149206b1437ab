/** Output that was kept in files but not stored when its attempt died: on an embedded file and on a server alike. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { concatBytes } from "../../src/core/bytes.ts";
import type { LogLine, StreamName } from "../../src/core/job.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { decodeFrames } from "../../src/logs/frames.ts";
import { Recorder } from "../../src/logs/recorder.ts";
import { replayKept, storedBytes } from "../../src/logs/replay.ts";
import type { Captured } from "../../src/store/jobs.ts";
import type { Store } from "../../src/store/store.ts";
import type { Fence } from "../../src/store/transitions.ts";
import { randomOf } from "../support/random.ts";
import { runningJob, storeHost, type TestDatabase } from "../support/store_fixture.ts";
import { onEach } from "../support/store_suite.ts";

const STREAMS: readonly StreamName[] = ["stdout", "stderr"];
const encode = (text: string) => new TextEncoder().encode(text);

interface Dead {
  readonly store: Store;
  readonly fence: Fence;
  readonly replay: (commit?: (captured: Captured) => Promise<void>) => ReturnType<typeof replayKept>;
  readonly lines: () => Promise<LogLine[]>;
}

/** A running job whose owner stored some of what the files hold. */
async function died(
  db: TestDatabase,
  kept: Partial<Record<StreamName, Uint8Array>>,
  stored: Partial<Record<StreamName, Uint8Array>>,
  outputBytesMax: number = LIMITS.outputBytesDefault,
): Promise<Dead> {
  const host = storeHost();
  const store = await db.open();
  const fence = await runningJob(store, "w");
  const files = { stdout: `${db.directory}/stdout`, stderr: `${db.directory}/stderr` };
  for (const stream of STREAMS) if (kept[stream]) await writeFile(files[stream], kept[stream]);
  const commit = (captured: Captured) => store.jobs.recordOutput(fence, captured);
  await storeSome(commit, stored);
  const { jobId, epoch } = fence;
  return {
    store,
    fence,
    replay: (other = commit) => replayKept(store, host, { jobId, epoch, outputBytesMax, files }, other),
    lines: async () => {
      const lines: LogLine[] = [];
      for (;;) {
        const { chunks } = await store.lines.after(jobId, lines.length, 0, { chunks: 16, events: 0 });
        if (chunks.length === 0) return lines;
        for (const chunk of chunks) lines.push(...decodeFrames(chunk.frames, chunk.firstSeq, chunk.epoch));
      }
    },
  };
}

/** As the owner did it: complete lines only, as text without a newline was never stored as a line. */
async function storeSome(
  commit: (captured: Captured) => Promise<void>,
  stored: Partial<Record<StreamName, Uint8Array>>,
): Promise<void> {
  const recorder = new Recorder({
    clock: storeHost().clock,
    firstSeq: 1,
    outputBytesMax: LIMITS.outputBytesDefault,
    store: commit,
    onFailure: (error) => assert.fail(String(error)),
  });
  for (const stream of STREAMS) if (stored[stream]) await recorder.push(stream, stored[stream]);
  const { chunks } = await recorder.close();
  if (chunks.length > 0) await commit({ chunks, partials: {} });
}

function bytesOf(lines: readonly LogLine[], stream: StreamName): Uint8Array {
  const own = lines.filter((line) => line.stream === stream);
  return concatBytes(own.flatMap(({ bytes, end }) => end === "newline" ? [bytes, encode("\n")] : [bytes]));
}

onEach("replayKept() gives null when there are no files, and when all they hold is stored", async (db) => {
  const dead = await died(db, {}, { stdout: encode("one\n") });
  assert.equal(await dead.replay(), null);
  await writeFile(`${db.directory}/stdout`, "one\n");
  assert.equal(await dead.replay(), null);
  await writeFile(`${db.directory}/stdout`, "one\ntwo");
  assert.deepEqual((await dead.replay())!.totals.lineCount, 1);
});

onEach("replayKept() goes on after the last stored line of each stream", async (db) => {
  const kept = { stdout: encode("a\nb\nc\nrest"), stderr: encode("x\ny") };
  const dead = await died(db, kept, { stdout: encode("a\nb\n") });
  const { last, totals } = (await dead.replay())!;
  await dead.store.jobs.recordOutput(dead.fence, last);
  const lines = await dead.lines();
  assert.deepEqual(lines.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6]);
  for (const stream of STREAMS) assert.deepEqual(bytesOf(lines, stream), kept[stream]);
  assert.deepEqual(lines.map(({ end }) => end).sort(), [
    "eof",
    "eof",
    "newline",
    "newline",
    "newline",
    "newline",
  ]);
  assert.deepEqual([totals.lineCount, totals.droppedLines], [4, 0]);
});

onEach("replayKept() has no commit under way any more when a file cannot be read", async (db) => {
  const dead = await died(db, { stdout: encode("a\nb\n"), stderr: encode("x\n") }, {});
  const begun = Promise.withResolvers<void>(), goOn = Promise.withResolvers<void>();
  const { files, clock } = storeHost();
  const { jobId, epoch } = dead.fence;
  const names = { stdout: `${db.directory}/stdout`, stderr: `${db.directory}/stderr` };
  let isDone = false;
  const replay = replayKept(
    dead.store,
    {
      clock,
      files: {
        ...files,
        info: (path) => files.info(path),
        readPieces: async function* (path, size, from) {
          if (path === names.stdout) return yield* files.readPieces(path, size, from);
          await begun.promise;
          setTimeout(goOn.resolve);
          throw new Error("the disk is broken");
        },
      },
    },
    { jobId, epoch, outputBytesMax: 1000, files: names },
    async (captured) => {
      begun.resolve();
      await goOn.promise;
      await dead.store.jobs.recordOutput(dead.fence, captured);
      isDone = true;
    },
  );
  await assert.rejects(replay, /the disk is broken/);
  assert.equal(isDone, true);
});

onEach("replayKept() may be cut off anywhere and done again", async (db) => {
  const random = randomOf(7);
  const text = Array.from({ length: 200_000 }, (_, n) => `line ${n} ${"x".repeat(random.int(0, 80))}`).join(
    "\n",
  );
  const kept = { stdout: encode(text), stderr: encode("e\n".repeat(1000)) };
  const dead = await died(db, kept, { stdout: kept.stdout.slice(0, kept.stdout.indexOf(10) + 1) });
  let commits = 0;
  const cutOff = dead.replay(async (captured) => {
    if (++commits > 1) throw new Error("cut off");
    await dead.store.jobs.recordOutput(dead.fence, captured);
  });
  await assert.rejects(cutOff, /cut off/);
  const before = (await dead.lines()).length;
  assert.ok(before > 1 && before < 200_000, `${before} lines were stored`);
  const { last } = (await dead.replay())!;
  await dead.store.jobs.recordOutput(dead.fence, last);
  const lines = await dead.lines();
  assert.deepEqual(lines.map(({ seq }) => seq), lines.map((_, index) => index + 1));
  for (const stream of STREAMS) assert.deepEqual(bytesOf(lines, stream), kept[stream]);
  const { jobId, epoch } = dead.fence;
  assert.deepEqual(await storedBytes(dead.store, jobId, epoch), {
    stdout: kept.stdout.length,
    stderr: kept.stderr.length,
  });
});

onEach("replayKept() cuts long lines where the owner would have cut them", async (db) => {
  const long = new Uint8Array(3 * LIMITS.lineBytesMax + 5).fill(97);
  const dead = await died(db, { stdout: long }, {});
  const { last } = (await dead.replay())!;
  await dead.store.jobs.recordOutput(dead.fence, last);
  const shape = (await dead.lines()).map(({ end, bytes }) => [end, bytes.length]);
  const cut = ["cut", LIMITS.lineBytesMax];
  assert.deepEqual(shape, [cut, cut, cut, ["eof", 5]]);
});

onEach(
  "replayKept() keeps to the output bound of the whole attempt, and counts what it drops",
  async (db) => {
    const dead = await died(db, { stdout: encode("12345\n".repeat(10)) }, { stdout: encode("12345\n") }, 20);
    const { last, totals } = (await dead.replay())!;
    await dead.store.jobs.recordOutput(dead.fence, last);
    assert.equal((await dead.lines()).length, 3);
    assert.deepEqual([totals.droppedLines, totals.droppedBytes], [7, 42]);
  },
);
