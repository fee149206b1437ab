/** Schedules over long times: a virtual clock, a real database. */
import assert from "node:assert/strict";
import { ScheduleDefinition } from "../../src/core/schedule.ts";
import { Scheduler } from "../../src/executor/scheduler.ts";
import { createMemoryHost, type MemoryHost } from "../../src/platform/memory.ts";
import { VirtualClock } from "../../src/platform/memory_clock.ts";
import type { Store } from "../../src/store/store.ts";
import { builtInTasks } from "../../src/tasks/registry.ts";
import { storeHost, testDatabase } from "../support/store_fixture.ts";

const DAY_MS = 24 * 3_600_000;
const START_MS = Date.UTC(2026, 0, 1);

interface Rig extends AsyncDisposable {
  readonly store: Store;
  readonly host: MemoryHost;
  readonly told: string[];
  scheduler(): Scheduler;
  add(name: string, changed?: Record<string, unknown>): Promise<void>;
  /** Due times of the jobs of a schedule, in order, as ISO text. */
  fired(name: string): Promise<string[]>;
}

async function startRig(nowMs = START_MS): Promise<Rig> {
  const db = await testDatabase("file");
  const host = createMemoryHost({ nowMs });
  const clock = storeHost().clock;
  const store = await db.open(storeHost({ clock: { ...clock, nowMs: () => host.clock.nowMs() } }));
  const told: string[] = [];
  return {
    store,
    host,
    told,
    scheduler: () =>
      new Scheduler({ host, store, registry: builtInTasks }, {
        onError: (error, schedule) => told.push(`error ${schedule}: ${error.message}`),
        onMissed: (text) => told.push(text),
      }),
    async add(name, changed = {}) {
      const request = { task: "exec", input: { program: "true" } };
      const asked = ScheduleDefinition.parse({ cron: "0 3 * * *", request, ...changed });
      await store.schedules.put(name, asked, { replace: false });
    },
    async fired(name) {
      const rows = (await db.raw().execute({
        sql: "SELECT due_at_ms FROM jobs WHERE schedule = ? ORDER BY due_at_ms",
        args: [name],
      })).rows;
      return rows.map((row) => new Date(Number(row.due_at_ms)).toISOString());
    },
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  };
}

Deno.test("two schedulers fire each time of a simulated year once, as the clock in Berlin shows it", async () => {
  await using rig = await startRig();
  await rig.add("night", { timeZone: "Europe/Berlin" });
  await rig.add("gap", { cron: "30 2 * * *", timeZone: "Europe/Berlin" });
  await rig.add("weeks", { cron: "0 0 * * 1" });
  const both = [rig.scheduler(), rig.scheduler()];
  const endMs = START_MS + 365 * DAY_MS;
  while (rig.host.clock.nowMs() < endMs) {
    // Both look at the same moment; whoever loses looks again at once.
    const next = Math.min(...await Promise.all(both.map((one) => one.round())));
    await rig.host.clock.advance(Math.max(0, Math.min(next, endMs) - rig.host.clock.nowMs()));
  }
  const night = await rig.fired("night");
  assert.equal(night.length, 365);
  for (const time of night) {
    const hour = new Intl.DateTimeFormat("en", {
      timeZone: "Europe/Berlin",
      hour: "2-digit",
      hourCycle: "h23",
    })
      .format(Date.parse(time));
    assert.equal(hour, "03", time);
  }
  const gap = await rig.fired("gap");
  assert.equal(gap.length, 365);
  assert.ok(gap.includes("2026-03-29T01:30:00.000Z"), "the time that the gap leaves out");
  assert.deepEqual(gap.filter((time) => time.startsWith("2026-10-25")), ["2026-10-25T00:30:00.000Z"]);
  assert.equal((await rig.fired("weeks")).length, 52);
  assert.deepEqual(rig.told, []);
});

