import { z } from "zod";
import { displayCut } from "../../core/display.ts";
import type { Files } from "../../core/host.ts";
import { baseName } from "../../core/paths.ts";
import {
  ask,
  type ClientSurroundings,
  type ServiceReply,
  type ServiceRequest,
  withoutToken,
} from "./http.ts";
import { Meter, type Watcher } from "./progress.ts";
import { ServiceError } from "./service_error.ts";

export const Node = z.looseObject({
  id: z.string().min(1),
  file: z.looseObject({
    name: z.string(),
    size: z.int().nonnegative(),
    checksum: z.looseObject({ md5: z.string().nullish() }).nullish(),
  }),
});
export type Node = z.output<typeof Node>;

const Envelope = z.looseObject({
  status: z.int().nullish(),
  data: z.unknown(),
  error: z.union([z.string(), z.array(z.string())]).nullish(),
});

export interface BlobstoreOptions {
  /** Until an answer begins, and for the small ones until it ends. */
  readonly timeoutMs?: number;
  /** A transfer may pause this long. */
  readonly idleMs?: number;
  readonly watcher?: Watcher;
}

const TIMEOUT_MS = 5 * 60_000;
const IDLE_MS = 60_000;
const REPLY_BYTES_MAX = 1024 * 1024;
const SLOW_BYTES_PER_SECOND = 100_000;
const PIECE_BYTES = 256 * 1024;

/** KBase's file store, which also goes by the name of its predecessor, Shock. Files are streamed both ways. */
export class Blobstore {
  readonly #surroundings: ClientSurroundings;
  readonly #files: Files;
  readonly #url: string;
  readonly #options: Required<BlobstoreOptions>;

  constructor(surroundings: ClientSurroundings, files: Files, url: string, options: BlobstoreOptions = {}) {
    this.#surroundings = surroundings;
    this.#files = files;
    this.#url = url.replace(/\/+$/, "");
    this.#options = { timeoutMs: TIMEOUT_MS, idleMs: IDLE_MS, watcher: () => undefined, ...options };
  }

  async node(id: string): Promise<Node> {
    const what = `look up the stored file ${id}`;
    return this.#nodeIn(what, await this.#ask({ what, url: this.#nodeUrl(id) }));
  }

  /** Brings a stored file here, piece by piece, and gives its size. A part of a file is never left under its name. */
  async download(id: string, path: string, bytesMax: number): Promise<number> {
    const node = await this.node(id);
    const { name, size } = node.file;
    const what = `download ${displayCut(name, 200)}`;
    if (size > bytesMax) {
      throw new ServiceError(what, "too_large", `it has ${size} bytes of at most ${bytesMax}`);
    }
    const reply = await this.#ask({
      what,
      url: `${this.#nodeUrl(id)}?download_raw`,
      idleMs: this.#options.idleMs,
    });
    if (reply.status >= 400) await this.#refuse(what, reply);
    const meter = this.#meter(what, size);
    try {
      const bytes = await this.#files.writePieces(path, meter.through(reply.pieces(bytesMax)));
      if (bytes !== size) {
        await this.#files.remove(path);
        throw new ServiceError(what, "cut_off", `${bytes} of ${size} bytes came`);
      }
      await meter.end();
      return bytes;
    } finally {
      meter.drop();
      reply.close();
    }
  }

  /** Stores a file of at least one byte, piece by piece. */
  async upload(path: string, name: string = baseName(path)): Promise<Node> {
    const what = `upload ${displayCut(name, 200)}`;
    const size = (await this.#files.info(path))?.sizeBytes ?? 0;
    if (size === 0) throw new ServiceError(what, "refused", "a file without content cannot be stored");
    const meter = this.#meter(what, size);
    try {
      // An engine that does not let a stream say its length gets the same file in one piece of known length.
      const reply = await this.#send(what, path, name, size, meter);
      const answered = reply.status === 411 ? await this.#sendWhole(what, path, name, size, meter) : reply;
      const node = await this.#nodeIn(what, answered);
      await meter.end();
      return node;
    } finally {
      meter.drop();
    }
  }

  async #send(what: string, path: string, name: string, size: number, meter: Meter): Promise<ServiceReply> {
    const pieces = meter.through(this.#files.readPieces(path, PIECE_BYTES));
    const reply = await this.#ask({
      what,
      url: this.#uploadUrl(name),
      method: "POST",
      headers: { "content-length": String(size), "content-type": "application/octet-stream" },
      stream: pieces,
    });
    if (reply.status === 411) reply.close();
    return reply;
  }

  /** Nobody sees its bytes go, so it has the time that they would take on a slow line. */
  async #sendWhole(
    what: string,
    path: string,
    name: string,
    size: number,
    meter: Meter,
  ): Promise<ServiceReply> {
    meter.restart();
    return await this.#ask({
      what,
      url: this.#uploadUrl(name),
      method: "POST",
      body: await this.#files.blob(path),
      timeoutMs: this.#options.timeoutMs + (size / SLOW_BYTES_PER_SECOND) * 1000,
    });
  }

  /** The Blobstore takes letters, digits and a few signs; anything else becomes an underscore. */
  #uploadUrl(name: string): string {
    const plain = name.replace(/[^\p{L}\p{N}[\]()=.\-_ ]/gu, "_");
    return `${this.#url}/node?filename=${encodeURIComponent(plain)}`;
  }

  #nodeUrl(id: string): string {
    return `${this.#url}/node/${encodeURIComponent(id)}`;
  }

  #meter(what: string, bytesTotal: number): Meter {
    return new Meter(this.#surroundings.clock, this.#options.watcher, what, { bytesTotal });
  }

  #ask(request: Omit<ServiceRequest, "timeoutMs"> & { timeoutMs?: number }): Promise<ServiceReply> {
    const { token } = this.#surroundings;
    const authorization = token === null ? {} : { authorization: `OAuth ${token}` };
    const headers = { ...authorization, ...request.headers };
    return ask(this.#surroundings, { timeoutMs: this.#options.timeoutMs, ...request, headers });
  }

  async #nodeIn(what: string, reply: ServiceReply): Promise<Node> {
    if (reply.status >= 400) await this.#refuse(what, reply);
    const envelope = await this.#envelope(what, reply);
    const node = Node.safeParse(envelope.data);
    if (node.success) return node.data;
    throw new ServiceError(what, "bad_reply", "the Blobstore answered with JSON of another shape");
  }

  async #envelope(what: string, reply: ServiceReply): Promise<z.output<typeof Envelope>> {
    const text = new TextDecoder().decode(await reply.bytes(REPLY_BYTES_MAX));
    try {
      return Envelope.parse(JSON.parse(text));
    } catch {
      const problem = reply.status >= 500 ? "unavailable" : "not_json";
      throw new ServiceError(
        what,
        problem,
        `the Blobstore answered ${reply.status} with what is not its own`,
      );
    }
  }

  async #refuse(what: string, reply: ServiceReply): Promise<never> {
    const { error } = await this.#envelope(what, reply);
    const { status } = reply;
    const told = (Array.isArray(error) ? error.join("; ") : error) ?? "without saying why";
    const why = displayCut(withoutToken(told, this.#surroundings.token), 500);
    // It answers 400 for a token that it does not know.
    const denied = status === 401 || status === 403 || /authorization/i.test(told);
    const problem = status >= 500 ? "unavailable" : denied ? "denied" : "refused";
    throw new ServiceError(what, problem, `the Blobstore answered ${status}: ${why}`);
  }
}
