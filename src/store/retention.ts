import type { JobState } from "../core/job.ts";
import { type Row, type Statement, statement } from "./connection.ts";
import type { StoreCore } from "./store_core.ts";

/** Which final jobs may go: those that meet all that is given. */
export interface PruneFilter {
  /** Final states; absent means all three. */
  readonly states?: readonly JobState[];
  /** Only jobs that finished before this time. */
  readonly finishedBeforeMs?: number;
  /** Never the newest so many of these states. */
  readonly keep?: number;
}

/** Where a walk over jobs, from the one that finished first, has come to. */
export interface PrunePosition {
  readonly finishedAtMs: number;
  readonly id: string;
}

export interface PruneCandidate extends PrunePosition {
  /** What is stored of it: input, result, lines, events and artifacts. */
  readonly bytes: number;
}

/** Jobs in one transaction: writers wait for it. */
export const PRUNE_JOBS_MAX = 200;

/** Tables that hold what a job left; they are emptied first, as a server may not follow references. */
const TABLES = ["artifact_parts", "artifacts", "partial_lines", "lines", "events", "attempts"] as const;

/** The end of jobs: only final ones are ever deleted. */
export class Retention {
  #core: StoreCore;

  constructor(core: StoreCore) {
    this.#core = core;
  }

  /** The newest job that the filter lets go, now; null when there is none. Jobs that finish later are out of reach. */
  async boundary(filter: PruneFilter): Promise<PrunePosition | null> {
    const rows = await this.#core.read(statement(
      `SELECT finished_at_ms, id FROM jobs
       WHERE finished_at_ms IS NOT NULL AND (?1 IS NULL OR state IN (SELECT value FROM json_each(?1)))
       ORDER BY finished_at_ms DESC, id DESC LIMIT 1 OFFSET ?2`,
      statesJson(filter),
      filter.keep ?? 0,
    ));
    return rows[0] === undefined ? null : toPosition(rows[0]);
  }

  /** The next jobs to go, the one that finished first before all others. */
  async candidates(
    filter: PruneFilter,
    boundary: PrunePosition,
    after: PrunePosition | null,
  ): Promise<PruneCandidate[]> {
    const rows = await this.#core.read(statement(
      `SELECT id, finished_at_ms, length(input) + coalesce(length(result), 0)
         + (SELECT coalesce(sum(length(frames)), 0) FROM lines WHERE job_id = jobs.id)
         + (SELECT coalesce(sum(length(data)), 0) FROM events WHERE job_id = jobs.id)
         + (SELECT coalesce(sum(length(bytes)), 0) FROM artifact_parts WHERE job_id = jobs.id) AS bytes
       FROM jobs
       WHERE finished_at_ms IS NOT NULL AND (finished_at_ms, id) <= (?1, ?2) AND (finished_at_ms, id) > (?3, ?4)
         AND finished_at_ms < ?5 AND (?6 IS NULL OR state IN (SELECT value FROM json_each(?6)))
       ORDER BY finished_at_ms, id LIMIT ?7`,
      boundary.finishedAtMs,
      boundary.id,
      after?.finishedAtMs ?? -1,
      after?.id ?? "",
      filter.finishedBeforeMs ?? Number.MAX_SAFE_INTEGER,
      statesJson(filter),
      PRUNE_JOBS_MAX,
    ));
    return rows.map((row) => ({ ...toPosition(row), bytes: Number(row.bytes) }));
  }

  /** Deletes these jobs, in one transaction, and gives how many were there and final. */
  async delete(jobIds: readonly string[]): Promise<number> {
    const ids = JSON.stringify(jobIds);
    const final =
      "SELECT id FROM jobs WHERE id IN (SELECT value FROM json_each(?)) AND finished_at_ms IS NOT NULL";
    const statements: Statement[] = TABLES.map((table) =>
      statement(`DELETE FROM ${table} WHERE job_id IN (${final})`, ids)
    );
    const results = await this.#core.write(
      [...statements, statement(`DELETE FROM jobs WHERE id IN (${final})`, ids)],
      jobIds,
    );
    return results.at(-1)!.rowsAffected;
  }

  /** Bytes inside the database file that hold nothing: they are used again before the file grows. */
  async freeBytes(): Promise<number> {
    const [pages] = await this.#core.read(statement("PRAGMA freelist_count"));
    const [size] = await this.#core.read(statement("PRAGMA page_size"));
    return Number(pages?.freelist_count ?? 0) * Number(size?.page_size ?? 0);
  }
}

function statesJson({ states }: PruneFilter): string | null {
  return states === undefined ? null : JSON.stringify(states);
}

function toPosition(row: Row): PrunePosition {
  return { finishedAtMs: Number(row.finished_at_ms), id: String(row.id) };
}
