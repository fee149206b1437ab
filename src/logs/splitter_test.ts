import assert from "node:assert/strict";
import type { LineEnd } from "../core/job.ts";
import { randomOf, type SeededRandom, seededRandom } from "../../tests/support/random.ts";
import { Splitter } from "./splitter.ts";

interface SplitLine {
  readonly bytes: Uint8Array;
  readonly end: LineEnd;
}

const text = (value: string) => new TextEncoder().encode(value);
const show = (lines: SplitLine[]) =>
  lines.map(({ bytes, end }) => `${new TextDecoder().decode(bytes)}|${end}`);

/** What a splitter gives for pieces, with the line that the end of the stream leaves. */
function split(pieces: readonly Uint8Array[], lineBytesMax: number): SplitLine[] {
  const splitter = new Splitter(lineBytesMax);
  const lines = pieces.flatMap((piece) => linesOf(splitter, piece));
  lines.push(...linesOf(splitter, null));
  assert.equal(splitter.partialBytes, 0);
  assert.deepEqual(linesOf(splitter, null), []);
  return lines;
}

/** Copies of the lines that a piece completes, or of what the stream's end does; the piece is spoilt at once. */
function linesOf(splitter: Splitter, piece: Uint8Array | null): SplitLine[] {
  const lines: SplitLine[] = [];
  const take = (bytes: Uint8Array, end: LineEnd) => void lines.push({ bytes: bytes.slice(), end });
  if (piece === null) splitter.end(take);
  else {
    const borrowed = piece.slice();
    splitter.push(borrowed, take);
    borrowed.fill(63);
  }
  return lines;
}

/** The bytes that went in, put together from the lines again. */
function joined(lines: readonly SplitLine[]): Uint8Array {
  const parts = lines.flatMap(({ bytes, end }) => end === "newline" ? [...bytes, 10] : [...bytes]);
  return Uint8Array.from(parts);
}

/** The same by a second, plainer way: byte for byte. */
function plainSplit(bytes: Uint8Array, lineBytesMax: number): SplitLine[] {
  const lines: SplitLine[] = [];
  let line: number[] = [];
  const give = (end: SplitLine["end"]) => {
    lines.push({ bytes: Uint8Array.from(line), end });
    line = [];
  };
  for (const byte of bytes) {
    if (byte === 10) give("newline");
    else {
      if (line.length === lineBytesMax) give("cut");
      line.push(byte);
    }
  }
  if (line.length > 0) give("eof");
  return lines;
}

function chopped(bytes: Uint8Array, random: SeededRandom): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = random.int(0, random.pick([1, 3, 20, 200]));
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

Deno.test("push() gives complete lines and keeps the rest as the partial line", () => {
  const splitter = new Splitter(100);
  assert.deepEqual(show(linesOf(splitter, text("one\ntw"))), ["one|newline"]);
  assert.deepEqual([new TextDecoder().decode(splitter.partial), splitter.partialBytes], ["tw", 2]);
  assert.deepEqual(show(linesOf(splitter, text("o"))), []);
  assert.equal(new TextDecoder().decode(splitter.partial), "two");
  assert.deepEqual(show(linesOf(splitter, text("\n\n\r\nx"))), ["two|newline", "|newline", "\r|newline"]);
  assert.deepEqual(show(linesOf(splitter, null)), ["x|eof"]);
  assert.equal(splitter.partial.length, 0);
});

Deno.test("a line of one byte below the bound and of the bound is whole, one above is cut at the bound", () => {
  const max = 8;
  const cases: Record<number, string[]> = {
    7: ["xxxxxxx|newline"],
    8: ["xxxxxxxx|newline"],
    9: ["xxxxxxxx|cut", "x|newline"],
    16: ["xxxxxxxx|cut", "xxxxxxxx|newline"],
    17: ["xxxxxxxx|cut", "xxxxxxxx|cut", "x|newline"],
  };
  for (const [length, wanted] of Object.entries(cases)) {
    const line = text("x".repeat(Number(length)));
    for (let cut = 0; cut <= line.length; cut++) {
      const pieces = [line.subarray(0, cut), line.subarray(cut), text("\n")];
      assert.deepEqual(show(split(pieces, max)), wanted, `${length} bytes, read as ${cut} and the rest`);
      const atEnd = wanted.map((each) => each.replace("newline", "eof"));
      assert.deepEqual(show(split(pieces.slice(0, 2), max)), atEnd, `${length} bytes without a newline`);
    }
  }
});

Deno.test("1,000 random streams give the same lines however they are chopped, and all their bytes", () => {
  const run = seededRandom("splitter");
  for (let stream = 0; stream < 1_000; stream++) {
    const seed = run.int(0, 2 ** 32 - 1);
    const random = randomOf(seed);
    const alphabet = random.pick([
      [10, 65],
      [10, 13, 0, 255],
      Array.from({ length: 256 }, (_, byte) => byte),
    ]);
    const bytes = Uint8Array.from({ length: random.int(0, 600) }, () => random.pick(alphabet));
    const lineBytesMax = random.pick([1, 2, 7, 64, 1_000]);
    const lines = split(chopped(bytes, random), lineBytesMax);
    const what = `stream of seed ${seed}`;
    assert.deepEqual(joined(lines), bytes, what);
    assert.deepEqual(lines, plainSplit(bytes, lineBytesMax), what);
    assert.deepEqual(split(chopped(bytes, random), lineBytesMax), lines, what);
  }
});
