import { asGlassboxError, GlassboxError } from "../core/errors.ts";
import { Scheduler } from "../executor/scheduler.ts";
import type { Session } from "./session.ts";

/** The firing of schedules beside a claim loop. */
export interface Scheduling {
  /** Fires nothing more; resolves when what was under way is committed. May be called again. */
  stop(): Promise<void>;
}

export function startScheduler(session: Session): Scheduling {
  const { talk } = session;
  const stopped = new AbortController();
  const scheduler = new Scheduler(session, {
    onError: (error, schedule) =>
      void talk.error(
        schedule === null
          ? error
          : new GlassboxError(error.code, `Cannot fire schedule ${schedule}: ${error.message}`),
      ),
    onMissed: (text, facts) => void talk.say(text, facts),
  });
  const running = scheduler.run(stopped.signal).catch((error) => talk.error(asGlassboxError(error)));
  return {
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
