import { type Statement, statement } from "../driver.ts";
import type { StoredChunk } from "../lines.ts";
import { toBytes } from "../rows.ts";
import type { StoreCore } from "../store_core.ts";

/** What is taken from a job, and what is told of it. */
export interface Mend {
  readonly job: string;
  readonly events: readonly number[];
  readonly attempts: readonly number[];
  /** The first lines of chunks. */
  readonly chunks: readonly number[];
  readonly artifacts: readonly string[];
  readonly forgetsEvidence: boolean;
  /** The event that tells it; null when nothing is missing. */
  readonly told: {
    readonly seq: number;
    readonly epoch: number;
    readonly data: unknown;
    readonly atMs: number;
  } | null;
}

const CHUNKS_AT_ONCE = 16;

/** Changes that only a new database takes, of which nobody has heard a word yet. */
export class Mending {
  readonly #core: StoreCore;

  constructor(core: StoreCore) {
    this.#core = core;
  }

  /** All chunks of lines of a job by their first line, also such as cannot be. */
  async *chunks(jobId: string): AsyncGenerator<StoredChunk> {
    for (let after = Number.MIN_SAFE_INTEGER;;) {
      const rows = await this.#core.read(statement(
        `SELECT first_seq, last_seq, epoch, frames FROM lines WHERE job_id = ? AND first_seq > ?
         ORDER BY first_seq LIMIT ${CHUNKS_AT_ONCE}`,
        jobId,
        after,
      ));
      for (const row of rows) {
        after = Number(row.first_seq);
        yield {
          firstSeq: after,
          lastSeq: Number(row.last_seq),
          epoch: Number(row.epoch),
          frames: toBytes(row.frames),
        };
      }
      if (rows.length < CHUNKS_AT_ONCE) return;
    }
  }

  async apply({ job, events, attempts, chunks, artifacts, forgetsEvidence, told }: Mend): Promise<void> {
    const statements = [
      ...removals("events", "seq", job, events),
      ...removals("attempts", "epoch", job, attempts),
      ...removals("lines", "first_seq", job, chunks),
      ...removals("artifacts", "name", job, artifacts),
    ];
    if (forgetsEvidence) {
      statements.push(statement("UPDATE attempts SET evidence = NULL WHERE job_id = ?", job));
    }
    if (told !== null) {
      statements.push(statement(
        "INSERT INTO events (job_id, seq, epoch, kind, data, at_ms) VALUES (?, ?, ?, 'repaired', ?, ?)",
        job,
        told.seq,
        told.epoch,
        JSON.stringify(told.data),
        told.atMs,
      ));
    }
    if (statements.length > 0) await this.#core.write(statements);
  }

  /** Takes a job with all that belongs to it. */
  async removeJob(job: string): Promise<void> {
    await this.#core.write([statement("DELETE FROM jobs WHERE id = ?", job)]);
  }

  /**
   * Every job that somebody holds gets a worker and an attempt again, so that the next start settles it as it does
   * with all whose worker died; and parts of files that nothing refers to any more go.
   */
  async tie(): Promise<void> {
    await this.#core.write([
      statement(`INSERT INTO workers (id, launch, pid, start_ticks, boot_id, version, started_at_ms)
        SELECT id, 'unknown', 0, '', '', '', 0 FROM (
          SELECT owner AS id FROM jobs WHERE state = 'running'
          UNION SELECT reserved_for FROM jobs WHERE state = 'queued' AND reserved_for IS NOT NULL)
        WHERE id NOT IN (SELECT id FROM workers)`),
      statement(`INSERT OR IGNORE INTO attempts (job_id, epoch, worker, started_at_ms)
        SELECT id, epoch, owner, coalesce(started_at_ms, created_at_ms) FROM jobs WHERE state = 'running'`),
      statement(`DELETE FROM artifact_parts WHERE
        NOT EXISTS (SELECT 1 FROM artifacts AS whole WHERE whole.job_id = artifact_parts.job_id
          AND (whole.name, whole.epoch, whole.upload) =
            (artifact_parts.name, artifact_parts.epoch, artifact_parts.upload))
        AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = artifact_parts.job_id AND state = 'running')`),
    ]);
  }
}

function removals(
  table: string,
  column: string,
  job: string,
  values: readonly (string | number)[],
): Statement[] {
  if (values.length === 0) return [];
  return [statement(
    `DELETE FROM ${table} WHERE job_id = ? AND ${column} IN (SELECT value FROM json_each(?))`,
    job,
    JSON.stringify(values),
  )];
}
