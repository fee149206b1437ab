import assert from "node:assert/strict";
import { randomOf, seededRandom } from "../../tests/support/random.ts";
import { decodeFrames, encodeFrames, framedBytes, type NewLine } from "./frames.ts";

Deno.test("decodeFrames() gives back what encodeFrames() was given, for 200 random chunks", () => {
  const run = seededRandom("frames");
  for (let chunk = 0; chunk < 200; chunk++) {
    const seed = run.int(0, 2 ** 32 - 1);
    const random = randomOf(seed);
    const firstSeq = random.pick([1, 42, 2 ** 40]);
    const lines: NewLine[] = Array.from({ length: random.int(0, 40) }, (_, index) => ({
      seq: firstSeq + index,
      stream: random.pick(["stdout", "stderr"]),
      end: random.pick(["newline", "cut", "eof"]),
      atMs: random.pick([0, -1, 1_700_000_000_000.25, 8.64e15]),
      bytes: random.bytes(random.int(0, 300)),
    }));
    const frames = encodeFrames(lines);
    assert.equal(frames.length, lines.reduce((sum, line) => sum + framedBytes(line), 0));
    const wanted = lines.map((line) => ({ ...line, epoch: 3 }));
    assert.deepEqual(decodeFrames(frames, firstSeq, 3), wanted, `chunk of seed ${seed}`);
    const shifted = new Uint8Array([9, 9, 9, ...frames]).subarray(3);
    assert.deepEqual(decodeFrames(shifted, firstSeq, 3), wanted, "also inside a larger buffer");
  }
});

Deno.test("the layout of a chunk stays what stored chunks have", () => {
  const bytes = new Uint8Array([0xff, 0]);
  const frames = encodeFrames([{ seq: 1, stream: "stderr", end: "eof", atMs: 1, bytes }]);
  assert.deepEqual([...frames], [0b101, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0xff, 0]);
});

Deno.test("decodeFrames() of a chunk cut short inside a header throws instead of making lines up", () => {
  const frames = encodeFrames([{
    seq: 1,
    stream: "stdout",
    end: "newline",
    atMs: 1,
    bytes: new Uint8Array(5),
  }]);
  assert.throws(() => decodeFrames(frames.subarray(0, 4), 1, 1), RangeError);
});
