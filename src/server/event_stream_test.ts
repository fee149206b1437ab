import assert from "node:assert/strict";
import type { Clock } from "../core/host.ts";
import { EventStream, formatEvent } from "./event_stream.ts";
import { formatPosition, parsePosition, type Told } from "./watch.ts";
import { Watchers } from "./watchers.ts";

/** A clock whose sleeps end when the test says so. */
class ManualClock implements Clock {
  #sleepers: (() => void)[] = [];

  nowMs = () => 0;
  monotonicMs = () => 0;
  turn = () => Promise.resolve();

  sleep(_ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#sleepers.push(resolve);
      signal?.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  /** Lets everything come to rest first, so that who wants to read already waits. */
  async wake(): Promise<void> {
    await rest();
    for (const wake of this.#sleepers.splice(0)) wake();
    await rest();
  }
}

/** One turn of the event loop: all that can go on without anything from outside has gone on. */
function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function line(seq: number): Told {
  return {
    message: { type: "line", seq, epoch: 1, stream: "stdout", atMs: 5, end: "newline", text: `l${seq}` },
    position: { line: seq, event: 2 },
  };
}

function setUp(news: AsyncGenerator<Iterable<Told>>) {
  const clock = new ManualClock();
  const watchers = new Watchers(clock);
  const told: unknown[] = [];
  const stream = new EventStream(news, watchers.enter(), clock, (error) => told.push(error));
  return {
    watchers,
    clock,
    told,
    stream,
    reader: stream.body.pipeThrough(new TextDecoderStream()).getReader(),
  };
}

Deno.test("formatEvent() gives lines an id to resume after, and unfinished text none", () => {
  assert.match(formatEvent(line(41)), /^id: L41\.E2\nevent: line\ndata: \{[^\n]*"text":"l41"\}\n\n$/);
  const end: Told = { message: { type: "end", state: "failed", reason: "final" }, position: null };
  assert.equal(formatEvent(end), 'event: end\ndata: {"type":"end","state":"failed","reason":"final"}\n\n');
});

Deno.test("parsePosition() reads what formatPosition() wrote and nothing else", () => {
  const position = { line: 41, event: 9 };
  assert.deepEqual(parsePosition(formatPosition(position)), position);
  for (
    const text of [
      "",
      "L41",
      "41",
      "L.E",
      "L1.E",
      "l1.e1",
      "L1.E1\n",
      " L1.E1",
      "L1e3.E1",
      `L${"9".repeat(16)}.E1`,
    ]
  ) {
    assert.throws(() => parsePosition(text), /Cannot resume after/, text);
  }
});

Deno.test("EventStream ends its place and its source when all is told", async () => {
  async function* news() {
    yield [line(1), line(2)];
    yield [line(3)];
  }
  const { watchers, reader, told } = setUp(news());
  let text = "";
  for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value;
  assert.deepEqual([...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id), ["L1.E2", "L2.E2", "L3.E2"]);
  assert.equal(watchers.count, 0);
  assert.deepEqual(told, []);
});

Deno.test("EventStream sends a comment while it waits, and keeps a watcher that reads it", async () => {
  const gate = Promise.withResolvers<void>();
  async function* news() {
    yield [line(1)];
    await gate.promise;
    yield [line(2)];
  }
  const { watchers, clock, reader } = setUp(news());
  assert.match((await reader.read()).value ?? "", /L1\.E2/);
  for (let beat = 0; beat < 5; beat++) {
    const reading = reader.read();
    await clock.wake();
    assert.equal((await reading).value, ": \n\n");
  }
  assert.equal(watchers.count, 1);
  gate.resolve();
  assert.match((await reader.read()).value ?? "", /L2\.E2/);
  await reader.cancel();
});

Deno.test("EventStream reports no fault when its watcher left while it waited", async () => {
  const gate = Promise.withResolvers<void>();
  let ended = false;
  async function* news() {
    try {
      await gate.promise;
      yield [line(1)];
    } finally {
      ended = true;
    }
  }
  const { watchers, told, stream, reader } = setUp(news());
  const reading = reader.read();
  await rest();
  stream.close();
  void reader.cancel();
  gate.resolve();
  await reading;
  await rest();
  assert.deepEqual([told, ended, watchers.count], [[], true, 0]);
});

Deno.test("EventStream reports a fault of its source, and breaks off", async () => {
  const fault = new Error("cannot read");
  // deno-lint-ignore require-yield
  async function* news(): AsyncGenerator<Iterable<Told>> {
    await Promise.resolve();
    throw fault;
  }
  const { watchers, told, reader } = setUp(news());
  await assert.rejects(reader.read());
  assert.deepEqual([told, watchers.count], [[fault], 0]);
});
