/** A simulated machine: files, locks and a process table that outlive the processes which use them. */
import type { Locks } from "../../../src/core/host.ts";
import { MemoryFiles, memoryLocks } from "../../../src/platform/memory_files.ts";
import type { MemoryChild } from "../../../src/platform/memory_processes.ts";
import { PROGRAM } from "./programs.ts";

/** A program that a simulated process has started. */
export interface StartedProgram {
  readonly child: MemoryChild;
  readonly job: string;
  readonly epoch: number;
  /** The kernel kills it together with its parent. */
  readonly diesWithParent: boolean;
  /** What the kernel has taken from it. */
  /** Its machine was started again since. */
  hasSeenReboot: boolean;
  readonly written: Record<"stdout" | "stderr", number>;
}

export const SETPRIV = "/usr/bin/setpriv";

export class Machine {
  readonly name: string;
  readonly files = new MemoryFiles(() => undefined);
  readonly locks: Locks = memoryLocks(this.files, () => undefined);
  readonly programs: StartedProgram[] = [];
  readonly hasSetpriv: boolean;
  /** How far its wall clock is from the time that passes. */
  wallOffsetMs = 0;
  readonly #index: number;
  #boots = 0;
  #pids = 1_000;

  constructor(index: number, hasSetpriv: boolean) {
    this.name = `machine-${index}`;
    this.#index = index;
    this.hasSetpriv = hasSetpriv;
    for (const directory of ["/bin", "/usr/bin", "/data"]) void this.files.makeDirectory(directory);
    this.files.write(PROGRAM, new Uint8Array(1), 0o755);
    this.files.write("/data/glassbox.db", new Uint8Array(1));
    if (hasSetpriv) this.files.write(SETPRIV, new Uint8Array(1), 0o755);
  }

  nextPid(): number {
    return ++this.#pids;
  }

  /** Writes a program's own file; in a directory that has been removed it is lost. */
  leave(path: string, bytes: Uint8Array): void {
    try {
      this.files.write(path, bytes);
    } catch {
      // The attempt is over, and its directory is gone.
    }
  }

  /** All that ran here is gone, and what lay in the kernel's page cache may be: nobody believes it any more. */
  reboot(): void {
    this.#boots++;
    for (const program of this.programs) {
      if (program.child.alive) program.child.signalGroup("SIGKILL");
      program.hasSeenReboot = true;
    }
  }

  /** Names the kernel since its last boot. */
  get bootId(): string {
    return `00000000-0000-4000-${String(8_000 + this.#boots)}-${String(this.#index).padStart(12, "0")}`;
  }

  /** Adds bytes to the file that keeps a program's output, as the kernel does; what is removed stays removed. */
  append(path: string, bytes: Uint8Array, piece: Uint8Array): Uint8Array {
    const whole = new Uint8Array(bytes.length + piece.length);
    whole.set(bytes);
    whole.set(piece, bytes.length);
    try {
      this.files.write(path, whole);
    } catch {
      // Its directory has been removed: whoever holds the file open still writes to it, and nobody reads that.
    }
    return whole;
  }
}
