import {
  type Artifact,
  type Attempt,
  isFinal,
  type Job,
  type JobEvent,
  type LogLine,
  type PartialLine,
} from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";

/** One thing that is not as it must be. */
export interface Violation {
  /** The invariant's name, I1 to I16; docs/reliability.md says what each means. */
  readonly invariant: string;
  /** The job it is about, or null for the database as a whole. */
  readonly job: string | null;
  readonly message: string;
}

/** All that a database holds of one job. */
export interface JobRecord {
  readonly job: Job;
  readonly attempts: readonly Attempt[];
  readonly events: readonly JobEvent[];
  /** Numbers and sizes of its lines, in the order of storage; the bytes themselves are not needed here. */
  readonly lines: readonly LineFact[];
  readonly partials: readonly PartialLine[];
  readonly artifacts: readonly ArtifactFact[];
}

export interface LineFact extends Omit<LogLine, "bytes"> {
  readonly byteLength: number;
}

export interface ArtifactFact extends Omit<Artifact, "job"> {
  readonly storedBytes: number;
  readonly storedSha256: string;
}

/** What is known of the world outside the database; absent where nobody looked. */
export interface Surroundings {
  /** False only for a worker that is proven dead. */
  readonly isWorkerAlive: (worker: string) => boolean;
  /** Processes of the job that still run. */
  readonly processCount?: (job: Job) => number;
}

/** What an event `repaired` says is missing of a job, as it was copied out of a damaged database. */
export interface Missing {
  readonly events: number;
  readonly attempts: number;
  readonly lines: number;
  readonly artifacts: number;
}

const NOTHING: Missing = { events: 0, attempts: 0, lines: 0, artifacts: 0 };

/** The last of these events counts all that is missing. */
export function missingOf(events: readonly JobEvent[]): Missing {
  const told = events.findLast((event) => event.kind === "repaired")?.data as Partial<Missing> | undefined;
  return { ...NOTHING, ...told };
}

type Report = (invariant: string, message: string) => void;

/** Checks one job against every invariant its record can show. Pure; the order of violations is stable. */
export function checkJob(record: JobRecord, around: Surroundings): Violation[] {
  const violations: Violation[] = [];
  const report: Report = (invariant, message) => violations.push({ invariant, job: record.job.id, message });
  checkFinality(record, report);
  checkEvents(record, report);
  checkAttempts(record, report);
  checkLines(record, report);
  checkDrops(record, report);
  checkArtifacts(record, report);
  checkCancel(record, report);
  checkOwner(record, around, report);
  checkBounds(record, report);
  return violations;
}

/** I1: what is final has said so once, last, and in the same words as its row. */
function checkFinality({ job, events }: JobRecord, report: Report): void {
  const ends = events.filter((event) => event.kind === "finished");
  if (!isFinal(job.state)) {
    if (ends.length > 0) report("I1", `is ${job.state} but has a finished event`);
    if (job.finishedAtMs !== null) report("I1", `is ${job.state} but has a finish time`);
    return;
  }
  const isEndLost = ends.length === 0 && missingOf(events).events > 0;
  if (ends.length !== 1 && !isEndLost) {
    report("I1", `is ${job.state} but has ${ends.length} finished events`);
  }
  const last = events.findLast((event) => event.kind !== "repaired");
  if (last !== undefined && last.kind !== "finished" && !isEndLost) {
    report("I1", `has the event ${last.kind} after it finished`);
  }
  const said = (ends[0]?.data as { state?: unknown } | undefined)?.state;
  if (ends.length === 1 && said !== job.state) {
    report("I1", `is ${job.state} but its event says ${JSON.stringify(said)}`);
  }
  if (job.state === "completed" && job.failure !== null) report("I1", "is completed but has a failure");
  if (job.state === "failed" && job.failure === null) report("I1", "is failed without a failure");
}

/** I6: events are 1..n but for those that are told to be missing, the first is its submission. */
function checkEvents({ events }: JobRecord, report: Report): void {
  const missing = missingOf(events).events;
  checkNumbers(events.map((event) => event.seq), missing, (text) => report("I6", `has event number ${text}`));
  if (missing > 0 && (events.at(-1)?.seq ?? 0) !== events.length + missing) {
    report("I15", `misses ${(events.at(-1)?.seq ?? 0) - events.length} events and tells of ${missing}`);
  }
  if (events[0]?.kind !== "submitted" && missing === 0) {
    report("I6", `begins with the event ${events[0]?.kind ?? "(none)"}`);
  }
  if (events.filter((event) => event.kind === "submitted").length > 1) {
    report("I5", "was submitted more than once");
  }
}

