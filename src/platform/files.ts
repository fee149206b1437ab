/** Files through `node:fs`. */

import * as fs from "node:fs/promises";
import { openAsBlob, type Stats } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import type { FileInfo, FileKind, Files, FileSpace } from "../core/host.ts";
import { toHex } from "../core/bytes.ts";
import { readBounded, readPieces } from "./file_reading.ts";
import { codeOf, isNothingThere } from "./node_error.ts";

/** `fifoWaitMs` bounds how long the reading of a FIFO waits for somebody to write to it. */
export function createFiles(fifoWaitMs: number): Files {
  return {
    async info(file) {
      const stats = await statOrNull(file);
      return stats && toInfo(stats);
    },
    read: (file, bytesMax) => readBounded(file, bytesMax, fifoWaitMs),
    readPieces: (file, pieceBytes, from) => readPieces(file, pieceBytes, fifoWaitMs, from),
    blob: (file) => openAsBlob(file),
    writeAtomic,
    writePieces,
    link: (target, file) => fs.symlink(target, file),
    publish,
    async makeDirectory(directory, mode) {
      await fs.mkdir(directory, mode === undefined ? { recursive: true } : { recursive: true, mode });
    },
    syncDirectories,
    async list(directory) {
      return (await fs.readdir(directory)).sort();
    },
    remove,
    async realPath(file) {
      return await fs.realpath(file).catch(nullIfNothingThere);
    },
    async temporaryDirectory(prefix) {
      return await fs.mkdtemp(path.join(tmpdir(), prefix));
    },
    space: (file) => spaceAt(file).catch(() => null),
  };
}

/** So often somebody may put a file into a directory that is being removed. */
const REMOVE_TRIES = 10;

async function remove(file: string): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      return await fs.rm(file, { recursive: true, force: true });
    } catch (error) {
      // Not every engine looks again by itself.
      if (codeOf(error) !== "ENOTEMPTY" || tries === REMOVE_TRIES) throw error;
    }
  }
}

function nullIfNothingThere(error: unknown): null {
  if (isNothingThere(error)) return null;
  throw error;
}

function statOrNull(file: string): Promise<Stats | null> {
  return fs.stat(file).catch(nullIfNothingThere);
}

function toInfo(stats: Stats): FileInfo {
  return {
    kind: kindOf(stats),
    sizeBytes: stats.size,
    mode: stats.mode & 0o7777,
    identity: `${stats.dev}:${stats.ino}`,
  };
}

async function spaceAt(file: string): Promise<FileSpace> {
  const { bavail, bsize, files, ffree } = await fs.statfs(file);
  return {
    freeBytes: bavail * bsize,
    // Some file systems make room for files as they go, and say 0 of 0.
    freeFiles: files === 0 ? Infinity : ffree,
  };
}

function kindOf(stats: Stats): FileKind {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "directory";
  return stats.isFIFO() ? "fifo" : "other";
}

function temporaryName(file: string): string {
  const random = toHex(crypto.getRandomValues(new Uint8Array(8)));
  return path.join(path.dirname(file), `.glassbox-${random}.tmp`);
}

async function writePieces(file: string, pieces: AsyncIterable<Uint8Array>): Promise<number> {
  const temporary = temporaryName(file);
  let bytes = 0;
  try {
    const handle = await fs.open(temporary, "wx");
    try {
      for await (const piece of pieces) {
        await writeAll(handle, piece);
        bytes += piece.length;
      }
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, file);
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  return bytes;
}

async function writeAll(handle: fs.FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += (await handle.write(bytes, at, bytes.length - at, null)).bytesWritten;
  }
}

async function writeAtomic(
  file: string,
  bytes: Uint8Array,
  options: { mode?: number; sync?: boolean } = {},
): Promise<void> {
  const directory = path.dirname(file);
  const temporary = temporaryName(file);
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
    await writeAll(handle, bytes);
    if (sync) await handle.sync();
  } finally {
    await handle.close();
  }
}

async function publish(from: string, to: string, { replace }: { replace: boolean }): Promise<void> {
  const handle = await fs.open(from, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (replace) {
    await fs.rename(from, to);
  } else {
    // A rename would replace what came meanwhile; a second name for the file is refused instead.
    await fs.link(from, to);
    await fs.rm(from);
  }
  await syncDirectory(path.dirname(to));
}

async function syncDirectories(directory: string): Promise<void> {
  for (let at = directory;; at = path.dirname(at)) {
    // Passing through a directory takes less than reading it, and some file systems cannot sync one at all.
    await syncDirectory(at).catch(() => undefined);
    if (at === path.dirname(at)) return;
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
