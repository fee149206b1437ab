import { EXIT, GlassboxError, quoted } from "../../core/errors.ts";
import { JobRequest } from "../../core/request.ts";
import { type Cli, withSession } from "../session.ts";
import { table } from "../table.ts";
import type { JobsFlags } from "./jobs.ts";
import { wholeNumber, writeJson } from "./run.ts";

/** Queues that hold jobs, are paused, or have a bound. */
export function queuesList(cli: Cli, flags: JobsFlags): Promise<number> {
  return withSession(cli, flags, async ({ host, store, talk }) => {
    const queues = await store.queues.list();
    if (flags.json) await writeJson(host, queues);
    else if (queues.length === 0) await talk.say("no queue holds a job, is paused, or has a bound");
    else {
      const rows = queues.map(({ name, isPaused, concurrencyMax, queued, running }) => [
        name,
        isPaused ? "paused" : "open",
        `${queued} queued`,
        `${running} running${concurrencyMax === null ? "" : ` of ${concurrencyMax}`}`,
      ]);
      await host.terminal.stdout.write(table(rows, (text) => text));
    }
    return EXIT.completed;
  });
}

export function queuesPause(cli: Cli, flags: JobsFlags, name: string, paused: boolean): Promise<number> {
  const queue = demandName(name);
  return withSession(cli, flags, async ({ store, talk }) => {
    await store.queues.setPaused(queue, paused);
    await talk.say(paused ? `queue ${queue} is paused; what runs goes on` : `queue ${queue} is open`);
    return EXIT.completed;
  });
}

/** `text` is a whole number, or `none`. */
export function queuesLimit(cli: Cli, flags: JobsFlags, name: string, text: string): Promise<number> {
  const queue = demandName(name);
  const limit = text === "none" ? null : demandLimit(text);
  return withSession(cli, flags, async ({ store, talk }) => {
    await store.queues.setConcurrencyMax(queue, limit);
    await talk.say(
      limit === null ? `queue ${queue} has no bound` : `queue ${queue} runs ${limit} jobs at once at most`,
    );
    return EXIT.completed;
  });
}

function demandName(name: string): string {
  const parsed = JobRequest.shape.queue.safeParse(name);
  if (parsed.success) return parsed.data;
  throw new GlassboxError(
    "usage",
    `Cannot use queue ${quoted(name)} as a name must be 1 to 64 of a-z, 0-9, _ and -`,
  );
}

function demandLimit(text: string): number {
  const limit = wholeNumber("the bound", text);
  if (limit >= 0 && limit <= 10_000) return limit;
  throw new GlassboxError("usage", `Cannot bound the queue to ${text} as it must be 0 to 10000, or none`);
}
