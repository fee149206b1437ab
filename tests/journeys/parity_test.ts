/**
 * Launch parity: however a job is launched, it leaves the same row, events, lines, result and artifacts, and shows
 * the same bytes. Each job is launched in every form on one database; the records are held against each other, and
 * each against what the job had to come to.
 *
 * To see it fail, break a form: GLASSBOX_PARITY_BREAK="run from source=environment"; see `brokenForm`. The second
 * test does so with every form.
 */
import assert from "node:assert/strict";
import { BREAKS } from "../support/parity/forms.ts";
import { ENDINGS } from "../support/parity/endings.ts";
import { COMPLETED, type ParityJob } from "../support/parity/job.ts";
import { OUTPUT } from "../support/parity/output.ts";
import { checkRecord, compareRecords, differenceText, type LaunchRecord } from "../support/parity/record.ts";
import { brokenForm, formNames, inParallel, runSuite } from "../support/parity/suite.ts";
import { WORK } from "../support/parity/work.ts";

const JOBS = [...ENDINGS, ...OUTPUT, ...WORK];

Deno.test("a job leaves the same record however it is launched", async (t) => {
  const { forms, launches, differences } = await runSuite(JOBS, { broken: brokenForm() });
  console.log(`${launches} launches of ${JOBS.length} jobs in ${forms.length} forms: ${forms.join("; ")}`);
  for (const name of [...JOBS.map((job) => job.name), "all jobs"]) {
    await t.step(`a job that ${name}`, () => {
      const own = differences.filter((difference) => difference.job === name);
      assert.equal(own.length, 0, `\n${own.map(differenceText).join("\n")}\n`);
    });
  }
});

Deno.test("the parity suite notices when any one form is broken", async () => {
  const environment = JOBS.filter(({ name }) => name === "looks at its environment");
  const fields = { environment: "stdout", database: "record", priority: "request" };
  const forms = await formNames();
  const [first, second] = forms as [string, string];
  const breaks = forms.flatMap((form) => BREAKS.map((how) => ({ form, how })));
  await inParallel(breaks, 3, async (broken) => {
    const { form, how } = broken;
    const only = form === first ? [first, second] : [first, form];
    const { differences } = await runSuite(environment, { only, broken });
    const seen = differences.filter((difference) => difference.job !== "all jobs");
    // The first form is what others are held against, so when it is the broken one the second is told as different.
    const told = form === first && how !== "database" ? second : form;
    const text = seen.map(differenceText).join("\n");
    assert.ok(
      seen.some((one) => one.form === told && one.field === fields[how]),
      `${form} broken by ${how}: ${text}`,
    );
    assert.ok(seen.every((one) => [form, told].includes(one.form)), `${form} broken by ${how}: ${text}`);
  });
});

Deno.test("the parity suite runs a form that is not broken without a difference", async () => {
  const environment = JOBS.filter(({ name }) => name === "looks at its environment");
  const [first, second] = await formNames() as [string, string];
  const { differences, launches } = await runSuite(environment, { only: [first, second] });
  assert.deepEqual(differences, []);
  assert.equal(launches, 2);
});

const PARTS = ["request", "outcome", "attempts", "events", "stdout", "stderr", "artifacts"] as const;

for (const part of PARTS) {
  Deno.test(`compareRecords() names form and field of a record whose ${part} differ`, () => {
    const reference = exampleRecord("run");
    const other = exampleRecord("serve");
    const digestParts = { ...other.document.digestParts, [part]: "changed" };
    const doctored = { ...other, document: { ...other.document, digest: "changed", digestParts } };
    const differences = compareRecords(reference, doctored);
    assert.deepEqual(differences.map(({ job, form, field }) => ({ job, form, field })), [
      { job: "example", form: "serve", field: part },
    ]);
  });
}

