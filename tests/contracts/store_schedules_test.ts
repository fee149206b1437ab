/** The store's promises about schedules, on an embedded file and on a real libSQL server alike. */
import assert from "node:assert/strict";
import { LIMITS } from "../../src/core/limits.ts";
import { firingKey, ScheduleDefinition } from "../../src/core/schedule.ts";
import type { Host } from "../../src/core/host.ts";
import type { Settlement } from "../../src/store/schedules.ts";
import type { Store } from "../../src/store/store.ts";
import { claimAny, COMPLETED, fenceOf, newJob, NO_OUTPUT, storeHost } from "../support/store_fixture.ts";
import { onEach, refusedAs } from "../support/store_suite.ts";

const START_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;

function definition(changed: Record<string, unknown> = {}): ScheduleDefinition {
  const request = { task: "exec", input: { program: "true" } };
  return ScheduleDefinition.parse({ cron: "0 * * * *", request, ...changed });
}

/** A host whose wall clock shows what the test says. */
function hostAt(now: { ms: number }): Host {
  const host = storeHost();
  return storeHost({ clock: { ...host.clock, nowMs: () => now.ms } });
}

function firing(name: string, dueAtMs: number) {
  return { job: newJob({ key: firingKey(name, dueAtMs) }), dueAtMs };
}

function settlement(name: string, times: readonly number[]): Settlement {
  return { firings: times.map((time) => firing(name, time)), untilMs: times.at(-1)!, missed: null };
}

async function settleHour(store: Store, name: string, hours: number): Promise<boolean> {
  const schedule = await store.schedules.get(name);
  return await store.schedules.settle(schedule, settlement(name, [START_MS + hours * HOUR_MS]));
}

onEach("put() adds a schedule, keeps an equal one, and replaces only when asked", async (db) => {
  const now = { ms: START_MS };
  const store = await db.open(hostAt(now));
  const asked = definition({ timeZone: "Europe/Berlin", catchUp: "all" });
  const made = await store.schedules.put("nightly", asked, { replace: false });
  assert.equal(made.outcome, "created");
  const expected = {
    name: "nightly",
    ...asked,
    paused: false,
    createdAtMs: START_MS,
    settledUntilMs: START_MS,
  };
  assert.deepEqual(made.schedule, expected);
  assert.deepEqual(await store.schedules.get("nightly"), expected);

  now.ms += HOUR_MS;
  const again = await store.schedules.put("nightly", asked, { replace: false });
  assert.deepEqual(again, { schedule: expected, outcome: "unchanged" });
  const other = definition({ cron: "5 * * * *" });
  await assert.rejects(
    store.schedules.put("nightly", other, { replace: false }),
    refusedAs("schedule_exists"),
  );
  assert.deepEqual(await store.schedules.get("nightly"), expected);
  const replaced = await store.schedules.put("nightly", other, { replace: true });
  assert.equal(replaced.outcome, "replaced");
  assert.equal(replaced.schedule.cron, "5 * * * *");
  assert.equal(replaced.schedule.settledUntilMs, START_MS + HOUR_MS);
  assert.equal(replaced.schedule.createdAtMs, START_MS);
});

onEach(
  "list(), get() and remove() give what is there, and say schedule_not_found for the rest",
  async (db) => {
    const store = await db.open();
    for (const name of ["b", "a", "c"]) await store.schedules.put(name, definition(), { replace: false });
    assert.deepEqual((await store.schedules.list()).map(({ name }) => name), ["a", "b", "c"]);
    assert.equal((await store.schedules.remove("b")).name, "b");
    assert.deepEqual((await store.schedules.heads()).map(({ name }) => name), ["a", "c"]);
    for (const act of ["get", "remove", "pause", "resume"] as const) {
      await assert.rejects(store.schedules[act]("b"), refusedAs("schedule_not_found"), act);
    }
  },
);

onEach("settle() submits ordinary jobs and moves the mark in one commit", async (db) => {
  const store = await db.open(hostAt({ ms: START_MS }));
  const { schedule } = await store.schedules.put("s", definition(), { replace: false });
  const times = [1, 2, 3].map((hours) => START_MS + hours * HOUR_MS);
  const asked = { ...settlement("s", times), missed: { count: 7, isExact: true } };
  assert.equal(await store.schedules.settle(schedule, asked), true);

  assert.equal((await store.schedules.get("s")).settledUntilMs, times[2]);
  const jobs = (await store.jobs.list({ limit: 10 })).reverse();
  assert.deepEqual(jobs.map(({ dueAtMs }) => dueAtMs), times);
  for (const job of jobs) {
    assert.deepEqual([job.state, job.schedule, job.key], ["queued", "s", firingKey("s", job.dueAtMs!)]);
  }
  const events = await Promise.all(jobs.map(({ id }) => store.jobs.events(id, 0, 10)));
  assert.deepEqual(events.map((of) => of.map(({ kind }) => kind)), [
    ["submitted", "times_missed"],
    ["submitted"],
    ["submitted"],
  ]);
  assert.deepEqual(events[0]![1]!.data, { schedule: "s", catchUp: "last", count: 7, isExact: true });
  for (const { id } of jobs) assert.equal((await store.jobs.claim("w", claimAny()))?.id, id);
});

