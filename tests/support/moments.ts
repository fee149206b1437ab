/** Moments that programs note by themselves, and how long it took between them. */
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";

/** Milliseconds since boot, as /proc/uptime has them: a shell reads it without starting a process, to 10 ms. */
export function uptimeMs(): number {
  return Math.round(Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000);
}

/** What a wall-clock moment of this machine is on the clock of `uptimeMs`. */
export function wallToUptimeMs(wallMs: number): number {
  return wallMs - (Date.now() - uptimeMs());
}

/** For a shell: `note WORDS…` writes them with the moment in front, in one write, to descriptor 9. */
export const NOTE = 'note() { read -r up rest < /proc/uptime; echo "$up $*" >&9; }';

/** A noted line: when, and what. */
export interface Note {
  readonly atMs: number;
  readonly words: readonly string[];
}

export function toNote(line: string): Note {
  const [at, ...words] = line.split(" ");
  return { atMs: Math.round(Number(at) * 1000), words };
}

export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** The middle, the hundredth worst and the worst of some durations. */
export function spreadOf(durationsMs: readonly number[]): Spread {
  const sorted = [...durationsMs].sort((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? NaN;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** One line for people, with how busy the machine was, as figures mean little without. */
export function spreadText(what: string, { count, p50, p99, max }: Spread): string {
  const load = loadavg()[0]!.toFixed(1);
  return `${what}: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms (${count} seen, load ${load})`;
}
