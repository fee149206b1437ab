/** The few things in which the engines differ: who they are, how to start again, raw writes and file locks. */

import * as fs from "node:fs";
import type { Socket } from "node:net";
import * as path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { loadLibc } from "./bun_libc.ts";
import { nodeError } from "./node_error.ts";

export type Engine = "bun" | "deno" | "node";

/** What Bun's global offers that is used here; its own types are not a dependency. */
export interface BunGlobal {
  file(descriptor: number): { stream(): ReadableStream<Uint8Array> };
}

export const compiled: boolean = "__glassboxBinary" in globalThis;

export const engine: Engine = process.versions["deno"] !== undefined
  ? "deno"
  : process.versions["bun"] !== undefined
  ? "bun"
  : "node";

export function engineVersion(): string {
  return process.versions[engine] ?? "unknown";
}

export function bun(): BunGlobal {
  return (globalThis as unknown as { Bun: BunGlobal }).Bun;
}

/** The script this process was started with, as an absolute path that no change of directory can break. */
function mainScript(): string {
  const main = engine === "deno" ? Deno.mainModule : undefined;
  if (main?.startsWith("file:")) return fileURLToPath(main);
  return path.resolve(process.argv[1] ?? "main.ts");
}

/** The file a user would copy: the compiled executable, or the script when run from source. */
export function ownBinary(): string {
  return compiled ? process.execPath : mainScript();
}

/** Starts this same program again, with all permissions and without Deno's own remarks on stderr. */
export function ownCommand(): readonly [string, ...string[]] {
  if (compiled) return [process.execPath];
  if (engine === "deno") return [process.execPath, "run", "--allow-all", "--quiet", mainScript()];
  return [process.execPath, mainScript()];
}

/**
 * Starts a child with the arguments as they are. Wherever Deno finds the path of its own executable among them, it
 * takes it for Node's and rewrites what follows. It asks for that path while it starts the child, so for that moment
 * it gets an answer that no argument can equal.
 */
export function literally<T>(spawn: () => T): T {
  if (engine !== "deno") return spawn();
  const { execPath } = Deno;
  Object.assign(Deno, { execPath: () => "\0" });
  try {
    return spawn();
  } finally {
    Object.assign(Deno, { execPath });
  }
}

/** One write off the event loop: says how many bytes were taken, or rejects with the kernel's error code. */
export type DescriptorWrite = (bytes: Uint8Array) => Promise<number>;

/**
 * How to write to an open descriptor. `process.stdout.write` will not do: on Deno it stops the event loop while a
 * pipe is full, and after ENOSPC a further write never calls back. `fs.write` stops Deno's event loop as well.
 */
export function descriptorWriter(descriptor: number): DescriptorWrite {
  if (engine !== "deno") return (bytes) => writeWithNode(descriptor, bytes);
  if (descriptor === 1) return (bytes) => Deno.stdout.write(bytes);
  if (descriptor === 2) return (bytes) => Deno.stderr.write(bytes);
  return socketWriter(descriptor);
}

function writeWithNode(descriptor: number, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(descriptor, bytes, 0, bytes.length, null, (error, count) => {
      if (error) reject(error);
      else resolve(count);
    });
  });
}

/** Deno knows an inherited pipe or socket only as a socket of Node's kind. */
function socketWriter(descriptor: number): DescriptorWrite {
  let socket: Socket | undefined;
  let failure: Error | undefined;
  return async (bytes) => {
    // Loaded only here, as sockets cost every start some milliseconds.
    const net = await import("node:net");
    socket ??= new net.Socket({ fd: descriptor, readable: false, writable: true }).on("error", () => {});
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    socket.write(bytes, (error) => {
      if (error) reject(failure ??= error);
      else resolve(bytes.length);
    });
    return await promise;
  };
}

/** An open lock file. The lock belongs to this opening, so two openings in one process exclude each other. */
export interface LockFile {
  /** Takes the lock if it is free; never waits. */
  tryLock(): boolean;
  /** Takes the lock, waiting for it if need be. */
  lock(): Promise<void>;
  unlock(): void;
  /** Also frees the lock. */
  close(): void;
}

export function openLockFile(file: string): Promise<LockFile> {
  if (engine === "deno") return openWithDeno(file);
  if (engine === "bun") return openWithFlock(file);
  return Promise.reject(nodeError("ENOTSUP", `Cannot lock ${file} as this engine has no file lock`, file));
}

async function openWithDeno(file: string): Promise<LockFile> {
  const handle = await Deno.open(file, { read: true, write: true, create: true });
  return {
    tryLock: () => handle.tryLockSync(true),
    lock: () => handle.lock(true),
    unlock: () => handle.unlockSync(),
    close: () => handle.close(),
  };
}

const LOCK_EXCLUSIVE_NONBLOCKING = 2 | 4;
const LOCK_UNLOCK = 8;
const POLL_FIRST_MS = 1;
const POLL_MAX_MS = 10;

async function openWithFlock(file: string): Promise<LockFile> {
  const libc = await loadLibc();
  const descriptor = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o666);
  const tryLock = () => libc.flock(descriptor, LOCK_EXCLUSIVE_NONBLOCKING);
  return {
    tryLock,
    lock: () => pollUntil(tryLock),
    unlock: () => void libc.flock(descriptor, LOCK_UNLOCK),
    close: () => fs.closeSync(descriptor),
  };
}

/** A blocking flock(2) would stop Bun's event loop, so the lock is asked for again after a growing pause. */
async function pollUntil(attempt: () => boolean): Promise<void> {
  for (let pauseMs = POLL_FIRST_MS; !attempt(); pauseMs = Math.min(pauseMs * 2, POLL_MAX_MS)) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
