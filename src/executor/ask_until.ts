import type { Clock } from "../core/host.ts";

/** Between asking running jobs again to stop. */
const ASK_EVERY_MS = 500;

/** Asks running jobs to stop until all has `ended`: a claim that was under way when draining began may start a job late. */
export async function askUntil(ended: AbortSignal, clock: Clock, ask: () => Promise<void>): Promise<void> {
  while (!ended.aborted) {
    await ask();
    await clock.sleep(ASK_EVERY_MS, ended);
  }
}
