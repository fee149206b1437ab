/** Values out of all bounds over HTTP, queues that are full, and jobs that are not there: exact codes, nothing lost. */
import assert from "node:assert/strict";
import type { Clock } from "../../src/core/host.ts";
import { newJob } from "../support/store_fixture.ts";
import { onEach, refusedAs } from "../support/store_suite.ts";
import { answer, post, problem, type Rig, script, settled, startRig, submit } from "./http_support.ts";

const YEARS_MS = 367 * 24 * 3600_000;

/** A field of a request, what it must not be, and whether JSON itself can't say it. */
const VALUES: readonly (readonly [field: string, value: unknown])[] = [
  ["timeoutMs", -1],
  ["timeoutMs", 0],
  ["timeoutMs", 1.5],
  ["timeoutMs", YEARS_MS],
  ["timeoutMs", "10m"],
  ["graceMs", -1],
  ["graceMs", 3600_001],
  ["delayMs", -1],
  ["delayMs", YEARS_MS],
  ["backoffMs", -1],
  ["backoffMs", 3600_001],
  ["maxAttempts", 0],
  ["maxAttempts", 101],
  ["maxAttempts", -1],
  ["priority", -1001],
  ["priority", 1001],
  ["priority", 0.5],
  ["outputBytesMax", -1],
  ["outputBytesMax", 2 ** 40],
  ["queue", ""],
  ["queue", "Q".repeat(65)],
  ["key", ""],
  ["key", "k".repeat(129)],
  ["key", "a\u0000b"],
  ["concurrencyKey", "c".repeat(129)],
];

/** Nothing was stored, and the server still takes what is right. */
async function demandUnharmed(rig: Rig): Promise<void> {
  assert.deepEqual((await answer("listJobs", await fetch(`${rig.url}/api/v1/jobs`))).jobs, []);
  await settled(rig, await submit(rig, script("true")));
  assert.deepEqual(rig.reported, []);
}

Deno.test("POST /jobs refuses every absurd value with 422, and names its field", async () => {
  await using rig = await startRig();
  for (const [field, value] of VALUES) {
    const refused = await post(`${rig.url}/api/v1/jobs`, { ...script("true"), [field]: value });
    const { errors } = await problem(refused, 422, "invalid_input");
    assert.deepEqual(errors.map((error) => error.field), [field], `${field} = ${JSON.stringify(value)}`);
  }
  for (const number of ["1e999", "-1e999", "NaN", "Infinity"]) {
    const body = `{"task":"exec","input":{"program":"true"},"timeoutMs":${number}}`;
    await problem(await post(`${rig.url}/api/v1/jobs`, body), 400, "bad_json");
  }
  const header = { "Idempotency-Key": "k".repeat(129) };
  const { errors } = await problem(
    await post(`${rig.url}/api/v1/jobs`, script("true"), header),
    422,
    "invalid_input",
  );
  assert.deepEqual(errors.map((error) => error.field), ["key"]);
  await demandUnharmed(rig);
});

Deno.test("POST /jobs takes every value at its bound", async () => {
  await using rig = await startRig();
  await rig.store.queues.setPaused("default", true);
  for (
    const more of [
      { timeoutMs: 1 },
      { timeoutMs: 366 * 24 * 3600_000 },
      { graceMs: 0 },
      { graceMs: 3600_000 },
      { priority: 1000 },
      { priority: -1000 },
      { maxAttempts: 100 },
      { key: "k".repeat(128) },
      { outputBytesMax: 0 },
    ]
  ) await submit(rig, { ...script("true"), ...more });
});

Deno.test("PUT /schedules refuses a cron expression that never fires, and warns of one that fires each second", async () => {
  await using rig = await startRig();
  const put = (definition: Record<string, unknown>) =>
    fetch(`${rig.url}/api/v1/schedules/s`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ request: script("true"), ...definition }),
    });
  for (const cron of ["0 0 30 2 *", "61 * * * *", "* * * *", "nonsense", "", "@reboot", "* ".repeat(100)]) {
    const { errors } = await problem(await put({ cron }), 422, "invalid_input");
    assert.deepEqual(errors.map((error) => error.field), ["cron"], cron);
  }
  const zone = await problem(await put({ cron: "0 3 * * *", timeZone: "Mars/Base" }), 422, "invalid_input");
  assert.deepEqual(zone.errors.map((error) => error.field), ["timeZone"]);
  assert.deepEqual((await answer("listSchedules", await fetch(`${rig.url}/api/v1/schedules`))).schedules, []);
  const taken = await (await put({ cron: "* * * * * *" })).json();
  assert.match(taken.warning, /^this schedule fires every second, which is a job each time$/);
  await fetch(`${rig.url}/api/v1/schedules/s`, { method: "DELETE" });
  await demandUnharmedBesides(rig);
});

