/** What a launch of a job left, held against what another launch of it left and against what it had to leave. */
import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Artifact, Attempt, Job, JobEvent } from "../../../src/core/job.ts";
import type { DigestParts } from "../../../src/logs/digest.ts";
import type { Shown } from "./forms.ts";
import type { Bytes, Expectation, ParityJob } from "./job.ts";

/** What `jobs show --json` prints. */
export interface ShownDocument {
  readonly job: Job;
  readonly attempts: readonly Attempt[];
  readonly artifacts: readonly Omit<Artifact, "job">[];
  readonly events: readonly JobEvent[];
  readonly digest: string;
  readonly digestParts: DigestParts;
}

export interface LaunchRecord {
  readonly job: ParityJob;
  readonly form: string;
  readonly shown: Shown;
  readonly document: ShownDocument;
  /** The kind of worker that ran it, and the kind that had to; null where it does not matter. */
  readonly launch: { readonly actual: string | null; readonly expected: string } | null;
  /** The bytes of its artifacts as the form gives them out. */
  readonly artifacts: ReadonlyMap<string, Uint8Array>;
  /** What the form gave its worker, and where the program worked. */
  readonly place: { readonly cwd: string; readonly env: Readonly<Record<string, string>> };
}

/** One thing in which a launch is not as it must be. */
export interface Difference {
  readonly job: string;
  readonly form: string;
  readonly field: string;
  readonly expected: string;
  readonly actual: string;
}

export function differenceText({ job, form, field, expected, actual }: Difference): string {
  return `${job}: ${form}: ${field}\n    expected ${expected}\n    actual   ${actual}`;
}

/** Everything in which `other` differs from `reference`, a launch of the same job in another form. */
export function compareRecords(reference: LaunchRecord, other: LaunchRecord): Difference[] {
  const differences: Difference[] = [];
  const say = (field: string, expected: unknown, actual: unknown) =>
    differences.push({ job: other.job.name, form: other.form, field, ...apart(expected, actual) });
  for (const part of Object.keys(reference.document.digestParts) as (keyof DigestParts)[]) {
    if (reference.document.digestParts[part] === other.document.digestParts[part]) continue;
    say(part, factsOf(reference, part), factsOf(other, part));
  }
  const digests = [reference.document.digest, other.document.digest] as const;
  if (digests[0] !== digests[1] && differences.length === 0) say("digest", ...digests);
  for (const stream of ["stdout", "stderr"] as const) {
    const shown = [reference.shown[stream], other.shown[stream]] as const;
    if (!isDeepStrictEqual(...shown)) say(`${stream} as shown`, textOf(shown[0]), textOf(shown[1]));
  }
  const exits = [reference.shown.exit, other.shown.exit] as const;
  const isSame = exits[0] === exits[1] || exits.includes(null) || other.job.act === "interrupt";
  if (!isSame) say("exit code", ...exits);
  return differences;
}

/** The facts that a part of the digest is made from, as far as people need them to see where they differ. */
function factsOf({ document, shown }: LaunchRecord, part: keyof DigestParts): unknown {
  const { job, attempts, events, artifacts } = document;
  const { task, input, queue, priority, timeoutMs, graceMs, outputBytesMax, state, failure, result } = job;
  switch (part) {
    case "request":
      return { task, queue, priority, timeoutMs, graceMs, outputBytesMax, input };
    case "outcome":
      return { state, failure, result };
    case "attempts":
      return attempts.map(({ epoch, outcome, evidence }) => ({
        epoch,
        outcome,
        evidence: lastingEvidence(evidence),
      }));
    case "events":
      return events.map(({ kind, data }) => ({ kind, data }));
    case "artifacts":
      return artifacts.map(({ name, sizeBytes, mediaType, sha256 }) => ({
        name,
        sizeBytes,
        mediaType,
        sha256,
      }));
    default:
      return textOf(shown[part]);
  }
}

/** Without what is measured, and without the last lines, which depend on how two streams were read. */
function lastingEvidence(evidence: Attempt["evidence"]): unknown {
  if (evidence === null) return null;
  const { wallMs: _wall, cpuMs: _cpu, peakMemoryBytes: _peak, lastLines: _last, ...lasting } = evidence;
  return lasting;
}

/** Everything in which a record is not what its job had to come to. */
export function checkRecord(record: LaunchRecord): Difference[] {
  const { job, form, document, launch } = record;
  const { expect } = job;
  const differences: Difference[] = [];
  const check = (field: string, expected: unknown, actual: unknown) => {
    if (isDeepStrictEqual(actual, expected)) return;
    differences.push({ job: job.name, form, field: `wanted ${field}`, ...apart(expected, actual) });
  };
  const { state, failure, result } = document.job;
  check("state", expect.state, state);
  check("failure", expect.failure ?? null, failure?.code ?? null);
  if (expect.message && !expect.message.test(failure?.message ?? "")) {
    check("message", String(expect.message), failure?.message);
  }
  check("result", expect.result ?? null, result);
  checkShown(record, check);
  checkEvidence(record, check);
  checkEvents(expect, document.events, check);
  checkArtifacts(record, check);
  if (launch !== null && launch.actual !== null) check("worker", launch.expected, launch.actual);
  return differences;
}

