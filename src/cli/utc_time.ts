/** A time for a table: UTC, to the second, as in `2026-11-22 08:32:12`. */
export function utcTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}
