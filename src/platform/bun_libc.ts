/** The C library calls that Bun has no name for: flock(2), and on Linux pipe2(2) and fcntl(2). */

import process from "node:process";
import { nodeError } from "./node_error.ts";

export interface Libc {
  /** False when another opening of the file holds the lock; throws on any other failure. */
  flock(descriptor: number, operation: number): boolean;
  /** A pipe that no child inherits by chance; the end named by `ours` does not block. Linux only. */
  pipe(ours: "read" | "write"): { read: number; write: number };
}

type Symbols = Record<string, (...args: unknown[]) => number>;

interface Ffi {
  dlopen(
    library: string,
    symbols: Record<string, { args: readonly string[]; returns: string }>,
  ): { symbols: Symbols };
  read: { i32(pointer: number, offset: number): number };
}

const LINUX = process.platform === "linux";
const LIBRARIES = LINUX
  ? ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`, "libc.so"]
  : ["libSystem.dylib"];
const ERRNO_LOCATION = LINUX ? "__errno_location" : "__error";
const EINTR = 4;
const WOULD_BLOCK = LINUX ? 11 : 35;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const ERROR_NAMES: Readonly<Record<number, string>> = {
  5: "EIO",
  9: "EBADF",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  37: "ENOLCK",
  95: "ENOTSUP",
};

let loading: Promise<Libc> | undefined;

/** Opens the C library once. Only Bun can do this. */
export function loadLibc(): Promise<Libc> {
  return loading ??= load();
}

async function load(): Promise<Libc> {
  const name: string = "bun:ffi";
  const ffi = await import(name) as Ffi;
  const symbols = openFirst(ffi);
  const errorNumber = () => ffi.read.i32(symbols[ERRNO_LOCATION]!(), 0);
  return {
    flock(descriptor, operation) {
      if (symbols["flock"]!(descriptor, operation) === 0) return true;
      const number = errorNumber();
      if (number === WOULD_BLOCK || number === EINTR) return false;
      throw refused("lock a file", number);
    },
    pipe(ours) {
      const pair = new Int32Array(2);
      if (symbols["pipe2"]!(pair, O_CLOEXEC) !== 0) throw refused("make a pipe", errorNumber());
      const [read, write] = pair as unknown as [number, number];
      symbols["fcntl"]!(ours === "read" ? read : write, F_SETFL, O_NONBLOCK);
      return { read, write };
    },
  };
}

function refused(action: string, number: number): Error {
  return nodeError(
    ERROR_NAMES[number] ?? "EUNKNOWN",
    `Cannot ${action} as the kernel refused: errno ${number}`,
  );
}

const EVERYWHERE = {
  flock: { args: ["i32", "i32"], returns: "i32" },
  [ERRNO_LOCATION]: { args: [], returns: "ptr" },
};
/** `fcntl` takes a variable number of arguments, which Apple's arm64 passes differently. */
const ON_LINUX = {
  pipe2: { args: ["ptr", "i32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
};

function openFirst(ffi: Ffi): Symbols {
  let last: unknown;
  for (const library of LIBRARIES) {
    try {
      return ffi.dlopen(library, LINUX ? { ...EVERYWHERE, ...ON_LINUX } : EVERYWHERE).symbols;
    } catch (error) {
      last = error;
    }
  }
  throw last;
}