/** Without missing ones numbers are 1..n, and with them still in order. */
function checkNumbers(numbers: readonly number[], missing: number, report: (text: string) => void): void {
  numbers.forEach((number, index) => {
    const least = missing === 0 ? index + 1 : (numbers[index - 1] ?? 0) + 1;
    if (missing === 0 ? number !== least : number < least) report(`${number} where ${least} must be`);
  });
}

/** I3, I4, I5: one attempt per claim, in order, and nothing written by an older one after a newer began. */
function checkAttempts({ job, attempts, events }: JobRecord, report: Report): void {
  const missing = missingOf(events);
  checkNumbers(
    attempts.map((attempt) => attempt.epoch),
    missing.attempts,
    (text) => report("I4", `has attempt ${text}`),
  );
  attempts.forEach((attempt) => {
    const isOpen = attempt.endedAtMs === null;
    const mayBeOpen = job.state === "running" && attempt.epoch === job.epoch;
    if (isOpen && !mayBeOpen) report("I4", `has attempt ${attempt.epoch} open while it is ${job.state}`);
    if (!isOpen && mayBeOpen) report("I4", `is running but its attempt ${attempt.epoch} has ended`);
    const claims = events.filter((event) => event.kind === "claimed" && event.epoch === attempt.epoch).length;
    if (claims !== 1 && !(claims === 0 && missing.events > 0)) {
      report("I5", `has ${claims} claims of attempt ${attempt.epoch}`);
    }
  });
  if (attempts.length + missing.attempts !== job.epoch) {
    report("I4", `counts ${job.epoch} claims but has ${attempts.length} attempts`);
  }
  let newest = 0;
  for (const event of events) {
    if (event.epoch > job.epoch) report("I3", `has an event of attempt ${event.epoch}, which never was`);
    if (event.epoch !== 0 && event.epoch < newest) {
      report("I3", `has event ${event.seq} of attempt ${event.epoch} after attempt ${newest} began`);
    }
    newest = Math.max(newest, event.epoch);
  }
}

/** How many lines a job had, as far as their numbers and the evidence of its attempts tell. */
export function lineTotal({ attempts, lines }: Pick<JobRecord, "attempts" | "lines">): number {
  const counted = attempts.reduce((sum, { evidence }) => sum + (evidence?.lineCount ?? 0), 0);
  return Math.max(lines.at(-1)?.seq ?? 0, counted);
}

/** I3, I7: lines are 1..n, attempts do not mix, and the evidence counts what is there or told to be missing. */
function checkLines({ job, attempts, lines, partials, events }: JobRecord, report: Report): void {
  const missing = missingOf(events).lines;
  checkNumbers(lines.map((line) => line.seq), missing, (text) => report("I7", `has line number ${text}`));
  if (missing > 0 && lines.length + missing !== lineTotal({ attempts, lines })) {
    report("I15", `misses ${lineTotal({ attempts, lines }) - lines.length} lines and tells of ${missing}`);
  }
  let newest = 0;
  lines.forEach((line) => {
    if (line.epoch < newest) {
      report("I3", `has line ${line.seq} of attempt ${line.epoch} after attempt ${newest} began`);
    }
    newest = Math.max(newest, line.epoch);
  });
  if (newest > job.epoch) report("I3", `has lines of attempt ${newest}, which never was`);
  for (const { epoch, evidence } of attempts) {
    if (evidence === null) continue;
    const own = lines.filter((line) => line.epoch === epoch);
    const bytes = own.reduce((sum, line) => sum + line.byteLength + (line.end === "newline" ? 1 : 0), 0);
    const isAsCounted = (stored: number, counted: number) =>
      missing === 0 ? stored === counted : stored <= counted;
    if (!isAsCounted(own.length, evidence.lineCount)) {
      report("I7", `stored ${own.length} lines of attempt ${epoch}, which counted ${evidence.lineCount}`);
    }
    if (!isAsCounted(bytes, evidence.outputBytes)) {
      report("I7", `stored ${bytes} bytes of attempt ${epoch}, which counted ${evidence.outputBytes}`);
    }
  }
  if (isFinal(job.state) && partials.length > 0) report("I7", "is final but has unfinished text");
}

