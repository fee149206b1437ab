import { z } from "zod";
import { isGlassboxError } from "../core/errors.ts";
import type { Socket, SocketHandler } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { parseWith } from "../core/schema.ts";
import { parseStrictJson } from "../config/strict_json.ts";
import type { ServerContext } from "./context.ts";
import { problemOf } from "./problem.ts";
import { wholeNumber } from "./query.ts";
import { checkPosition, type Position, START, type Told, watch } from "./watch.ts";
import type { Place } from "./watchers.ts";

/** Why a socket was closed: RFC 6455, and 4404 of our own for a job that is not there. */
export const CLOSE = {
  done: 1000,
  goingAway: 1001,
  unsupported: 1003,
  policy: 1008,
  tooLarge: 1009,
  internal: 1011,
  tryAgain: 1013,
  jobNotFound: 4404,
} as const;

/** A watcher that names no position may say it in a first message; this long it is waited for. */
export const FIRST_MESSAGE_MS = 100;

/** While a watcher's buffer is full it is looked at this often, and dropped when it takes nothing for so long. */
const ROOM = { pollMs: 10, stallMs: 10_000 } as const;

const REFUSALS_MAX = 20;

const ClientMessage = z.strictObject({
  type: z.literal("resume", "must be resume, the only message there is"),
  afterLine: z.int().min(0).default(0),
  afterEvent: z.int().min(0).default(0),
});

const numberAfter = (about: string) =>
  wholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 0, about });

/** The query of a socket's URL. */
export const SocketQuery = z.strictObject({
  afterLine: numberAfter("Only lines with a higher number"),
  afterEvent: numberAfter("Only events with a higher number"),
  stream: z.enum(["0", "1"]).optional().describe("1: a portrait's rows in pieces, before its result"),
});

/** The position a URL names, or null when it names none. */
export function positionInQuery(query: z.output<typeof SocketQuery>, url: string): Position | null {
  const { searchParams } = new URL(url);
  const isNamed = searchParams.has("afterLine") || searchParams.has("afterEvent");
  return isNamed ? { line: query.afterLine, event: query.afterEvent } : null;
}

/** One WebSocket that watches one job. It takes a place when it opens and leaves it when the socket has closed. */
export class WatchSocket implements SocketHandler {
  readonly #context: ServerContext;
  readonly #jobId: string;
  readonly #from: Position | null;
  readonly #requestId: string;
  readonly #onError: (error: unknown) => void;
  #place: Place | null = null;
  /** Aborts the following that runs now, when the watcher asks for another. */
  #current = new AbortController();
  #refusals = 0;

  constructor(
    context: ServerContext,
    watcher: { jobId: string; from: Position | null; requestId: string },
    onError: (error: unknown) => void,
  ) {
    this.#context = context;
    this.#jobId = watcher.jobId;
    this.#from = watcher.from;
    this.#requestId = watcher.requestId;
    this.#onError = onError;
  }

