import { parseStrictJson } from "../config/strict_json.ts";
import { concatBytes } from "../core/bytes.ts";
import { GlassboxError, quoted } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { resolvePath } from "../core/paths.ts";

/** The bytes of a file that a flag names, or of standard input for `-`. */
export async function readNamed(
  host: Host,
  flag: string,
  name: string,
  bytesMax: number,
): Promise<Uint8Array> {
  if (name === "-") return await readStdin(host, flag, bytesMax);
  const path = resolvePath(host.processes.workingDirectory, name);
  try {
    const info = await host.files.info(path);
    if (info === null) {
      throw new GlassboxError("input_missing", `Cannot read ${flag} ${quoted(name)}: there is no such file`);
    }
    if (info.kind === "directory") {
      throw new GlassboxError(
        "input_missing",
        `Cannot read ${flag} ${quoted(name)} as it must be a file: it is a directory`,
      );
    }
    return await host.files.read(path, bytesMax);
  } catch (error) {
    throw inputError(error, flag, name, bytesMax);
  }
}

/** The input of a task from `--input` (a file, `-`, or JSON itself) with each `--set` laid over it. */
export async function readTaskInput(
  host: Host,
  input: string | undefined,
  assignments: readonly string[],
): Promise<unknown> {
  const base = input === undefined ? {} : await readInputDocument(host, input);
  if (assignments.length === 0) return base;
  if (base === null || typeof base !== "object" || Array.isArray(base)) {
    throw new GlassboxError(
      "invalid_input",
      "Cannot use --set as the input it changes must be a JSON object",
    );
  }
  const changed: Record<string, unknown> = { ...base };
  for (const assignment of assignments) {
    const cut = assignment.indexOf("=");
    if (cut < 1) {
      throw new GlassboxError("usage", `Cannot use --set ${quoted(assignment)} as it must be KEY=VALUE`);
    }
    setPath(
      changed,
      assignment.slice(0, cut).split("."),
      settingValue(assignment.slice(cut + 1)),
      assignment,
    );
  }
  return changed;
}

async function readInputDocument(host: Host, input: string): Promise<unknown> {
  const isJson = /^\s*[[{]/.test(input);
  const bytes = isJson ? input : await readNamed(host, "--input", input, LIMITS.inputBytesMax);
  const what = isJson ? "--input" : `--input ${quoted(input)}`;
  return parseStrictJson(bytes, { what, bytesMax: LIMITS.inputBytesMax, depthMax: LIMITS.inputDepthMax });
}

/** JSON where it is JSON (`3`, `true`, `["a"]`), and else the text as it stands. */
function settingValue(text: string): unknown {
  try {
    return parseStrictJson(text, {
      what: "--set",
      bytesMax: LIMITS.inputBytesMax,
      depthMax: LIMITS.inputDepthMax,
    });
  } catch {
    return text;
  }
}

function setPath(
  target: Record<string, unknown>,
  path: readonly string[],
  value: unknown,
  assignment: string,
): void {
  const [name, ...rest] = path as [string, ...string[]];
  if (["", "__proto__", "constructor", "prototype"].includes(name)) {
    throw new GlassboxError(
      "usage",
      `Cannot use --set ${quoted(assignment)} as ${quoted(name)} cannot be a key`,
    );
  }
  if (rest.length === 0) {
    target[name] = value;
    return;
  }
  const old = target[name];
  const inner: Record<string, unknown> = old !== null && typeof old === "object" && !Array.isArray(old)
    ? { ...old }
    : {};
  target[name] = inner;
  setPath(inner, rest, value, assignment);
}

async function readStdin(host: Host, flag: string, bytesMax: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of host.terminal.stdin.read()) {
    bytes += piece.length;
    if (bytes > bytesMax) throw tooLarge(flag, "-", bytesMax);
    pieces.push(piece);
  }
  return concatBytes(pieces);
}

function inputError(error: unknown, flag: string, name: string, bytesMax: number): unknown {
  const code = String((error as { code?: unknown }).code ?? "");
  if (code === "EFBIG") return tooLarge(flag, name, bytesMax);
  if (code === "EACCES" || code === "EPERM") {
    return new GlassboxError("input_denied", `Cannot read ${flag} ${quoted(name)}: permission is denied`);
  }
  if (code === "ETIMEDOUT") {
    return new GlassboxError(
      "input_missing",
      `Cannot read ${flag} ${quoted(name)}: nobody writes to this pipe`,
    );
  }
  if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP") {
    return new GlassboxError("input_missing", `Cannot read ${flag} ${quoted(name)}: there is no such file`);
  }
  return error;
}

function tooLarge(flag: string, name: string, bytesMax: number): GlassboxError {
  return new GlassboxError(
    "too_large",
    `Cannot read ${flag} ${quoted(name)} as it must be at most ${bytesMax} bytes`,
  );
}
