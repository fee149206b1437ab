/** The command line of a program's job, as one would type it; shared by the terminal and the page. */

/** A word as a POSIX shell would have to be given it: itself where that is safe, else in single quotes. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Program and arguments of an exec job's input; null for an input that names no program. */
export function commandLine(input: unknown): string | null {
  const { program, args } = (input ?? {}) as { program?: unknown; args?: unknown };
  if (typeof program !== "string") return null;
  return [program, ...(Array.isArray(args) ? args : [])].map((word) => shellWord(String(word))).join(" ");
}

/** What a preview of an input holds. Where it was cut it mostly lacks the end of an argument; undefined for any other. */
export function parsePreview(preview: string): unknown {
  const mended = `${preview.slice(0, -1).replace(/\\(u[0-9a-f]{0,3})?$/, "")}…"]}`;
  for (const text of [preview, mended]) {
    try {
      return JSON.parse(text);
    } catch {
      // The next one may be sound.
    }
  }
  return undefined;
}