/** Where a schedule may have fired already. */
async function demandUnharmedBesides(rig: Rig): Promise<void> {
  await settled(rig, await submit(rig, script("true")));
  assert.deepEqual(rig.reported, []);
}

Deno.test("cancel and retry of a job that is final, unknown or still running are told apart", async () => {
  await using rig = await startRig();
  const at = (id: string, what: string) => post(`${rig.url}/api/v1/jobs/${id}/${what}`, {});
  const done = await submit(rig, script("true"));
  await settled(rig, done);
  await problem(await at(done, "cancel"), 409, "job_final");
  const again = await answer("retryJob", await at(done, "retry"), 201);
  assert.equal(again.retryOf, done);
  await settled(rig, again.id);
  for (const what of ["cancel", "retry"]) {
    for (const id of ["0".repeat(26), "nope", "%00", "a".repeat(2_000)]) {
      await problem(await at(id, what), 404, "job_not_found");
    }
  }
  const running = await submit(rig, script("sleep 60"));
  await problem(await at(running, "retry"), 409, "job_not_final");
  assert.equal((await at(running, "cancel")).status, 200);
  assert.equal((await at(running, "cancel")).status, 200);
  await settled(rig, running);
  assert.equal((await at(running, "cancel")).status, 200, "asking again changes nothing");
});

Deno.test("POST /jobs takes jobs up to the bound of those that wait, and answers 429 above it", async () => {
  await using rig = await startRig({ intake: { queuedMax: 3, submitRate: null } });
  await rig.store.queues.setPaused("default", true);
  const first = await submit(rig, { ...script("true"), key: "first" });
  await submit(rig, script("true"));
  await submit(rig, script("true"));
  const refused = await post(`${rig.url}/api/v1/jobs`, script("true"));
  assert.ok(Number(refused.headers.get("retry-after")) > 0);
  const { detail } = await problem(refused, 429, "queue_full");
  assert.match(detail, /Cannot accept another job as at most 3 may wait/);
  const twice = await post(`${rig.url}/api/v1/jobs`, { ...script("true"), key: "first" });
  assert.deepEqual(
    [twice.status, (await twice.json()).id],
    [200, first],
    "a job that is there already is no new one",
  );
  await problem(await post(`${rig.url}/api/v1/jobs`, { ...script("true"), key: "new" }), 429, "queue_full");
  assert.equal((await rig.store.jobs.count()).queued, 3);
  await rig.store.queues.setPaused("default", false);
  await settled(rig, first);
  await settled(rig, await submit(rig, script("true")));
  assert.deepEqual(rig.reported, []);
});

onEach("submit() stores no job above the bound of those that wait, however many ask at once", async (db) => {
  const store = await db.open();
  const other = await db.open();
  const asked = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? store : other).jobs.submit(newJob(), 10));
  const results = await Promise.allSettled(asked);
  for (const result of results) {
    if (result.status === "rejected") assert.ok(refusedAs("queue_full")(result.reason));
  }
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 10);
  assert.equal((await store.jobs.count()).queued, 10);
  assert.equal((await store.jobs.submit(newJob())).created, true, "without a bound there is room");
});

Deno.test("POST /jobs answers 429 above the rate, stores nothing then, and accepts again a second later", async () => {
  let nowMs = 0;
  const clock = (real: Clock) => ({
    nowMs: () => real.nowMs(),
    monotonicMs: () => nowMs,
    sleep: (ms: number, signal?: AbortSignal) => real.sleep(ms, signal),
    turn: () => real.turn(),
  });
  await using rig = await startRig({ intake: { queuedMax: 100, submitRate: 5 }, clock });
  await rig.store.queues.setPaused("default", true);
  for (let count = 0; count < 5; count++) await submit(rig, script("true"));
  const refused = await post(`${rig.url}/api/v1/jobs`, script("true"));
  assert.equal(refused.headers.get("retry-after"), "1");
  await problem(refused, 429, "rate_limited");
  assert.equal((await rig.store.jobs.count()).queued, 5);
  nowMs += 1_000;
  for (let count = 0; count < 5; count++) await submit(rig, script("true"));
  await problem(await post(`${rig.url}/api/v1/jobs`, script("true")), 429, "rate_limited");
  assert.equal((await rig.store.jobs.count()).queued, 10);
});