Deno.test("compareRecords() finds nothing in equal records, and shown bytes, exit codes and digests that differ", () => {
  const reference = exampleRecord("run");
  const other = exampleRecord("serve");
  assert.deepEqual(compareRecords(reference, other), []);
  const fields = (doctored: LaunchRecord) => compareRecords(reference, doctored).map(({ field }) => field);
  const stderr = new TextEncoder().encode("x");
  assert.deepEqual(fields({ ...other, shown: { ...other.shown, stderr } }), ["stderr as shown"]);
  assert.deepEqual(fields({ ...other, shown: { ...other.shown, exit: 1 } }), ["exit code"]);
  assert.deepEqual(fields({ ...other, document: { ...other.document, digest: "changed" } }), ["digest"]);
});

Deno.test("checkRecord() accepts what the job had to come to, and names whatever is not so", () => {
  const record = exampleRecord("run");
  assert.deepEqual(checkRecord(record), []);
  const { document, shown } = record;
  const fields = (doctored: LaunchRecord) => checkRecord(doctored).map(({ field }) => field);
  const withJob = (changed: object) => ({
    ...record,
    document: { ...document, job: { ...document.job, ...changed } },
  });
  assert.deepEqual(fields(withJob({ state: "failed" })), ["wanted state"]);
  assert.deepEqual(fields(withJob({ result: null })), ["wanted result"]);
  assert.deepEqual(fields({ ...record, shown: { ...shown, exit: 3 } }), ["wanted exit code"]);
  assert.deepEqual(fields({ ...record, shown: { ...shown, stdout: new Uint8Array() } }), ["wanted stdout"]);
  assert.deepEqual(fields({ ...record, launch: { actual: "worker", expected: "run" } }), ["wanted worker"]);
  const events = document.events.slice(1);
  assert.deepEqual(fields({ ...record, document: { ...document, events } }), [
    "wanted events",
    "wanted event numbers",
  ]);
  const [attempt] = document.attempts;
  const evidence = { ...attempt!.evidence!, lineCount: 2, droppedLines: 1 };
  assert.deepEqual(fields({ ...record, document: { ...document, attempts: [{ ...attempt!, evidence }] } }), [
    "wanted dropped lines",
    "wanted lines",
  ]);
});

/** What a launch of `echo hello` leaves. */
function exampleRecord(form: string): LaunchRecord {
  const job: ParityJob = {
    name: "example",
    program: ["echo", "hello"],
    expect: { ...COMPLETED, stdout: "hello\n" },
  };
  const id = "01m816cdngb3t9wq77js93s865";
  const kinds = ["submitted", "claimed", "started", "finished"];
  return {
    job,
    form,
    shown: {
      jobId: id,
      exit: 0,
      stdout: new TextEncoder().encode("hello\n"),
      stderr: new Uint8Array(),
      digest: null,
    },
    document: {
      job: {
        id,
        task: "exec",
        input: { program: "echo", args: ["hello"] },
        key: null,
        queue: "default",
        priority: 0,
        state: "completed",
        epoch: 1,
        owner: form,
        timeoutMs: null,
        graceMs: 5000,
        outputBytesMax: 1_000_000,
        maxAttempts: 1,
        backoffMs: 1_000,
        concurrencyKey: null,
        notBeforeMs: 0,
        result: { exitCode: 0 },
        failure: null,
        retryOf: null,
        schedule: null,
        dueAtMs: null,
        createdAtMs: 1,
        startedAtMs: 2,
        finishedAtMs: 3,
        cancel: null,
      },
      attempts: [{
        job: id,
        epoch: 1,
        worker: form,
        pid: 4,
        startedAtMs: 2,
        endedAtMs: 3,
        outcome: "completed",
        evidence: {
          exitCode: 0,
          signal: null,
          wallMs: 1,
          cpuMs: 1,
          peakMemoryBytes: 1,
          lineCount: 1,
          outputBytes: 6,
          droppedLines: 0,
          droppedBytes: 0,
          lastLines: ["hello"],
        },
      }],
      artifacts: [],
      events: kinds.map((kind, index) => ({ job: id, seq: index + 1, epoch: 1, kind, data: {}, atMs: 1 })),
      digest: "whole",
      digestParts: Object.fromEntries(PARTS.map((part) => [part, part])) as Record<
        typeof PARTS[number],
        string
      >,
    },
    launch: { actual: "run", expected: "run" },
    artifacts: new Map(),
    place: { cwd: "/", env: {} },
  };
}
