/**
 * A bound on what the kernel takes for a peer that does not read. It would take megabytes for each, all of which must be
 * made first: a thousand watchers who never read would keep a processor busy for minutes.
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { linuxCalls } from "./linux_calls.ts";

/** What a peer that reads has not been sent yet; what is on its way comes on top, so that nobody is slowed down. */
const UNSENT_BYTES_MAX = 128 * 1024;
const LISTENING = "0A";

/** Bounds the connections of the listener at this port. Elsewhere than on Linux the kernel's own bounds stand. */
export async function boundUnsent(port: number): Promise<void> {
  const calls = await linuxCalls();
  if (calls === null) return;
  for (const descriptor of listenersAt(port)) calls.boundUnsent(descriptor, UNSENT_BYTES_MAX);
}

/** This process's descriptors of sockets that listen at the port: no engine tells them. */
function listenersAt(port: number): number[] {
  const wanted = new Set(["tcp", "tcp6"].flatMap((table) => inodesAt(port, table)));
  return entries("/proc/self/fd").filter((name) => wanted.has(target(`/proc/self/fd/${name}`))).map(Number);
}

/** The columns are: number, local address, remote address, state, queues, timer, retransmits, uid, timeout, inode. */
function inodesAt(port: number, table: string): string[] {
  const ending = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return text(`/proc/self/net/${table}`).split("\n").map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(ending) && columns[3] === LISTENING)
    .map((columns) => `socket:[${columns[9]}]`);
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return "";
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
