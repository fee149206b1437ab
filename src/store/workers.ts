import type { Host } from "../core/host.ts";
import type { Worker } from "../core/job.ts";
import { statement } from "./connection.ts";
import { toWorker } from "./rows.ts";
import type { StoreCore } from "./store_core.ts";

/** Processes that run jobs. One that neither lives nor said goodbye has its jobs reaped. */
export class Workers {
  #core: StoreCore;
  #host: Host;

  constructor(core: StoreCore, host: Host) {
    this.#core = core;
    this.#host = host;
  }

  async register(worker: { id: string; launch: string; version: string }): Promise<void> {
    const { processes, about, clock } = this.#host;
    await this.#core.write([statement(
      `INSERT INTO workers (id, launch, pid, start_ticks, boot_id, version, started_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      worker.id,
      worker.launch,
      processes.self.pid,
      processes.self.startTicks,
      about.bootId,
      worker.version,
      clock.nowMs(),
    )]);
  }

  /** A worker that still holds jobs, as their end could not be recorded, stays open: the reaper then settles them. */
  async markStopped(id: string): Promise<void> {
    await this.#core.write([statement(
      `UPDATE workers SET stopped_at_ms = ?1 WHERE id = ?2 AND stopped_at_ms IS NULL
         AND NOT EXISTS (SELECT 1 FROM jobs WHERE owner = ?2 AND state = 'running')
         AND NOT EXISTS (SELECT 1 FROM jobs WHERE reserved_for = ?2 AND state = 'queued')`,
      this.#host.clock.nowMs(),
      id,
    )]);
  }

  /** Workers that have not said goodbye. */
  async open(): Promise<Worker[]> {
    const rows = await this.#core.read(
      statement("SELECT * FROM workers WHERE stopped_at_ms IS NULL ORDER BY id"),
    );
    return rows.map(toWorker);
  }
}
