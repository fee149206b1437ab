/** Times, durations and sizes for people. */

import { commandLine, parsePreview } from "../../core/command_line.ts";

export function clockTime(atMs: number): string {
  return new Date(atMs).toLocaleTimeString(undefined, { hour12: false });
}

/** The time of a day that is today, else the day too. */
export function shortTime(atMs: number): string {
  const at = new Date(atMs);
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? clockTime(atMs) : at.toLocaleDateString(undefined, { month: "short", day: "numeric" });
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor(ms / 1_000) % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function byteSize(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** An exec job as one would type it, a portrait by its name and equations, any other as its task and input. */
export function describeInput(task: string, input: unknown): string {
  if (task === "phase-portrait") return describePortrait(portraitWords(JSON.stringify(input)));
  const command = task === "exec" ? commandLine(input) : null;
  return command ?? `${task} ${JSON.stringify(input)}`;
}

/** The same from a preview, or the preview as it is where it cannot be read. */
export function describePreview(task: string, preview: string): string {
  if (task === "phase-portrait") return describePortrait(portraitWords(preview));
  const input = parsePreview(preview);
  return input === undefined ? `${task} ${preview}` : describeInput(task, input);
}

/** Name and equations of a portrait's request, also of one that was cut off. */
export function portraitWords(preview: string): { readonly name: string; readonly equations: string } {
  const text = (key: string) => {
    const quoted = new RegExp(`"${key}":("(?:[^"\\\\]|\\\\.)*)`).exec(preview)?.[1];
    const read = quoted === undefined ? "" : parsePreview(`${quoted}"`);
    return typeof read === "string" ? read : "";
  };
  return { name: text("name"), equations: text("equations").replace(/\s+/g, " ") };
}

function describePortrait({ name, equations }: { name: string; equations: string }): string {
  return name === "" ? equations : `${name}: ${equations}`;
}
