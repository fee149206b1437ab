/** Reading files, with everything bounded: bytes, and the wait for a FIFO's writer. */

import * as fs from "node:fs/promises";
import { constants } from "node:fs";
import { concatBytes } from "../core/bytes.ts";
import { nodeError } from "./node_error.ts";

type Handle = fs.FileHandle;

const READ_BYTES_FIRST = 64 * 1024;
const READ_BYTES_MAX = 1024 * 1024;

/** The whole file, if it has no more than `bytesMax`. */
export async function readBounded(file: string, bytesMax: number, fifoWaitMs: number): Promise<Uint8Array> {
  const handle = await openToRead(file, fifoWaitMs);
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

/** The file in pieces of `pieceBytes`; only the last may be shorter. */
export async function* readPieces(
  file: string,
  pieceBytes: number,
  fifoWaitMs: number,
  from: number | null = null,
): AsyncGenerator<Uint8Array> {
  const handle = await openToRead(file, fifoWaitMs);
  try {
    for (let at = from;; at = at === null ? null : at + pieceBytes) {
      const piece = await readFullPiece(handle, pieceBytes, at);
      if (piece.length > 0) yield piece;
      if (piece.length < pieceBytes) return;
    }
  } finally {
    await handle.close();
  }
}

/** Exactly `length` bytes, or fewer when the file ends: pipes and network file systems give less than asked. */
async function readFullPiece(handle: Handle, length: number, at: number | null): Promise<Uint8Array> {
  const buffer = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(
      buffer,
      filled,
      length - filled,
      at === null ? null : at + filled,
    );
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

async function openToRead(file: string, fifoWaitMs: number): Promise<Handle> {
  const stats = await fs.stat(file);
  if (stats.isDirectory()) throw nodeError("EISDIR", `Cannot read ${file} as it is a directory`, file);
  return stats.isFIFO() ? await openFifo(file, fifoWaitMs) : await fs.open(file, "r");
}

/**
 * Opening a FIFO waits for a writer. When none comes in time we become the writer for a moment: that is the
 * only way to free the thread that waits in open(2).
 */
async function openFifo(file: string, waitMs: number): Promise<Handle> {
  const opening = fs.open(file, "r");
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => timer = setTimeout(() => resolve(null), waitMs));
  const handle = await Promise.race([opening, late]).finally(() => clearTimeout(timer));
  if (handle !== null) return handle;
  const writer = await fs.open(file, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => null);
  opening.then((unwanted) => unwanted.close(), () => {});
  await writer?.close();
  throw nodeError(
    "ETIMEDOUT",
    `Cannot read ${file} as nobody writes to this FIFO within ${waitMs} ms`,
    file,
  );
}
