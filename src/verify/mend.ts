import type { Attempt, Job, JobEvent } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import { decodeFrames } from "../logs/frames.ts";
import type { Mend, Mending } from "../store/salvage/mending.ts";
import type { StoredChunk } from "../store/lines.ts";
import type { Store } from "../store/store.ts";
import { checkJob, type JobRecord, type LineFact, lineTotal, type Missing, missingOf } from "./check.ts";
import { readArtifacts } from "./read.ts";

/** How a job came through. */
export interface Mended {
  readonly as: "whole" | "incomplete" | "removed";
  /** What is missing of it; of a whole one nothing. */
  readonly missing: Missing;
}

const EVENTS_AT_ONCE = 1_000;

/**
 * Makes the record of one job sound again, with all of it that can be believed. What is missing is told in an event
 * of its own, so that nobody takes the rest for all there was. A job that makes no sense even so is removed.
 */
export async function mendJob(store: Store, mending: Mending, job: Job, atMs: number): Promise<Mended> {
  const found = await readAll(store, mending, job);
  for (const attempt of ATTEMPTS) {
    const mended = mendedRecord(found, attempt, atMs);
    if (checkJob(mended.record, { isWorkerAlive: () => true }).length > 0) continue;
    await mending.apply(mended.mend);
    const missing = missingOf(mended.record.events);
    return { as: mended.mend.told === null ? "whole" : "incomplete", missing };
  }
  await mending.removeJob(job.id);
  return { as: "removed", missing: missingOf([]) };
}

/** What may be wrong besides gaps in the numbers: the last event is lost, or evidence was counted wrong. */
const ATTEMPTS = [
  { lostAtEnd: 0, forgetsEvidence: false },
  { lostAtEnd: 1, forgetsEvidence: false },
  { lostAtEnd: 0, forgetsEvidence: true },
  { lostAtEnd: 1, forgetsEvidence: true },
] as const;

/** A record, and what of the stored one is not in it. */
interface Found {
  readonly record: JobRecord;
  readonly left: Pick<Mend, "events" | "attempts" | "chunks" | "artifacts">;
}

async function readAll(store: Store, mending: Mending, job: Job): Promise<Found> {
  const [events, oddEvents] = parted(await readEvents(store, job.id), eventIsSound(job));
  const [attempts, oddAttempts] = parted(
    await store.jobs.attempts(job.id),
    ({ epoch }: Attempt) => epoch >= 1 && epoch <= job.epoch,
  );
  const [artifacts, oddArtifacts] = parted(
    await readArtifacts(store, job.id),
    (one) => one.sizeBytes === one.storedBytes && one.sha256 === one.storedSha256,
  );
  const { lines, oddChunks } = await readLines(mending, job);
  const partials = await store.lines.partials(job.id);
  return {
    record: { job, attempts, events, lines, partials, artifacts },
    left: {
      events: oddEvents.map(({ seq }) => seq),
      attempts: oddAttempts.map(({ epoch }) => epoch),
      chunks: oddChunks,
      artifacts: oddArtifacts.map(({ name }) => name),
    },
  };
}

function parted<T>(all: readonly T[], isSound: (one: T) => boolean): [sound: T[], odd: T[]] {
  const sound: T[] = [];
  const odd: T[] = [];
  for (const one of all) (isSound(one) ? sound : odd).push(one);
  return [sound, odd];
}

async function readEvents(store: Store, jobId: string): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  for (;;) {
    const limits = { chunks: 0, events: EVENTS_AT_ONCE };
    const sighting = await store.lines.after(jobId, 0, events.at(-1)?.seq ?? 0, limits);
    events.push(...sighting.events);
    if (sighting.events.length < EVENTS_AT_ONCE) return events;
  }
}

/** Events come in order, so one that cannot follow those before it is the damaged one. */
function eventIsSound(job: Job): (event: JobEvent) => boolean {
  let newest = 0;
  return ({ epoch, kind, data }) => {
    const isOld = epoch !== 0 && epoch < newest;
    const isOther = kind === "finished" && (data as { state?: unknown } | null)?.state !== job.state;
    if (epoch < 0 || epoch > job.epoch || isOld || isOther) return false;
    newest = Math.max(newest, epoch);
    return true;
  };
}

async function readLines(mending: Mending, job: Job): Promise<{ lines: LineFact[]; oddChunks: number[] }> {
  const lines: LineFact[] = [];
  const oddChunks: number[] = [];
  for await (const chunk of mending.chunks(job.id)) {
    const facts = factsOf(chunk);
    const last = lines.at(-1);
    const follows = chunk.firstSeq > (last?.seq ?? 0) && chunk.epoch >= (last?.epoch ?? 0);
    if (facts === null || !follows || chunk.epoch > job.epoch) oddChunks.push(chunk.firstSeq);
    else for (const fact of facts) lines.push(fact);
  }
  return { lines, oddChunks };
}

/** The lines of a chunk, or null when it holds others than it says. */
function factsOf(chunk: StoredChunk): LineFact[] | null {
  try {
    const decoded = decodeFrames(chunk.frames, chunk.firstSeq, chunk.epoch);
    const facts = decoded.map(({ bytes, ...line }) => ({ ...line, byteLength: bytes.length }));
    const isSound = facts.at(-1)?.seq === chunk.lastSeq && facts.every(isLine);
    return isSound ? facts : null;
  } catch {
    return null;
  }
}

function isLine({ end, byteLength, atMs }: LineFact): boolean {
  return end !== undefined && byteLength <= LIMITS.lineBytesMax && Number.isFinite(atMs) &&
    (end !== "cut" || byteLength === LIMITS.lineBytesMax);
}

/** The record as it is to be, and the changes that lead there. */
function mendedRecord(
  { record, left }: Found,
  { lostAtEnd, forgetsEvidence }: typeof ATTEMPTS[number],
  atMs: number,
): { record: JobRecord; mend: Mend } {
  const { job, events, artifacts } = record;
  const attempts = forgetsEvidence
    ? record.attempts.map((one) => ({ ...one, evidence: null }))
    : record.attempts;
  const lastSeq = (events.at(-1)?.seq ?? 0) + lostAtEnd;
  const before = missingOf(events);
  const missing = {
    events: lastSeq - events.length,
    attempts: job.epoch - attempts.length,
    lines: lineTotal({ ...record, attempts }) - record.lines.length,
    artifacts: Math.max(before.artifacts, lostArtifacts(record, left.artifacts)),
  };
  // It may have been repaired before, and then only what is new needs to be told.
  const isTold = missing.events === before.events && missing.attempts === before.attempts &&
    missing.lines === before.lines && missing.artifacts === before.artifacts;
  const isChanged = forgetsEvidence || !isTold;
  const data = { ...missing, evidence: forgetsEvidence };
  const told = isChanged ? { seq: lastSeq + 1, epoch: job.epoch, data, atMs } : null;
  const event = told === null ? [] : [{ job: job.id, kind: "repaired", ...told }];
  return {
    record: { ...record, attempts, artifacts, events: [...events, ...event] },
    mend: { job: job.id, ...left, forgetsEvidence, told },
  };
}

/** Those that are not as they were announced, and those of which only the announcement is left. */
function lostArtifacts({ artifacts, events }: JobRecord, odd: readonly string[]): number {
  const lost = new Set(odd);
  const kept = new Set(artifacts.map(({ name }) => name));
  for (const { kind, data } of events) {
    const name = (data as { name?: unknown } | null)?.name;
    if (kind === "artifact" && typeof name === "string" && !kept.has(name)) lost.add(name);
  }
  return lost.size;
}
