import assert from "node:assert/strict";
import { VirtualClock } from "../platform/memory_clock.ts";
import { sleepAwake } from "./wake.ts";

Deno.test("sleepAwake() hears of what came while the process stood still, before its time is over", async () => {
  const done = new AbortController();
  const slept: number[] = [];
  // As after a stop that outlasts all timers: each is over at once, and what came is heard of a turn later.
  const stalled = {
    sleep: (ms: number) => Promise.resolve(void slept.push(ms)),
    turn: () => Promise.resolve(done.abort()),
  };
  await sleepAwake(Object.assign(new VirtualClock(0), stalled), 200, done.signal);
  assert.deepEqual(slept, [20]);
});

Deno.test("sleepAwake() sleeps all of its time when nothing comes", async () => {
  const clock = new VirtualClock(0);
  const slept = sleepAwake(clock, 200, new AbortController().signal).then(() => clock.monotonicMs());
  assert.equal(await clock.until(slept), 200);
});
