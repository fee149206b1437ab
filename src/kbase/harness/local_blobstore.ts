import type { Files } from "../../core/host.ts";
import { rpcResponse } from "./answer.ts";
import type { LocalStore, StoredFile } from "./store.ts";

export interface LocalBlobstoreOptions {
  readonly files: Files;
  readonly store: LocalStore;
  readonly token: string;
}

const PIECE_BYTES = 256 * 1024;

/** A stand-in for the Blobstore, without its forms and its sharing of files. */
export class LocalBlobstore {
  readonly #options: LocalBlobstoreOptions;

  constructor(options: LocalBlobstoreOptions) {
    this.#options = options;
  }

  /** `path` is what follows the service's own address, as in `/node/ID`. */
  async answer(request: Request, path: string): Promise<Response> {
    const [kind, id, part, ...rest] = path.split("/").filter((piece) => piece !== "");
    if (kind === undefined) {
      return rpcResponse({ id: "Shock", version: "0.9.6", servername: "glassbox", serverversion: "0.1.5" });
    }
    const refusal = this.#refusal(request);
    if (refusal !== null) return refusal;
    if (kind === "node" && id === undefined && ["POST", "PUT"].includes(request.method)) {
      return await this.#upload(request);
    }
    const stored = kind === "node" && id !== undefined ? this.#options.store.file(id) : null;
    if (stored === null) return blobError(404, "Node not found");
    if (part === undefined) return await this.#node(request, stored);
    if (part === "copy" && request.method === "POST") return await this.#copy(stored);
    if (part === "acl" && request.method === "GET" && rest.length === 0) return blobData(this.#acl());
    return blobError(405, "The stand-in keeps, copies, gives and deletes files, and shares them with nobody");
  }

  #refusal(request: Request): Response | null {
    const authorization = request.headers.get("authorization");
    if (authorization === null) return blobError(401, "No Authorization");
    const [scheme, token, ...rest] = authorization.trim().split(/\s+/);
    const isRight = scheme?.toLowerCase() === "oauth" && token === this.#options.token && rest.length === 0;
    return isRight ? null : blobError(400, "Invalid authorization header or content");
  }

  async #node(request: Request, stored: StoredFile): Promise<Response> {
    const { store } = this.#options;
    const { searchParams } = new URL(request.url);
    if (request.method === "DELETE") {
      await store.removeFile(stored.id);
      return blobData(null);
    }
    if (request.method !== "GET") return blobError(405, "Method Not Allowed");
    const hasName = searchParams.has("download");
    if (!hasName && !searchParams.has("download_raw")) return blobData(nodeOf(stored));
    const range = rangeOf(searchParams, stored.size);
    if (range === null) return blobError(400, "seek and length must be whole numbers within the file");
    return this.#download(stored, range, hasName);
  }

  #download(stored: StoredFile, { from, size }: Range, hasName: boolean): Response {
    const pieces = taken(this.#options.files.readPieces(stored.path, PIECE_BYTES, from), size);
    const name = stored.name.replace(/[^\x20-\x7e]/g, "_");
    return new Response(ReadableStream.from(pieces) as BodyInit, {
      headers: {
        "content-type": "application/octet-stream",
        "content-length": String(size),
        ...(hasName ? { "content-disposition": `attachment; filename=${name}` } : {}),
      },
    });
  }

  async #upload(request: Request): Promise<Response> {
    if (request.headers.get("content-length") === null) return blobError(411, "Length Required");
    if (/^multipart\//.test(request.headers.get("content-type") ?? "")) {
      return blobError(400, "The stand-in takes the bytes as the body, not as a form");
    }
    const { searchParams } = new URL(request.url);
    const name = searchParams.get("filename") ?? "";
    const format = searchParams.get("format") ?? "";
    if (!/^[\p{L}\p{N}[\]()=.\-_ ]{0,256}$/u.test(name)) return blobError(400, `Invalid filename ${name}`);
    if (!/^[A-Za-z0-9_-]{0,100}$/.test(format)) return blobError(400, `Invalid format ${format}`);
    try {
      const body = request.body ?? new Blob([]).stream();
      return blobData(nodeOf(await this.#options.store.addFile(name, body, format)));
    } catch (error) {
      return blobError(400, error instanceof Error ? error.message : String(error));
    }
  }

  async #copy({ name, path, format }: StoredFile): Promise<Response> {
    const { files, store } = this.#options;
    return blobData(nodeOf(await store.addFile(name, files.readPieces(path, PIECE_BYTES), format)));
  }

  #acl(): object {
    const { user } = this.#options.store;
    const nobody = { read: false, write: false, delete: false };
    return { owner: user, read: [user], write: [user], delete: [user], public: nobody };
  }
}

interface Range {
  readonly from: number;
  readonly size: number;
}

/** What `seek` and `length` ask for; null for what no file has. */
function rangeOf(parameters: URLSearchParams, size: number): Range | null {
  const [seek, length] = ["seek", "length"].map((key) => parameters.get(key) ?? "0");
  if (!/^\d{1,15}$/.test(seek!) || !/^\d{1,15}$/.test(length!)) return null;
  const from = Number(seek);
  if (from > 0 && from >= size) return null;
  const rest = size - from;
  return { from, size: Number(length) === 0 ? rest : Math.min(rest, Number(length)) };
}

/** The first bytes of a stream. */
async function* taken(pieces: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let left = size;
  for await (const piece of pieces) {
    if (left <= 0) return;
    yield piece.subarray(0, left);
    left -= piece.length;
  }
}

function blobData(data: object | null): Response {
  return rpcResponse({ status: 200, data, error: null });
}

function blobError(status: number, message: string): Response {
  return rpcResponse({ status, data: null, error: [message] }, status);
}

function nodeOf({ id, name, size, md5, createdOn, format }: StoredFile): object {
  const file = { name, size, checksum: { md5 } };
  return { id, format, created_on: createdOn, last_modified: createdOn, attributes: null, file };
}
