import { isGlassboxError } from "../core/errors.ts";
import type { JobEvent, JobState, LogLine, PartialLine } from "../core/job.ts";
import { jobNotFound } from "../store/jobs.ts";
import type { Store } from "../store/store.ts";
import type { Sighting, StoredChunk } from "../store/lines.ts";
import { damaged } from "../store/rows.ts";
import { cutFrames, decodeFrames } from "./frames.ts";

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

/**
 * What is given of a page at a time. A watcher who does not read holds no more than this: the page itself is kept only
 * until its memory is wanted, and read again where it has gone.
 */
const AT_ONCE = { lines: 250, bytes: 32 * 1024 };

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
  let page: WeakRef<Sighting> | null = null;
  // Who reads a page to its end is given larger ones; one that did not last until then was too large.
  let chunks = 1;
  try {
    while (!options.signal?.aborted) {
      let sighting: Sighting | null = page?.deref() ?? null;
      if (sighting === null) {
        if (page !== null) chunks = 1;
        subscription.reset();
        const limits = { chunks, events: PAGE.events };
        sighting = await store.lines.after(jobId, afterLine, afterEvent, limits).catch((error) => {
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
        if (options.signal?.aborted) return;
        page = new WeakRef(sighting);
      }
      const { state, isFinal } = sighting;
      if (state === null) throw jobNotFound(jobId);
      const lines = linesAfter(sighting.chunks, afterLine);
      afterLine = lines.at(-1)?.seq ?? afterLine;
      if (afterLine < (sighting.chunks.at(-1)?.lastSeq ?? 0)) {
        // While nobody asks for more, nothing here may hold the page.
        sighting = null;
        yield { state, lines, partials: null, events: [] };
        continue;
      }
      const behind = sighting.chunks.length === chunks;
      const news = toNews(sighting, state, lines, behind);
      const isAll = !behind && sighting.events.length < PAGE.events;
      sighting = page = null;
      chunks = PAGE.chunks;
      afterEvent = news.events.at(-1)?.seq ?? afterEvent;
      const partials = fingerprint(news.partials);
      if (news.lines.length > 0 || news.events.length > 0 || partials !== shown) yield news;
      shown = partials;
      if (!isAll) continue;
      if (isFinal || !options.live) return;
      await subscription.next(options.signal);
    }
  } finally {
    subscription.close();
  }
}

/** The next lines of a page, in memory of their own. */
function linesAfter(chunks: readonly StoredChunk[], afterLine: number): LogLine[] {
  const chunk = chunks.find(({ lastSeq }) => lastSeq > afterLine);
  if (chunk === undefined) return [];
  const { frames, firstSeq, lastSeq, epoch } = chunk;
  const skip = Math.max(0, afterLine + 1 - firstSeq);
  try {
    return decodeFrames(cutFrames(frames, skip, AT_ONCE), firstSeq + skip, epoch);
  } catch (error) {
    throw damaged(`lines ${firstSeq} to ${lastSeq} is not what was written`, error);
  }
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
