/** File locks that the kernel frees when their holder dies. */

import type { FileLock, Locks } from "../core/host.ts";
import { type LockFile, openLockFile } from "./runtime.ts";

export const fileLocks: Locks = {
  async acquire(path) {
    const file = await openLockFile(path);
    try {
      if (!file.tryLock()) await file.lock();
    } catch (error) {
      file.close();
      throw error;
    }
    return holding(file);
  },

  async tryAcquire(path) {
    const file = await openLockFile(path);
    try {
      if (file.tryLock()) return holding(file);
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
    return null;
  },

  async open(path) {
    const file = await openLockFile(path);
    return {
      lock: () => file.tryLock() ? Promise.resolve() : file.lock(),
      unlock: () => file.unlock(),
      close: () => file.close(),
    };
  },
};

function holding(file: LockFile): FileLock {
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      // Closing alone would leave the lock to a child that is just being forked and still shares the opening.
      file.unlock();
      file.close();
    },
  };
}
