/** Files through `node:fs`, with every read bounded. */

import * as fs from "node:fs/promises";
import { constants, type Stats } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import type { FileInfo, FileKind, Files } from "../core/host.ts";
import { concatBytes, toHex } from "../core/bytes.ts";
import { isNothingThere, nodeError } from "./node_error.ts";

type Handle = fs.FileHandle;

const READ_BYTES_FIRST = 64 * 1024;
const READ_BYTES_MAX = 1024 * 1024;
const FIFO_OPEN_MS = 10_000;

export const systemFiles: Files = {
  async info(file) {
    const stats = await statOrNull(file);
    return stats && toInfo(stats);
  },
  read: readBounded,
  readPieces,
  writeAtomic,
  async makeDirectory(directory, mode) {
    await fs.mkdir(directory, mode === undefined ? { recursive: true } : { recursive: true, mode });
  },
  async list(directory) {
    return (await fs.readdir(directory)).sort();
  },
  async remove(file) {
    await fs.rm(file, { recursive: true, force: true });
  },
  async realPath(file) {
    return await fs.realpath(file).catch(nullIfNothingThere);
  },
  async temporaryDirectory(prefix) {
    return await fs.mkdtemp(path.join(tmpdir(), prefix));
  },
};

function nullIfNothingThere(error: unknown): null {
  if (isNothingThere(error)) return null;
  throw error;
}

function statOrNull(file: string): Promise<Stats | null> {
  return fs.stat(file).catch(nullIfNothingThere);
}

function toInfo(stats: Stats): FileInfo {
  return { kind: kindOf(stats), sizeBytes: stats.size, mode: stats.mode & 0o7777 };
}

function kindOf(stats: Stats): FileKind {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "directory";
  return stats.isFIFO() ? "fifo" : "other";
}

async function readBounded(file: string, bytesMax: number): Promise<Uint8Array> {
  const handle = await openToRead(file);
  try {
    const stats = await handle.stat();
    if (stats.size > bytesMax) throw tooBig(file, stats.size, bytesMax);
    return await readToEnd(handle, file, stats.size, bytesMax);
  } finally {
    await handle.close();
  }
}

/** A FIFO, a device or a file of /proc has size 0 and still much to read, so the bound is kept here too. */
async function readToEnd(
  handle: Handle,
  file: string,
  expected: number,
  bytesMax: number,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let total = 0;
  for (let want = Math.max(expected + 1, READ_BYTES_FIRST);; want = READ_BYTES_MAX) {
    const piece = await readPiece(handle, Math.min(want, bytesMax - total + 1));
    if (piece.length === 0) return concatBytes(pieces);
    total += piece.length;
    if (total > bytesMax) throw tooBig(file, total, bytesMax);
    pieces.push(piece);
  }
}

function tooBig(file: string, seen: number, bytesMax: number): Error {
  return nodeError(
    "EFBIG",
    `Cannot read ${file} as it may have ${bytesMax} bytes: it has at least ${seen}`,
    file,
  );
}

/** Up to `length` bytes from where the last read ended; none at the end of the file. */
async function readPiece(handle: Handle, length: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(length);
  const { bytesRead } = await handle.read(buffer, 0, length, null);
  return buffer.subarray(0, bytesRead);
}

async function* readPieces(file: string, pieceBytes: number): AsyncGenerator<Uint8Array> {
  const handle = await openToRead(file);
  try {
    for (;;) {
      const piece = await readFullPiece(handle, pieceBytes);
      if (piece.length > 0) yield piece;
      if (piece.length < pieceBytes) return;
    }
  } finally {
    await handle.close();
  }
}

/** Exactly `length` bytes, or fewer when the file ends: pipes and network file systems give less than asked. */
async function readFullPiece(handle: Handle, length: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, null);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

async function openToRead(file: string): Promise<Handle> {
  const stats = await statOrNull(file);
  if (stats?.isDirectory()) throw nodeError("EISDIR", `Cannot read ${file} as it is a directory`, file);
  return stats?.isFIFO() ? await openFifo(file) : await fs.open(file, "r");
}

/**
 * Opening a FIFO waits for a writer. When none comes in time we become the writer for a moment: that is the
 * only way to free the thread that waits in open(2).
 */
async function openFifo(file: string): Promise<Handle> {
  const opening = fs.open(file, "r");
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => timer = setTimeout(() => resolve(null), FIFO_OPEN_MS));
  const handle = await Promise.race([opening, late]).finally(() => clearTimeout(timer));
  if (handle !== null) return handle;
  const writer = await fs.open(file, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => null);
  opening.then((unwanted) => unwanted.close(), () => {});
  await writer?.close();
  throw nodeError(
    "ETIMEDOUT",
    `Cannot read ${file} as nobody writes to this FIFO within ${FIFO_OPEN_MS} ms`,
    file,
  );
}

async function writeAtomic(
  file: string,
  bytes: Uint8Array,
  options: { mode?: number; sync?: boolean } = {},
): Promise<void> {
  const directory = path.dirname(file);
  const temporary = path.join(directory, `.glassbox-${toHex(crypto.getRandomValues(new Uint8Array(8)))}.tmp`);
  try {
    await writeWhole(temporary, bytes, options.mode ?? 0o666, options.sync ?? false);
    await fs.rename(temporary, file);
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  if (options.sync) await syncDirectory(directory);
}

async function writeWhole(file: string, bytes: Uint8Array, mode: number, sync: boolean): Promise<void> {
  const handle = await fs.open(file, "wx", mode);
  try {
    for (let at = 0; at < bytes.length;) {
      at += (await handle.write(bytes, at, bytes.length - at, null)).bytesWritten;
    }
    if (sync) await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await fs.open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