type Check = (field: string, expected: unknown, actual: unknown) => void;

function checkShown({ job: { act, expect }, shown, launch, place }: LaunchRecord, check: Check): void {
  const isInterrupted = act === "interrupt" && launch?.expected === "run";
  const exit = isInterrupted ? expect.exitInterrupted : expect.exit;
  if (shown.exit !== null) check("exit code", exit, shown.exit);
  for (const stream of ["stdout", "stderr"] as const) {
    const bytes = expectedBytes(expect, stream, place);
    if (bytes !== null) check(stream, textOf(bytes), textOf(shown[stream]));
  }
}

function expectedBytes(
  expect: Expectation,
  stream: "stdout" | "stderr",
  place: LaunchRecord["place"],
): Uint8Array | null {
  const wanted = expect[stream];
  if (wanted === null) return null;
  return toBytes(typeof wanted === "function" ? wanted(place) : wanted ?? "");
}

function checkEvidence({ job: { expect }, document, place }: LaunchRecord, check: Check): void {
  const attempt = document.attempts.at(-1);
  const isClaimed = expect.events?.includes("claimed") ?? true;
  check("attempts", isClaimed ? 1 : 0, document.attempts.length);
  if (attempt === undefined) return;
  check("attempt's outcome", expect.state, attempt.outcome);
  const { evidence } = attempt;
  check("program's exit code", expect.exitCode, evidence?.exitCode);
  check("program's signal", expect.signal ?? null, evidence?.signal);
  check("dropped lines", expect.dropped?.lines ?? 0, evidence?.droppedLines);
  check("dropped bytes", expect.dropped?.bytes ?? 0, evidence?.droppedBytes);
  const streams = [expectedBytes(expect, "stdout", place), expectedBytes(expect, "stderr", place)];
  if (streams.includes(null)) return;
  check("output bytes", streams.reduce((sum, bytes) => sum + bytes!.length, 0), evidence?.outputBytes);
  check(
    "lines",
    expect.lines ?? streams.reduce((sum, bytes) => sum + linesIn(bytes!), 0),
    evidence?.lineCount,
  );
}

function linesIn(bytes: Uint8Array): number {
  const newlines = bytes.filter((byte) => byte === 10).length;
  return bytes.length > 0 && bytes.at(-1) !== 10 ? newlines + 1 : newlines;
}

function checkEvents(expect: Expectation, events: readonly JobEvent[], check: Check): void {
  const wanted = expect.events ?? ["submitted", "claimed", "started", "finished"];
  check(
    "events",
    wanted.map((event) => typeof event === "string" ? event : event[0]),
    events.map(({ kind }) => kind),
  );
  check("event numbers", events.map((_, index) => index + 1), events.map(({ seq }) => seq));
  wanted.forEach((event, index) => {
    if (typeof event !== "string") check(`data of event ${index + 1}`, event[1], events[index]?.data);
  });
}

function checkArtifacts({ job: { expect }, document, artifacts }: LaunchRecord, check: Check): void {
  const wanted = (expect.artifacts ?? []).map(({ name, content, mediaType }) => {
    const bytes = toBytes(content);
    return {
      name,
      sizeBytes: bytes.length,
      mediaType,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    };
  });
  const actual = document.artifacts.map(({ name, sizeBytes, mediaType, sha256 }) => ({
    name,
    sizeBytes,
    mediaType,
    sha256,
  }));
  check("artifacts", wanted, actual);
  for (const { name, content } of expect.artifacts ?? []) {
    const given = artifacts.get(name);
    check(`bytes of artifact ${name}`, textOf(toBytes(content)), given && textOf(given));
  }
}

function toBytes(bytes: Bytes): Uint8Array {
  return typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
}

/** Bytes as text of which no two are equal: what is no visible ASCII is escaped. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

const SHOWN = 300;

/** Two values as text, each from a little before the place where they part. */
function apart(expected: unknown, actual: unknown): { expected: string; actual: string } {
  const texts = [JSON.stringify(expected) ?? "nothing", JSON.stringify(actual) ?? "nothing"] as const;
  const [one, two] = texts;
  let at = 0;
  while (at < Math.min(one.length, two.length) && one[at] === two[at]) at++;
  const from = Math.max(0, at - SHOWN / 3);
  const cut = (text: string) =>
    `${from > 0 ? "…" : ""}${text.slice(from, from + SHOWN)}${text.length > from + SHOWN ? "…" : ""}`;
  return { expected: cut(one), actual: cut(two) };
}
