import { z } from "zod";
import { GlassboxError, quoted } from "../core/errors.ts";
import { JOB_STATES, type PartialLine, type StreamName } from "../core/job.ts";
import { follow, type News } from "../logs/follow.ts";
import type { Store } from "../store/store.ts";
import {
  EventDocument,
  LineDocument,
  PartialDocument,
  toEventDocument,
  toLineDocument,
  toPartialDocument,
} from "./documents.ts";
import type { Place } from "./watchers.ts";

/** What a watcher is told, by SSE and WebSocket alike. */
export const WatchMessage = z.discriminatedUnion("type", [
  LineDocument.extend({ type: z.literal("line") }).meta({ id: "LineMessage" }),
  PartialDocument.extend({ type: z.literal("partial") }).meta({
    id: "PartialMessage",
    description:
      "The unfinished text of a stream as it is now, in place of what was told before; empty when none",
  }),
  EventDocument.extend({ type: z.literal("event") }).meta({ id: "EventMessage" }),
  z.strictObject({
    type: z.literal("end"),
    state: z.enum(JOB_STATES),
    reason: z.enum(["final", "shutdown"]).describe(
      "The job is final, or this server stops: resume elsewhere",
    ),
  }).meta({ id: "EndMessage", description: "The last message" }),
]).meta({ id: "WatchMessage" });

export type WatchMessage = z.infer<typeof WatchMessage>;

/** The last line and the last event that a watcher has: what it resumes after. */
export interface Position {
  readonly line: number;
  readonly event: number;
}

export const START: Position = { line: 0, event: 0 };

/** A message, and where a watcher stands that has got it; null where that did not move. */
export interface Told {
  readonly message: WatchMessage;
  readonly position: Position | null;
}

/** `L41.E9`: the form in which a position travels as the id of a server-sent event. */
export function formatPosition({ line, event }: Position): string {
  return `L${line}.E${event}`;
}

/** Reads what `formatPosition` wrote; anything else is refused. */
export function parsePosition(text: string): Position {
  const match = /^L(\d{1,15})\.E(\d{1,15})$/.exec(text);
  if (match !== null) return { line: Number(match[1]), event: Number(match[2]) };
  throw new GlassboxError(
    "usage",
    `Cannot resume after ${quoted(text)}: it must be an id that this stream gave, such as L41.E9`,
  );
}

/** Refuses a position that the job never had, as a watcher of another job or database would have it. */
export async function checkPosition(store: Store, jobId: string, { line, event }: Position): Promise<void> {
  const lastLine = line === 0 ? 0 : await store.lines.lastSeq(jobId);
  const hasEvent = event === 0 || (await store.jobs.events(jobId, event - 1, 1))[0]?.seq === event;
  if (line <= lastLine && hasEvent) return;
  throw new GlassboxError(
    "usage",
    `Cannot resume after line ${line} and event ${event} of job ${jobId}: it has ` +
      (line <= lastLine ? `no event ${event}` : `${lastLine} lines`),
  );
}

/**
 * Tells all that came after `from` and then what comes, each line and event once, and `end` at the end; what is
 * given together is what is there to tell now. A watcher who left is told nothing more.
 */
export async function* watch(
  store: Store,
  jobId: string,
  from: Position,
  place: Place,
): AsyncGenerator<Iterable<Told>> {
  const teller = new Teller(from);
  const options = { afterLine: from.line, afterEvent: from.event, live: true, signal: place.signal };
  await place.turn(PAGE_WORK);
  for await (const news of follow(store, jobId, options)) {
    await place.turn(workOf(news));
    if (place.signal.aborted) break;
    yield teller.tell(news);
  }
  if (place.signal.aborted && !place.isStopped) return;
  const { state } = await store.jobs.get(jobId);
  const reason = place.isStopped ? "shutdown" : "final";
  yield [{ message: { type: "end", state, reason }, position: null }];
}

/** A page of stored output is read before its first line is told. */
const PAGE_WORK = 250;

/** What it takes to tell this, in short lines. */
function workOf({ lines, partials, events }: News): number {
  let bytes = 0;
  for (const line of lines) bytes += line.bytes.length;
  for (const partial of partials ?? []) bytes += partial.bytes.length;
  return lines.length + events.length + bytes / 256;
}

/** Turns news into messages and keeps where the watcher stands. */
class Teller {
  #line: number;
  #event: number;
  /** The streams whose unfinished text the watcher has. */
  #shown = new Map<StreamName, PartialLine>();

  constructor(from: Position) {
    this.#line = from.line;
    this.#event = from.event;
  }

  *tell(news: News): Generator<Told> {
    for (const line of news.lines) {
      this.#line = line.seq;
      yield { message: { type: "line", ...toLineDocument(line) }, position: this.#position };
    }
    if (news.partials !== null) yield* this.#tellPartials(news.partials);
    for (const event of news.events) {
      this.#event = event.seq;
      yield { message: { type: "event", ...toEventDocument(event) }, position: this.#position };
    }
  }

  *#tellPartials(partials: readonly PartialLine[]): Generator<Told> {
    const now = new Map(partials.map((partial) => [partial.stream, partial]));
    for (const [stream, before] of this.#shown) {
      if (!now.has(stream)) now.set(stream, { ...before, bytes: new Uint8Array(0) });
    }
    for (const partial of now.values()) {
      yield { message: { type: "partial", ...toPartialDocument(partial) }, position: null };
    }
    this.#shown = new Map(partials.map((partial) => [partial.stream, partial]));
  }

  get #position(): Position {
    return { line: this.#line, event: this.#event };
  }
}
