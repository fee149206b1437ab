import { isGlassboxError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { Worker } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import { type Statement, statement } from "./connection.ts";
import { toWorker } from "./rows.ts";
import type { StoreCore } from "./store_core.ts";

/** A process that is about to run jobs. */
export interface NewWorker {
  readonly id: string;
  readonly launch: string;
  readonly version: string;
}

/** The worker's row; nobody may hold a job without one, as nobody would ever settle it. */
export function registerStatement({ processes, about, clock }: Host, worker: NewWorker): Statement {
  return statement(
    `INSERT INTO workers (id, launch, pid, start_ticks, boot_id, version, started_at_ms, lease_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    worker.id,
    worker.launch,
    processes.self.pid,
    processes.self.startTicks,
    about.bootId,
    worker.version,
    clock.nowMs(),
    LIMITS.leaseMs,
  );
}

/** Processes that run jobs. One that neither lives nor said goodbye has its jobs reaped. */
export class Workers {
  #core: StoreCore;
  #host: Host;

  constructor(core: StoreCore, host: Host) {
    this.#core = core;
    this.#host = host;
  }

  async register(worker: NewWorker): Promise<void> {
    const writing = this.#core.write([registerStatement(this.#host, worker)]);
    await writing.catch((error) => this.#confirm(error, "SELECT 1 FROM workers WHERE id = ?", worker.id));
  }

  /** T3. False when the worker was declared dead meanwhile: then nothing it holds is its own any more. */
  async beat(id: string): Promise<boolean> {
    const results = await this.#core.write([statement(
      "UPDATE workers SET heartbeat_seq = heartbeat_seq + 1 WHERE id = ? AND stopped_at_ms IS NULL",
      id,
    )]);
    return results[0]!.rowsAffected === 1;
  }

  /**
   * Declares a worker dead that has not beaten since `heartbeatSeq`. False when it has, or is gone already. From
   * the commit on it can claim nothing, and learns at its next heartbeat that it has lost what it held.
   */
  async declareDead(id: string, heartbeatSeq: number): Promise<boolean> {
    const results = await this.#core.write([statement(
      "UPDATE workers SET stopped_at_ms = ? WHERE id = ? AND heartbeat_seq = ? AND stopped_at_ms IS NULL",
      this.#host.clock.nowMs(),
      id,
      heartbeatSeq,
    )]);
    return results[0]!.rowsAffected === 1;
  }

  /**
   * Workers that have not said goodbye, and those that were declared dead but whose jobs are not settled yet, as whoever
   * declared them dead may have died with it, or a late request of theirs come after it.
   */
  async unsettled(): Promise<Worker[]> {
    const rows = await this.#core.read(statement(
      `SELECT * FROM workers WHERE stopped_at_ms IS NULL
         OR id IN (SELECT owner FROM jobs WHERE state = 'running')
         OR id IN (SELECT reserved_for FROM jobs WHERE state = 'queued' AND reserved_for IS NOT NULL)
       ORDER BY id`,
    ));
    return rows.map(toWorker);
  }

  /** A worker that still holds jobs, as their end could not be recorded, stays open: the reaper then settles them. */
  async markStopped(id: string): Promise<void> {
    const writing = this.#core.write([statement(
      `UPDATE workers SET stopped_at_ms = ?1 WHERE id = ?2 AND stopped_at_ms IS NULL
         AND NOT EXISTS (SELECT 1 FROM jobs WHERE owner = ?2 AND state = 'running')
         AND NOT EXISTS (SELECT 1 FROM jobs WHERE reserved_for = ?2 AND state = 'queued')`,
      this.#host.clock.nowMs(),
      id,
    )]);
    const stopped = "SELECT 1 FROM workers WHERE id = ? AND stopped_at_ms IS NOT NULL";
    await writing.catch((error) => this.#confirm(error, stopped, id));
  }

  /** Which of these have said goodbye or were declared dead, and hold no job any more. */
  async stoppedOf(ids: readonly string[]): Promise<string[]> {
    if (ids.length === 0) return [];
    const rows = await this.#core.read(statement(
      `SELECT id FROM workers WHERE stopped_at_ms IS NOT NULL AND id IN (SELECT value FROM json_each(?))
         AND id NOT IN (SELECT owner FROM jobs WHERE state = 'running') ORDER BY id`,
      JSON.stringify(ids),
    ));
    return rows.map((row) => String(row.id));
  }

  /** Workers that have not said goodbye. */
  async open(): Promise<Worker[]> {
    const rows = await this.#core.read(
      statement("SELECT * FROM workers WHERE stopped_at_ms IS NULL ORDER BY id"),
    );
    return rows.map(toWorker);
  }

  /** When a server's answer was lost its commit may stand all the same: looks for the row that it would have left. */
  async #confirm(error: unknown, sql: string, id: string): Promise<void> {
    if (!isGlassboxError(error, "storage_unreachable")) throw error;
    const rows = await this.#core.read(statement(sql, id)).catch(() => []);
    if (rows.length === 0) throw error;
  }
}
