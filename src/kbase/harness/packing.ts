import { gunzipSync, Unzip, UnzipInflate, Zip, ZipDeflate } from "fflate";
import { concatBytes } from "../../core/bytes.ts";
import type { Files } from "../../core/host.ts";
import { baseName, directoryOf, isInside, resolvePath } from "../../core/paths.ts";
import { answerError } from "./answer.ts";

const PIECE_BYTES = 256 * 1024;
/** What an archive may become, and how many files it may hold. */
const UNPACKED_BYTES_MAX = 2 * 1024 * 1024 * 1024;
const ENTRIES_MAX = 10_000;

/** Packs as DataFileUtil does: a file by gzip beside itself, or its whole directory into an archive inside it. */
export async function pack(files: Files, path: string, how: string, top: string): Promise<string> {
  if (how === "gzip") return await packGzip(files, path);
  if (how !== "zip" && how !== "targz") throw answerError(`Invalid pack value: ${how}`);
  const isDirectory = (await files.info(path))?.kind === "directory";
  const directory = isDirectory ? path : directoryOf(path);
  const name = isDirectory ? baseName(path) : baseName(path);
  if (isInside(directory, top)) {
    throw answerError(`Directory to zip [${directory}] is parent of result archive file`);
  }
  const archive = `${directory}/${name}${how === "zip" ? ".zip" : ".tar.gz"}`;
  const found = await filesBelow(files, directory);
  if (found.length === 0) throw answerError(`Directory ${directory} is empty`);
  const pieces = how === "zip" ? zipped(files, directory, found) : gzipped(tarred(files, directory, found));
  await files.writePieces(archive, pieces);
  return archive;
}

async function packGzip(files: Files, path: string): Promise<string> {
  if ((await files.info(path))?.kind !== "file") throw answerError(`${path} is not a file`);
  if (/\.(gz|gzip|tgz)$/.test(path)) return path;
  await files.writePieces(`${path}.gz`, gzipped(files.readPieces(path, PIECE_BYTES)));
  return `${path}.gz`;
}

/** Relative names in the order of the names; links that lead out of the directory are passed over. */
async function filesBelow(files: Files, directory: string): Promise<string[]> {
  const real = await files.realPath(directory) ?? directory;
  const found: string[] = [];
  const visit = async (at: string): Promise<void> => {
    for (const name of await files.list(at === "" ? directory : `${directory}/${at}`)) {
      const relative = at === "" ? name : `${at}/${name}`;
      const target = await files.realPath(`${directory}/${relative}`);
      if (target !== `${real}/${relative}`) continue;
      const kind = (await files.info(target))?.kind;
      if (kind === "directory") await visit(relative);
      if (kind === "file") found.push(relative);
    }
  };
  await visit("");
  return found;
}

async function* zipped(
  files: Files,
  directory: string,
  names: readonly string[],
): AsyncGenerator<Uint8Array> {
  let ready: Uint8Array[] = [];
  const zip = new Zip((error, piece) => {
    if (error) throw error;
    ready.push(piece);
  });
  const taken = () => {
    const pieces = ready;
    ready = [];
    return pieces;
  };
  for (const name of names) {
    const entry = new ZipDeflate(name, { level: 3 });
    zip.add(entry);
    for await (const piece of files.readPieces(`${directory}/${name}`, PIECE_BYTES)) {
      entry.push(piece);
      yield* taken();
    }
    entry.push(new Uint8Array(0), true);
    yield* taken();
  }
  zip.end();
  yield* taken();
}

const BLOCK = 512;

async function* tarred(
  files: Files,
  directory: string,
  names: readonly string[],
): AsyncGenerator<Uint8Array> {
  for (const name of names) {
    const path = `${directory}/${name}`;
    const size = (await files.info(path))?.sizeBytes ?? 0;
    yield tarHeader(name, size);
    yield* files.readPieces(path, PIECE_BYTES);
    yield new Uint8Array((BLOCK - size % BLOCK) % BLOCK);
  }
  yield new Uint8Array(2 * BLOCK);
}

/** The POSIX header: a long name is cut at a slash into prefix and name. */
function tarHeader(name: string, size: number): Uint8Array {
  const encoder = new TextEncoder();
  const header = new Uint8Array(BLOCK);
  const put = (text: string, at: number) => header.set(encoder.encode(text), at);
  const octal = (value: number, width: number) => value.toString(8).padStart(width - 1, "0");
  const bytes = encoder.encode(name).length;
  const cut = bytes <= 100 ? -1 : name.lastIndexOf("/", 154);
  const [prefix, rest] = cut === -1 ? ["", name] : [name.slice(0, cut), name.slice(cut + 1)];
  if (encoder.encode(rest).length > 100 || encoder.encode(prefix).length > 155) {
    throw answerError(`The name ${name} is too long for a tar file`);
  }
  put(rest, 0);
  put(octal(0o644, 8), 100);
  put(octal(0, 8), 108);
  put(octal(0, 8), 116);
  put(octal(size, 12), 124);
  put(octal(0, 12), 136);
  put("        ", 148);
  put("0", 156);
  put("ustar\x0000", 257);
  put(prefix, 345);
  put(`${octal(header.reduce((sum, byte) => sum + byte, 0), 7)}\0`, 148);
  return header;
}