onEach("settle() by two at once makes one job for a time, and tells the other", async (db) => {
  const [one, two] = [await db.open(), await db.open()];
  await one.schedules.put("s", definition(), { replace: false });
  for (let hour = 1; hour <= 5; hour++) {
    const schedule = { ...await one.schedules.get("s") };
    const dueAtMs = schedule.settledUntilMs + HOUR_MS;
    const won = await Promise.all(
      [one, two].map((store) => store.schedules.settle(schedule, settlement("s", [dueAtMs]))),
    );
    assert.deepEqual(won.sort(), [false, true]);
    assert.equal((await one.jobs.list({ limit: 10 })).length, hour);
  }
});

onEach("settle() never makes a job again for a time whose job is gone", async (db) => {
  const store = await db.open();
  const { schedule } = await store.schedules.put("s", definition(), { replace: false });
  const times = [schedule.settledUntilMs + HOUR_MS];
  assert.equal(await store.schedules.settle(schedule, settlement("s", times)), true);
  const job = await store.jobs.claim("w", claimAny());
  await store.jobs.finish(fenceOf(job!), COMPLETED, NO_OUTPUT);
  await db.raw().execute("PRAGMA foreign_keys = ON");
  await db.raw().execute({ sql: "DELETE FROM events WHERE job_id = ?", args: [job!.id] });
  await db.raw().execute({ sql: "DELETE FROM attempts WHERE job_id = ?", args: [job!.id] });
  await db.raw().execute({ sql: "DELETE FROM jobs WHERE id = ?", args: [job!.id] });
  assert.equal(await store.schedules.settle(schedule, settlement("s", times)), false);
  assert.deepEqual(await store.jobs.list({ limit: 10 }), []);
});

onEach("settle() makes nothing for a schedule that was paused, replaced or removed meanwhile", async (db) => {
  const store = await db.open(hostAt({ ms: START_MS }));
  const meanwhile: Record<string, (name: string) => Promise<unknown>> = {
    paused: (name) => store.schedules.pause(name),
    resumed: async (name) => {
      await store.schedules.pause(name);
      await store.schedules.resume(name);
    },
    replaced: (name) => store.schedules.put(name, definition({ catchUp: "all" }), { replace: true }),
    removed: (name) => store.schedules.remove(name),
  };
  for (const [name, change] of Object.entries(meanwhile)) {
    const { schedule } = await store.schedules.put(name, definition(), { replace: false });
    await change(name);
    const asked = settlement(name, [START_MS + HOUR_MS]);
    assert.equal(await store.schedules.settle(schedule, asked), false, name);
    assert.deepEqual(await store.jobs.list({ limit: 10 }), [], name);
  }
});

onEach("resume() counts from now and never backwards, whatever the wall clock shows", async (db) => {
  const now = { ms: START_MS };
  const store = await db.open(hostAt(now));
  await store.schedules.put("s", definition(), { replace: false });
  assert.equal(await settleHour(store, "s", 1), true);
  assert.equal((await store.schedules.pause("s")).paused, true);
  now.ms = START_MS + 5 * HOUR_MS;
  const resumed = await store.schedules.resume("s");
  assert.deepEqual([resumed.paused, resumed.settledUntilMs], [false, START_MS + 5 * HOUR_MS]);
  assert.equal((await store.schedules.resume("s")).settledUntilMs, START_MS + 5 * HOUR_MS);
  now.ms = START_MS - 24 * HOUR_MS;
  await store.schedules.pause("s");
  assert.equal((await store.schedules.resume("s")).settledUntilMs, START_MS + 5 * HOUR_MS + 1);
});

Deno.test("put() refuses more schedules than every scheduler can keep in mind", async () => {
  const { testDatabase } = await import("../support/store_fixture.ts");
  await using db = await testDatabase("file");
  const store = await db.open();
  const names = Array.from({ length: LIMITS.schedulesMax }, (_, index) => `s${index}`);
  await Promise.all(names.map((name) => store.schedules.put(name, definition(), { replace: false })));
  await assert.rejects(
    store.schedules.put("more", definition(), { replace: false }),
    refusedAs("schedule_exists"),
  );
  const changed = await store.schedules.put("s7", definition({ catchUp: "skip" }), { replace: true });
  assert.equal(changed.outcome, "replaced");
});
