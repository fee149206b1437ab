/**
 * A child's output, safe from our own death. Every byte is moved by the kernel from the pipe into a file before we
 * see it, and a keeper, a small second process, holds the pipes: when we die it saves what was still in them.
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import type { KeepRequest, KeptOutput } from "../core/host.ts";
import type { StreamName } from "../core/job.ts";
import { EMPTY_BYTES } from "../core/bytes.ts";
import type { Source } from "./source.ts";
import { type LinuxCalls, linuxCalls } from "./linux_calls.ts";
import { isTurnOver, ownTurn, spend } from "./turns.ts";

/** Short lines of so many bytes take some 3 ms to be split and numbered; nothing else happens meanwhile. */
const PIECE_BYTES = 16 * 1024;
/** Disk space is given back in steps of this: the call costs more than what it frees below that. */
const PUNCH_BYTES = 4 * 1024 * 1024;
const PAGE_BYTES = 4096;
const PAUSE_MAX_MS = 8;
/** After so many looks in vain a child counts as quiet, and is looked at less often. */
const QUIET_LOOKS = 250;
const PAUSE_QUIET_MS = 25;
/** An abandoned pipe is noticed after this at the latest. */
const LOOK_AGAIN_MS = 500;
/** A splice that fails this often although there are bytes fails for good. */
const TRIES = 3;
/** A child that is silent gets its keeper after this; one that writes gets it with its first byte. */
const KEEPER_AFTER_MS = 20;

/** Both output pipes of one child, from before its start to their end. */
export interface KeptPipes extends KeptOutput {
  readonly writeEnds: readonly [number, number];
  readonly stdout: Source;
  readonly stderr: Source;
  /** Call it right after the child's start: closes our writing ends and starts the keeper. */
  connect(child: ChildProcess): void;
  /** For a child that could not be started. */
  discard(): void;
}

/** Null where output cannot be kept: then plain pipes must do. */
export async function keepOutput(request: KeepRequest): Promise<KeptPipes | null> {
  const calls = await linuxCalls();
  if (calls === null) return null;
  const out = calls.pipe();
  const err = out && calls.pipe();
  if (out === null || err === null) {
    if (out !== null) [out.read, out.write].forEach(calls.close);
    return null;
  }
  return new Kept(calls, request, out, err);
}

interface Pipe {
  readonly read: number;
  readonly write: number;
}

class Kept implements KeptPipes {
  readonly stdout: KeptSource;
  readonly stderr: KeptSource;
  readonly writeEnds: readonly [number, number];
  readonly #calls: LinuxCalls;
  readonly #request: KeepRequest;
  readonly #ends: readonly [number, number];
  readonly #watch: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #keeper: Keeper | null = null;
  /** A keeper is no longer of use, or not to be had. */
  #settled = false;

  constructor(calls: LinuxCalls, request: KeepRequest, out: Pipe, err: Pipe) {
    this.#calls = calls;
    this.#request = request;
    this.#ends = [out.read, err.read];
    this.writeEnds = [out.write, err.write];
    this.#watch = calls.watch(this.#ends);
    const onBytes = () => this.#callKeeper();
    const first = () => this.#first();
    const onEnd = () => {
      if (this.stdout.isOpen || this.stderr.isOpen) return;
      this.#calls.close(this.#watch);
      this.#dismissKeeper();
    };
    this.stdout = new KeptSource(calls, out.read, request.stdout, { onBytes, onEnd, first });
    this.stderr = new KeptSource(calls, err.read, request.stderr, { onBytes, onEnd, first });
  }

