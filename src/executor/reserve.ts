import { concatBytes } from "../core/bytes.ts";
import { GlassboxError } from "../core/errors.ts";
import type { Files } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import type { ExecutorContext } from "./context.ts";

/** Given up when the disk is full, so that how jobs ended can still be recorded. */
export function reservePath(runDirectory: string): string {
  return `${runDirectory}/reserve`;
}

/** On a disk with less room than this the reserve itself would be what fills it. */
const ROOM_BYTES_MIN = 4 * LIMITS.reserveBytes;

const PIECE_BYTES = 64 * 1024;

/** Makes the reserve when it is missing and there is room; new jobs are then welcome again. Never rejects. */
export async function keepReserve({ host, store }: ExecutorContext): Promise<void> {
  if (!store.isEmbedded) return;
  const path = reservePath(store.runDirectory);
  try {
    if (await host.files.info(path) === null) {
      if (!await hasRoom(host.files, store.runDirectory)) return;
      // Of chance, so that no file system stores it as nothing.
      const pieces = Array.from(
        { length: LIMITS.reserveBytes / PIECE_BYTES },
        () => host.random.bytes(PIECE_BYTES),
      );
      await host.files.writeAtomic(path, concatBytes(pieces), { mode: 0o600 });
    }
    store.refuseNew(null);
  } catch {
    // Tried again soon; without it only less is sure.
  }
}

async function hasRoom(files: Files, directory: string): Promise<boolean> {
  const space = await files.space(directory);
  return space !== null && space.freeBytes >= ROOM_BYTES_MIN && space.freeFiles > 0;
}

/** Gives the reserve up for what must be recorded now, and refuses new jobs until it is back. False when there is none. */
export async function spendReserve({ host, store }: ExecutorContext): Promise<boolean> {
  if (!store.isEmbedded) return false;
  const path = reservePath(store.runDirectory);
  if (await host.files.info(path).catch(() => null) === null) return false;
  store.refuseNew(
    new GlassboxError(
      "storage_full",
      `Cannot take a new job as the disk of the database ${store.display} is full, and its reserve is kept for ` +
        "running ones: free some space and try again",
    ),
  );
  await host.files.remove(path).catch(() => undefined);
  return true;
}
