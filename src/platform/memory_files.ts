/** A file system and file locks in memory. */

import { posix } from "node:path";
import type { FileInfo, FileLock, Files, FileSpace, Locks } from "../core/host.ts";
import { EMPTY_BYTES } from "../core/bytes.ts";
import { nodeError } from "./node_error.ts";

/** What is about to be done, told to a fault before it happens. */
export interface Operation {
  /** The name in Host: `files.read`, `locks.acquire`, `processes.spawn` … */
  readonly name: string;
  /** The path or program it is about. */
  readonly subject: string;
}

/** Called before an operation; what it throws is what the operation rejects with. */
export type Fault = (operation: Operation) => void;

interface Entry {
  /** Null for a directory. */
  readonly bytes: Uint8Array | null;
  readonly mode: number;
}

const FREE_BYTES = 2 ** 40;

const DIRECTORY_MODE = 0o755;
const FILE_MODE = 0o644;

/** Files by absolute path, kept in the order of their names; there are no links, FIFOs or permissions. */
export class MemoryFiles implements Files {
  readonly #entries = new Map<string, Entry>([["/", { bytes: null, mode: DIRECTORY_MODE }]]);
  readonly #fault: Fault;
  #temporaries = 0;

  constructor(fault: Fault) {
    this.#fault = fault;
    this.#createDirectory("/tmp", 0o1777);
  }

  // deno-lint-ignore require-await
  async info(path: string): Promise<FileInfo | null> {
    this.#fault({ name: "files.info", subject: path });
    return this.look(path);
  }

  /** `info` for the host itself: no fault, no wait. */
  look(path: string): FileInfo | null {
    const entry = this.#entries.get(normal(path));
    if (!entry) return null;
    return {
      kind: entry.bytes === null ? "directory" : "file",
      sizeBytes: entry.bytes?.length ?? 0,
      mode: entry.mode,
      // What is renamed or written again is another file on a disk as well; the place does for the rest.
      identity: normal(path),
    };
  }

  // deno-lint-ignore require-await
  async space(path: string): Promise<FileSpace | null> {
    return this.look(path) === null ? null : { freeBytes: FREE_BYTES, freeFiles: Infinity };
  }

  // deno-lint-ignore require-await
  async read(path: string, bytesMax: number): Promise<Uint8Array> {
    this.#fault({ name: "files.read", subject: path });
    const bytes = this.#bytesOf(path);
    if (bytes.length > bytesMax) {
      throw nodeError(
        "EFBIG",
        `Cannot read ${path} as it may have ${bytesMax} bytes: it has ${bytes.length}`,
        path,
      );
    }
    return bytes.slice();
  }

  async *readPieces(path: string, pieceBytes: number, from = 0): AsyncGenerator<Uint8Array> {
    this.#fault({ name: "files.readPieces", subject: path });
    const bytes = this.#bytesOf(path);
    for (let at = from; at < bytes.length; at += pieceBytes) yield bytes.slice(at, at + pieceBytes);
  }

  // deno-lint-ignore require-await
  async writeAtomic(path: string, bytes: Uint8Array, options: { mode?: number } = {}): Promise<void> {
    this.#fault({ name: "files.writeAtomic", subject: path });
    this.write(path, bytes, options.mode);
  }

  // deno-lint-ignore require-await
  async publish(from: string, to: string, { replace }: { replace: boolean }): Promise<void> {
    this.#fault({ name: "files.publish", subject: to });
    const file = this.#entries.get(normal(from));
    if (file === undefined) throw nothingThere(from);
    this.#checkParent(to);
    if (!replace && this.look(to) !== null) throw nodeError("EEXIST", `link ${to}`, to);
    if (this.look(to)?.kind === "directory") throw nodeError("EISDIR", `${to} is a directory`, to);
    this.#entries.delete(normal(from));
    this.#entries.set(normal(to), file);
  }

  /** `writeAtomic` for the test itself: no fault, no wait. */
  write(path: string, bytes: Uint8Array, mode: number = FILE_MODE): void {
    this.#checkParent(path);
    if (this.look(path)?.kind === "directory") throw nodeError("EISDIR", `${path} is a directory`, path);
    this.#entries.set(normal(path), { bytes: bytes.slice(), mode });
  }

  // deno-lint-ignore require-await
  async makeDirectory(path: string, mode: number = DIRECTORY_MODE): Promise<void> {
    this.#fault({ name: "files.makeDirectory", subject: path });
    this.#createDirectory(normal(path), mode);
  }

