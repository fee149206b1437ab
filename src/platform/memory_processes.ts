/** Processes that are functions: what they write, how they end and how they take signals is scripted. */

import type {
  Child,
  ChildExit,
  ChildUsage,
  Clock,
  ProcessIdentity,
  ProcessLook,
  SignalName,
  SpawnRequest,
} from "../core/host.ts";

/** What a pipe of Linux holds before its writer has to wait. */
const PIPE_BYTES = 64 * 1024;

/** Plays a program: the number it returns is its exit code. A signal it does not handle ends it at once. */
export type Script = (process: ScriptedProcess) => Promise<number> | number;

/** What a scripted program sees and can do. */
export interface ScriptedProcess {
  readonly request: SpawnRequest;
  readonly pid: number;
  readonly clock: Clock;
  /** Resolves when the pipe has room again, as a blocking write does. */
  stdout(data: Uint8Array | string): Promise<void>;
  stderr(data: Uint8Array | string): Promise<void>;
  /** Throws when the process was started without a control channel. */
  control(data: Uint8Array | string): Promise<void>;
  /** Handles every signal but SIGKILL from now on. */
  onSignal(handler: (signal: SignalName) => void): void;
  /** Leaves something behind that holds the pipes open until it is killed or the pipes are abandoned. */
  leaveBehind(): void;
  /** What `usage()` answers while the process lives. */
  usage(usage: ChildUsage): void;
}

/** A pipe with a bound: whoever writes too much waits for the reader. */
class MemoryPipe implements AsyncIterable<Uint8Array> {
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #changed: () => void = () => {};
  #change: Promise<void> = this.#nextChange();

  async write(data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data.slice();
    if (bytes.length === 0) return;
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    this.#tell();
    while (this.#bytes > PIPE_BYTES && !this.#ended) await this.#change;
  }

  end(): void {
    this.#ended = true;
    this.#tell();
  }

  /** Ends it and throws away what has not been read. */
  abandon(): void {
    this.#pieces.length = 0;
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        this.#bytes -= piece.length;
        this.#tell();
        yield piece;
      } else if (this.#ended) {
        return;
      } else {
        await this.#change;
      }
    }
  }

  #tell(): void {
    const changed = this.#changed;
    this.#change = this.#nextChange();
    changed();
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => this.#changed = resolve);
  }
}

const NO_USAGE: ChildUsage = { peakMemoryBytes: null, cpuMs: null };

/** A started script, seen from both sides. */
export class MemoryChild implements Child {
  readonly identity: ProcessIdentity;
  readonly stdout: MemoryPipe = new MemoryPipe();
  readonly stderr: MemoryPipe = new MemoryPipe();
  readonly control: MemoryPipe | null;
  readonly exited: Promise<ChildExit>;
  readonly kept = null;
  readonly #request: SpawnRequest;
  #resolveExit: (exit: ChildExit) => void = () => {};
  #handler: ((signal: SignalName) => void) | null = null;
  #usage: ChildUsage = NO_USAGE;
  #running = true;
  #leftover = false;

  constructor(identity: ProcessIdentity, request: SpawnRequest) {
    this.identity = identity;
    this.#request = request;
    this.control = request.control ? new MemoryPipe() : null;
    this.exited = new Promise((resolve) => this.#resolveExit = resolve);
  }

  get pid(): number {
    return this.identity.pid;
  }

  /** True while the process or what it left behind lives. */
  get alive(): boolean {
    return this.#running || this.#leftover;
  }

  has(marker: string): boolean {
    return Object.entries(this.#request.env).some(([name, value]) => `${name}=${value}` === marker);
  }

  /** Lets the script play; one that throws ends like a program that aborts. */
  async play(script: Script, clock: Clock): Promise<void> {
    try {
      // The parent gets to see its child before the child does anything.
      await Promise.resolve();
      this.#end({ code: await script(this.#asSeenByScript(clock)), signal: null });
    } catch (error) {
      await this.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      this.#end({ code: null, signal: "SIGABRT" });
    }
  }

  signalGroup(signal: SignalName): void {
    const handler = signal === "SIGKILL" ? null : this.#handler;
    if (this.#running && handler) return handler(signal);
    this.#leftover = false;
    this.#end({ code: null, signal });
    this.#endPipes();
  }

  abandonPipes(): void {
    for (const pipe of this.#pipes()) pipe.abandon();
  }

  look(): ProcessLook[] {
    return [];
  }

  usage(): ChildUsage {
    return this.#running ? this.#usage : NO_USAGE;
  }

  #asSeenByScript(clock: Clock): ScriptedProcess {
    const { control } = this;
    return {
      request: this.#request,
      pid: this.pid,
      clock,
      stdout: (data) => this.#write(this.stdout, data),
      stderr: (data) => this.#write(this.stderr, data),
      control: (data) => {
        if (control === null) throw new Error("Cannot write to descriptor 3 as it is not open");
        return this.#write(control, data);
      },
      onSignal: (handler) => this.#handler = handler,
      leaveBehind: () => this.#leftover = true,
      usage: (usage) => this.#usage = usage,
    };
  }

  /** A dead process writes nothing: its script stops for ever at its next write. */
  async #write(pipe: MemoryPipe, data: Uint8Array | string): Promise<void> {
    if (this.#running) await pipe.write(data);
    if (!this.#running) await new Promise<never>(() => {});
  }

  #end(exit: ChildExit): void {
    if (!this.#running) return;
    this.#running = false;
    this.#resolveExit(exit);
    if (!this.#leftover) this.#endPipes();
  }

  #endPipes(): void {
    for (const pipe of this.#pipes()) pipe.end();
  }

  #pipes(): MemoryPipe[] {
    return this.control ? [this.stdout, this.stderr, this.control] : [this.stdout, this.stderr];
  }
}
