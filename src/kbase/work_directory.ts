import { parseStrictJson } from "../config/strict_json.ts";
import { EXIT, GlassboxError, messageOf, quoted } from "../core/errors.ts";
import type { Files } from "../core/host.ts";
import { baseName, directoryOf } from "../core/paths.ts";
import { isObject } from "./envelope.ts";
import { RPC, RpcError } from "./rpc_error.ts";

/** How large a job's input.json and output.json may be. */
export const INPUT_BYTES_MAX = 64 * 1024 * 1024;
export const OUTPUT_BYTES_MAX = 1024 * 1024 * 1024;
const DEPTH_MAX = 64;
const TOKEN_BYTES_MAX = 64 * 1024;

/** What a job was asked, before it is known to be sound. */
export interface WaitingJob {
  /** As it stands in input.json; undefined where that has none, or null. */
  readonly id: string | number | undefined;
  readonly method: unknown;
  readonly params: unknown;
  readonly context: unknown;
}

/** Reads input.json. Throws RpcError −32700 or −32600 for what is no job. */
export async function readInput(files: Files, path: string): Promise<WaitingJob> {
  const document = await parsedFile(files, path);
  if (!isObject(document)) {
    throw new RpcError(RPC.request, `Cannot run ${path} as it must hold one object`, { exitCode: EXIT.data });
  }
  const { id, method, params, context } = document;
  return { id: typeof id === "string" || typeof id === "number" ? id : undefined, method, params, context };
}

async function parsedFile(files: Files, path: string): Promise<unknown> {
  const what = quoted(path);
  try {
    const bytes = await files.read(path, INPUT_BYTES_MAX);
    return parseStrictJson(bytes, { what, bytesMax: INPUT_BYTES_MAX, depthMax: DEPTH_MAX });
  } catch (error) {
    if (error instanceof GlassboxError) {
      throw new RpcError(RPC.parse, error.message, { exitCode: EXIT.data, cause: error });
    }
    const code = String((error as { code?: unknown }).code ?? "");
    if (code === "EFBIG") {
      const text = `Cannot read ${what} as it must be at most ${INPUT_BYTES_MAX} bytes`;
      throw new RpcError(RPC.request, text, { exitCode: EXIT.data });
    }
    const exitCode = code === "EACCES" ? EXIT.denied : EXIT.noInput;
    throw new RpcError(RPC.server, `Cannot read ${what}: ${messageOf(error)}`, { exitCode });
  }
}

/**
 * The id of an input.json that is refused, where it can be read at all. EE2 stumbles over an id that is not the one
 * it gave, so an answer to what has none says none.
 */
export async function idOfRefused(files: Files, path: string): Promise<string | number | undefined> {
  try {
    const document: unknown = JSON.parse(new TextDecoder().decode(await files.read(path, INPUT_BYTES_MAX)));
    const id = isObject(document) ? document["id"] : undefined;
    return typeof id === "string" || typeof id === "number" ? id : undefined;
  } catch {
    return undefined;
  }
}

/** The positional arguments of a job's input.json. */
export function jobParams(params: unknown): readonly unknown[] {
  if (params === undefined || params === null) return [];
  if (Array.isArray(params)) return params;
  const message = typeof params === "object"
    ? "expected positional params, not keyword"
    : "params must be a list of arguments";
  throw new RpcError(RPC.params, message, { exitCode: EXIT.data });
}

/** The method of a job's input.json. */
export function jobMethod(method: unknown): string {
  if (typeof method === "string" && /^[^.]+\.[^.]+$/.test(method)) return method;
  const message = `method must be Module.method: it is ${quoted(method)}`;
  throw new RpcError(RPC.request, message, { exitCode: EXIT.data });
}

/** A token file's content: one line, without the newline that some runners write. Null when there is no file. */
export async function readToken(files: Files, path: string): Promise<string | null> {
  const info = await files.info(path);
  if (info?.kind !== "file") return null;
  const token = cleanToken(new TextDecoder().decode(await files.read(path, TOKEN_BYTES_MAX)));
  if (token !== null) return token;
  throw new GlassboxError("input_missing", `Cannot use the token file ${quoted(path)} as it is empty`);
}

/** A token without white space around it; null for none. Two lines are no token. */
export function cleanToken(text: string): string | null {
  const token = text.trim();
  if (token === "") return null;
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new GlassboxError(
    "invalid_input",
    "Cannot use the token as it must be one line of visible characters without spaces",
    { fields: [{ field: "token", message: "must be one line" }] },
  );
}

/** Where a job's answer goes, tried out before the job runs: what cannot be answered is not worth running. */
export class OutputFile {
  readonly path: string;
  readonly #files: Files;

  constructor(files: Files, path: string) {
    this.#files = files;
    this.path = path;
  }

  /** Throws `storage_cannot_create` where no answer could be written. */
  async check(): Promise<void> {
    const directory = directoryOf(this.path);
    const name = baseName(this.path);
    const real = await this.#files.realPath(directory).catch(() => null);
    if (real === null) throw this.#cannot("its directory is not there");
    const target = await this.#files.realPath(this.path).catch(() => null);
    const isListed = (await this.#files.list(directory).catch(() => [] as string[])).includes(name);
    // A link would let whoever made it choose what is overwritten; one that leads nowhere is listed but has no target.
    if (target === null ? isListed : target !== `${real === "/" ? "" : real}/${name}`) {
      throw this.#cannot("it is a symbolic link");
    }
    const kind = (await this.#files.info(this.path))?.kind ?? "file";
    if (kind !== "file") throw this.#cannot(`it is a ${kind}`);
    const probe = `${directory}/.${name}.${crypto.randomUUID()}`;
    try {
      await this.#files.writeAtomic(probe, new Uint8Array(0));
      await this.#files.remove(probe);
    } catch (error) {
      throw this.#cannot(messageOf(error));
    }
  }

  /** Writes the whole document or nothing, and gives its size. */
  async write(document: object): Promise<number> {
    const bytes = new TextEncoder().encode(JSON.stringify(document));
    try {
      await this.#files.writeAtomic(this.path, bytes, { sync: true });
    } catch (error) {
      throw this.#cannot(messageOf(error));
    }
    return bytes.length;
  }

  #cannot(why: string): GlassboxError {
    return new GlassboxError("storage_cannot_create", `Cannot write ${quoted(this.path)}: ${why}`);
  }
}
