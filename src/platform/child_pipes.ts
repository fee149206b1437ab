/**
 * The pipes between us and a child. Deno and Node make them while they start the child. Bun would make sockets,
 * on which `tee /dev/stderr` or `cat /dev/stdin` fail in the child, so there they are made beforehand.
 */

import type { ChildProcess } from "node:child_process";
import { closeSync, writeSync } from "node:fs";
import process from "node:process";
import type { Readable, Writable } from "node:stream";
import type { KeepRequest, KeptOutput } from "../core/host.ts";
import { type Libc, loadLibc } from "./bun_libc.ts";
import { keepOutput, type KeptPipes } from "./kept_output.ts";
import { codeOf } from "./node_error.ts";
import { bun, engine } from "./runtime.ts";
import type { Source } from "./source.ts";

/** What is to be connected. */
export interface PipeRequest {
  readonly stdin: Uint8Array | null;
  readonly control: boolean;
  readonly keep?: KeepRequest;
}

/** Input on its way to a child. */
export interface Input {
  /** Sends no more and gives the descriptor back. */
  abandon(): void;
}

export interface ConnectedPipes {
  readonly stdin: Input | null;
  readonly stdout: Source;
  readonly stderr: Source;
  readonly control: Source | null;
  readonly kept: KeptOutput | null;
}

/** The pipes of one child that is about to start. */
export interface ChildPipes {
  /** What `spawn` of `node:child_process` wants to be told. */
  readonly stdio: ("pipe" | "ignore" | number)[];
  /** Call it right after `spawn`: closes the child's ends and sends it its input. */
  connect(child: ChildProcess): ConnectedPipes;
  /** For a child that could not be started. */
  discard(): void;
}

export async function makePipes(request: PipeRequest): Promise<ChildPipes> {
  const kept = request.keep === undefined ? null : await keepOutput(request.keep);
  if (engine === "bun" && process.platform === "linux") return bunPipes(await loadLibc(), request, kept);
  return nodePipes(request, kept);
}

function nodePipes({ stdin, control }: PipeRequest, kept: KeptPipes | null): ChildPipes {
  const [out, err] = kept?.writeEnds ?? ["pipe" as const, "pipe" as const];
  return {
    stdio: [stdin ? "pipe" : "ignore", out, err, control ? "pipe" : "ignore"],
    connect(child) {
      kept?.connect(child);
      return {
        stdin: stdin ? writeInput(child.stdin!, stdin) : null,
        stdout: kept?.stdout ?? new StreamSource(child.stdout!),
        stderr: kept?.stderr ?? new StreamSource(child.stderr!),
        control: control ? new StreamSource(child.stdio[3] as Readable) : null,
        kept,
      };
    },
    discard: () => kept?.discard(),
  };
}

/** A child need not read its input: a broken pipe is its own affair. */
function writeInput(stream: Writable, bytes: Uint8Array): Input {
  stream.on("error", () => {});
  stream.end(bytes);
  return { abandon: () => void stream.destroy() };
}

/** A stream of Node's kind. It listens at once, as Node throws unread output away when the child ends. */
class StreamSource implements Source {
  readonly #stream: Readable;
  #ended = false;
  #error: unknown = null;
  #wake: () => void = () => {};

  constructor(stream: Readable) {
    this.#stream = stream;
    const wake = () => this.#wake();
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    stream.on("readable", wake).on("end", end).on("close", end);
    stream.on("error", (error) => {
      this.#error = error;
      end();
    });
  }

  abandon(): void {
    this.#ended = true;
    this.#error = null;
    this.#stream.on("error", () => this.#error = null);
    this.#stream.destroy();
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.#stream.read() as Uint8Array | null;
      if (piece !== null) {
        yield piece;
      } else if (this.#ended) {
        if (this.#error) throw this.#error;
        return;
      } else {
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    }
  }
}

interface Pipe {
  readonly read: number;
  readonly write: number;
}

function bunPipes(libc: Libc, { stdin, control }: PipeRequest, kept: KeptPipes | null): ChildPipes {
  const made: Pipe[] = [];
  const make = (ours: "read" | "write") => {
    const pipe = libc.pipe(ours);
    made.push(pipe);
    return pipe;
  };
  const discard = () => {
    made.forEach(({ read, write }) => [read, write].forEach(closeSync));
    kept?.discard();
  };
  try {
    const outputs = kept ? [] : [make("read"), make("read")];
    const third = control ? make("read") : null;
    const input = stdin ? make("write") : null;
    return {
      stdio: [
        input ? input.read : "ignore",
        ...(kept?.writeEnds ?? outputs.map((pipe) => pipe.write)),
        ...(third ? [third.write] : []),
      ],
      connect(child) {
        for (const { write } of outputs) closeSync(write);
        if (third) closeSync(third.write);
        if (input) closeSync(input.read);
        kept?.connect(child);
        const [stdout, stderr] = outputs.map((pipe) => new DescriptorSource(pipe.read));
        return {
          stdin: input && stdin ? new DescriptorInput(input.write, stdin) : null,
          stdout: kept?.stdout ?? stdout!,
          stderr: kept?.stderr ?? stderr!,
          control: third && new DescriptorSource(third.read),
          kept,
        };
      },
      discard,
    };
  } catch (error) {
    discard();
    throw error;
  }
}

const PAUSE_FIRST_MS = 1;
const PAUSE_MAX_MS = 50;

/**
 * Writes input into a pipe that does not block. Bun's own writer cannot be stopped, and a leftover that holds the
 * other end without reading would keep this process alive with it.
 */
class DescriptorInput implements Input {
  readonly #descriptor: number;
  #open = true;

  constructor(descriptor: number, bytes: Uint8Array) {
    this.#descriptor = descriptor;
    void this.#writeAll(bytes);
  }

  abandon(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#descriptor);
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    let pauseMs = PAUSE_FIRST_MS;
    for (let rest = bytes; rest.length > 0 && this.#open;) {
      const count = this.#write(rest);
      rest = rest.subarray(count);
      pauseMs = count > 0 ? PAUSE_FIRST_MS : Math.min(pauseMs * 2, PAUSE_MAX_MS);
      if (rest.length > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    this.abandon();
  }

  /** How many bytes the pipe took now. A child that has closed its end takes all: what it reads is its own affair. */
  #write(bytes: Uint8Array): number {
    try {
      return writeSync(this.#descriptor, bytes);
    } catch (error) {
      return codeOf(error) === "EAGAIN" ? 0 : bytes.length;
    }
  }
}

/** The read end of a pipe in Bun, which polls it but leaves the closing to us. */
class DescriptorSource implements Source {
  readonly #descriptor: number;
  #reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  #open = true;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  abandon(): void {
    if (!this.#open) return;
    if (this.#reader) void this.#reader.cancel().catch(() => {});
    this.#close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    if (!this.#open) return;
    const reader = this.#reader ??= bun().file(this.#descriptor).stream().getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return this.#close();
      yield value;
    }
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#descriptor);
  }
}
