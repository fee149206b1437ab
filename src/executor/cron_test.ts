import assert from "node:assert/strict";
import { isGlassboxError } from "../core/errors.ts";
import {
  CATCH_UP_MAX,
  demandDueTimes,
  type DueTimes,
  dueTimes,
  frequencyWarning,
  planCatchUp,
  upcoming,
} from "./cron.ts";

const at = (text: string) => Date.parse(text);
const iso = (times: readonly number[]) => times.map((ms) => new Date(ms).toISOString().slice(5, 16));
const berlin = (cron: string) => dueTimes({ cron, timeZone: "Europe/Berlin" });
const clock = { turn: () => Promise.resolve() };

Deno.test("next() fires a time that the spring gap leaves out one hour later, once", () => {
  // 2026-03-29: the clock goes from 02:00 to 03:00.
  assert.deepEqual(iso(upcoming(berlin("30 2 * * *"), at("2026-03-28T00:00Z"), 3)), [
    "03-28T01:30",
    "03-29T01:30",
    "03-30T00:30",
  ]);
  assert.deepEqual(iso(upcoming(berlin("*/30 * * * *"), at("2026-03-28T23:30Z"), 6)), [
    "03-29T00:00",
    "03-29T00:30",
    "03-29T01:00",
    "03-29T01:30",
    "03-29T02:00",
    "03-29T02:30",
  ]);
});

Deno.test("next() fires the hour that autumn repeats at its first showing only", () => {
  // 2026-10-25: 02:00 to 03:00 comes twice, first from 00:00 UTC, then from 01:00 UTC.
  assert.deepEqual(iso(upcoming(berlin("30 2 * * *"), at("2026-10-24T22:00Z"), 2)), [
    "10-25T00:30",
    "10-26T01:30",
  ]);
  assert.deepEqual(iso(upcoming(berlin("0 * * * *"), at("2026-10-24T22:30Z"), 4)), [
    "10-24T23:00",
    "10-25T00:00",
    "10-25T02:00",
    "10-25T03:00",
  ]);
});

Deno.test("next() is always later than what it was asked after, also within the repeated hour", () => {
  for (const cron of ["* * * * *", "*/30 * * * *", "0,55 * * * *", "20,55 * * * * *", "0 3 * * *"]) {
    const due = berlin(cron);
    // Whoever asks from the middle must not be told another time than whoever counted from the beginning.
    const counted = upcoming(due, at("2026-10-24T23:59:59Z"), 300);
    assert.ok(counted.every((time, index) => index === 0 || time > counted[index - 1]!), cron);
    for (let from = at("2026-10-25T00:00Z"); from < at("2026-10-25T02:10Z"); from += 307_001) {
      const next = due.next(from);
      assert.equal(
        next,
        counted.find((time) => time > from),
        `${cron} after ${new Date(from).toISOString()}`,
      );
    }
  }
});

Deno.test("dueTimes() refuses what is no cron expression and what is no time zone", () => {
  for (
    const cron of ["", "abc", "61 * * * *", "* * * *", "* * * * * * *", "@reboot", "2026-12-01T00:00:00"]
  ) {
    const refused = (error: unknown) =>
      isGlassboxError(error, "invalid_input") && error.fields[0]!.field === "cron";
    assert.throws(() => dueTimes({ cron, timeZone: "UTC" }), refused, cron);
  }
  for (const timeZone of ["Mars/Olympus", "", "Europe"]) {
    assert.throws(
      () => dueTimes({ cron: "@daily", timeZone }),
      (error) => isGlassboxError(error, "invalid_input") && /Europe\/Berlin/.test(error.message),
      timeZone,
    );
  }
});

Deno.test("demandDueTimes() refuses days that never come and takes those that come seldom", () => {
  for (const cron of ["0 0 30 2 *", "0 0 31 4 *", "0 0 31 2,4,6,9,11 *"]) {
    assert.throws(
      () => demandDueTimes({ cron, timeZone: "UTC" }, at("2026-01-01")),
      /must fire at some time/,
      cron,
    );
  }
  const leap = demandDueTimes({ cron: "0 0 29 2 *", timeZone: "UTC" }, at("2026-01-01"));
  assert.equal(leap.next(at("2026-01-01")), at("2028-02-29"));
});

Deno.test("frequencyWarning() says aloud what fires more often than once a minute", () => {
  const warning = (cron: string) => frequencyWarning(dueTimes({ cron, timeZone: "UTC" }), at("2026-01-01"));
  assert.match(warning("* * * * * *")!, /every second/);
  assert.match(warning("*/10 * * * * *")!, /every 10 seconds/);
  assert.equal(warning("* * * * *"), null);
});

/** Due at every multiple of a step; no cron expression, so that long spans cost nothing. */
function every(stepMs: number): DueTimes {
  return { next: (afterMs) => (Math.floor(afterMs / stepMs) + 1) * stepMs };
}

Deno.test("planCatchUp() gives null when nothing was due, and what was due just now to every rule", async () => {
  for (const rule of ["skip", "last", "all"] as const) {
    assert.equal(await planCatchUp(every(60_000), rule, 60_000, 119_999, clock), null);
    assert.equal(await planCatchUp(every(60_000), rule, 120_000, 60_000, clock), null);
    assert.deepEqual(await planCatchUp(every(60_000), rule, 60_000, 121_000, clock), {
      fire: [120_000],
      missed: 0,
      isExact: true,
      untilMs: 120_000,
    });
  }
});

Deno.test("planCatchUp() applies each rule to times that nobody watched", async () => {
  const hour = 3_600_000;
  const plan = (rule: "skip" | "last" | "all") =>
    planCatchUp(every(hour), rule, 0, 5 * hour + 1_800_000, clock);
  assert.deepEqual(await plan("skip"), { fire: [], missed: 5, isExact: true, untilMs: 5 * hour });
  assert.deepEqual(await plan("last"), { fire: [5 * hour], missed: 4, isExact: true, untilMs: 5 * hour });
  const all = [1, 2, 3, 4, 5].map((hours) => hours * hour);
  assert.deepEqual(await plan("all"), { fire: all, missed: 0, isExact: true, untilMs: 5 * hour });
});

Deno.test("planCatchUp() fires the newest of too many times and counts the rest as far as that is worth it", async () => {
  for (const missed of [CATCH_UP_MAX - 1, CATCH_UP_MAX, CATCH_UP_MAX + 1, 4_999, 5_000, 50_000]) {
    const nowMs = missed * 60_000 + 5;
    const plan = await planCatchUp(every(60_000), "all", 0, nowMs, clock);
    const fired = Math.min(missed, CATCH_UP_MAX);
    assert.equal(plan!.fire.length, fired, `${missed}`);
    assert.equal(plan!.fire.at(-1), missed * 60_000);
    assert.equal(plan!.fire[0], (missed - fired + 1) * 60_000);
    assert.equal(plan!.untilMs, missed * 60_000);
    assert.equal(plan!.isExact, missed < 5_000);
    assert.equal(plan!.missed, Math.min(missed, 5_000) - fired);
    const last = await planCatchUp(every(60_000), "last", 0, nowMs, clock);
    assert.deepEqual(last!.fire, [missed * 60_000]);
  }
});
