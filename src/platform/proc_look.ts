/** What the processes of a group are doing, read from /proc: whether they run, and what they wait for. */

import * as fs from "node:fs";
import process from "node:process";
import type { ProcessLook } from "../core/host.ts";

const PROCESSES_MAX = 32;
/** read(2) and write(2) by machine; of others only the state is told. */
const CALLS: Readonly<Record<string, Readonly<Record<string, "read" | "write">>>> = {
  x64: { "0": "read", "1": "write" },
  arm64: { "63": "read", "64": "write" },
};
const TICK_MS = 10;

/** Looks at the living processes of a group; empty where there is no /proc. */
export function lookAtGroup(group: number): ProcessLook[] {
  const looks: ProcessLook[] = [];
  for (const pid of allPids()) {
    const look = lookAt(pid, group);
    if (look !== null) looks.push(look);
    if (looks.length === PROCESSES_MAX) break;
  }
  return looks;
}

function allPids(): number[] {
  try {
    return fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
  } catch {
    return [];
  }
}

function lookAt(pid: number, group: number): ProcessLook | null {
  const stat = textOf(`/proc/${pid}/stat`);
  const nameEnd = stat.lastIndexOf(")");
  const fields = stat.slice(nameEnd + 2).split(" ");
  // Fields 3, 5, 14 and 15 of proc(5): state, group, user and system time.
  if (Number(fields[2]) !== group || fields[0] === "Z") return null;
  return {
    pid,
    name: stat.slice(stat.indexOf("(") + 1, nameEnd),
    state: fields[0] ?? "",
    cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    waitsFor: waitsFor(pid),
  };
}

/** The call and the descriptor that a process is blocked in; the kernel tells only those who may trace it. */
function waitsFor(pid: number): ProcessLook["waitsFor"] {
  const [number, descriptor] = textOf(`/proc/${pid}/syscall`).split(" ");
  const call = CALLS[process.arch]?.[number ?? ""];
  if (call === undefined || descriptor === undefined) return null;
  const fd = Number(descriptor);
  return { call, descriptor: fd, on: kindOf(pid, fd) };
}

function kindOf(pid: number, fd: number): "pipe" | "socket" | "terminal" | "file" {
  try {
    const path = `/proc/${pid}/fd/${fd}`;
    const stats = fs.statSync(path);
    if (stats.isFIFO()) return "pipe";
    if (stats.isSocket()) return "socket";
    return /^\/dev\/(pts|tty)/.test(fs.readlinkSync(path)) ? "terminal" : "file";
  } catch {
    return "file";
  }
}

function textOf(path: string): string {
  try {
    return fs.readFileSync(path, "latin1").trim();
  } catch {
    return "";
  }
}
