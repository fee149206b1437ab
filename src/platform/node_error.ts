/** Errors as Node shapes them, for failures that this code finds before the kernel does. */

/** An Error with `code` (and `path` when one is given), like those of `node:fs`. */
export function nodeError(code: string, message: string, path?: string): Error & { code: string } {
  return Object.assign(new Error(`${code}: ${message}`), path === undefined ? { code } : { code, path });
}

/** The `code` of a Node-like error; undefined for any other value. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

const NOTHING_THERE = new Set(["ENOENT", "ENOTDIR"]);

/** True when the error says that a path does not exist. */
export function isNothingThere(error: unknown): boolean {
  return NOTHING_THERE.has(codeOf(error) ?? "");
}
