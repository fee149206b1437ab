/** A Host in memory for tests and simulation: virtual time, seeded chance, scripted programs and faults. */

import type {
  About,
  Databases,
  Host,
  Output,
  Processes,
  Signals,
  SpawnRequest,
  Terminal,
} from "../core/host.ts";
import { concatBytes, EMPTY_BYTES } from "../core/bytes.ts";
import { programCandidates } from "./find_program.ts";
import { seededRandom, VirtualClock } from "./memory_clock.ts";
import { type Fault, MemoryFiles, memoryLocks } from "./memory_files.ts";
import { MemoryNetwork } from "./memory_network.ts";
import { MemoryChild, type Script } from "./memory_processes.ts";
import { nodeError } from "./node_error.ts";

export type { Fault, Operation } from "./memory_files.ts";
export type { MemoryListener, MemorySocketClient } from "./memory_network.ts";
export type { Script, ScriptedProcess } from "./memory_processes.ts";

export interface MemoryHostOptions {
  readonly seed?: number;
  /** The wall time at which the host starts. */
  readonly nowMs?: number;
  /** What can be started, by absolute path. */
  readonly programs?: Readonly<Record<string, Script>>;
  /** Called before every operation on files, locks and processes. */
  readonly faults?: Fault;
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  readonly selfCommand?: readonly [string, ...string[]];
  /** What can be read from standard input. */
  readonly stdin?: Uint8Array | string;
  /** How other programs' databases are read; none can be when not given. */
  readonly databases?: Databases;
}

/** An Output that keeps what was written to it. */
export interface MemoryOutput extends Output {
  isTerminal: boolean;
  columns: number;
  /** Every write, in order. */
  readonly writes: readonly Uint8Array[];
  /** All of it as text. */
  readonly text: string;
  /** What every further write rejects with; null takes writes again. */
  failure: Error | null;
}

export interface MemoryTerminal extends Terminal {
  readonly stdout: MemoryOutput;
  readonly stderr: MemoryOutput;
  descriptor(fd: number): MemoryOutput;
}

export interface MemoryHost extends Host {
  readonly clock: VirtualClock;
  readonly files: MemoryFiles;
  readonly network: MemoryNetwork;
  readonly terminal: MemoryTerminal;
  /** Every child ever started, in order. */
  readonly children: readonly MemoryChild[];
  /** Sends this process a signal. */
  raise(signal: "SIGINT" | "SIGTERM" | "SIGHUP"): void;
  /** Acts as if this had been thrown where nobody catches it. */
  leaveUncaught(error: unknown): void;
}

const SELF_PID = 1_000;
const START_MS = Date.UTC(2030, 0, 1);
const ABOUT: About = {
  engine: "memory",
  engineVersion: "1",
  platform: "memory-x64",
  compiled: true,
  binary: "/bin/glassbox",
  bootId: "00000000-0000-4000-8000-000000000000",
};

/** Makes a host that touches nothing outside it; two of the same options behave the same. */
export function createMemoryHost(options: MemoryHostOptions = {}): MemoryHost {
  const fault = options.faults ?? (() => {});
  const clock = new VirtualClock(options.nowMs ?? START_MS);
  const files = new MemoryFiles(fault);
  const children: MemoryChild[] = [];
  const { signals, raise, leaveUncaught } = memorySignals();
  return {
    about: ABOUT,
    clock,
    random: seededRandom(options.seed ?? 1),
    files,
    locks: memoryLocks(files, fault),
    processes: memoryProcesses(options, { clock, files, fault, children }),
    terminal: memoryTerminal(options.stdin ?? EMPTY_BYTES),
    signals,
    network: new MemoryNetwork(),
    databases: options.databases ?? noDatabases,
    children,
    raise,
    leaveUncaught,
  };
}

const noDatabases: Databases = {
  openForeign: (path) => Promise.reject(nodeError("ENOENT", `There is no database ${path}`, path)),
  sha256: (path) => Promise.reject(nodeError("ENOENT", `There is no database ${path}`, path)),
};

interface World {
  readonly clock: VirtualClock;
  readonly files: MemoryFiles;
  readonly fault: Fault;
  readonly children: MemoryChild[];
}

