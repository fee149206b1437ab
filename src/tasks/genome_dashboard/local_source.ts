import { GlassboxError } from "../../core/errors.ts";
import { concatBytes } from "../../core/bytes.ts";
import type { Files } from "../../core/host.ts";
import type { FetchedDatabase, Source } from "./build.ts";

/** A packed database is unpacked in memory, so there is less room than for one that lies ready on disk. */
const UNPACKED_BYTES_MAX = 1024 * 1024 * 1024;

/** A database that lies on this machine, as it is or packed by gzip, which the KBase file store does to some. */
export function localSource(
  files: Files,
  directory: string,
  path: string,
  pangenomeId: string | null,
): Source {
  return {
    pangenomeId,
    async fetch(log): Promise<FetchedDatabase> {
      await log(`Reading ${path}`);
      if (!await isPacked(files, path)) return { path, display: path, dispose: () => Promise.resolve() };
      await log("Unpacking");
      const unpacked = `${directory}/unpacked.sqlite`;
      await files.writeAtomic(unpacked, await unpack(files, path));
      return { path: unpacked, display: path, dispose: () => files.remove(unpacked) };
    },
  };
}

async function isPacked(files: Files, path: string): Promise<boolean> {
  if ((await files.info(path).catch(() => null))?.kind !== "file") return false;
  for await (const piece of files.readPieces(path, 2)) return piece[0] === 0x1f && piece[1] === 0x8b;
  return false;
}

async function unpack(files: Files, path: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  const packed = ReadableStream.from(files.readPieces(path, 1024 * 1024)) as ReadableStream<BufferSource>;
  try {
    for await (const piece of packed.pipeThrough(new DecompressionStream("gzip"))) {
      bytes += piece.length;
      if (bytes > UNPACKED_BYTES_MAX) throw tooLarge(path);
      pieces.push(piece);
    }
  } catch (error) {
    if (error instanceof GlassboxError) throw error;
    throw new GlassboxError("invalid_input", `Cannot unpack ${path} as it must be whole and packed by gzip`);
  }
  return concatBytes(pieces);
}

function tooLarge(path: string): GlassboxError {
  return new GlassboxError(
    "too_large",
    `Cannot unpack ${path} as it must become at most ${UNPACKED_BYTES_MAX} bytes: unpack it yourself`,
  );
}
