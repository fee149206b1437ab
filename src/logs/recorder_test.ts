import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { randomOf, seededRandom } from "../../tests/support/random.ts";
import type { Clock } from "../core/host.ts";
import type { LogLine, StreamName } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import type { Captured } from "../store/jobs.ts";
import { decodeFrames } from "./frames.ts";
import { Recorder, type RecorderOptions } from "./recorder.ts";

const text = (value: string) => new TextEncoder().encode(value);
const nextTurn = () => new Promise<void>((resolve) => void setImmediate(resolve));

/** A clock whose pauses are one turn of the event loop each. */
const clock: Clock = { nowMs: () => 1_000, monotonicMs: () => 0, turn: nextTurn, sleep: nextTurn };

function linesOf(captured: readonly Captured[]): LogLine[] {
  const chunks = captured.flatMap(({ chunks }) => chunks);
  for (const chunk of chunks) {
    const decoded = decodeFrames(chunk.frames, chunk.firstSeq, 1);
    assert.equal(decoded.at(-1)?.seq, chunk.lastSeq, "a chunk's numbers are those of its lines");
    assert.ok(chunk.frames.length <= LIMITS.chunkBytesMax || decoded.length === 1, "chunks are bounded");
  }
  return chunks.flatMap((chunk) => decodeFrames(chunk.frames, chunk.firstSeq, 1));
}

const show = (lines: readonly LogLine[]) =>
  lines.map(({ seq, stream, end, bytes }) => `${seq} ${stream} ${new TextDecoder().decode(bytes)} ${end}`);

