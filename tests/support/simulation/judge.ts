/** What is asked of a world when it has come to rest. */
import { isFinal, type Job, type StreamName } from "../../../src/core/job.ts";
import { concatBytes } from "../../../src/core/bytes.ts";
import { decodeFrames } from "../../../src/logs/frames.ts";
import { Store } from "../../../src/store/store.ts";
import { statement } from "../../../src/store/driver.ts";
import { checkJob, type JobRecord } from "../../../src/verify/check.ts";
import { checkHistory, type JobFact, type Told } from "../../../src/verify/history.ts";
import { readRecord } from "../../../src/verify/read.ts";
import { lineName } from "./actors.ts";
import { SimulatedProcess } from "./process.ts";
import { outputBytes } from "./programs.ts";
import type { World } from "./world.ts";

interface Output {
  readonly lines: Map<number, string>;
  /** The stored bytes of each attempt and stream, by `epoch stream`. */
  readonly streams: Map<string, Uint8Array[]>;
}

/** Holds the database against everything that was told and done; what is wrong is added to the world's violations. */
export async function judge(world: World): Promise<void> {
  const observer = new SimulatedProcess("observer", world.machines[0]!, world, world.seed);
  const store = await world.clock.until(Store.open(world.storeOptions(observer), observer.host));
  const ids = world.database.run(statement("SELECT id FROM jobs ORDER BY id")).rows.map(({ id }) =>
    String(id)
  );
  const jobs = new Map<string, Job>();
  const outputs = readOutputs(world);
  for (const id of ids) {
    const job = await world.clock.until(store.jobs.get(id));
    jobs.set(id, job);
    const { record, violations } = await world.clock.until(readRecord(store, job));
    for (const { invariant, message } of violations) world.violate(invariant, id, message);
    judgeJob(world, record);
    judgeOutput(world, record, outputs.get(id));
    world.trace(
      `${id} ${job.state} after ${job.epoch}: ${record.events.length} events, ${record.lines.length} lines`,
    );
  }
  judgeTold(world, jobs, outputs);
  judgeFirings(world);
}

function judgeJob(world: World, record: JobRecord): void {
  const { job } = record;
  const processCount = () =>
    world.programs.filter(({ program }) => program.job === job.id && program.child.alive).length;
  for (const { invariant, message } of checkJob(record, { isWorkerAlive: () => false, processCount })) {
    world.violate(invariant, job.id, message);
  }
  if (!isFinal(job.state)) {
    world.violate("I10", job.id, `is still ${job.state} after all faults have ended: ${whyLeft(world, job)}`);
  }
  if (job.epoch > job.maxAttempts) {
    world.violate("I5", job.id, `was tried ${job.epoch} times, but may be ${job.maxAttempts} times`);
  }
}

/** What decides who may run a job that is left, and when. */
function whyLeft(world: World, { id, queue, owner, notBeforeMs }: Job): string {
  const sql = "SELECT reserved_for FROM jobs WHERE id = ?";
  const reservedFor = world.database.run(statement(sql, id)).rows[0]?.reserved_for ?? null;
  const worker = String(reservedFor ?? owner ?? "");
  const about = "SELECT stopped_at_ms, heartbeat_seq FROM workers WHERE id = ?";
  const [row] = world.database.run(statement(about, worker)).rows;
  return `queue ${queue}, reserved for ${reservedFor}, owner ${owner}, not before ${notBeforeMs}, ` +
    (row === undefined ? "no row of that worker" : `worker stopped at ${row.stopped_at_ms}`);
}

