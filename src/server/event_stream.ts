import { messageOf } from "../core/errors.ts";
import type { Clock } from "../core/host.ts";
import { formatPosition, type Told } from "./watch.ts";
import type { Place } from "./watchers.ts";

/** A comment this often shows both ends that the other still lives, and keeps proxies from closing. */
const HEARTBEAT_MS = 15_000;

/** Messages are put together up to about this many characters. */
const CHUNK_CHARACTERS = 64 * 1024;

/** How one message stands in an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export function formatEvent({ message, position }: Told): string {
  const id = position === null ? "" : `id: ${formatPosition(position)}\n`;
  return `${id}event: ${message.type}\ndata: ${JSON.stringify(message)}\n\n`;
}

/**
 * The body of an SSE answer. It is made as it is read, so nothing waits in memory for a slow watcher; one that has
 * read nothing between two heartbeats is dropped, and resumes by its last id.
 */
export class EventStream {
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #news: AsyncGenerator<Iterable<Told>>;
  readonly #place: Place;
  readonly #clock: Clock;
  readonly #encoder = new TextEncoder();
  #telling: Iterator<Told> | null = null;
  #isClosed = false;
  #isWanted = false;
  #wasWanted = true;

  /** Takes over `place` and leaves it when the stream ends, however it ends. */
  constructor(
    news: AsyncGenerator<Iterable<Told>>,
    place: Place,
    clock: Clock,
    onError: (error: unknown) => void,
  ) {
    this.#news = news;
    this.#place = place;
    this.#clock = clock;
    this.body = new ReadableStream({
      start: (controller) => void this.#beat(controller),
      pull: async (controller) => {
        this.#isWanted = this.#wasWanted = true;
        await this.#give(controller).catch((error) => {
          if (this.#isClosed) return;
          onError(error);
          this.#fail(controller, messageOf(error));
        });
        this.#isWanted = false;
      },
      cancel: () => this.close(),
    }, { highWaterMark: 0 });
  }

  /** For when the watcher has gone: ends the following behind the stream, also where nobody reads any more. */
  close(): void {
    this.#isClosed = true;
    this.#place.leave();
    void this.#news.return(undefined).catch(() => undefined);
  }

  async #give(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    let text = "";
    while (text === "") {
      if (this.#telling === null) {
        const next = await this.#news.next();
        // The watcher may have gone while this waited, and a stream that was cancelled takes nothing.
        if (this.#isClosed) return;
        if (next.done) {
          controller.close();
          return this.close();
        }
        this.#telling = next.value[Symbol.iterator]();
      }
      text = this.#tell();
    }
    controller.enqueue(this.#encoder.encode(text));
  }

  /** A chunk of what there is to tell now; empty when all of it was told. */
  #tell(): string {
    let text = "";
    while (this.#telling !== null && text.length < CHUNK_CHARACTERS) {
      const next = this.#telling.next();
      if (next.done) this.#telling = null;
      else text += formatEvent(next.value);
    }
    return text;
  }

  async #beat(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const { signal } = this.#place;
    for (;;) {
      await this.#clock.sleep(HEARTBEAT_MS, signal);
      if (signal.aborted) return;
      if (this.#isWanted) controller.enqueue(this.#encoder.encode(": \n\n"));
      else if (!this.#wasWanted) {
        return this.#fail(controller, `a watcher was dropped as it read nothing for ${HEARTBEAT_MS} ms`);
      }
      this.#wasWanted = this.#isWanted;
    }
  }

  /** Cuts the connection. The listener prints why, so it is given words and not an error with a stack. */
  #fail(controller: ReadableStreamDefaultController<Uint8Array>, reason: string): void {
    controller.error(reason);
    this.close();
  }
}
