import { statement } from "./connection.ts";
import type { StoreCore } from "./store_core.ts";
import { QUEUE_TOPIC } from "./jobs.ts";

/** A named queue, with what waits and runs in it. */
export interface Queue {
  readonly name: string;
  readonly isPaused: boolean;
  /** Jobs of it that may run at once, over all workers; null for no bound. */
  readonly concurrencyMax: number | null;
  readonly queued: number;
  readonly running: number;
}

/** Queues exist by being named; only one that is paused or bounded has a row of its own. */
export class Queues {
  #core: StoreCore;

  constructor(core: StoreCore) {
    this.#core = core;
  }

  async list(): Promise<Queue[]> {
    const rows = await this.#core.read(statement(
      `SELECT name, max(paused) AS paused, max(concurrency_max) AS concurrency_max, sum(queued) AS queued,
         sum(running) AS running FROM (
           SELECT name, paused, concurrency_max, 0 AS queued, 0 AS running FROM queues
           UNION ALL
           SELECT queue, 0, NULL, sum(state = 'queued'), sum(state = 'running') FROM jobs
             WHERE state IN ('queued', 'running') GROUP BY queue)
       GROUP BY name ORDER BY name`,
    ));
    return rows.map((row) => ({
      name: String(row.name),
      isPaused: Number(row.paused) === 1,
      concurrencyMax: row.concurrency_max === null ? null : Number(row.concurrency_max),
      queued: Number(row.queued),
      running: Number(row.running),
    }));
  }

  /** A paused queue gives out no jobs; those that run go on. */
  async setPaused(name: string, paused: boolean): Promise<void> {
    await this.#core.write([statement(
      `INSERT INTO queues (name, paused) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET paused = excluded.paused`,
      name,
      paused ? 1 : 0,
    )], [QUEUE_TOPIC]);
  }

  /** Null takes the bound away. */
  async setConcurrencyMax(name: string, concurrencyMax: number | null): Promise<void> {
    await this.#core.write([statement(
      `INSERT INTO queues (name, concurrency_max) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET concurrency_max = excluded.concurrency_max`,
      name,
      concurrencyMax,
    )], [QUEUE_TOPIC]);
  }
}
