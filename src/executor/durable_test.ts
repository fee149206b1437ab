import assert from "node:assert/strict";
import { LIMITS } from "../core/limits.ts";
import type { Worker } from "../core/job.ts";
import { seededRandom, VirtualClock } from "../platform/memory_clock.ts";
import { Lease } from "./lease.ts";
import { backoffDelayMs } from "./retry.ts";
import { Silence } from "./silence.ts";

Deno.test("backoffDelayMs() doubles with each attempt, within a fifth either way, up to its bound", () => {
  const random = seededRandom(7);
  for (let epoch = 1; epoch <= 40; epoch++) {
    const nominal = Math.min(1_000 * 2 ** (epoch - 1), LIMITS.backoffMsMax);
    for (let round = 0; round < 50; round++) {
      const delayMs = backoffDelayMs(random, 1_000, epoch);
      assert.ok(
        delayMs >= nominal * 0.8 - 1 && delayMs <= nominal * 1.2 + 1,
        `${delayMs} for attempt ${epoch}`,
      );
    }
  }
  const delays = new Set(Array.from({ length: 100 }, () => backoffDelayMs(random, 60_000, 1)));
  assert.ok(delays.size > 50, "what failed together must not come back together");
});

Deno.test("Silence is over only after a whole lease of watching one and the same heartbeat", async () => {
  const clock = new VirtualClock(0);
  const silence = new Silence(clock);
  const worker = (heartbeatSeq: number) => ({ id: "w", heartbeatSeq, leaseMs: 10_000 }) as Worker;
  assert.equal(silence.isOver(worker(5)), false, "nothing was seen yet");
  silence.look([worker(5)]);
  await clock.advance(9_999);
  silence.look([worker(5)]);
  assert.equal(silence.isOver(worker(5)), false);
  silence.look([worker(6)]);
  await clock.advance(10_000);
  assert.equal(silence.isOver(worker(6)), false, "a beat starts the watch anew");
  await clock.advance(1);
  assert.equal(silence.isOver(worker(6)), true);
});

/** A lease whose heartbeats are answered by `answer`, of a worker that asked to be registered so long ago. */
function newLease(answer: () => Promise<boolean>, lateMs = 0) {
  const clock = new VirtualClock(0);
  const lost: { why: string; atMs: number }[] = [];
  const workers = { beat: answer } as unknown as ConstructorParameters<typeof Lease>[1];
  const held = new Lease(
    clock,
    workers,
    "w",
    -lateMs,
    (why) => lost.push({ why, atMs: clock.monotonicMs() }),
  );
  return { clock, lost, held };
}

function lease(answer: () => Promise<boolean>) {
  const made = newLease(answer);
  return { ...made, kept: made.held.keep() };
}

Deno.test("Lease begins at once, or after a heartbeat when the registration was answered late", async () => {
  const beats: string[] = [];
  const answer = (alive: boolean) => () => {
    beats.push("beat");
    return Promise.resolve(alive);
  };
  await newLease(answer(true)).held.begin();
  assert.deepEqual(beats, []);
  const late = newLease(answer(true), LIMITS.leaseMs);
  await late.held.begin();
  assert.deepEqual([beats, late.lost], [["beat"], []]);
  const dead = newLease(answer(false), LIMITS.leaseMs);
  await dead.held.begin();
  assert.match(dead.lost[0]?.why ?? "", /declared dead/);
});

Deno.test("Lease is kept as long as heartbeats are acknowledged", async () => {
  const { clock, lost, held, kept } = lease(() => Promise.resolve(true));
  await clock.advance(10 * LIMITS.leaseMs);
  assert.deepEqual(lost, []);
  held.end();
  await clock.until(kept);
});

Deno.test("Lease is given up before others may take over when heartbeats fail, or hang", async () => {
  for (
    const answer of [() => Promise.reject(new Error("away")), () => new Promise<boolean>(() => undefined)]
  ) {
    const { clock, lost } = lease(answer);
    await clock.advance(2 * LIMITS.leaseMs);
    assert.equal(lost.length, 1);
    assert.ok(lost[0]!.atMs < LIMITS.leaseMs, `given up only after ${lost[0]!.atMs} ms`);
  }
});

Deno.test("Lease is lost at once to whoever declared its worker dead", async () => {
  const { clock, lost } = lease(() => Promise.resolve(false));
  await clock.advance(1);
  assert.match(lost[0]?.why ?? "", /declared dead/);
});