  connect(child: ChildProcess): void {
    // Most often its pipes have ended with it, so there is something to see.
    child.once("exit", () => [this.stdout, this.stderr].forEach((source) => source.lookNow()));
    this.writeEnds.forEach(this.#calls.close);
    this.#timer = setTimeout(() => this.#callKeeper(), KEEPER_AFTER_MS);
  }

  discard(): void {
    [...this.writeEnds, ...this.#ends, this.#watch].forEach(this.#calls.close);
  }

  release(stream: StreamName, bytes: number): void {
    this[stream].release(bytes);
  }

  stop(): void {
    this.stdout.stop();
    this.stderr.stop();
    this.#dismissKeeper();
  }

  /** The stream that has waited longest to be read, while both are open. */
  #first(): KeptSource | null {
    if (!this.stdout.isOpen || !this.stderr.isOpen) return null;
    const pipe = this.#calls.firstReadable(this.#watch);
    return pipe === this.#ends[0] ? this.stdout : pipe === this.#ends[1] ? this.stderr : null;
  }

  #callKeeper(): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    // The number of a pipe that has ended may be another file's by now.
    const [out, err] = this.#ends;
    this.#keeper = startKeeper(this.#calls, this.#request, [
      this.stdout.isOpen ? out : "ignore",
      this.stderr.isOpen ? err : "ignore",
    ]);
  }

  #dismissKeeper(): void {
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#keeper?.dismiss();
  }
}

/** Told of a pipe's first byte, before it is taken, and of its end. */
interface Listener {
  onBytes(): void;
  onEnd(): void;
  /** Who is to be read first, as far as that is known. */
  first(): KeptSource | null;
}

/** One output pipe, read by way of a file. */
class KeptSource implements Source {
  readonly #calls: LinuxCalls;
  readonly #pipe: number;
  readonly #path: string;
  readonly #listener: Listener;
  /** Null before the first byte, and when nothing is kept any more. */
  #file: number | null = null;
  #keeping = true;
  /** Used for one piece after the other: in a flood, garbage outgrows what collects it. */
  #buffer: Uint8Array = EMPTY_BYTES;
  #size = 0;
  #punched = 0;
  #open = true;
  #wake: () => void = () => {};

