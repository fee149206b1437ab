/** What an attempt writes of its output while it holds its job: chunks of lines, and the text of unfinished ones. */
import type { StreamName } from "../core/job.ts";
import { type SqlValue, type Statement, statement } from "./driver.ts";
import { type Fence, STILL_OURS } from "./transitions.ts";

export interface LineChunk {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly frames: Uint8Array;
}

/** Storing a chunk once more changes nothing: after a lost answer nobody knows whether the first time counted. */
export function linesStatement(fence: Fence, chunk: LineChunk): Statement {
  return insertLines(
    fence,
    chunk,
    `ON CONFLICT (job_id, first_seq) DO UPDATE SET last_seq = excluded.last_seq, frames = excluded.frames
       WHERE lines.epoch = excluded.epoch`,
  );
}

/** Stores a chunk only where no line stands behind the one that it comes after. */
export function linesAtEndStatement(fence: Fence, chunk: LineChunk): Statement {
  const condition = "AND NOT EXISTS (SELECT 1 FROM lines WHERE job_id = ? AND first_seq >= ?)";
  return insertLines(fence, chunk, condition, fence.jobId, chunk.firstSeq);
}

function insertLines(fence: Fence, chunk: LineChunk, ending: string, ...more: SqlValue[]): Statement {
  return statement(
    `INSERT INTO lines (job_id, first_seq, last_seq, epoch, frames) SELECT ?, ?, ?, ?, ? WHERE ${STILL_OURS}
     ${ending}`,
    fence.jobId,
    chunk.firstSeq,
    chunk.lastSeq,
    fence.epoch,
    chunk.frames,
    fence.jobId,
    fence.worker,
    fence.epoch,
    ...more,
  );
}

/** Shows, replaces or (with null) removes the unfinished text of one stream. */
export function partialStatement(
  fence: Fence,
  stream: StreamName,
  bytes: Uint8Array | null,
  atMs: number,
): Statement {
  if (bytes === null) {
    return statement(
      `DELETE FROM partial_lines WHERE job_id = ? AND stream = ? AND ${STILL_OURS}`,
      fence.jobId,
      stream,
      fence.jobId,
      fence.worker,
      fence.epoch,
    );
  }
  return statement(
    `INSERT INTO partial_lines (job_id, stream, epoch, at_ms, bytes) SELECT ?, ?, ?, ?, ? WHERE ${STILL_OURS}
     ON CONFLICT (job_id, stream) DO UPDATE SET epoch = excluded.epoch, at_ms = excluded.at_ms, bytes = excluded.bytes`,
    fence.jobId,
    stream,
    fence.epoch,
    atMs,
    bytes,
    fence.jobId,
    fence.worker,
    fence.epoch,
  );
}
