/** WebSockets beside an HTTP server: the upgrade is decided first, then `ws` speaks the protocol. */

import type { Buffer } from "node:buffer";
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { ListenRequest, Socket, SocketHandler } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { excessOf } from "./connections.ts";
import { INTERNAL, refusalOf, toResponse } from "./http_guard.ts";
import { requestOf, writeResponse } from "./upgrade.ts";

/** Time for the closing handshake before a socket is cut off. */
const CLOSE_MS = 100;
const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;

/** All WebSockets of one listener, and the connections that wait to become one. */
export class SocketServer {
  readonly #upgrade: ListenRequest["upgrade"];
  readonly #undecided = new Set<Duplex>();
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: LIMITS.socketMessageBytesMax,
    perMessageDeflate: false,
  });

  constructor(http: Server, upgrade: ListenRequest["upgrade"]) {
    this.#upgrade = upgrade;
    http.on("upgrade", (incoming, stream, head) => void this.#decide(incoming, stream, head));
  }

  /** Accepts no more, and resolves when the last socket has closed. */
  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** Closes what is still open, and cuts off who does not answer. */
  async cutOff(): Promise<void> {
    for (const stream of this.#undecided) stream.destroy();
    for (const webSocket of this.#server.clients) webSocket.close(GOING_AWAY, "shutting down");
    await new Promise((resolve) => setTimeout(resolve, CLOSE_MS));
    for (const webSocket of this.#server.clients) webSocket.terminate();
  }

  async #decide(incoming: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    // A peer that leaves while we decide must not become an unhandled error.
    stream.on("error", () => stream.destroy());
    this.#undecided.add(stream);
    const answer = await this.#answerTo(incoming);
    this.#undecided.delete(stream);
    if (stream.destroyed) return;
    if (answer instanceof Response) return await writeResponse(stream, answer);
    this.#server.handleUpgrade(incoming, stream, head, (webSocket) => serve(webSocket, answer));
  }

  async #answerTo(incoming: IncomingMessage): Promise<SocketHandler | Response> {
    const refusal = excessOf(incoming) ?? refusalOf(incoming);
    if (refusal !== null) return toResponse(refusal);
    try {
      return await this.#upgrade(requestOf(incoming));
    } catch {
      return toResponse(INTERNAL);
    }
  }
}

function serve(webSocket: WebSocket, handler: SocketHandler): void {
  const socket: Socket = {
    send: (text) => {
      if (webSocket.readyState === webSocket.OPEN) webSocket.send(text);
    },
    get bufferedBytes() {
      return webSocket.bufferedAmount;
    },
    close: (code, reason) => webSocket.close(code, reason),
  };
  const guarded = (call: () => void) => {
    try {
      call();
    } catch {
      webSocket.close(INTERNAL_ERROR, "internal error");
    }
  };
  // Too big (1009) and not UTF-8 (1007): ws closes by itself after this event.
  webSocket.on("error", () => {});
  webSocket.on("message", (data, isBinary) => {
    guarded(() => handler.message(socket, isBinary ? null : String(data)));
  });
  webSocket.on("close", () => guarded(() => handler.closed(socket)));
  guarded(() => handler.open(socket));
}
