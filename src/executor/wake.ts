import type { Clock } from "../core/host.ts";

const STEPS = 10;

/**
 * Sleeps `ms` in steps, between which all that has happened meanwhile is heard of. So a time in which this very process
 * stood still, as on a busy machine, does not pass for one in which nothing came.
 */
export async function sleepAwake(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  for (let step = 0; step < STEPS && !signal.aborted; step++) {
    await clock.sleep(ms / STEPS, signal);
    await clock.turn();
  }
}
