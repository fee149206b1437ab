import type { WatchMessage } from "../watch.ts";

/** The messages with one `type`. */
export type Message<Type extends WatchMessage["type"]> = Extract<WatchMessage, { type: Type }>;

export interface LiveHandlers {
  line(message: Message<"line">): void;
  partial(message: Message<"partial">): void;
  event(message: Message<"event">): void;
  end(message: Message<"end">): void;
  /** True when messages come, false while the connection is made anew. */
  connected(isConnected: boolean): void;
}

const TRY_AGAIN_MS = 2_000;

/**
 * Watches a job until it ends or `close` is called. A browser goes on after its last id by itself when a stream
 * breaks, but gives up for good when the server answers with an error, as one that restarts does.
 */
export class Live {
  readonly #jobId: string;
  readonly #handlers: LiveHandlers;
  #after: string;
  #source: EventSource | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(jobId: string, after: string, handlers: LiveHandlers) {
    this.#jobId = jobId;
    this.#after = after;
    this.#handlers = handlers;
    this.#open();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  #open(): void {
    const source = new EventSource(`/api/v1/jobs/${this.#jobId}/stream?after=${this.#after}`);
    this.#source = source;
    source.onopen = () => this.#handlers.connected(true);
    source.onerror = () => {
      this.#handlers.connected(false);
      if (source.readyState === EventSource.CLOSED) this.#later();
    };
    this.#on(source, "line", (message) => this.#handlers.line(message));
    this.#on(source, "partial", (message) => this.#handlers.partial(message));
    this.#on(source, "event", (message) => this.#handlers.event(message));
    this.#on(source, "end", (message) => {
      source.close();
      if (message.reason === "shutdown") return this.#later();
      this.#handlers.end(message);
    });
  }

  #on<Type extends WatchMessage["type"]>(
    source: EventSource,
    type: Type,
    take: (message: Message<Type>) => void,
  ): void {
    source.addEventListener(type, (event) => {
      if (event.lastEventId !== "") this.#after = event.lastEventId;
      take(JSON.parse(event.data));
    });
  }

  #later(): void {
    this.#handlers.connected(false);
    this.#timer = setTimeout(() => this.#open(), TRY_AGAIN_MS);
  }
}