/** I15: what was dropped was said, and what was said was dropped. */
function checkDrops({ attempts, events }: JobRecord, report: Report): void {
  const mayBeLost = missingOf(events).events > 0;
  for (const { epoch, evidence } of attempts) {
    const said = events.filter((event) => event.kind === "output_dropped" && event.epoch === epoch).length;
    const dropped = evidence !== null && evidence.droppedLines > 0;
    if (dropped && said !== 1 && !(said === 0 && mayBeLost)) {
      report("I15", `dropped output of attempt ${epoch} and said so ${said} times`);
    }
    if (evidence !== null && !dropped && said > 0) {
      report("I15", `says that it dropped output of attempt ${epoch}, which it did not`);
    }
  }
}

/** I7 for artifacts: the bytes are those that were announced. */
function checkArtifacts({ artifacts, events }: JobRecord, report: Report): void {
  for (const artifact of artifacts) {
    const { name, sizeBytes, storedBytes, sha256, storedSha256 } = artifact;
    if (storedBytes !== sizeBytes) {
      report("I7", `holds ${storedBytes} bytes of artifact ${name}, which has ${sizeBytes}`);
    } else if (storedSha256 !== sha256) {
      report("I7", `holds other bytes of artifact ${name} than were announced`);
    }
    const told = events.some((event) =>
      event.kind === "artifact" && (event.data as { name?: unknown; sha256?: unknown }).name === name &&
      (event.data as { sha256?: unknown }).sha256 === sha256
    );
    if (!told && missingOf(events).events === 0) report("I15", `keeps artifact ${name} without an event`);
  }
}

/** I12: whoever asked is known, and a queued job that was cancelled is not queued any more. */
function checkCancel({ job, events }: JobRecord, report: Report): void {
  if (job.state === "cancelled" && job.cancel === null) {
    report("I12", "is cancelled, but nobody asked for it");
  }
  if (job.state === "queued" && job.cancel !== null) {
    report("I12", "was cancelled while queued, and is still queued");
  }
  const asked = events.filter((event) => event.kind === "cancel_requested").length;
  if (asked > 1) report("I12", `was asked to stop ${asked} times; only the first may count`);
}

/** I10, I11: somebody attends every running job, and nothing of a final one runs on. */
function checkOwner({ job }: JobRecord, around: Surroundings, report: Report): void {
  if (job.state === "running" && job.owner === null) report("I10", "is running without an owner");
  if (job.state === "running" && job.owner !== null && !around.isWorkerAlive(job.owner)) {
    report("I10", `is running for worker ${job.owner}, which is dead`);
  }
  const processes = isFinal(job.state) ? around.processCount?.(job) ?? 0 : 0;
  if (processes > 0) report("I11", `is ${job.state}, but ${processes} of its processes still run`);
}

/** I16: nothing that is stored is beyond its bound. */
function checkBounds({ job, events, lines, artifacts }: JobRecord, report: Report): void {
  for (const line of lines) {
    if (line.byteLength > LIMITS.lineBytesMax) {
      report("I16", `has line ${line.seq} of ${line.byteLength} bytes`);
    }
    if (line.end === "cut" && line.byteLength !== LIMITS.lineBytesMax) {
      report("I7", `has line ${line.seq} cut at ${line.byteLength} bytes`);
    }
  }
  const stored = new Map<number, number>();
  for (const line of lines) {
    stored.set(
      line.epoch,
      (stored.get(line.epoch) ?? 0) + line.byteLength + (line.end === "newline" ? 1 : 0),
    );
  }
  for (const [epoch, bytes] of stored) {
    if (bytes > job.outputBytesMax) {
      report("I16", `stored ${bytes} bytes of attempt ${epoch}, above ${job.outputBytesMax}`);
    }
  }
  const progress = events.filter((event) => event.kind === "progress").length;
  if (progress > LIMITS.progressEventsMax * Math.max(1, job.epoch)) {
    report("I16", `has ${progress} progress events`);
  }
  if (artifacts.length > LIMITS.artifactsMax) report("I16", `has ${artifacts.length} artifacts`);
}
