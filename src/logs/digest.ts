import { sha256 } from "@noble/hashes/sha2.js";
import { sha256Hex, toHex } from "../core/bytes.ts";
import { canonicalJson } from "../core/canonical.ts";
import type { Attempt, Job, JobEvent, StreamName } from "../core/job.ts";
import type { Store } from "../store/store.ts";
import { follow } from "./follow.ts";

/** Facts that differ between two runs of one job for no fault of theirs. */
const CIRCUMSTANCES = ["worker", "pid", "actor"];

/**
 * A SHA-256 over all that a job was asked and left: request, final state, failure, result, exit code, events in
 * order, the bytes of each stream, artifacts. Ids, times, pids and measurements stay out, so two runs of the same
 * work have the same digest, however they were launched.
 */
export async function jobDigest(store: Store, job: Job): Promise<string> {
  const { events, streams } = await readOutput(store, job.id);
  const attempts = await store.jobs.attempts(job.id);
  const artifacts = await store.artifacts.list(job.id);
  const { task, input, queue, priority, timeoutMs, graceMs, outputBytesMax, state, failure, result } = job;
  return await sha256Hex(canonicalJson({
    request: { task, input, queue, priority, timeoutMs, graceMs, outputBytesMax },
    outcome: { state, failure, result },
    attempts: attempts.map(lastingAttempt),
    events: events.map(lastingEvent),
    streams,
    artifacts: artifacts.map(({ name, sizeBytes, mediaType, sha256 }) => ({
      name,
      sizeBytes,
      mediaType,
      sha256,
    })),
  }));
}

interface StreamDigest {
  readonly lines: number;
  readonly sha256: string;
}

async function readOutput(
  store: Store,
  jobId: string,
): Promise<{ events: JobEvent[]; streams: Record<StreamName, StreamDigest> }> {
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
    events.push(...news.events);
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
