import { isGlassboxError } from "../core/errors.ts";
import type { JobEvent, JobState, LogLine, PartialLine } from "../core/job.ts";
import { jobNotFound } from "../store/jobs.ts";
import type { Store } from "../store/store.ts";
import type { Sighting, StoredChunk } from "../store/lines.ts";
import { damaged } from "../store/rows.ts";
import { eachLine } from "./frames.ts";

export interface FollowOptions {
  /** Give what comes after this line number; 0 for all. */
  readonly afterLine: number;
  /** Give what comes after this event number; 0 for all. */
  readonly afterEvent: number;
  /** Wait for more until the job is final; otherwise give what is stored and end. */
  readonly live: boolean;
  readonly signal?: AbortSignal;
}

/** News of a job, in the order to show it: lines, then unfinished text, then events. */
export interface News {
  readonly state: JobState;
  readonly lines: readonly LogLine[];
  /** The unfinished text of each stream as it is now; absent while there are more lines to give first. */
  readonly partials: readonly PartialLine[] | null;
  readonly events: readonly JobEvent[];
}

/**
 * One page of a replay: enough to be quick, little enough to keep the event loop and memory free, and below the
 * 10 MB that a server answers with at most, even when every chunk and event is as large as it may be.
 */
const PAGE = { chunks: 4, events: 50 };

/** Lines that are made of a page at a time: a watcher who does not read holds so many, and the rest as bytes. */
const LINES_AT_ONCE = 250;

/** A watcher of a living job looks again so often, some 200 ms apart, while a database server cannot be reached. */
const FAILURES_MAX = 50;

/**
 * Follows a job: first all that is stored, then what comes, by one and the same query, so that a watcher who
 * returns with its last numbers misses nothing and sees nothing twice. Ends when the job is final and all of it
 * was given, or when `signal` aborts. Throws `job_not_found`.
 */
export async function* follow(store: Store, jobId: string, options: FollowOptions): AsyncGenerator<News> {
  const subscription = store.changes.subscribe(jobId);
  let { afterLine, afterEvent } = options;
  let shown = "";
  let failures = 0;
  try {
    while (!options.signal?.aborted) {
      subscription.reset();
      const sighting = await store.lines.after(jobId, afterLine, afterEvent, PAGE).catch((error) => {
        if (!options.live || ++failures > FAILURES_MAX || !isGlassboxError(error, "storage_unreachable")) {
          throw error;
        }
        return null;
      });
      if (sighting === null) {
        await subscription.next(options.signal);
        continue;
      }
      failures = 0;
      if (sighting.state === null) throw jobNotFound(jobId);
      const behind = sighting.chunks.length === PAGE.chunks;
      const lines = linesAfter(sighting.chunks, afterLine);
      let some = next(lines);
      while (some.length === LINES_AT_ONCE && !options.signal?.aborted) {
        yield { state: sighting.state, lines: some, partials: null, events: [] };
        afterLine = some.at(-1)!.seq;
        some = next(lines);
      }
      if (options.signal?.aborted) return;
      const news = toNews(sighting, sighting.state, some, behind);
      afterLine = news.lines.at(-1)?.seq ?? afterLine;
      afterEvent = news.events.at(-1)?.seq ?? afterEvent;
      const partials = fingerprint(news.partials);
      if (news.lines.length > 0 || news.events.length > 0 || partials !== shown) yield news;
      shown = partials;
      if (behind || sighting.events.length === PAGE.events) continue;
      if (sighting.isFinal || !options.live) return;
      await subscription.next(options.signal);
    }
  } finally {
    subscription.close();
  }
}

function* linesAfter(chunks: readonly StoredChunk[], afterLine: number): Generator<LogLine> {
  for (const { frames, firstSeq, lastSeq, epoch } of chunks) {
    try {
      for (const line of eachLine(frames, firstSeq, epoch)) if (line.seq > afterLine) yield line;
    } catch (error) {
      throw damaged(`lines ${firstSeq} to ${lastSeq} is not what was written`, error);
    }
  }
}

function next(lines: Iterator<LogLine>): LogLine[] {
  const some: LogLine[] = [];
  while (some.length < LINES_AT_ONCE) {
    const { value, done } = lines.next();
    if (done) break;
    some.push(value);
  }
  return some;
}

/** While lines are still to come, events wait: `finished` must be the last thing a watcher hears. */
function toNews(sighting: Sighting, state: JobState, lines: readonly LogLine[], behind: boolean): News {
  return { state, lines, partials: behind ? null : sighting.partials, events: behind ? [] : sighting.events };
}

function fingerprint(partials: News["partials"]): string {
  return (partials ?? []).map((partial) => `${partial.stream}:${partial.epoch}:${partial.bytes.length}`).join(
    " ",
  );
}
