import assert from "node:assert/strict";
import type { Job, JobEvent } from "../core/job.ts";
import { checkJob, type JobRecord } from "./check.ts";

const JOB = {
  id: "job",
  state: "completed",
  epoch: 2,
  owner: null,
  failure: null,
  cancel: null,
  finishedAtMs: 9,
  outputBytesMax: 1_000,
} as Job;

function eventOf(seq: number, kind: string, data: unknown = {}, epoch = 0): JobEvent {
  return { job: "job", seq, epoch, kind, data, atMs: 1 };
}

const REPAIRED = { events: 1, attempts: 1, lines: 2, artifacts: 0 };

/** Two attempts, of which the first is missing with its claim; four lines, of which the second and third are. */
function damagedRecord(told: Record<string, number> | null): JobRecord {
  const line = { epoch: 2, stream: "stdout", atMs: 1, end: "newline", byteLength: 1 } as const;
  const counts = { lineCount: 4, outputBytes: 8, droppedLines: 0, droppedBytes: 0 };
  const evidence = {
    exitCode: 0,
    signal: null,
    wallMs: 1,
    cpuMs: null,
    peakMemoryBytes: null,
    lastLines: [],
    ...counts,
  };
  const attempt = { job: "job", epoch: 2, worker: "w", pid: null, startedAtMs: 1, endedAtMs: 2 };
  return {
    job: JOB,
    attempts: [{ ...attempt, outcome: "completed", evidence }],
    events: [
      eventOf(1, "submitted"),
      eventOf(3, "claimed", {}, 2),
      eventOf(4, "finished", { state: "completed" }, 2),
      ...(told === null ? [] : [eventOf(5, "repaired", told, 2)]),
    ],
    lines: [{ ...line, seq: 1 }, { ...line, seq: 4 }],
    partials: [],
    artifacts: [],
  };
}

function invariants(record: JobRecord): string[] {
  return [...new Set(checkJob(record, { isWorkerAlive: () => true }).map(({ invariant }) => invariant))];
}

Deno.test("checkJob() finds what is missing when nothing tells of it", () => {
  assert.deepEqual(invariants(damagedRecord(null)), ["I6", "I4", "I7"]);
});

Deno.test("checkJob() takes for sound what a repair tells to be missing", () => {
  assert.deepEqual(invariants(damagedRecord(REPAIRED)), []);
});

Deno.test("checkJob() finds that a repair tells of more or less than is missing", () => {
  const cases: [Record<string, number>, string][] = [
    [{ events: 2 }, "I15"],
    [{ events: 0 }, "I6"],
    [{ attempts: 0 }, "I4"],
    [{ attempts: 2 }, "I4"],
    [{ lines: 1 }, "I15"],
    [{ lines: 3 }, "I15"],
    [{ lines: 0 }, "I7"],
  ];
  for (const [told, invariant] of cases) {
    const found = invariants(damagedRecord({ ...REPAIRED, ...told }));
    assert.ok(found.includes(invariant), `${JSON.stringify(told)}: ${found}`);
  }
});

Deno.test("checkJob() still finds what is out of order beside what a repair tells to be missing", () => {
  const record = damagedRecord(REPAIRED);
  const twice = { ...record, lines: [record.lines[1]!, record.lines[0]!] };
  assert.deepEqual(invariants(twice), ["I7"]);
  const unfinished = { ...record, events: record.events.filter(({ kind }) => kind !== "finished") };
  assert.ok(invariants(unfinished).includes("I15"));
  const otherEnd = {
    ...record,
    job: { ...JOB, state: "failed", failure: { code: "lost", message: "" } } as Job,
  };
  assert.deepEqual(invariants(otherEnd), ["I1"]);
});
