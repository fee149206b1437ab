import type { Clock } from "../core/host.ts";
import type { Worker } from "../core/job.ts";

/**
 * Remembers since when each worker's heartbeat has stood still, on this process's own monotonic clock. No clocks of
 * two machines are ever compared: what counts is how long *we* have watched the same number.
 */
export class Silence {
  #clock: Clock;
  #seen = new Map<string, { heartbeatSeq: number; sinceMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes note of the heartbeats as they are now. */
  look(workers: readonly Worker[]): void {
    const nowMs = this.#clock.monotonicMs();
    const seen = new Map<string, { heartbeatSeq: number; sinceMs: number }>();
    for (const { id, heartbeatSeq } of workers) {
      const before = this.#seen.get(id);
      seen.set(id, before?.heartbeatSeq === heartbeatSeq ? before : { heartbeatSeq, sinceMs: nowMs });
    }
    this.#seen = seen;
  }

  /** True when the worker has been silent for its whole lease. */
  isOver(worker: Worker): boolean {
    const seen = this.#seen.get(worker.id);
    return seen !== undefined && this.#clock.monotonicMs() - seen.sinceMs > worker.leaseMs;
  }
}
