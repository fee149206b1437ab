/** Times, durations and sizes for people. */

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

/** An exec job as one would type it, any other as its task and input. */
export function describeInput(task: string, input: unknown): string {
  const { program, args } = (input ?? {}) as { program?: unknown; args?: unknown };
  if (task !== "exec" || typeof program !== "string") return `${task} ${JSON.stringify(input)}`;
  return [program, ...(Array.isArray(args) ? args : [])].map(shellWord).join(" ");
}

/** The same from a preview, which is no JSON where it was cut: then it mostly lacks the end of an argument. */
export function describePreview(task: string, preview: string): string {
  const mended = `${preview.slice(0, -1).replace(/\\(u[0-9a-f]{0,3})?$/, "")}…"]}`;
  for (const text of [preview, mended]) {
    try {
      return describeInput(task, JSON.parse(text));
    } catch {
      // The next one, or the preview as it is.
    }
  }
  return `${task} ${preview}`;
}

function shellWord(word: unknown): string {
  const text = String(word);
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