async function* gzipped(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = ReadableStream.from(pieces) as ReadableStream<BufferSource>;
  yield* source.pipeThrough(new CompressionStream("gzip"));
}

/** Unpacks by what a file holds, not by its name; gives the path of what was packed as a whole. */
export async function unpack(files: Files, path: string, how: "unpack" | "uncompress"): Promise<string> {
  let at = path;
  const head = await firstBytes(files, at, 4);
  if (head[0] === 0x1f && head[1] === 0x8b) {
    at = unpackedName(path);
    await files.writeAtomic(at, gunzipSync(await files.read(path, UNPACKED_BYTES_MAX)));
  } else if (head[0] === 0x42 && head[1] === 0x5a && head[2] === 0x68) {
    throw answerError("The stand-in cannot unpack bzip2: give DataFileUtil's image");
  }
  const start = await firstBytes(files, at, 265);
  const isZip = start[0] === 0x50 && start[1] === 0x4b && start[2] === 3 && start[3] === 4;
  const isTar = new TextDecoder().decode(start.subarray(257, 262)) === "ustar";
  if (!isZip && !isTar) return at;
  if (how === "uncompress") throw answerError(`File ${at} is an archive, which uncompress does not unpack`);
  const entries = isZip
    ? unzipped(await files.read(at, UNPACKED_BYTES_MAX))
    : untarred(await files.read(at, UNPACKED_BYTES_MAX));
  await placed(files, directoryOf(at), entries);
  return at;
}

function unpackedName(path: string): string {
  if (/\.(tgz|tbz)$/.test(path)) return path.replace(/\.(tgz|tbz)$/, ".tar");
  return path.replace(/\.(gz|gzip|bz|bz2|bzip|bzip2)$/, "");
}

async function firstBytes(files: Files, path: string, count: number): Promise<Uint8Array> {
  for await (const piece of files.readPieces(path, count)) return piece;
  return new Uint8Array(0);
}

type Entries = ReadonlyMap<string, Uint8Array>;

/** All names are looked at before anything is written. */
async function placed(files: Files, directory: string, entries: Entries): Promise<void> {
  for (const name of entries.keys()) {
    const isOutside = !isInside(directory, resolvePath(directory, name)) || name.startsWith("/");
    if (isOutside || /[\0\\]/.test(name)) {
      throw answerError(`Dangerous archive file - entry [${name}] points outside`);
    }
  }
  for (const [name, bytes] of entries) {
    const path = resolvePath(directory, name);
    await files.makeDirectory(directoryOf(path));
    await files.writeAtomic(path, bytes);
  }
}

function unzipped(bytes: Uint8Array): Entries {
  const entries = new Map<string, Uint8Array>();
  let total = 0;
  const unzip = new Unzip((file) => {
    if (entries.size >= ENTRIES_MAX) {
      throw answerError(`Dangerous archive file - more than ${ENTRIES_MAX} entries`);
    }
    if (file.name.endsWith("/")) return;
    const parts: Uint8Array[] = [];
    file.ondata = (error, piece, isLast) => {
      if (error) throw error;
      total += piece.length;
      if (total > UNPACKED_BYTES_MAX) throw answerError("Dangerous archive file - it becomes too large");
      parts.push(piece);
      if (isLast) entries.set(file.name, concatBytes(parts));
    };
    file.start();
  });
  unzip.register(UnzipInflate);
  unzip.push(bytes, true);
  return entries;
}

function untarred(bytes: Uint8Array): Entries {
  const entries = new Map<string, Uint8Array>();
  const decoder = new TextDecoder();
  const text = (at: number, length: number) =>
    decoder.decode(bytes.subarray(at, at + length)).replace(/\0.*$/s, "");
  for (let at = 0; at + BLOCK <= bytes.length && bytes[at] !== 0;) {
    const size = parseInt(text(at + 124, 12).trim() || "0", 8);
    const prefix = text(at + 345, 155);
    const name = prefix === "" ? text(at, 100) : `${prefix}/${text(at, 100)}`;
    const kind = text(at + 156, 1);
    if (entries.size >= ENTRIES_MAX) {
      throw answerError(`Dangerous archive file - more than ${ENTRIES_MAX} entries`);
    }
    if (kind === "0" || kind === "") entries.set(name, bytes.slice(at + BLOCK, at + BLOCK + size));
    else if (kind === "1" || kind === "2") {
      throw answerError(`Dangerous archive file - entry [${name}] is a link`);
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return entries;
}