  // deno-lint-ignore require-await
  async syncDirectories(path: string): Promise<void> {
    this.#fault({ name: "files.syncDirectories", subject: path });
  }

  // deno-lint-ignore require-await
  async list(path: string): Promise<string[]> {
    this.#fault({ name: "files.list", subject: path });
    const directory = this.look(path);
    if (directory === null) throw nothingThere(path);
    if (directory.kind !== "directory") throw nodeError("ENOTDIR", `${path} is not a directory`, path);
    const inside = within(path);
    const names = [...this.#entries.keys()].filter((name) => name.startsWith(inside) && name !== inside);
    return names.map((name) => name.slice(inside.length)).filter((name) => !name.includes("/")).sort();
  }

  // deno-lint-ignore require-await
  async remove(path: string): Promise<void> {
    this.#fault({ name: "files.remove", subject: path });
    const inside = within(path);
    for (const name of [...this.#entries.keys()]) {
      if (name !== "/" && (name === normal(path) || name.startsWith(inside))) this.#entries.delete(name);
    }
  }

  // deno-lint-ignore require-await
  async realPath(path: string): Promise<string | null> {
    this.#fault({ name: "files.realPath", subject: path });
    return this.look(path) && normal(path);
  }

  // deno-lint-ignore require-await
  async temporaryDirectory(prefix: string): Promise<string> {
    this.#fault({ name: "files.temporaryDirectory", subject: prefix });
    const path = `/tmp/${prefix}${String(++this.#temporaries).padStart(6, "0")}`;
    this.#createDirectory(path, 0o700);
    return path;
  }

  #bytesOf(path: string): Uint8Array {
    const entry = this.#entries.get(normal(path));
    if (!entry) throw nothingThere(path);
    if (entry.bytes === null) throw nodeError("EISDIR", `${path} is a directory`, path);
    return entry.bytes;
  }

  #checkParent(path: string): void {
    const parent = parentOf(normal(path));
    const kind = this.look(parent)?.kind;
    if (kind === undefined) throw nothingThere(parent);
    if (kind !== "directory") throw nodeError("ENOTDIR", `${parent} is not a directory`, parent);
  }

  #createDirectory(path: string, mode: number): void {
    const kind = this.look(path)?.kind;
    if (kind === "directory") return;
    if (kind !== undefined) throw nodeError("EEXIST", `${path} is a file`, path);
    this.#createDirectory(parentOf(path), mode);
    this.#entries.set(path, { bytes: null, mode });
  }
}

function nothingThere(path: string): Error {
  return nodeError("ENOENT", `no such file or directory: ${path}`, path);
}

/** An absolute path without `.`, `..` and double slashes; a relative one counts from the root. */
function normal(path: string): string {
  return posix.resolve("/", path);
}

function within(path: string): string {
  return normal(path) === "/" ? "/" : `${normal(path)}/`;
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

/** One lock file: its holder, and who waits for it, first come first served. */
class MemoryLock {
  #held = false;
  readonly #waiting: (() => void)[] = [];

  tryLock(): boolean {
    if (this.#held) return false;
    return this.#held = true;
  }

  async lock(): Promise<void> {
    if (!this.tryLock()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  unlock(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#held = false;
  }
}

/** Locks between the users of one memory host. */
export function memoryLocks(files: MemoryFiles, fault: Fault): Locks {
  const locks = new Map<string, MemoryLock>();
  const open = (name: string, path: string) => {
    fault({ name, subject: path });
    if (files.look(path) === null) files.write(path, EMPTY_BYTES);
    const key = normal(path);
    const lock = locks.get(key) ?? new MemoryLock();
    locks.set(key, lock);
    return lock;
  };
  return {
    async acquire(path) {
      const lock = open("locks.acquire", path);
      await lock.lock();
      return releasing(lock);
    },
    // deno-lint-ignore require-await
    async tryAcquire(path) {
      const lock = open("locks.tryAcquire", path);
      return lock.tryLock() ? releasing(lock) : null;
    },
    // deno-lint-ignore require-await
    async open(path) {
      const lock = open("locks.open", path);
      let holding = false;
      const unlock = () => {
        if (holding) lock.unlock();
        holding = false;
      };
      return {
        async lock() {
          await lock.lock();
          holding = true;
        },
        unlock,
        close: unlock,
      };
    },
  };
}

function releasing(lock: MemoryLock): FileLock {
  let held = true;
  return {
    release() {
      if (held) lock.unlock();
      held = false;
    },
  };
}
