/** What is found after a power cut, held against what was acknowledged before it. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Host } from "../../../src/core/host.ts";
import { reap } from "../../../src/executor/reaper.ts";
import { decodeFrames } from "../../../src/logs/frames.ts";
import { createHost } from "../../../src/platform/host.ts";
import type { Row } from "../../../src/store/driver.ts";
import { toArtifact, toAttempt, toBytes, toEvent, toJob } from "../../../src/store/rows.ts";
import { Store } from "../../../src/store/store.ts";
import { builtInTasks } from "../../../src/tasks/registry.ts";
import { checkJob, type JobRecord } from "../../../src/verify/check.ts";
import { checkHistory, type Told } from "../../../src/verify/history.ts";
import { verifyDatabase } from "../../../src/verify/verify.ts";
import { fileOptions } from "../store_fixture.ts";
import type { Image } from "../system_calls/disk.ts";
import { type Recording, sha256, type Word } from "./record.ts";

export interface Cut {
  readonly recording: Recording;
  readonly image: Image;
  /** What was told before the power was cut. */
  readonly told: readonly Word[];
  /** Every content that an output file was to have, by path, in order, with how many of them were acknowledged. */
  readonly outputs: ReadonlyMap<
    string,
    { readonly contents: readonly string[]; readonly acknowledged: number }
  >;
  /** Every content that `outcome.json` of an attempt had as a whole, by path. */
  readonly outcomes: ReadonlyMap<string, ReadonlySet<string>>;
}

/** What is wrong; empty when nothing is. `place` is an empty directory. */
export function judge(cut: Cut, place: string): string[] {
  return [...judgeDatabase(cut, place), ...judgeOutputs(cut)];
}

const COMPANIONS = ["", "-wal", "-journal"] as const;

function judgeDatabase({ recording, image, told }: Cut, place: string): string[] {
  const { database } = recording;
  if (!image.has(database)) {
    return told.length === 0 ? [] : [`I2 the database is gone, with ${told.length} acknowledgements`];
  }
  const path = join(place, "glassbox.db");
  for (const end of ["-shm", "-wal", "-journal"]) rmSync(path + end, { force: true });
  for (const end of COMPANIONS) {
    const bytes = image.get(database + end);
    if (bytes !== undefined) writeFileSync(path + end, bytes);
  }
  // Runtime's own SQLite: of libSQL a connection stays until its statements are collected, and with it what it knew
  // of an earlier image. The next start is libSQL's.
  const opened = new DatabaseSync(path);
  try {
    return judgeRows(opened, told);
  } catch (error) {
    return [`the database cannot be read: ${(error as Error).message}`];
  } finally {
    opened.close();
  }
}

function judgeRows(database: DatabaseSync, told: readonly Word[]): string[] {
  const rows = (sql: string) => database.prepare(sql).all() as unknown as Row[];
  const check = rows("PRAGMA quick_check").map((row) => String(Object.values(row)[0]));
  const corrupt = check.filter((text) => text !== "ok").map((text) => `corrupt: ${text}`);
  if (corrupt.length > 0) return corrupt;
  const tables = rows("SELECT name FROM sqlite_schema WHERE name = 'jobs'");
  if (tables.length === 0) {
    return told.length === 0 ? [] : [`I2 the database is empty, with ${told.length} acknowledgements`];
  }
  const found = recordsOf(rows);
  const violations = [...found.values()].flatMap(({ record, broken }) => [
    ...broken,
    ...checkJob(record, { isWorkerAlive: () => true }),
  ]);
  return [
    ...[...violations, ...checkTold(told, found)].map(({ invariant, job, message }) =>
      `${invariant} job ${job} ${message}`
    ),
  ];
}