  open(socket: Socket): void {
    try {
      this.#place = this.#context.watchers.enter();
    } catch {
      return this.#close(socket, CLOSE.tryAgain, "there is no room for another watcher: come again");
    }
    if (this.#from !== null) return this.#start(socket, this.#from);
    const waiting = this.#current.signal;
    void this.#context.host.clock.sleep(FIRST_MESSAGE_MS, waiting).then(() => {
      if (!waiting.aborted) this.#start(socket, START);
    });
  }

  message(socket: Socket, text: string | null): void {
    if (text === null) return this.#close(socket, CLOSE.unsupported, "only text is understood here");
    if (new TextEncoder().encode(text).length > LIMITS.socketMessageBytesMax) {
      return this.#close(
        socket,
        CLOSE.tooLarge,
        `a message may have ${LIMITS.socketMessageBytesMax} bytes at most`,
      );
    }
    try {
      const limits = { what: "this message", bytesMax: LIMITS.socketMessageBytesMax, depthMax: 4 };
      const { afterLine, afterEvent } = parseWith(
        ClientMessage,
        parseStrictJson(text, limits),
        "",
        limits.what,
      );
      this.#start(socket, { line: afterLine, event: afterEvent });
    } catch (error) {
      this.#refuse(socket, error);
    }
  }

  closed(): void {
    this.#current.abort();
    this.#place?.leave();
  }

  /** Follows from there on, instead of whatever was followed before. */
  #start(socket: Socket, from: Position): void {
    this.#current.abort();
    const current = this.#current = new AbortController();
    void this.#follow(socket, from, current.signal).catch((error) => {
      if (current.signal.aborted) return;
      if (isGlassboxError(error, "usage")) return this.#refuse(socket, error);
      if (isGlassboxError(error, "job_not_found")) {
        return this.#close(socket, CLOSE.jobNotFound, "there is no such job");
      }
      this.#onError(error);
      this.#sendError(socket, error);
      this.#close(socket, CLOSE.internal, "the server cannot go on: resume later");
    });
  }

  async #follow(socket: Socket, from: Position, current: AbortSignal): Promise<void> {
    const { store } = this.#context;
    if (this.#place === null) return;
    await store.jobs.get(this.#jobId);
    await checkPosition(store, this.#jobId, from);
    const place = within(this.#place, current);
    for await (const news of watch(store, this.#jobId, from, place)) {
      for (const told of news) {
        if (current.aborted) return;
        const text = JSON.stringify(told.message);
        if (!this.#hasRoom(socket, text) && !await this.#roomComes(socket, text, current)) {
          return this.#dropSlow(socket, from);
        }
        socket.send(text);
        from = told.position ?? from;
        if (told.message.type === "end") this.#end(socket, told);
      }
    }
  }

  #end(socket: Socket, { message }: Told): void {
    if (message.type !== "end") return;
    if (message.reason === "final") this.#close(socket, CLOSE.done, `the job is ${message.state}`);
    else this.#close(socket, CLOSE.goingAway, "the server is shutting down: resume later");
  }

  #hasRoom(socket: Socket, text: string): boolean {
    // An empty buffer takes any message, as one alone may be larger than the bound.
    return socket.bufferedBytes === 0 ||
      socket.bufferedBytes + text.length <= LIMITS.watcherBufferBytesMax;
  }

  /** Waits for a slow watcher to take what it was sent; false when it takes nothing any more. */
  async #roomComes(socket: Socket, text: string, current: AbortSignal): Promise<boolean> {
    const { clock } = this.#context.host;
    let least = socket.bufferedBytes;
    let movedAtMs = clock.monotonicMs();
    while (!current.aborted && !this.#hasRoom(socket, text)) {
      await clock.sleep(ROOM.pollMs, current);
      if (socket.bufferedBytes < least) {
        least = socket.bufferedBytes;
        movedAtMs = clock.monotonicMs();
      }
      if (clock.monotonicMs() - movedAtMs > ROOM.stallMs) return false;
    }
    return true;
  }

  #dropSlow(socket: Socket, at: Position): void {
    const reason = `too slow: resume with afterLine=${at.line}&afterEvent=${at.event}`;
    this.#close(socket, CLOSE.tryAgain, reason);
  }

  /** Tells the watcher what was wrong with its message, and lets it try again. */
  #refuse(socket: Socket, error: unknown): void {
    this.#refusals += 1;
    if (this.#refusals > REFUSALS_MAX) {
      return this.#close(socket, CLOSE.policy, `more than ${REFUSALS_MAX} messages were refused`);
    }
    this.#sendError(socket, error);
  }

  #sendError(socket: Socket, error: unknown): void {
    const { code, detail, errors } = problemOf(error, this.#requestId);
    socket.send(JSON.stringify({ type: "error", code, detail, errors }));
  }

  #close(socket: Socket, code: number, reason: string): void {
    this.#current.abort();
    this.#place?.leave();
    socket.close(code, reason);
  }
}

/** A watcher's place as one following sees it: over when either is. */
function within(place: Place, current: AbortSignal): Place {
  return {
    signal: AbortSignal.any([place.signal, current]),
    get isStopped() {
      return place.isStopped && !current.aborted;
    },
    turn: (work) => place.turn(work),
    leave: () => place.leave(),
  };
}
