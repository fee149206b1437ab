/** What the kernel says about processes, read from /proc. Answers are empty or null where there is no /proc. */

import { Buffer } from "node:buffer";
import * as fs from "node:fs";
import { hostname } from "node:os";
import process from "node:process";
import type { ChildUsage, ProcessIdentity } from "../core/host.ts";

/** sysconf(_SC_CLK_TCK) on every Linux there is. */
const TICKS_PER_SECOND = 100;
const KILL_ROUNDS_MAX = 5;
/** A killed process keeps its environment until it has been torn down. */
const DEATH_PAUSE_MS = 5;
const ZERO = Uint8Array.of(0);

function readProc(pid: number | "self", name: string): Uint8Array | null {
  try {
    return fs.readFileSync(`/proc/${pid}/${name}`);
  } catch {
    return null;
  }
}

const decoder = new TextDecoder("latin1");

/** The fields after the command name, which itself may hold spaces and parentheses: [0] is field 3, the state. */
function statFields(pid: number): string[] | null {
  const bytes = readProc(pid, "stat");
  if (bytes === null) return null;
  const text = decoder.decode(bytes);
  return text.slice(text.lastIndexOf(")") + 2).trimEnd().split(" ");
}

/** Field 22 of /proc/PID/stat, or "" when there is no such process. */
export function startTicks(pid: number): string {
  return statFields(pid)?.[22 - 3] ?? "";
}

export function identityOf(pid: number): ProcessIdentity {
  return { pid, startTicks: startTicks(pid) };
}

export function usageOf(pid: number): ChildUsage {
  const fields = statFields(pid);
  const ticks = fields && Number(fields[14 - 3]) + Number(fields[15 - 3]);
  return { peakMemoryBytes: peakMemoryBytes(pid), cpuMs: ticks && ticks * 1000 / TICKS_PER_SECOND };
}

function peakMemoryBytes(pid: number): number | null {
  const status = readProc(pid, "status");
  const match = status && /^VmHWM:\s+(\d+) kB$/m.exec(decoder.decode(status));
  return match ? Number(match[1]) * 1024 : null;
}

/** Names the running kernel since its last boot; the host's name where the kernel has no such id. */
export function bootId(): string {
  try {
    return fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return hostname();
  }
}

/** Kills every process marked with `marker`. Several rounds, as a process may fork between the look and the kill. */
export async function killMarked(marker: string): Promise<number> {
  const killed = new Set<string>();
  for (let round = 0; round < KILL_ROUNDS_MAX; round++) {
    const marked = allPids().filter((pid) => pid !== process.pid && isMarked(pid, marker));
    if (marked.length === 0) break;
    for (const pid of marked) {
      const identity = `${pid} ${startTicks(pid)}`;
      if (kill(pid)) killed.add(identity);
    }
    await new Promise((resolve) => setTimeout(resolve, DEATH_PAUSE_MS));
  }
  return killed.size;
}

/** How many processes are marked with `marker`. */
export function countMarked(marker: string): number {
  return allPids().filter((pid) => pid !== process.pid && isMarked(pid, marker)).length;
}

function allPids(): number[] {
  try {
    return fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
  } catch {
    return [];
  }
}

function isMarked(pid: number, marker: string): boolean {
  const environment = readProc(pid, "environ");
  if (environment === null || environment.length === 0) return false;
  const wanted = new TextEncoder().encode(`\0${marker}\0`);
  return Buffer.concat([ZERO, environment, ZERO]).includes(wanted);
}

function kill(pid: number): boolean {
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch {
    return false;
  }
}

/** The kernel counts these over the whole machine, those of its control groups too. */
export function killedForMemory(): number | null {
  try {
    const count = /^oom_kill (\d+)$/m.exec(fs.readFileSync("/proc/vmstat", "utf8"))?.[1];
    return count === undefined ? null : Number(count);
  } catch {
    return null;
  }
}