  constructor(calls: LinuxCalls, pipe: number, path: string, listener: Listener) {
    this.#calls = calls;
    this.#pipe = pipe;
    this.#path = path;
    this.#listener = listener;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    let looks = 1;
    while (this.#open) {
      if (looks > 0) await this.#letFirstGoFirst();
      // Floods take turns with each other and with everything else that this process does.
      if (isTurnOver()) await ownTurn();
      if (!this.#open) break;
      const startedMs = performance.now();
      const piece = this.#next();
      if (piece === null) {
        // Only a look takes a pipe that has been emptied out of the kernel's list, and so out of its order.
        this.#listener.first();
        await this.#more(looks++ - 1);
        continue;
      }
      if (piece.length === 0) break;
      yield piece;
      looks = 0;
      spend(performance.now() - startedMs);
    }
    this.abandon();
  }

  abandon(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#calls.close(this.#pipe);
    if (this.#file !== null) this.#calls.close(this.#file);
    this.#file = null;
    this.#wake();
    this.#listener.onEnd();
  }

  /** Lines of both streams that were written within one pause are to be numbered in the order of writing. */
  async #letFirstGoFirst(): Promise<void> {
    const first = this.#listener.first();
    if (first === null || first === this) return;
    first.lookNow();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  lookNow(): void {
    this.#wake();
  }

  stop(): void {
    this.#keeping = false;
  }

  /** Gives disk space back up to the byte before which all is safe elsewhere. */
  release(bytes: number): void {
    if (this.#file === null || bytes - this.#punched < PUNCH_BYTES) return;
    const whole = bytes - bytes % PAGE_BYTES;
    // Where a file system cannot do this, the file grows as far as the output may.
    this.#punched = this.#calls.punch(this.#file, whole) ? whole : Infinity;
  }

  /** The next bytes; none at the end; null when there are none yet. */
  #next(): Uint8Array | null {
    for (let tries = 0; this.#keeping && tries < TRIES; tries++) {
      if (this.#file === null) {
        const seen = this.#calls.look(this.#pipe);
        if (seen !== "bytes") return seen === "end" ? EMPTY_BYTES : null;
        this.#file = this.#create();
      }
      if (this.#file === null) break;
      const moved = this.#calls.moveNow(this.#pipe, this.#file, PIECE_BYTES);
      if (moved >= 0) return this.#readBack(this.#file, moved);
      if (this.#calls.look(this.#pipe) === "nothing") return null;
    }
    this.#keeping = false;
    return this.#calls.look(this.#pipe) === "nothing" ? null : this.#readDirectly();
  }

  #create(): number | null {
    this.#listener.onBytes();
    const file = this.#calls.create(this.#path);
    return file < 0 ? null : file;
  }

  #readBack(file: number, length: number): Uint8Array {
    const piece = this.#take(length);
    if (length > 0 && this.#calls.readAt(file, piece, this.#size) !== length) {
      throw new Error(`Cannot read ${this.#path} back as the kernel refused`);
    }
    this.#size += length;
    return piece;
  }

  /** Without the file: its disk is full, or there is nothing to keep for any more. */
  #readDirectly(): Uint8Array {
    const buffer = this.#take(PIECE_BYTES);
    const count = this.#calls.read(this.#pipe, buffer);
    return buffer.subarray(0, Math.max(0, count));
  }

  #take(length: number): Uint8Array {
    if (length > this.#buffer.length) this.#buffer = new Uint8Array(Math.min(PIECE_BYTES, 4 * length));
    return this.#buffer.subarray(0, length);
  }

  async #more(looks: number): Promise<void> {
    const { readable } = this.#calls;
    const woken = new Promise<void>((resolve) => this.#wake = resolve);
    if (readable !== null) return void await Promise.race([readable(this.#pipe, LOOK_AGAIN_MS), woken]);
    const pauseMs = looks > QUIET_LOOKS ? PAUSE_QUIET_MS : Math.min(2 ** looks, PAUSE_MAX_MS);
    const timer = setTimeout(() => this.#wake(), pauseMs);
    await woken;
    clearTimeout(timer);
  }
}

const SHELL = "/bin/sh";

/**
 * Waits at a pipe that only we hold the other end of. When it ends without a word we have died: what is left in
 * the output pipes, here descriptors 1 and 2, is then added to the files, up to a bound.
 */
const KEEPER_SCRIPT =
  'read -r _ && exit; head -c "$3" 0<&1 1>>"$1" 2>/dev/null & head -c "$3" 0<&2 1>>"$2" 2>/dev/null; wait';

class Keeper {
  readonly #calls: LinuxCalls;
  readonly #process: ChildProcess;
  readonly #lifeline: number;
  #dismissed = false;

  constructor(calls: LinuxCalls, keeper: ChildProcess, lifeline: number) {
    this.#calls = calls;
    this.#process = keeper;
    this.#lifeline = lifeline;
  }

  dismiss(): void {
    if (this.#dismissed) return;
    this.#dismissed = true;
    this.#process.kill("SIGKILL");
    this.#calls.close(this.#lifeline);
  }
}

/** Null where there is no shell: then only what was in the pipes at our death is lost. */
function startKeeper(
  calls: LinuxCalls,
  request: KeepRequest,
  ends: readonly (number | "ignore")[],
): Keeper | null {
  const lifeline = calls.pipe();
  if (lifeline === null) return null;
  try {
    const { name, value } = request.marker;
    const keeper = spawn(
      SHELL,
      ["-c", KEEPER_SCRIPT, "glassbox-keeper", request.stdout, request.stderr, `${request.bytesMax}`],
      {
        cwd: "/",
        env: { PATH: process.env["PATH"], [name]: value },
        detached: true,
        stdio: [lifeline.read, ...ends],
      },
    );
    keeper.on("error", () => {});
    keeper.unref();
    return new Keeper(calls, keeper, lifeline.write);
  } catch {
    calls.close(lifeline.write);
    return null;
  } finally {
    calls.close(lifeline.read);
  }
}