/** A recorder that stores into `stored`; `store` may be replaced to wait or to fail. */
function rig(options: Partial<RecorderOptions> = {}) {
  const stored: Captured[] = [];
  const failures: unknown[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const recorder = new Recorder({
    clock,
    firstSeq: 1,
    outputBytesMax: 1_000_000_000,
    onFailure: (error) => failures.push(error),
    ...options,
    store: async (captured) => {
      await options.store?.(captured);
      const chunks = captured.chunks.map((chunk) => ({ ...chunk, frames: chunk.frames.slice() }));
      stored.push({ ...captured, chunks });
      for (const { count, resolve } of waiting) if (stored.length >= count) resolve();
    },
  });
  /** Resolves when `count` commits were made. */
  const commits = (count: number) =>
    new Promise<void>((resolve) => stored.length >= count ? resolve() : waiting.push({ count, resolve }));
  return { recorder, stored, failures, commits };
}

Deno.test("lines are numbered from the first number on, in the order in which they are completed", async () => {
  const { recorder, stored } = rig({ firstSeq: 42 });
  await recorder.push("stdout", text("a\nb"));
  await recorder.push("stderr", text("c\n"));
  await recorder.push("stdout", text("d\nlast"));
  await recorder.push("stderr", text("words"));
  const last = await recorder.close();
  assert.deepEqual(show(linesOf([...stored, last])), [
    "42 stdout a newline",
    "43 stderr c newline",
    "44 stdout bd newline",
    "45 stdout last eof",
    "46 stderr words eof",
  ]);
  const { lastLines, ...totals } = recorder.totals;
  assert.deepEqual(totals, { lineCount: 5, outputBytes: 16, droppedLines: 0, droppedBytes: 0 });
  assert.deepEqual(lastLines, ["a", "c", "bd", "last", "words"]);
});

Deno.test("what was captured is committed at once after a quiet time, without waiting for company", async () => {
  let sleeps = 0;
  const counting: Clock = { ...clock, sleep: () => (sleeps++, nextTurn()) };
  const { recorder, stored, commits } = rig({ clock: counting });
  await recorder.push("stdout", text("now\n"));
  await commits(1);
  assert.equal(sleeps, 0);
  assert.deepEqual(show(linesOf(stored)), ["1 stdout now newline"]);
  await recorder.close();
});

Deno.test("a push at whatever moment of the end of the last commit is committed by itself", async () => {
  for (let delay = 0; delay < 30; delay++) {
    // Everything of this clock takes microtasks only, so that every one of them can be hit.
    const quick: Clock = { ...clock, turn: () => Promise.resolve(), sleep: () => Promise.resolve() };
    const { recorder, stored } = rig({ clock: quick });
    await recorder.push("stdout", text("first\n"));
    for (let turn = 0; turn < delay; turn++) await Promise.resolve();
    await recorder.push("stdout", text("second\n"));
    await nextTurn();
    assert.equal(linesOf(stored).length, 2, `after ${delay} microtasks`);
    await recorder.close();
  }
});

Deno.test("200 random pairs of streams keep all bytes of each, numbered without gaps", async () => {
  const run = seededRandom("recorder");
  for (let round = 0; round < 200; round++) {
    const seed = run.int(0, 2 ** 32 - 1);
    const random = randomOf(seed);
    const { recorder, stored } = rig({ firstSeq: 7 });
    const wanted: Record<StreamName, number[]> = { stdout: [], stderr: [] };
    for (let push = random.int(0, 30); push > 0; push--) {
      const stream = random.pick(["stdout", "stderr"] as const);
      const bytes = Uint8Array.from({ length: random.int(0, 40) }, () => random.pick([10, 0, 65, 255]));
      wanted[stream].push(...bytes);
      await recorder.push(stream, bytes);
      if (random.next() < 0.3) await nextTurn();
    }
    const lines = linesOf([...stored, await recorder.close()]);
    const what = `streams of seed ${seed}`;
    assert.deepEqual(lines.map(({ seq }) => seq), lines.map((_, index) => 7 + index), what);
    for (const stream of ["stdout", "stderr"] as const) {
      const own = lines.filter((line) => line.stream === stream);
      const bytes = own.flatMap(({ bytes, end }) => end === "newline" ? [...bytes, 10] : [...bytes]);
      assert.deepEqual(bytes, wanted[stream], what);
    }
  }
});

Deno.test("chunks are filled up to their bound and not above it", async () => {
  const { recorder, stored } = rig();
  const line = new Uint8Array(LIMITS.lineBytesMax + 1).fill(65);
  line[LIMITS.lineBytesMax] = 10;
  for (let count = 0; count < 20; count++) await recorder.push("stdout", line);
  await recorder.push("stdout", text("x\n".repeat(50_000)));
  const captured = [...stored, await recorder.close()];
  assert.equal(linesOf(captured).length, 50_020);
});

Deno.test("a flood is recorded in the same few places again and again, but none that may still be looked at", async () => {
  const places = new Set<ArrayBufferLike>();
  let chunkCount = 0;
  let gate: PromiseWithResolvers<void> | null = null;
  const { recorder } = rig({
    store: async ({ chunks }) => {
      for (const { frames } of chunks) places.add(frames.buffer);
      chunkCount += chunks.length;
      await gate?.promise;
    },
  });
  const flood = async (times: number, byte: number) => {
    for (let count = 0; count < times; count++) {
      await recorder.push("stdout", new Uint8Array(8 * LIMITS.lineBytesMax).fill(byte));
    }
  };
  await flood(50, 65);
  assert.ok(places.size < chunkCount / 2, `${places.size} places for ${chunkCount} chunks`);
  gate = Promise.withResolvers();
  await flood(1, 66);
  for (const before = chunkCount; chunkCount === before;) await nextTurn();
  await flood(1, 67);
  const last = recorder.end();
  const before = last.chunks.map(({ frames }) => frames.slice());
  gate.resolve();
  await nextTurn();
  await flood(1, 68);
  assert.ok(before.length > 1);
  const isUnchanged = last.chunks.every(({ frames }, index) =>
    frames.every((byte, at) => byte === before[index]![at])
  );
  assert.ok(isUnchanged, "what the end gave was written over");
});

for (const difference of [1, 0, -1]) {
  Deno.test(`output of ${-difference} bytes above its bound is ${difference < 0 ? "dropped and counted" : "kept"}`, async () => {
    for (const lastLine of ["9\n", "89"]) {
      const output = `123\n567\n${lastLine}`;
      const { recorder, stored } = rig({ outputBytesMax: output.length + difference });
      await recorder.push("stdout", text(output));
      const lines = linesOf([...stored, await recorder.close()]);
      assert.equal(lines.length, difference < 0 ? 2 : 3, JSON.stringify(lastLine));
      const { lineCount, outputBytes, droppedLines, droppedBytes } = recorder.totals;
      assert.deepEqual(
        [lineCount, outputBytes, droppedLines, droppedBytes],
        difference < 0 ? [2, 8, 1, 2] : [3, 10, 0, 0],
      );
    }
  });
}

Deno.test("after the first line that was dropped all are, though they would fit, and both streams count", async () => {
  const { recorder, stored } = rig({ outputBytesMax: 10 });
  await recorder.push("stdout", text("abc\n"));
  await recorder.push("stderr", text("much too long\n"));
  await recorder.push("stdout", text("d\n"));
  await recorder.push("stdout", text("e"));
  const last = await recorder.close();
  assert.deepEqual(show(linesOf([...stored, last])), ["1 stdout abc newline"]);
  const { droppedLines, droppedBytes } = recorder.totals;
  assert.deepEqual([droppedLines, droppedBytes], [3, 17]);
});

Deno.test("unfinished text is shown, grows, and goes when its line is complete", async () => {
  const { recorder, stored, commits } = rig();
  const shown = (captured: Captured) =>
    Object.entries(captured.partials).map(([stream, bytes]) =>
      `${stream} ${bytes === null ? "none" : new TextDecoder().decode(bytes)}`
    );
  await recorder.push("stdout", text("wor"));
  await commits(1);
  assert.deepEqual(shown(stored[0]!), ["stdout wor"]);
  await recorder.push("stdout", text("king"));
  await recorder.push("stderr", text("?"));
  await commits(2);
  assert.deepEqual(shown(stored[1]!), ["stdout working", "stderr ?"]);
  await recorder.push("stdout", text("\n"));
  await commits(3);
  assert.deepEqual(shown(stored[2]!), ["stdout none"]);
  assert.deepEqual(show(linesOf(stored)), ["1 stdout working newline"]);
  await recorder.push("stdout", text("no partial line\n"));
  await commits(4);
  assert.deepEqual(shown(stored[3]!), []);
  const last = await recorder.close();
  assert.deepEqual(shown(last), ["stderr none"]);
  assert.deepEqual(show(linesOf([last])), ["3 stderr ? eof"]);
});

Deno.test("unfinished text above the bound of the output is not shown, as it is to be dropped", async () => {
  const { recorder, stored, commits } = rig({ outputBytesMax: 5 });
  await recorder.push("stdout", text("12345"));
  await commits(1);
  await recorder.push("stdout", text("6"));
  await commits(2);
  const last = await recorder.close();
  assert.deepEqual(stored.map(({ partials }) => partials.stdout?.length ?? null), [5, null]);
  assert.deepEqual(linesOf([...stored, last]), []);
  assert.equal(recorder.totals.droppedBytes, 6);
});

Deno.test("push() waits while more than the bound waits for its commit, and goes on after it", async () => {
  const gate = Promise.withResolvers<void>();
  const { recorder, stored, commits } = rig({ store: () => gate.promise });
  const piece = text(`${"x".repeat(63)}\n`.repeat(1024));
  let pushed = 0;
  let isWaiting = false;
  const pushing = (async () => {
    for (; pushed < 200; pushed++) {
      isWaiting = true;
      await recorder.push("stdout", piece);
      isWaiting = false;
    }
  })();
  for (let turn = 0; turn < 300; turn++) await nextTurn();
  assert.equal(isWaiting, true);
  const waitingBytes = pushed * piece.length;
  assert.ok(waitingBytes > LIMITS.captureBytesMax / 2, `${waitingBytes} bytes were taken`);
  assert.ok(
    waitingBytes < 2 * LIMITS.captureBytesMax + piece.length,
    `only ${waitingBytes} bytes were taken`,
  );
  assert.equal(stored.length, 0);
  gate.resolve();
  await pushing;
  await commits(2);
  const lines = linesOf([...stored, await recorder.close()]);
  assert.equal(lines.length, 200 * 1024);
  assert.deepEqual(lines.at(-1)?.seq, 200 * 1024);
});

Deno.test("a commit that fails is told once; nothing hangs, is lost silently, or leaves a hole", async () => {
  const gate = Promise.withResolvers<void>();
  let isBroken = false;
  const { recorder, stored, failures, commits } = rig({
    store: async () => {
      if (!isBroken) return;
      await gate.promise;
      throw new Error("disk full");
    },
  });
  await recorder.push("stdout", text("stored\npartial"));
  await commits(1);
  isBroken = true;
  await recorder.push("stdout", text(" line\nunstored\n"));
  await nextTurn();
  await nextTurn();
  const flood = text("waiting\n".repeat(300_000));
  const waiting = [recorder.push("stdout", flood), recorder.push("stderr", flood)];
  gate.resolve();
  await Promise.all(waiting);
  await recorder.push("stdout", text("after\nend"));
  const last = await recorder.close();
  await recorder.close();
  assert.equal(failures.length, 1);
  assert.deepEqual(show(linesOf(stored)), ["1 stdout stored newline"]);
  const lines = linesOf([...stored, last]);
  assert.deepEqual(show(lines.slice(1, 4)), [
    "2 stdout partial line newline",
    "3 stdout unstored newline",
    "4 stdout waiting newline",
  ]);
  assert.equal(lines.length, 600_003);
  assert.deepEqual(lines.map(({ seq }) => seq), lines.map((_, index) => index + 1));
  assert.deepEqual(last.partials, { stdout: null, stderr: null });
  const { lineCount, droppedLines, droppedBytes } = recorder.totals;
  assert.deepEqual([lineCount, droppedLines, droppedBytes], [600_003, 2, 9]);
});

Deno.test("totals show the last ten lines, escaped and cut to 200 characters", async () => {
  const { recorder } = rig();
  for (let count = 1; count <= 300; count++) await recorder.push("stdout", text(`line ${count}\n`));
  await recorder.push("stderr", text(`\x1b[2J\t${"y".repeat(300)}\n`));
  await recorder.push("stderr", new Uint8Array([0xff, 10]));
  await recorder.close();
  const { lastLines } = recorder.totals;
  assert.equal(lastLines.length, LIMITS.lastLinesKept);
  assert.deepEqual(lastLines.slice(0, 2), ["line 293", "line 294"]);
  assert.ok(lastLines[8]!.startsWith("\\x1b[2J\tyyy") && lastLines[8]!.length === 200);
  assert.equal(lastLines[9], "\ufffd");
});
