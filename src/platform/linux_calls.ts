/**
 * The calls of Linux that keep a child's output safe from our own death, which neither engine has names for:
 * splice(2) moves bytes from a pipe into a file within the kernel, so that no kill can come between the two.
 */

import process from "node:process";
import { engine } from "./runtime.ts";

export interface LinuxCalls {
  /** A pipe that no child inherits by chance; both ends block. Null when the kernel gives none. */
  pipe(): { read: number; write: number } | null;
  /** Opens a file for reading and writing, made new; -1 when that fails. */
  create(path: string): number;
  close(descriptor: number): void;
  /** Moves what is in the pipe to the end of the file: the number of bytes, 0 at the end of the pipe, or -1. */
  moveNow(pipe: number, file: number, bytesMax: number): number;
  /** read(2); waits when there is nothing. */
  read(descriptor: number, buffer: Uint8Array): number;
  readAt(file: number, buffer: Uint8Array, at: number): number;
  /** What a read of the pipe would meet now. */
  look(pipe: number): "bytes" | "end" | "nothing";
  /** Watches pipes together, to know which became readable first; -1 when that is not to be had. */
  watch(pipes: readonly number[]): number;
  /** The pipe of a watch that has been readable for longest, or null. */
  firstReadable(watch: number): number | null;
  /** Waits in a thread until there is something or the time is over; null where no thread can be had. */
  readonly readable: ((descriptor: number, waitMs: number) => Promise<unknown>) | null;
  /** Lets a socket, and all that it accepts from now on, take only so many bytes before they can be sent. */
  boundUnsent(socket: number, bytes: number): boolean;
  /** Gives the disk space of the file's first bytes back, without moving the rest. False when that is not possible. */
  punch(file: number, bytes: number): boolean;
}

type Calls = Record<string, (...args: unknown[]) => number | bigint | Promise<number>>;

const LIBRARIES = [
  "libc.so.6",
  `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`,
];
const O_RDWR_CREATE_NEW = 0o2 | 0o100 | 0o1000;
const O_CLOEXEC = 0o2000000;
const OWNER_ONLY = 0o600;
const SPLICE_NONBLOCK = 2;
const POLLIN = 1;
/** Where the low byte of `revents` is in a `struct pollfd` of the little-endian machines there are. */
const REVENTS_AT = 6;
const EPOLL_CTL_ADD = 1;
/** `struct epoll_event` is packed on x86-64 only; its data follow the events. */
const EPOLL_DATA_AT = process.arch === "x64" ? 4 : 8;
const EPOLL_EVENT_BYTES = 16;
const EPOLL_EVENTS_MAX = 4;
const PUNCH_HOLE_KEEP_SIZE = 2 | 1;
const IPPROTO_TCP = 6;
const TCP_NOTSENT_LOWAT = 25;

/** Parameters of each call, in Deno's words; Bun's differ for pointers only. */
const SIGNATURES: Readonly<Record<string, readonly string[]>> = {
  pipe2: ["buffer", "i32"],
  open: ["buffer", "i32", "i32"],
  close: ["i32"],
  splice: ["i32", "pointer", "i32", "pointer", "usize", "u32"],
  read: ["i32", "buffer", "usize"],
  pread: ["i32", "buffer", "usize", "i64"],
  poll: ["buffer", "usize", "i32"],
  fallocate: ["i32", "i32", "i64", "i64"],
  setsockopt: ["i32", "i32", "i32", "buffer", "u32"],
  epoll_create1: ["i32"],
  epoll_ctl: ["i32", "i32", "i32", "buffer"],
  epoll_wait: ["i32", "buffer", "i32", "i32"],
};

let loading: Promise<LinuxCalls | null> | undefined;

/** Null where there is no Linux, no C library to open, or an engine that cannot. */
export function linuxCalls(): Promise<LinuxCalls | null> {
  return loading ??= process.platform === "linux" ? load().catch(() => null) : Promise.resolve(null);
}

async function load(): Promise<LinuxCalls | null> {
  if (engine === "deno") return withDeno();
  if (engine === "bun") return await withBun();
  return null;
}

