import type { Output } from "../core/host.ts";
import type { JobState } from "../core/job.ts";

/** Colours for people; plain text where colours are not wanted. */
export interface Style {
  readonly enabled: boolean;
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

/** SGR sequences of ECMA-48, section 8.3.117. */
export function createStyle(enabled: boolean): Style {
  const paint = (open: number, close: number) => (text: string) =>
    enabled ? `\x1b[${open}m${text}\x1b[${close}m` : text;
  return {
    enabled,
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
    cyan: paint(36, 39),
  };
}

/** `auto` means: on a terminal, unless NO_COLOR (https://no-color.org) was set, which settings already know. */
export function wantsColor(color: "auto" | "always" | "never", output: Output): boolean {
  return color === "always" || (color === "auto" && output.isTerminal);
}

export function stateText(style: Style, state: JobState): string {
  const paint = {
    queued: style.dim,
    running: style.cyan,
    completed: style.green,
    failed: style.red,
    cancelled: style.yellow,
  }[state];
  return paint(state);
}
