import { sha256 } from "@noble/hashes/sha2.js";
import { toHex } from "../core/bytes.ts";
import { GlassboxError } from "../core/errors.ts";
import type { Files } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { baseName } from "../core/paths.ts";
import type { Secrets } from "../logs/secrets.ts";
import type { Artifacts } from "../store/artifacts.ts";
import type { Fence } from "../store/transitions.ts";

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  csv: "text/csv",
  gz: "application/gzip",
  html: "text/html",
  json: "application/json",
  md: "text/markdown",
  pdf: "application/pdf",
  png: "image/png",
  svg: "image/svg+xml",
  tsv: "text/tab-separated-values",
  txt: "text/plain",
  xml: "application/xml",
  zip: "application/zip",
};

/** The media type a file name suggests; `application/octet-stream` when it suggests none. */
export function mediaTypeOf(name: string): string {
  const extension = baseName(name).split(".").slice(1).pop()?.toLowerCase() ?? "";
  return MEDIA_TYPES[extension] ?? "application/octet-stream";
}

/** Stores the files of one attempt as artifacts, a part at a time. */
export class ArtifactWriter {
  #files: Files;
  #artifacts: Artifacts;
  #fence: Fence;
  #secrets: Secrets;
  #count = 0;

  constructor(files: Files, artifacts: Artifacts, fence: Fence, secrets: Secrets) {
    this.#files = files;
    this.#artifacts = artifacts;
    this.#fence = fence;
    this.#secrets = secrets;
  }

  /** Reads the file at `path` to its end, stores it and publishes it under `name`. */
  async store(name: string, path: string, mediaType?: string): Promise<void> {
    if (++this.#count > LIMITS.artifactsMax) {
      throw new GlassboxError(
        "too_large",
        `Cannot keep artifact ${name}: a job may leave ${LIMITS.artifactsMax} at most`,
      );
    }
    const hash = sha256.create();
    let sizeBytes = 0;
    let part = 0;
    const pieces = cleaned(this.#files.readPieces(path, LIMITS.artifactPartBytes), this.#secrets);
    for await (const bytes of wholeParts(pieces)) {
      sizeBytes += bytes.length;
      if (sizeBytes > LIMITS.artifactBytesMax) {
        throw new GlassboxError(
          "too_large",
          `Cannot keep artifact ${name} as it must be at most ${LIMITS.artifactBytesMax} bytes`,
        );
      }
      hash.update(bytes);
      await this.#artifacts.writePart(this.#fence, name, part++, bytes);
    }
    await this.#artifacts.publish(this.#fence, {
      name,
      sizeBytes,
      mediaType: mediaType ?? mediaTypeOf(name),
      sha256: toHex(hash.digest()),
    });
  }
}

async function* cleaned(
  pieces: AsyncIterable<Uint8Array>,
  secrets: Secrets,
): AsyncGenerator<Uint8Array> {
  const stream = secrets.stream();
  for await (const piece of pieces) yield stream.push(piece);
  yield stream.end();
}

/** Pieces of any size become parts of exactly the stored size, but the last, as readers count on it. */
async function* wholeParts(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let part = new Uint8Array(LIMITS.artifactPartBytes);
  let filled = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      const take = Math.min(piece.length - at, part.length - filled);
      part.set(piece.subarray(at, at + take), filled);
      filled += take;
      at += take;
      if (filled === part.length) {
        yield part;
        part = new Uint8Array(LIMITS.artifactPartBytes);
        filled = 0;
      }
    }
  }
  if (filled > 0) yield part.subarray(0, filled);
}
