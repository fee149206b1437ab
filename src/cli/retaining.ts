import { retain } from "../executor/retention.ts";
import { prunedText } from "./commands/prune.ts";
import type { Session } from "./session.ts";

/** Deletes what the settings let go, beside a server, until it is stopped. */
export function startRetention(session: Session): { stop(): Promise<void> } {
  const { settings, talk } = session;
  const stopped = new AbortController();
  const running = retain(session, settings, stopped.signal, {
    pruned: (pruned) => void talk.say(`retention deleted ${prunedText(pruned)}`, { ...pruned }),
    error: (error) => void talk.error(error),
  });
  return {
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
