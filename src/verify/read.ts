import { sha256 } from "@noble/hashes/sha2.js";
import { toHex } from "../core/bytes.ts";
import type { Job, JobEvent } from "../core/job.ts";
import { decodeFrames } from "../logs/frames.ts";
import type { Store } from "../store/store.ts";
import type { ArtifactFact, JobRecord, LineFact, Violation } from "./check.ts";

const PAGE = { chunks: 64, events: 1_000 };

/** Reads all that is stored of one job, a page at a time. Chunks that do not decode are violations of I7. */
export async function readRecord(
  store: Store,
  job: Job,
): Promise<{ record: JobRecord; violations: Violation[] }> {
  const events: JobEvent[] = [];
  const lines: LineFact[] = [];
  const violations: Violation[] = [];
  for (;;) {
    const afterLine = lines.at(-1)?.seq ?? 0;
    const sighting = await store.lines.after(job.id, afterLine, events.at(-1)?.seq ?? 0, PAGE);
    events.push(...sighting.events);
    for (const chunk of sighting.chunks) {
      try {
        const decoded = decodeFrames(chunk.frames, chunk.firstSeq, chunk.epoch);
        if (decoded.at(-1)?.seq !== chunk.lastSeq) {
          throw new RangeError(`it ends at line ${decoded.at(-1)?.seq}`);
        }
        lines.push(...decoded.map(({ bytes, ...line }) => ({ ...line, byteLength: bytes.length })));
      } catch (error) {
        const message = `has a chunk of lines ${chunk.firstSeq} to ${chunk.lastSeq} that is not sound: ${
          (error as Error).message
        }`;
        violations.push({ invariant: "I7", job: job.id, message });
        lines.push(unreadable(chunk.lastSeq, chunk.epoch));
      }
    }
    if (sighting.chunks.length < PAGE.chunks && sighting.events.length < PAGE.events) {
      const attempts = await store.jobs.attempts(job.id);
      const artifacts = await readArtifacts(store, job.id);
      return { record: { job, attempts, events, lines, partials: sighting.partials, artifacts }, violations };
    }
  }
}

function unreadable(seq: number, epoch: number): LineFact {
  return { seq, epoch, stream: "stdout", atMs: 0, end: "newline", byteLength: 0 };
}

/** The artifacts of a job with what is stored of each; a size of -1 where a part is missing. */
export async function readArtifacts(store: Store, jobId: string): Promise<ArtifactFact[]> {
  const facts: ArtifactFact[] = [];
  for (const artifact of await store.artifacts.list(jobId)) {
    const hash = sha256.create();
    let storedBytes = 0;
    try {
      for await (const part of store.artifacts.parts(artifact)) {
        hash.update(part);
        storedBytes += part.length;
      }
    } catch {
      storedBytes = -1;
    }
    const { job: _, ...fact } = artifact;
    facts.push({ ...fact, storedBytes, storedSha256: toHex(hash.digest()) });
  }
  return facts;
}
