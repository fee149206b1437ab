import assert from "node:assert/strict";
import type { Clock } from "../core/host.ts";
import { Changes, type Subscription } from "./changes.ts";

/** A clock whose sleepers wait for `tick`. */
function manualClock() {
  const sleepers: (() => void)[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    turn: () => Promise.resolve(),
    sleep: (_ms, signal) =>
      new Promise((resolve) => {
        sleepers.push(resolve);
        signal?.addEventListener("abort", () => resolve());
      }),
  };
  return { clock, sleepers, tick: () => sleepers.splice(0).forEach((wake) => wake()) };
}

/** Lets everything run that waits for nothing but its turn. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

function watch(subscription: Subscription, signal?: AbortSignal): { woken: boolean } {
  const state = { woken: false };
  void subscription.next(signal).then(() => state.woken = true);
  return state;
}

Deno.test("notify() wakes the topic's subscribers at once, and no others", async () => {
  const { clock } = manualClock();
  const changes = new Changes(clock, () => Promise.resolve(1));
  const [a, b] = [changes.subscribe("a"), changes.subscribe("b")];
  watch(a);
  await settle();
  a.reset();
  b.reset();
  const [waitA, waitB] = [watch(a), watch(b)];
  await settle();
  a.reset();
  b.reset();
  const [again, other] = [watch(a), watch(b)];
  changes.notify(["a"]);
  await settle();
  assert.deepEqual([waitA.woken, waitB.woken, again.woken, other.woken], [true, true, true, false]);
  changes.close();
});

Deno.test("next() resolves at once when a change came since reset()", async () => {
  const { clock } = manualClock();
  const changes = new Changes(clock, () => Promise.resolve(1));
  const subscription = changes.subscribe("a");
  subscription.reset();
  changes.notify(["a"]);
  const wait = watch(subscription);
  await settle();
  assert.equal(wait.woken, true);
  changes.close();
});

Deno.test("a foreign commit between a look and the wait after it is not missed", async () => {
  const { clock, tick } = manualClock();
  let version = 1;
  const changes = new Changes(clock, () => Promise.resolve(version));
  const subscription = changes.subscribe("a");
  subscription.reset();
  watch(subscription);
  await settle();
  subscription.reset();
  watch(subscription);
  tick();
  await settle();
  changes.notify(["a"]);
  await settle();
  tick();
  await settle();
  // Nobody waits and nobody polls now; the subscriber looks, and then the foreign commit comes.
  subscription.reset();
  version = 2;
  const wait = watch(subscription);
  await settle();
  assert.equal(wait.woken, true);
  changes.close();
});

Deno.test("polling goes on for a wait that begins while the last poll is ending", async () => {
  // Every number of microtasks between the wake and the next wait, as one of them hits the moment of the end.
  for (let delay = 0; delay < 30; delay++) {
    const { clock, tick } = manualClock();
    let version = 1;
    const changes = new Changes(clock, () => Promise.resolve(version));
    const subscription = changes.subscribe("a");
    watch(subscription);
    subscription.reset();
    watch(subscription);
    await settle();
    subscription.reset();
    const busy = watch(subscription);
    changes.notify(["a"]);
    await settle();
    assert.equal(busy.woken, true);
    tick();
    for (let turn = 0; turn < delay; turn++) await Promise.resolve();
    subscription.reset();
    const wait = watch(subscription);
    await settle();
    version = 2;
    tick();
    await settle();
    assert.equal(wait.woken, true, `after ${delay} microtasks`);
    changes.close();
  }
});

Deno.test("a server, which has no version, is looked at again after every pause", async () => {
  const { clock, sleepers, tick } = manualClock();
  const changes = new Changes(clock, () => Promise.resolve(null));
  const subscription = changes.subscribe("a");
  for (let round = 0; round < 3; round++) {
    subscription.reset();
    const wait = watch(subscription);
    await settle();
    if (!wait.woken) tick();
    await settle();
    assert.equal(wait.woken, true, `round ${round}`);
  }
  subscription.reset();
  const wait = watch(subscription);
  await settle();
  assert.equal(wait.woken, false, "and not without one");
  assert.equal(sleepers.length, 1);
  changes.close();
});

Deno.test("a version that cannot be read wakes who waits, so that their own read meets the error", async () => {
  const { clock, tick } = manualClock();
  let isBroken = false;
  const changes = new Changes(clock, () => isBroken ? Promise.reject(new Error("gone")) : Promise.resolve(1));
  const subscription = changes.subscribe("a");
  subscription.reset();
  watch(subscription);
  await settle();
  subscription.reset();
  const wait = watch(subscription);
  await settle();
  assert.equal(wait.woken, false);
  isBroken = true;
  tick();
  await settle();
  assert.equal(wait.woken, true);
  changes.close();
});

Deno.test("next() ends when its signal aborts, when it is closed, and when all is closed", async () => {
  const { clock } = manualClock();
  const changes = new Changes(clock, () => Promise.resolve(1));
  const abort = new AbortController();
  const subscriptions = [changes.subscribe("a"), changes.subscribe("b"), changes.subscribe("c")];
  for (const subscription of subscriptions) watch(subscription);
  await settle();
  for (const subscription of subscriptions) subscription.reset();
  const waits = subscriptions.map((subscription) => watch(subscription, abort.signal));
  await settle();
  for (const subscription of subscriptions) subscription.reset();
  const [aborted, closed, all] = [
    watch(subscriptions[0]!, abort.signal),
    watch(subscriptions[1]!),
    watch(subscriptions[2]!),
  ];
  await settle();
  assert.deepEqual([aborted.woken, closed.woken, all.woken], [false, false, false]);
  abort.abort();
  await settle();
  assert.deepEqual([aborted.woken, closed.woken, all.woken], [true, false, false]);
  subscriptions[1]!.close();
  await settle();
  assert.deepEqual([closed.woken, all.woken], [true, false]);
  changes.close();
  await settle();
  assert.equal(all.woken, true);
  assert.ok(waits.every(({ woken }) => woken));
});
