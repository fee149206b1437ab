/** A bound on open connections, so that callers cannot use up the files which the database and the jobs need. */

import { readFileSync } from "node:fs";
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import { LIMITS } from "../core/limits.ts";
import { problem, type Refusal } from "./http_guard.ts";

/** What the process itself needs: runtime, database, lock files, standard streams. */
const OWN_FILES = 32;
/** Until the answer has left a connection above the bound; then it is cut off. */
const EXCESS_MS = 1_000;

/** In a rush so many are given time to take their answer; those beyond may be cut off while it is on its way. */
const ANSWERED_AT_ONCE = 16;

const EXCESS: Refusal = {
  status: 503,
  code: "too_many_connections",
  detail: "Cannot take this request as too many connections are open: close some, or try again",
  retryAfterSeconds: 1,
};

const excess = new WeakSet<Socket>();

/**
 * Answers every connection above the bound and closes it, whatever it was to ask: an engine whose last file is taken
 * stops accepting for good. Half of the files stay free for jobs.
 */
export function boundConnections(server: Server): void {
  const connectionsMax = Math.min(
    LIMITS.connectionsMax,
    Math.max(1, Math.floor((openFilesMax() - OWN_FILES) / 2)),
  );
  let open = 0;
  server.on("connection", (socket: Socket) => {
    open++;
    socket.once("close", () => open--);
    if (open <= connectionsMax) return;
    excess.add(socket);
    if (open > connectionsMax + ANSWERED_AT_ONCE) {
      socket.end(rawAnswer());
      return void socket.destroy();
    }
    const timer = setTimeout(() => socket.destroy(), EXCESS_MS);
    socket.once("close", () => clearTimeout(timer));
    // Not for nothing beside `excessOf`: an engine may hand on the request that came with the connection.
    socket.end(rawAnswer(), () => socket.destroy());
  });
}

/** Why a request on a connection above the bound is refused; null for any other. */
export function excessOf(incoming: IncomingMessage): Refusal | null {
  return excess.has(incoming.socket) ? EXCESS : null;
}

function rawAnswer(): string {
  const { status, headers, body } = problem(EXCESS);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Service Unavailable\r\n${lines.join("")}\r\n${body}`;
}

/** Infinity where the system does not say. */
function openFilesMax(): number {
  try {
    const line = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    return line === null || line[1] === "unlimited" ? Infinity : Number(line[1]);
  } catch {
    return Infinity;
  }
}
