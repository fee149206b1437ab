/** Durations, priorities, limits and expressions that no one can mean: one clear line, the exact code, nothing stored. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { newSandbox, programs } from "../support/glassbox.ts";
import { complaints, listJobs } from "../support/jobs.ts";

type Row = readonly [flag: string, value: string, says: RegExp];

const DURATION = /as it must be a duration such as /;
const NUMBER = /as it must be a whole number$/;

const DURATIONS: readonly Row[] = ["--timeout", "--grace", "--backoff", "--delay"].flatMap((flag) =>
  ["-1", "-5m", "Infinity", "1e999", "NaN", "999999999999h", "1.5.5m", "5 parsecs"].map((
    value,
  ): Row => [flag, value, DURATION])
);

const RUN: readonly Row[] = [
  ...DURATIONS,
  ["--timeout", "0", /Cannot run with --timeout: .*>=1$/],
  ["--grace", "61m", /Cannot run with --grace: .*<=3600000$/],
  ["--backoff", "61m", /Cannot run with --backoff: .*<=3600000$/],
  ["--priority", "1001", /Cannot run with --priority: .*<=1000$/],
  ["--priority", "-1001", /Cannot run with --priority: .*>=-1000$/],
  ["--priority", "1e999", NUMBER],
  ["--priority", "Infinity", NUMBER],
  ["--priority", "0.5", NUMBER],
  ["--attempts", "0", /Cannot run with --attempts: .*>=1$/],
  ["--attempts", "101", /Cannot run with --attempts: .*<=100$/],
  ["--attempts", "-1", /Cannot run with --attempts: .*>=1$/],
  ["--output-max", "-1", /Cannot run with --output-max: .*>=0$/],
  ["--output-max", "99999999999999", /Cannot run with --output-max: .*<=\d+$/],
  ["--key", "k".repeat(129), /Cannot run with --key: .*<=128 characters$/],
  ["--concurrency-key", "k".repeat(129), /Cannot run with --concurrency-key: .*<=128 characters$/],
  ["--job-queue", "q".repeat(65), /Cannot run with --job-queue: must be 1 to 64 of /],
];

const SERVE: readonly Row[] = [
  ["--queued-max", "0", /--queued-max must be a whole number from 1 to 1000000000: current value is "0"$/],
  ["--queued-max", "-1", /--queued-max must be a whole number/],
  ["--queued-max", "1e999", /--queued-max must be a whole number/],
  ["--submit-rate", "0", /--submit-rate must be a whole number from 1 to 1000000: current value is "0"$/],
  ["--submit-rate", "Infinity", /--submit-rate must be a whole number/],
  ["--retention-age", "-1h", /--retention-age must be a duration/],
  ["--retention-jobs", "-1", /--retention-jobs must be a whole number/],
];

for (const program of programs()) {
  const name = `(${program.name})`;

  Deno.test(`absurd values of run and serve ${name} end with 64, name the flag and store nothing`, async () => {
    await using sandbox = await newSandbox(program);
    const rows = [
      ...RUN.map((row) => [["run", `${row[0]}=${row[1]}`, "--", "true"], row] as const),
      ...SERVE.map((row) => [["serve", "--port", "0", `${row[0]}=${row[1]}`], row] as const),
    ];
    for (const [args, [, , says]] of rows) {
      const ended = await sandbox.run(args);
      assert.equal(ended.code, 64, `${args}: ${ended.err}`);
      const [complaint, ...more] = complaints(ended.err);
      assert.match(complaint!, says, args.join(" "));
      assert.deepEqual(more, []);
      assert.equal(existsSync(sandbox.database), false, args.join(" "));
    }
    assert.equal((await sandbox.run(["run", "--", "true"])).code, 0);
  });

  Deno.test(`schedules add ${name} refuses what never fires, and says aloud what fires each second`, async () => {
    await using sandbox = await newSandbox(program);
    for (const cron of ["0 0 30 2 *", "99 * * * *", "* * *", "@reboot", "soon"]) {
      const ended = await sandbox.run(["schedules", "add", "--cron", cron, "s", "--", "true"]);
      assert.ok([64, 65].includes(ended.code), `${cron}: ${ended.err}`);
      assert.match(complaints(ended.err)[0]!, /cron/);
    }
    assert.deepEqual(await sandbox.json(["schedules", "list"]), []);
    const often = await sandbox.run(["schedules", "add", "--cron", "* * * * * *", "s", "--", "true"]);
    assert.equal(often.code, 0, often.err);
    assert.match(often.err, /this schedule fires every second, which is a job each time/);
  });

  Deno.test(`jobs cancel and retry ${name} of final, unknown and unfinished jobs are told apart`, async () => {
    await using sandbox = await newSandbox(program);
    await sandbox.run(["run", "--", "true"]);
    const cancelled = await sandbox.run(["jobs", "cancel", "latest"]);
    assert.equal(cancelled.code, 1, cancelled.err);
    assert.match(complaints(cancelled.err)[0]!, /Cannot cancel job \w+ as it is already completed$/);
    assert.equal((await sandbox.run(["jobs", "cancel", "nope"])).code, 64);
    assert.equal((await sandbox.run(["jobs", "retry", "nope"])).code, 64);
    const id = (await sandbox.run(["run", "-d", "-q", "--", "true"])).out.trim();
    const retried = await sandbox.run(["jobs", "retry", id]);
    assert.equal(retried.code, 64, retried.err);
    assert.match(complaints(retried.err)[0]!, /Cannot retry job \w+ as it must be final: it is queued$/);
    assert.deepEqual((await listJobs(sandbox)).map(({ state }) => state), ["queued", "completed"]);
  });

  Deno.test(`run --detach ${name} above the bound of those that wait ends with 75 and stores nothing`, async () => {
    await using sandbox = await newSandbox(program);
    const env = { GLASSBOX_QUEUED_MAX: "2" };
    for (const code of [0, 0, 75, 75]) {
      const ended = await sandbox.run(["run", "--detach", "-q", "--", "true"], { env });
      assert.equal(ended.code, code, ended.err);
      if (code !== 0) {
        assert.match(complaints(ended.err)[0]!, /Cannot accept another job as at most 2 may wait/);
      }
    }
    assert.equal((await listJobs(sandbox)).length, 2);
    assert.equal(
      (await sandbox.run(["run", "--", "true"], { env })).code,
      0,
      "one that is run here waits for nobody",
    );
    assert.equal((await sandbox.run(["verify"])).code, 0);
  });
}
