import { GlassboxError, quoted } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";

/** Largest first; a duration names each at most once, in this order. */
const UNITS = [
  ["d", 24 * 3600_000],
  ["h", 3600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

const NUMBER = String.raw`(\d+(?:\.\d+)?)`;
const WITH_UNITS = new RegExp(`^${UNITS.map(([unit]) => `(?:${NUMBER}${unit})?`).join("")}$`);
const SECONDS = new RegExp(`^${NUMBER}$`);
const WANTED = "must be a duration such as 500ms, 90 (seconds), 10m or 1h30m, and at most 366 days";

/**
 * Milliseconds, rounded to whole ones, of `500ms`, `1.5h`, `1h30m` or a bare number of seconds; anything else,
 * and more than 366 days, is an error `usage` that calls the value `what`.
 */
export function parseDuration(text: string, what: string): number {
  const ms = durationMs(text.trim());
  if (ms !== null && ms <= LIMITS.timeoutMsMax) return ms;
  throw new GlassboxError("usage", `Cannot use ${what} as it ${WANTED}: current value is ${quoted(text)}`, {
    fields: [{ field: what, message: WANTED }],
  });
}

function durationMs(text: string): number | null {
  const seconds = SECONDS.exec(text);
  if (seconds !== null) return Math.round(Number(seconds[1]) * 1000);
  const parts = text === "" ? null : WITH_UNITS.exec(text);
  if (parts === null) return null;
  const sum = UNITS.reduce((total, [, unitMs], at) => total + Number(parts[at + 1] ?? 0) * unitMs, 0);
  return Math.round(sum);
}

/** The shortest text that `parseDuration` reads as the same number of whole milliseconds: `1h30m`, `1s250ms`, `0s`. */
export function formatDuration(ms: number): string {
  let rest = Math.max(0, Math.round(ms));
  let text = "";
  for (const [unit, unitMs] of UNITS) {
    const count = Math.floor(rest / unitMs);
    rest -= count * unitMs;
    if (count > 0) text += `${count}${unit}`;
  }
  return text === "" ? "0s" : text;
}
