import { sha256Hex, toHex } from "../core/bytes.ts";
import { canonicalJson } from "../core/canonical.ts";
import type { Artifact, Attempt, Job, JobEvent, StreamName } from "../core/job.ts";
import type { Store } from "../store/store.ts";
import { follow } from "./follow.ts";

/** Facts that differ between two runs of one job for no fault of theirs. */
const CIRCUMSTANCES = ["worker", "pid", "actor", "delayMs"];

/** How long a program was silent, and where its code lies, is a matter of the machine, not of the work. */
const OF_THE_MACHINE = ["silent", "trace"];

/** One SHA-256 for each part of what a job was asked and left; which of them differ tells where two runs differ. */
export interface DigestParts {
  readonly request: string;
  readonly outcome: string;
  readonly attempts: string;
  readonly events: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly artifacts: string;
}

/**
 * A SHA-256 over all that a job was asked and left: request, final state, failure, result, exit code, events in
 * order, the bytes of each stream, artifacts. Ids, times, pids and measurements stay out, so two runs of the same
 * work have the same digest, however they were launched.
 */
export async function jobDigest(store: Store, job: Job): Promise<{ digest: string; parts: DigestParts }> {
  const { events, streams } = await readOutput(store, job.id);
  const attempts = await store.jobs.attempts(job.id);
  const artifacts = await store.artifacts.list(job.id);
  const { task, input, queue, priority, timeoutMs, graceMs, outputBytesMax, state, failure, result } = job;
  const parts = {
    request: await digestOf({ task, input, queue, priority, timeoutMs, graceMs, outputBytesMax }),
    outcome: await digestOf({ state, failure, result }),
    attempts: await digestOf(attempts.map(lastingAttempt)),
    events: await digestOf(events.map(lastingEvent)),
    stdout: await digestOf(streams.stdout),
    stderr: await digestOf(streams.stderr),
    artifacts: await digestOf(artifacts.map(lastingArtifact)),
  };
  return { digest: await digestOf(parts), parts };
}

async function digestOf(value: unknown): Promise<string> {
  return await sha256Hex(canonicalJson(value));
}

interface StreamDigest {
  readonly lines: number;
  readonly sha256: string;
}

async function readOutput(
  store: Store,
  jobId: string,
): Promise<{ events: JobEvent[]; streams: Record<StreamName, StreamDigest> }> {
  // Loaded only here: few commands ask for a digest.
  const { sha256 } = await import("@noble/hashes/sha2.js");
  const hashes = { stdout: sha256.create(), stderr: sha256.create() };
  const counts = { stdout: 0, stderr: 0 };
  const events: JobEvent[] = [];
  const encoder = new TextEncoder();
  for await (const news of follow(store, jobId, { afterLine: 0, afterEvent: 0, live: false })) {
    for (const line of news.lines) {
      // Length and ending go in too, so that bytes can not move from one line to the next unseen.
      hashes[line.stream].update(encoder.encode(`${line.bytes.length} ${line.end}\n`)).update(line.bytes);
      counts[line.stream]++;
    }
    events.push(...news.events.filter(({ kind }) => !OF_THE_MACHINE.includes(kind)));
  }
  const digest = (stream: StreamName) => ({ lines: counts[stream], sha256: toHex(hashes[stream].digest()) });
  return { events, streams: { stdout: digest("stdout"), stderr: digest("stderr") } };
}

function lastingEvent(event: JobEvent): unknown {
  const data = event.data;
  if (data === null || typeof data !== "object" || Array.isArray(data) || event.kind.startsWith("task.")) {
    return { kind: event.kind, epoch: event.epoch, data };
  }
  const lasting = Object.entries(data).filter(([name]) => !CIRCUMSTANCES.includes(name));
  return { kind: event.kind, epoch: event.epoch, data: Object.fromEntries(lasting) };
}

function lastingAttempt({ epoch, outcome, evidence }: Attempt): unknown {
  if (evidence === null) return { epoch, outcome };
  const { exitCode, signal, lineCount, outputBytes, droppedLines, droppedBytes } = evidence;
  return { epoch, outcome, exitCode, signal, lineCount, outputBytes, droppedLines, droppedBytes };
}

function lastingArtifact({ name, sizeBytes, mediaType, sha256 }: Artifact): unknown {
  return { name, sizeBytes, mediaType, sha256 };
}
