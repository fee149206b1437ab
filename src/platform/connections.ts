/** A bound on open connections, so that callers cannot use up the files which the database and the jobs need. */

import { readFileSync } from "node:fs";
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import { LIMITS } from "../core/limits.ts";
import type { Refusal } from "./http_guard.ts";

/** What the process itself needs: runtime, database, lock files, standard streams. */
const OWN_FILES = 32;
/** One above the bound may still say what it wants within this time, so as to be told; then it is closed. */
const EXCESS_MS = 2_000;

const EXCESS: Refusal = {
  status: 503,
  code: "too_many_connections",
  detail: "Cannot take this request as too many connections are open: close some, or try again",
  retryAfterSeconds: 1,
};

const excess = new WeakSet<Socket>();

/** Marks every connection above the bound, and closes it soon. Half of the files stay free for jobs. */
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
    const timer = setTimeout(() => socket.destroy(), EXCESS_MS);
    socket.once("close", () => clearTimeout(timer));
  });
}

/** Why a request on a connection above the bound is refused; null for any other. */
export function excessOf(incoming: IncomingMessage): Refusal | null {
  return excess.has(incoming.socket) ? EXCESS : null;
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