function withDeno(): LinuxCalls {
  const call = (parameters: readonly string[]) => ({ parameters, result: "i32" });
  const wanted = {
    ...Object.fromEntries(Object.entries(SIGNATURES).map(([name, parameters]) => [name, call(parameters)])),
    pollInThread: { ...call(SIGNATURES["poll"]!), name: "poll", nonblocking: true },
  };
  const open = Deno.dlopen as unknown as (library: string, symbols: unknown) => { symbols: Calls };
  const calls = openFirst((library) => open(library, wanted).symbols);
  return {
    ...common(calls),
    readable: (descriptor, waitMs) =>
      Promise.resolve(calls["pollInThread"]!(pollEntry(descriptor), 1, waitMs)),
  };
}

interface BunFfi {
  dlopen(library: string, symbols: unknown): { symbols: Calls };
}

async function withBun(): Promise<LinuxCalls> {
  const name: string = "bun:ffi";
  const ffi = await import(name) as BunFfi;
  const word = (parameter: string) => parameter === "buffer" || parameter === "pointer" ? "ptr" : parameter;
  const wanted = Object.fromEntries(
    Object.entries(SIGNATURES).map((
      [name, parameters],
    ) => [name, { args: parameters.map(word), returns: "i32" }]),
  );
  const calls = openFirst((library) => ffi.dlopen(library, wanted).symbols);
  return { ...common(calls), readable: null };
}

function openFirst(open: (library: string) => Calls): Calls {
  let last: unknown;
  for (const library of LIBRARIES) {
    try {
      return open(library);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

function pollEntry(descriptor: number): Uint8Array {
  return new Uint8Array(Int32Array.of(descriptor, POLLIN).buffer);
}

function epollEvent(pipe: number): Uint8Array<ArrayBuffer> {
  const event = new Uint8Array(EPOLL_EVENT_BYTES);
  const view = new DataView(event.buffer);
  view.setUint32(0, POLLIN, true);
  view.setInt32(EPOLL_DATA_AT, pipe, true);
  return event;
}

function common(calls: Calls): Omit<LinuxCalls, "readable"> {
  const call = (name: string, ...args: unknown[]) => calls[name]!(...args) as number;
  return {
    pipe() {
      const pair = new Int32Array(2);
      if (call("pipe2", new Uint8Array(pair.buffer), O_CLOEXEC) !== 0) return null;
      return { read: pair[0]!, write: pair[1]! };
    },
    create: (path) =>
      call("open", new TextEncoder().encode(`${path}\0`), O_RDWR_CREATE_NEW | O_CLOEXEC, OWNER_ONLY),
    close: (descriptor) => void call("close", descriptor),
    moveNow: (pipe, file, bytesMax) => call("splice", pipe, null, file, null, bytesMax, SPLICE_NONBLOCK),
    read: (descriptor, buffer) => call("read", descriptor, buffer, buffer.length),
    readAt: (file, buffer, at) => call("pread", file, buffer, buffer.length, BigInt(at)),
    look(pipe) {
      const entry = pollEntry(pipe);
      if (call("poll", entry, 1, 0) === 0) return "nothing";
      return (entry[REVENTS_AT]! & POLLIN) !== 0 ? "bytes" : "end";
    },
    watch(pipes) {
      const watch = call("epoll_create1", O_CLOEXEC);
      for (const pipe of pipes) call("epoll_ctl", watch, EPOLL_CTL_ADD, pipe, epollEvent(pipe));
      return watch;
    },
    firstReadable(watch) {
      const events = new Uint8Array(EPOLL_EVENTS_MAX * EPOLL_EVENT_BYTES);
      // All are asked for: the kernel moves those that it tells of to the end of its list.
      if (call("epoll_wait", watch, events, EPOLL_EVENTS_MAX, 0) < 1) return null;
      return new DataView(events.buffer).getInt32(EPOLL_DATA_AT, true);
    },
    boundUnsent(socket, bytes) {
      const value = new Uint8Array(Uint32Array.of(bytes).buffer);
      return call("setsockopt", socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value, value.length) === 0;
    },
    punch: (file, bytes) => call("fallocate", file, PUNCH_HOLE_KEEP_SIZE, 0n, BigInt(bytes)) === 0,
  };
}
