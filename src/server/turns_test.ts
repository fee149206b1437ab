import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import type { Clock } from "../core/host.ts";
import { Turns } from "./turns.ts";

/** A clock that counts the turns and rests it was asked for. */
function countingClock() {
  const count = { turns: 0, rests: 0 };
  const next = () => new Promise<void>((resolve) => void setImmediate(resolve));
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    turn: () => (count.turns++, next()),
    sleep: () => (count.rests++, next()),
  };
  return { clock, count };
}

Deno.test("Turns.take() of little waits for nothing", async () => {
  const { clock, count } = countingClock();
  const turns = new Turns(clock);
  for (let each = 0; each < 100; each++) await turns.take(1);
  assert.deepEqual(count, { turns: 0, rests: 0 });
});

Deno.test("Turns.take() gives each a turn after the others, and the process a rest after some", async () => {
  const { clock, count } = countingClock();
  const turns = new Turns(clock);
  const order: string[] = [];
  const tell = async (name: string) => {
    for (let each = 0; each < 10; each++) {
      await turns.take(500);
      order.push(name);
    }
  };
  await Promise.all([tell("a"), tell("b"), tell("c")]);
  assert.equal(order.join(""), "abc".repeat(10));
  assert.equal(count.turns, 29);
  assert.equal(count.rests, 5);
});
