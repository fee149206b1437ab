/** The listener: Node's HTTP server with web Requests and Responses, and WebSockets beside it. */

import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { type WebSocket, WebSocketServer } from "ws";
import type { Listener, ListenRequest, Network, Socket, SocketHandler } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { requestOf, writeResponse } from "./upgrade.ts";

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 300_000;
const KEEP_ALIVE_MS = 5_000;
/** Lets a dead peer's sockets be noticed by the kernel. */
const PROBE_AFTER_MS = 30_000;
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
  const options = {
    maxHeaderSize: LIMITS.headerBytesMax,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAlive: true,
    keepAliveInitialDelay: PROBE_AFTER_MS,
  };
  return createServer(options, getRequestListener(fetch, { overrideGlobalObjects: false }));
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
  const request = requestOf(incoming);
  if (request === null) return await writeResponse(stream, new Response(null, { status: 400 }));
  const answer = await Promise.resolve(request).then(upgrade).catch(() =>
    new Response(null, { status: 500 })
  );
  if (stream.destroyed) return;
  if (answer instanceof Response) return await writeResponse(stream, answer);
  sockets.handleUpgrade(incoming, stream, head, (webSocket) => serve(webSocket, answer));
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
