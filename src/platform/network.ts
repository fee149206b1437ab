/** The listener: Node's HTTP server with web Requests and Responses, and WebSockets beside it. */

import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener, RequestError } from "@hono/node-server";
import type { Listener, ListenRequest, Network } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { BAD_REQUEST, INTERNAL, problem, refusalOf, toResponse } from "./http_guard.ts";
import { boundConnections, excessOf } from "./connections.ts";
import { SocketServer } from "./sockets.ts";
import { boundUnsent } from "./unsent.ts";

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

export const systemNetwork: Network = { listen };

async function listen(request: ListenRequest): Promise<Listener> {
  const server = createHttpServer(request);
  boundConnections(server);
  const sockets = new SocketServer(server, request.upgrade);
  await bind(server, request);
  const { address, port } = server.address() as AddressInfo;
  await boundUnsent(port);
  return { host: address, port, close: (graceMs) => close(server, sockets, graceMs) };
}

function createHttpServer({ fetch }: ListenRequest): Server {
  // The engines' own Request and Response stay in place: replacing them would change them for all other code.
  const answer = getRequestListener(fetch, { overrideGlobalObjects: false, errorHandler: answerToError });
  return createServer(SERVER_OPTIONS, (incoming, outgoing) => {
    const refusal = excessOf(incoming) ?? refusalOf(incoming);
    if (refusal === null) return void answer(incoming, outgoing);
    const { status, headers, body } = problem(refusal);
    outgoing.writeHead(status, headers).end(body);
  });
}

function answerToError(error: unknown): Response {
  return toResponse(error instanceof RequestError ? BAD_REQUEST : INTERNAL);
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

/** All that was open has been cut off by then: an engine that has not noticed yet would keep us from ending. */
const NOTICE_MS = 1_000;

/** Resolves when nothing is open any more, or a second after all was cut off, which is `graceMs` from now. */
export async function close(
  server: Pick<Server, "close" | "closeIdleConnections" | "closeAllConnections">,
  sockets: Pick<SocketServer, "close" | "cutOff">,
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timers: ReturnType<typeof setTimeout>[] = [];
  const after = (ms: number, act: () => void) => void timers.push(setTimeout(act, ms));
  after(graceMs, () => {
    server.closeAllConnections();
    void sockets.cutOff();
  });
  const givenUp = new Promise<void>((resolve) => after(graceMs + NOTICE_MS, resolve));
  await Promise.race([Promise.all([closed, sockets.close()]), givenUp]);
  for (const timer of timers) clearTimeout(timer);
}