for (
  const [rule, fired, said] of [
    ["skip", 0, "missed 10 times while nobody watched (catch-up skip): 0 jobs made"],
    ["last", 1, "missed 9 times while nobody watched (catch-up last): 1 job made"],
    ["all", 10, null],
  ] as const
) {
  Deno.test(`round() after ten days without a scheduler makes ${fired} jobs by the rule ${rule}`, async () => {
    await using rig = await startRig();
    await rig.add("s", { catchUp: rule });
    await rig.host.clock.advance(10 * DAY_MS);
    const next = await rig.scheduler().round();
    assert.equal(new Date(next).toISOString(), "2026-01-11T03:00:00.000Z");
    assert.deepEqual((await rig.fired("s")).length, fired);
    assert.deepEqual(rig.told, said === null ? [] : [`schedule s ${said}`]);
    await rig.host.clock.advance(next - rig.host.clock.nowMs());
    await rig.scheduler().round();
    assert.equal((await rig.fired("s")).at(-1), "2026-01-11T03:00:00.000Z");
    assert.equal((await rig.fired("s")).length, fired + 1);
  });
}

Deno.test("round() goes on where another left off between two commits of a long catching up", async () => {
  await using rig = await startRig();
  await rig.add("s", { cron: "0 * * * *", catchUp: "all" });
  await rig.host.clock.advance(20 * DAY_MS);
  const settle = rig.store.schedules.settle.bind(rig.store.schedules);
  let commits = 0;
  rig.store.schedules.settle = (...args) => {
    if (++commits === 3) throw new Error("the process dies here");
    return settle(...args);
  };
  await rig.scheduler().round();
  assert.equal((await rig.fired("s")).length, 200);
  rig.store.schedules.settle = settle;
  await rig.scheduler().round();
  const fired = await rig.fired("s");
  assert.equal(fired.length, 480);
  assert.equal(new Set(fired).size, 480);
});

Deno.test("round() fires no time again when the wall clock is set back", async () => {
  await using rig = await startRig();
  await rig.add("s", { cron: "0 * * * *" });
  await rig.host.clock.advance(3 * 3_600_000);
  await rig.scheduler().round();
  const fired = await rig.fired("s");
  assert.equal(fired.length, 1, "the last of three");
  // A clock that shows a day before, on the same database.
  const before = new VirtualClock(START_MS - DAY_MS);
  const back = new Scheduler({
    host: { ...rig.host, clock: before },
    store: rig.store,
    registry: builtInTasks,
  }, {
    onError: (error) => rig.told.push(error.message),
    onMissed: (text) => rig.told.push(text),
  });
  const next = await back.round();
  assert.equal(new Date(next).toISOString(), "2026-01-01T04:00:00.000Z");
  await before.advance(DAY_MS + 3 * 3_600_000);
  await back.round();
  assert.deepEqual(await rig.fired("s"), fired);
  await before.advance(3_600_000);
  await back.round();
  assert.deepEqual(await rig.fired("s"), [...fired, "2026-01-01T04:00:00.000Z"]);
});

Deno.test("round() leaves a schedule alone that this build cannot run, says so once, and fires the others", async () => {
  await using rig = await startRig();
  await rig.add("a-strange", { request: { task: "of-a-newer-build" } });
  await rig.add("good");
  await rig.host.clock.advance(DAY_MS);
  const scheduler = rig.scheduler();
  await scheduler.round();
  await scheduler.round();
  assert.equal((await rig.fired("good")).length, 1);
  assert.deepEqual(await rig.fired("a-strange"), []);
  assert.equal(rig.told.length, 1);
  assert.match(rig.told[0]!, /^error a-strange: Cannot find task "of-a-newer-build"/);
  assert.equal((await rig.store.schedules.get("a-strange")).settledUntilMs, START_MS);
});

Deno.test("run() fires what is added while it sleeps, and ends when it is told to", async () => {
  await using db = await testDatabase("file");
  const host = storeHost();
  const store = await db.open(host);
  const stop = new AbortController();
  const told: string[] = [];
  const scheduler = new Scheduler({ host, store, registry: builtInTasks }, {
    onError: (error) => told.push(error.message),
    onMissed: (text) => told.push(text),
  });
  const running = scheduler.run(stop.signal);
  const request = { task: "exec", input: { program: "true" } };
  // No time counts as missed by this rule, also when a busy machine takes longer than a second for one.
  const definition = ScheduleDefinition.parse({ cron: "* * * * * *", request, catchUp: "all" });
  const queue = store.changes.subscribe("queue");
  queue.reset();
  await store.schedules.put("often", definition, { replace: false });
  while ((await store.jobs.list({ limit: 1 })).length === 0) {
    await queue.next();
    queue.reset();
  }
  stop.abort();
  await running;
  const [job] = await store.jobs.list({ limit: 1 });
  assert.equal(job!.schedule, "often");
  assert.deepEqual(told, []);
});