/** I7: what is stored is what the program wrote, from its first byte on, and to the last where that is promised. */
function judgeOutput(world: World, record: JobRecord, output: Output | undefined): void {
  const { job, attempts, events } = record;
  for (const { program } of world.programs) {
    if (program.job !== job.id) continue;
    const evidence = attempts.find(({ epoch }) => epoch === program.epoch)?.evidence ?? null;
    const isDropped = events.some(({ kind, epoch }) => kind === "output_dropped" && epoch === program.epoch);
    // Files that keep output do not reach another machine, and are not believed after a reboot.
    const isKept = !world.isServerForm && !program.hasSeenReboot;
    const isWhole = !isDropped && (evidence !== null || isKept);
    for (const stream of ["stdout", "stderr"] as const) {
      const stored = concatBytes(output?.streams.get(`${program.epoch} ${stream}`) ?? []);
      const what = `attempt ${program.epoch} wrote ${program.written[stream]} bytes to ${stream}`;
      if (isWhole && stored.length !== program.written[stream]) {
        world.violate("I7", job.id, `${what}, and ${stored.length} are stored`);
      }
      const wanted = outputBytes(stream, 0, stored.length);
      if (stored.some((byte, index) => byte !== wanted[index])) {
        world.violate("I7", job.id, `${what}, and other bytes are stored`);
      }
    }
  }
}

function readOutputs(world: World): Map<string, Output> {
  const outputs = new Map<string, Output>();
  const sql = "SELECT job_id, first_seq, epoch, frames FROM lines ORDER BY job_id, first_seq";
  for (const row of world.database.run(statement(sql)).rows) {
    const id = String(row.job_id);
    const output = outputs.get(id) ?? { lines: new Map(), streams: new Map() };
    outputs.set(id, output);
    const frames = new Uint8Array(row.frames as ArrayBuffer);
    try {
      for (const line of decodeFrames(frames, Number(row.first_seq), Number(row.epoch))) {
        output.lines.set(line.seq, lineName(line.bytes));
        addBytes(output.streams, line.epoch, line.stream, line.bytes, line.end === "newline");
      }
    } catch (error) {
      world.violate("I7", id, `has lines that cannot be read: ${error}`);
    }
  }
  return outputs;
}

const NEWLINE = new Uint8Array([10]);

function addBytes(
  streams: Output["streams"],
  epoch: number,
  stream: StreamName,
  bytes: Uint8Array,
  isEnded: boolean,
): void {
  const name = `${epoch} ${stream}`;
  const pieces = streams.get(name) ?? [];
  streams.set(name, pieces);
  pieces.push(bytes, ...(isEnded ? [NEWLINE] : []));
}

function judgeTold(world: World, jobs: ReadonlyMap<string, Job>, outputs: ReadonlyMap<string, Output>): void {
  const { pruned } = world.database;
  for (const [id, { state }] of pruned) {
    if (state === "queued" || state === "running") world.violate("I2", id, `was pruned while ${state}`);
  }
  const find = (id: string): JobFact | null => {
    const job = jobs.get(id);
    const gone = pruned.get(id);
    if (job !== undefined) {
      return { ...job, lineSha256: (seq: number) => outputs.get(id)?.lines.get(seq) ?? null };
    }
    return gone === undefined ? null : { ...gone, state: gone.state as Job["state"], lineSha256: () => null };
  };
  // A key is free again once its job was pruned, and nothing is left to hold lines against.
  const told = world.told.flatMap((word): Told[] => {
    if (!pruned.has(word.job)) return [word];
    if (word.kind === "line") return [];
    return word.kind === "submitted" ? [{ kind: "submitted", job: word.job }] : [word];
  });
  for (const { invariant, job, message } of checkHistory(told, find)) world.violate(invariant, job, message);
}

/** I5: no due time of a schedule is fired twice. */
function judgeFirings(world: World): void {
  const sql = `SELECT schedule, due_at_ms, count(*) AS jobs FROM jobs WHERE schedule IS NOT NULL
    GROUP BY schedule, due_at_ms HAVING count(*) > 1`;
  for (const { schedule, due_at_ms, jobs } of world.database.run(statement(sql)).rows) {
    world.violate("I5", null, `schedule ${schedule} fired ${jobs} times for ${due_at_ms}`);
  }
}
