import { isFinal, type JobEvent, type JobState, type PartialLine, type StreamName } from "../core/job.ts";
import { type Row, type Statement, statement } from "./connection.ts";
import { toBytes, toEvent } from "./rows.ts";
import type { StoreCore } from "./store_core.ts";
import type { LineChunk } from "./line_writes.ts";

export interface StoredChunk extends LineChunk {
  readonly epoch: number;
}

/** What a watcher may not have seen yet, all from one snapshot of the database. */
export interface Sighting {
  /** Null when there is no such job. */
  readonly state: JobState | null;
  readonly isFinal: boolean;
  readonly chunks: readonly StoredChunk[];
  readonly events: readonly JobEvent[];
  readonly partials: readonly PartialLine[];
}

/** Chunks of numbered lines as stored; `logs/` knows what is in them. */
export class Lines {
  #core: StoreCore;

  constructor(core: StoreCore) {
    this.#core = core;
  }

  /** The next chunks and events after the given numbers: the one query behind live output and replay. */
  async after(
    jobId: string,
    line: number,
    event: number,
    limits: { chunks: number; events: number },
  ): Promise<Sighting> {
    const [jobs, chunks, events, partials] = await this.#core.readTogether([
      statement("SELECT state FROM jobs WHERE id = ?", jobId),
      chunksAfter(jobId, line, limits.chunks),
      statement(
        "SELECT * FROM events WHERE job_id = ? AND seq > ? ORDER BY seq LIMIT ?",
        jobId,
        event,
        limits.events,
      ),
      partialsOf(jobId),
    ]);
    const state = jobs![0] === undefined ? null : String(jobs![0].state) as JobState;
    return {
      state,
      isFinal: state !== null && isFinal(state),
      chunks: chunks!.map(toChunk),
      events: events!.map(toEvent),
      partials: partials!.map(toPartial),
    };
  }

  /** The number of the last line; 0 when there is none. */
  async lastSeq(jobId: string): Promise<number> {
    return Number((await this.#core.read(lastSeqOf(jobId)))[0]?.last_seq ?? 0);
  }

  /** Text of a running attempt that has no newline yet. */
  async partials(jobId: string): Promise<PartialLine[]> {
    return (await this.#core.read(partialsOf(jobId))).map(toPartial);
  }

  /** The same, and the number of the line that it comes after, from one snapshot. */
  async unfinished(jobId: string): Promise<{ partials: PartialLine[]; lastSeq: number }> {
    const [partials, last] = await this.#core.readTogether([partialsOf(jobId), lastSeqOf(jobId)]);
    return { partials: partials!.map(toPartial), lastSeq: Number(last![0]?.last_seq ?? 0) };
  }
}

function lastSeqOf(jobId: string): Statement {
  return statement("SELECT last_seq FROM lines WHERE job_id = ? ORDER BY first_seq DESC LIMIT 1", jobId);
}

function partialsOf(jobId: string): Statement {
  return statement(
    "SELECT stream, epoch, at_ms, bytes FROM partial_lines WHERE job_id = ? ORDER BY stream",
    jobId,
  );
}

/** Starts at the chunk that holds the wanted line, found by key, so that a late page costs no more than the first. */
function chunksAfter(jobId: string, line: number, limit: number): Statement {
  return statement(
    `SELECT first_seq, last_seq, epoch, frames FROM lines
     WHERE job_id = ?1 AND last_seq > ?2 AND first_seq >= coalesce(
       (SELECT max(first_seq) FROM lines WHERE job_id = ?1 AND first_seq <= ?2 + 1), 0)
     ORDER BY first_seq LIMIT ?3`,
    jobId,
    line,
    limit,
  );
}

function toChunk(row: Row): StoredChunk {
  return {
    firstSeq: Number(row.first_seq),
    lastSeq: Number(row.last_seq),
    epoch: Number(row.epoch),
    frames: toBytes(row.frames),
  };
}

function toPartial(row: Row): PartialLine {
  return {
    stream: String(row.stream) as StreamName,
    epoch: Number(row.epoch),
    atMs: Number(row.at_ms),
    bytes: toBytes(row.bytes),
  };
}