function memoryProcesses(options: MemoryHostOptions, world: World): Processes {
  const programs = new Map(Object.entries(options.programs ?? {}));
  return {
    // deno-lint-ignore require-await
    async spawn(request) {
      world.fault({ name: "processes.spawn", subject: request.program });
      const script = programs.get(request.program);
      if (script === undefined) throw notStartable(request, world.files);
      return start(request, script, world);
    },
    attached: () => Promise.reject(nodeError("ENOSYS", "There is no terminal here", "")),
    // deno-lint-ignore require-await
    async findProgram(name, cwd, env) {
      world.fault({ name: "processes.findProgram", subject: name });
      const paths = programCandidates(name, cwd, env);
      const path = paths.find((candidate) => programs.has(candidate));
      if (path !== undefined) return { path };
      const exists = paths.some((candidate) => world.files.look(candidate) !== null);
      return { missing: exists ? "not-executable" : "not-found" };
    },
    killedForMemory: () => null,
    // deno-lint-ignore require-await
    async countMarked(marker) {
      world.fault({ name: "processes.countMarked", subject: marker });
      return world.children.filter((child) => child.alive && child.has(marker)).length;
    },
    // deno-lint-ignore require-await
    async killMarked(marker) {
      world.fault({ name: "processes.killMarked", subject: marker });
      const marked = world.children.filter((child) => child.alive && child.has(marker));
      for (const child of marked) child.signalGroup("SIGKILL");
      return marked.length;
    },
    self: { pid: SELF_PID, startTicks: "1" },
    selfCommand: options.selfCommand ?? [ABOUT.binary],
    environment: options.environment ?? {},
    workingDirectory: options.workingDirectory ?? "/",
  };
}

function notStartable({ program }: SpawnRequest, files: MemoryFiles): Error {
  const code = files.look(program) === null ? "ENOENT" : "EACCES";
  return nodeError(code, `spawn ${program}`, program);
}

function start(request: SpawnRequest, script: Script, { clock, children }: World): MemoryChild {
  const pid = SELF_PID + children.length + 1;
  const child = new MemoryChild(
    { pid, startTicks: String(Math.round(clock.monotonicMs() / 10) + pid) },
    request,
  );
  children.push(child);
  void child.play(script, clock);
  return child;
}

function memoryTerminal(stdin: Uint8Array | string): MemoryTerminal {
  const outputs = new Map<number, MemoryOutput>();
  const descriptor = (fd: number) => {
    const output = outputs.get(fd) ?? memoryOutput();
    outputs.set(fd, output);
    return output;
  };
  return {
    stdin: { isTerminal: false, read: () => once(stdin) },
    stdout: descriptor(1),
    stderr: descriptor(2),
    descriptor,
  };
}

async function* once(data: Uint8Array | string): AsyncGenerator<Uint8Array> {
  if (data.length > 0) yield typeof data === "string" ? new TextEncoder().encode(data) : data;
}

function memoryOutput(): MemoryOutput {
  const writes: Uint8Array[] = [];
  return {
    isTerminal: false,
    columns: 80,
    writes,
    failure: null,
    get text() {
      return new TextDecoder().decode(concatBytes(writes));
    },
    // deno-lint-ignore require-await
    async write(data) {
      if (this.failure) throw this.failure;
      writes.push(typeof data === "string" ? new TextEncoder().encode(data) : data.slice());
    },
  };
}

function memorySignals(): { signals: Signals } & Pick<MemoryHost, "raise" | "leaveUncaught"> {
  const catchers = new Set<Parameters<Signals["onUncaught"]>[0]>();
  const handlers = new Set<Parameters<Signals["on"]>[0]>();
  return {
    raise(signal) {
      for (const handler of [...handlers]) handler(signal);
    },
    leaveUncaught(error) {
      for (const handler of [...catchers]) handler(error);
    },
    signals: {
      on(handler) {
        handlers.add(handler);
        return () => void handlers.delete(handler);
      },
      onUncaught(handler) {
        catchers.add(handler);
        return () => void catchers.delete(handler);
      },
    },
  };
}
