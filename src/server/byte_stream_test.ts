import assert from "node:assert/strict";
import { byteStream } from "./byte_stream.ts";

async function* pieces(
  count: number,
  ended: () => void = () => {},
  fault?: Error,
): AsyncGenerator<Uint8Array> {
  try {
    for (let at = 0; at < count; at++) yield new Uint8Array(1000).fill(at);
    if (fault !== undefined) throw fault;
  } finally {
    ended();
  }
}

function unexpected(error: unknown): void {
  throw error;
}

Deno.test("byteStream() gives all bytes in order, a few pieces at a time", async () => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of byteStream(pieces(200), unexpected)) chunks.push(chunk);
  const bytes = chunks.flatMap((chunk) => [...chunk]);
  assert.equal(bytes.length, 200_000);
  assert.ok(bytes.every((byte, at) => byte === Math.floor(at / 1000)));
  assert.ok(chunks.length >= 3 && chunks.length <= 4, `${chunks.length} chunks`);
});

Deno.test("byteStream() takes nothing before it is read, and ends its source when its reader leaves", async () => {
  let begun = false;
  let ended = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    begun = true;
    yield* pieces(1_000, () => ended = true);
  }
  const stream = byteStream(source(), unexpected);
  assert.equal(begun, false);
  const reader = stream.getReader();
  await reader.read();
  assert.deepEqual([begun, ended], [true, false]);
  await reader.cancel();
  assert.equal(ended, true);
});

Deno.test("byteStream() tells nobody of a fault when its reader left while it was read", async () => {
  const told: unknown[] = [];
  const gate = Promise.withResolvers<void>();
  async function* source(): AsyncGenerator<Uint8Array> {
    await gate.promise;
    yield new Uint8Array(1);
  }
  const reader = byteStream(source(), (error) => told.push(error)).getReader();
  const reading = reader.read();
  // One turn of the event loop, so that the source is under way.
  await new Promise((resolve) => setTimeout(resolve, 0));
  const leaving = reader.cancel();
  gate.resolve();
  assert.equal((await reading).done, true);
  await leaving;
  assert.deepEqual(told, []);
});

Deno.test("byteStream() reports a fault of its source and breaks off", async () => {
  const told: unknown[] = [];
  const fault = new Error("no more");
  const stream = byteStream(pieces(100, undefined, fault), (error) => told.push(error));
  await assert.rejects(async () => {
    for await (const _ of stream);
  });
  assert.deepEqual(told, [fault]);
});
