/** The listener: Node's HTTP server with web Requests and Responses, and WebSockets beside it. */

import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener, RequestError } from "@hono/node-server";
import { type WebSocket, WebSocketServer } from "ws";
import type { Listener, ListenRequest, Network, Socket, SocketHandler } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { problem, type Refusal, refusalOf } from "./http_guard.ts";
import { requestOf, writeResponse } from "./upgrade.ts";

const SERVER_OPTIONS = {
  maxHeaderSize: LIMITS.headerBytesMax,
  headersTimeout: 10_000,
  requestTimeout: 300_000,
  connectionsCheckingInterval: 2_000,
  keepAliveTimeout: 5_000,
  // Lets the kernel notice a peer that has vanished.
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
  // Any other upgrade, such as h2c, is optional for us and may be answered as if it had not been asked for.
  shouldUpgradeCallback: ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === "websocket",
};
const BAD_REQUEST = {
  status: 400,
  code: "usage",
  detail: "Cannot take this request as it is no clear HTTP",
} as const;
const INTERNAL = {
  status: 500,
  code: "internal",
  detail: "Cannot answer this request: internal error",
} as const;
/** A socket's closing handshake after the listener's grace has ended. */
const SOCKET_CLOSE_MS = 100;
const GOING_AWAY = 1001;

export const systemNetwork: Network = { listen };

async function listen(request: ListenRequest): Promise<Listener> {
  const server = createHttpServer(request);
  const sockets = acceptSockets(server, request.upgrade);
  await bind(server, request);
  const { address, port } = server.address() as AddressInfo;
  return { host: address, port, close: (graceMs) => close(server, sockets, graceMs) };
}

function createHttpServer({ fetch }: ListenRequest): Server {
  // The engines' own Request and Response stay in place: replacing them would change them for all other code.
  const answer = getRequestListener(fetch, { overrideGlobalObjects: false, errorHandler: answerToError });
  return createServer(SERVER_OPTIONS, (incoming, outgoing) => {
    const refusal = refusalOf(incoming);
    if (refusal === null) return void answer(incoming, outgoing);
    const { status, headers, body } = problem(refusal);
    outgoing.writeHead(status, headers).end(body);
  });
}

function answerToError(error: unknown): Response {
  return toResponse(error instanceof RequestError ? BAD_REQUEST : INTERNAL);
}

function toResponse(refusal: Refusal): Response {
  const { status, headers, body } = problem(refusal);
  return new Response(body, { status, headers });
}

function bind(server: Server, { host, port }: ListenRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      server.on("error", () => {});
      resolve();
    });
  });
}

function acceptSockets(server: Server, upgrade: ListenRequest["upgrade"]): WebSocketServer {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: LIMITS.socketMessageBytesMax,
    perMessageDeflate: false,
  });
  server.on("upgrade", (incoming, stream, head) => {
    // A peer that leaves while we decide must not become an unhandled error.
    stream.on("error", () => stream.destroy());
    void decide(incoming, stream, head, sockets, upgrade);
  });
  return sockets;
}

async function decide(
  incoming: IncomingMessage,
  stream: Duplex,
  head: Buffer,
  sockets: WebSocketServer,
  upgrade: ListenRequest["upgrade"],
): Promise<void> {
  const answer = await answerTo(incoming, upgrade);
  if (stream.destroyed) return;
  if (answer instanceof Response) return await writeResponse(stream, answer);
  sockets.handleUpgrade(incoming, stream, head, (webSocket) => serve(webSocket, answer));
}

async function answerTo(
  incoming: IncomingMessage,
  upgrade: ListenRequest["upgrade"],
): Promise<SocketHandler | Response> {
  const refusal = refusalOf(incoming);
  if (refusal !== null) return toResponse(refusal);
  try {
    return await upgrade(requestOf(incoming));
  } catch {
    return toResponse(INTERNAL);
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
  // Too big (1009) and not UTF-8 (1007): ws closes by itself after this event.
  webSocket.on("error", () => {});
  webSocket.on("message", (data, isBinary) => handler.message(socket, isBinary ? null : String(data)));
  webSocket.on("close", () => handler.closed(socket));
  handler.open(socket);
}

async function close(server: Server, sockets: WebSocketServer, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => void cutOff(server, sockets), graceMs);
  await Promise.all([closed, allGone(sockets)]);
  clearTimeout(timer);
}

async function cutOff(server: Server, sockets: WebSocketServer): Promise<void> {
  for (const webSocket of sockets.clients) webSocket.close(GOING_AWAY, "shutting down");
  server.closeAllConnections();
  await new Promise((resolve) => setTimeout(resolve, SOCKET_CLOSE_MS));
  for (const webSocket of sockets.clients) webSocket.terminate();
}

/** Resolves when no WebSocket is open any more. */
function allGone(sockets: WebSocketServer): Promise<void> {
  return new Promise((resolve) => sockets.close(() => resolve()));
}