interface Found {
  readonly record: JobRecord;
  readonly lines: ReadonlyMap<number, Uint8Array>;
  readonly broken: { invariant: string; job: string; message: string }[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

/** All jobs with all that is stored of them, each table read once. */
function recordsOf(rows: (sql: string) => Row[]): Map<string, Found> {
  const found = new Map<string, Found & { record: Mutable<JobRecord>; lines: Map<number, Uint8Array> }>();
  for (const row of rows("SELECT * FROM jobs")) {
    const record = { job: toJob(row), attempts: [], events: [], lines: [], partials: [], artifacts: [] };
    found.set(record.job.id, { record, lines: new Map(), broken: [] });
  }
  const of = (row: Row) => found.get(String(row.job_id))!;
  for (const row of rows("SELECT * FROM attempts ORDER BY job_id, epoch")) {
    of(row).record.attempts.push(toAttempt(row));
  }
  for (const row of rows("SELECT * FROM events ORDER BY job_id, seq")) {
    of(row).record.events.push(toEvent(row));
  }
  for (const row of rows("SELECT * FROM lines ORDER BY job_id, first_seq")) {
    const { record, lines, broken } = of(row);
    try {
      for (const line of decodeFrames(toBytes(row.frames), Number(row.first_seq), Number(row.epoch))) {
        record.lines.push({ ...line, byteLength: line.bytes.length });
        lines.set(line.seq, line.bytes);
      }
    } catch (error) {
      broken.push({ invariant: "I7", job: record.job.id, message: `has a broken chunk: ${error}` });
    }
  }
  for (const row of rows("SELECT * FROM partial_lines")) {
    const { job_id, stream, epoch, at_ms, bytes } = row;
    of(row).record.partials.push(
      { job: job_id, stream, epoch, atMs: at_ms, bytes } as unknown as JobRecord["partials"][number],
    );
  }
  for (const row of rows("SELECT * FROM artifacts")) {
    const artifact = toArtifact(row);
    const parts = rows(
      `SELECT bytes FROM artifact_parts WHERE job_id = '${artifact.job}' AND name = '${artifact.name}'
         AND epoch = ${Number(row.epoch)} AND upload = ${Number(row.upload)} ORDER BY part`,
    ).map(({ bytes }) => toBytes(bytes));
    const stored = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    parts.reduce((at, part) => (stored.set(part, at), at + part.length), 0);
    of(row).record.artifacts.push({ ...artifact, storedBytes: stored.length, storedSha256: sha256(stored) });
  }
  return found;
}

function checkTold(words: readonly Word[], found: ReadonlyMap<string, Found>) {
  const told = words.filter((word): word is Told => word.kind !== "events" && word.kind !== "file");
  const violations = checkHistory(told, (id) => {
    const one = found.get(id);
    if (one === undefined) return null;
    const { job } = one.record;
    const lineSha256 = (seq: number) => {
      const bytes = one.lines.get(seq);
      return bytes === undefined ? null : sha256(bytes);
    };
    return { state: job.state, key: job.key, maxAttempts: job.maxAttempts, lineSha256 };
  });
  for (const word of words) {
    if (word.kind !== "events") continue;
    const there = found.get(word.job)?.record.events.length ?? 0;
    if (there >= word.count) continue;
    const message = `showed ${word.count} events and has ${there}`;
    violations.push({ invariant: "I6", job: word.job, message });
  }
  return violations;
}

/** I9: files for the user are old, new or absent, and once acknowledged the newest. */
function judgeOutputs({ recording, image, outputs, outcomes }: Cut): string[] {
  if (recording.sees !== "everything") return [];
  const wrong: string[] = [];
  for (const [path, { contents, acknowledged }] of outputs) {
    const bytes = image.get(path);
    const name = relative(recording.directory, path);
    if (bytes === undefined) {
      if (acknowledged > 0) wrong.push(`I9 ${name} is gone after it was acknowledged`);
      continue;
    }
    const at = contents.indexOf(sha256(bytes));
    if (at === -1) {
      wrong.push(`I9 ${name} is torn: it has ${bytes.length} bytes that nobody wrote as a whole`);
    } else if (at < acknowledged - 1) wrong.push(`I9 ${name} is an old one after a new one was acknowledged`);
  }
  for (const [path, bytes] of image) {
    if (path.endsWith("/outcome.json")) wrong.push(...judgeOutcome(path, bytes, outcomes.get(path)));
  }
  return wrong;
}

/** A torn one may be there, as it is not synced; but it must be known as such. */
function judgeOutcome(path: string, bytes: Uint8Array, wholes: ReadonlySet<string> | undefined): string[] {
  if (wholes?.has(sha256(bytes)) || !isBelieved(bytes)) return [];
  return [`I9 ${path} is torn and believed`];
}

function isBelieved(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder().decode(bytes));
    return true;
  } catch {
    return false;
  }
}

/** The whole image laid out, and the next start on it after a reboot: it must settle everything by itself. */
export async function judgeNextStart(cut: Cut, place: string): Promise<string[]> {
  const { recording, image, told } = cut;
  if (!image.has(recording.database)) return [];
  for (const [path, bytes] of image) {
    if (!path.startsWith(dirname(recording.database))) continue;
    const to = join(place, relative(dirname(recording.database), path));
    mkdirSync(dirname(to), { recursive: true });
    await writeFile(to, bytes);
  }
  const host = afterReboot();
  const store = await Store.open(fileOptions(join(place, "glassbox.db")), host);
  try {
    await reap({ host, store, registry: builtInTasks });
    const { violations } = await verifyDatabase(store, { isWorkerAlive: () => false });
    const wrong = violations.map(({ invariant, job, message }) => `${invariant} job ${job} ${message}`);
    for (const word of told) {
      if (word.kind !== "ended") continue;
      const { state } = await store.jobs.get(word.job);
      if (state !== word.state) wrong.push(`I1 job ${word.job} was told to be ${word.state} and is ${state}`);
    }
    return wrong.map((text) => `${text} (after the next start)`);
  } finally {
    await store.close();
  }
}

function afterReboot(): Host {
  const host = createHost();
  return { ...host, about: { ...host.about, bootId: crypto.randomUUID() } };
}

export async function emptied(place: string): Promise<string> {
  await rm(place, { recursive: true, force: true });
  await mkdir(place, { recursive: true });
  return place;
}
