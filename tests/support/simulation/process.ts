/** A simulated process: a Host of its own that can die, stop and go on at any call that it makes. */
import type {
  Child,
  Clock,
  FileLock,
  Files,
  Host,
  Locks,
  Processes,
  SpawnRequest,
} from "../../../src/core/host.ts";
import { createMemoryHost, type Script } from "../../../src/platform/memory.ts";
import { seededRandom, type VirtualClock } from "../../../src/platform/memory_clock.ts";
import { MemoryChild } from "../../../src/platform/memory_processes.ts";
import { nodeError } from "../../../src/platform/node_error.ts";
import type { SeededRandom } from "../random.ts";
import type { Caller } from "./database.ts";
import { type Machine, SETPRIV, type StartedProgram } from "./machine.ts";
import type { FaultName } from "./profile.ts";
import { PROGRAM } from "./programs.ts";

/** What a process needs of its world. */
export interface Surroundings {
  readonly clock: VirtualClock;
  /** For all that is random about mishaps and delays. */
  readonly random: SeededRandom;
  readonly script: Script;
  readonly lateMs: number;
  readonly latencyMs: number;
  /** How many requests are under way that will arrive late, also those of the dead. */
  lateRequests: number;
  readonly isServerForm: boolean;
  /** True when this mishap happens now. */
  happens(fault: FaultName, subject: string): boolean;
  trace(text: string): void;
  started(process: SimulatedProcess, program: StartedProgram): void;
}

const template = createMemoryHost();
const NEVER = new Promise<never>(() => {});

/** Files that only a faulty disk refuses, and those that also need room. */
const NEEDS_ROOM = new Set([
  "files.writeAtomic",
  "files.writePieces",
  "files.makeDirectory",
  "files.publish",
  "locks.acquire",
]);

export class SimulatedProcess implements Caller {
  readonly name: string;
  readonly machine: Machine;
  readonly host: Host;
  readonly pid: number;
  /** It was stopped once: others may have taken over what it held. */
  wasStopped = false;
  #around: Surroundings;
  #state: "running" | "stopped" | "dead" = "running";
  #goesOn = Promise.withResolvers<void>();
  #held = new Set<() => void>();
  #programs: StartedProgram[] = [];
  /** Calls until it dies; null for not at all. */
  #callsLeft: number | null = null;
  #handlers = new Set<(signal: "SIGINT" | "SIGTERM" | "SIGHUP") => void>();

  constructor(name: string, machine: Machine, around: Surroundings, seed: number) {
    this.name = name;
    this.machine = machine;
    this.#around = around;
    this.pid = machine.nextPid();
    this.host = {
      about: { ...template.about, bootId: machine.bootId },
      clock: this.#clock(),
      random: seededRandom(seed),
      files: this.#files(),
      locks: this.#locks(),
      processes: this.#processes(),
      terminal: template.terminal,
      network: template.network,
      databases: template.databases,
      signals: {
        on: (handler) => {
          this.#handlers.add(handler);
          return () => void this.#handlers.delete(handler);
        },
        onUncaught: template.signals.onUncaught,
      },
    };
  }

  #happens = (fault: FaultName, subject: string): boolean => this.#around.happens(fault, subject);

  get isAlive(): boolean {
    return this.#state !== "dead";
  }

  get isRunning(): boolean {
    return this.#state === "running";
  }

  /** Dies now: the kernel frees its locks, and kills what is to die with it. */
  die(why: string): void {
    if (!this.isAlive) return;
    this.#state = "dead";
    this.#around.trace(`${this.name} ${why}`);
    for (const free of [...this.#held]) free();
    this.#held.clear();
    for (const program of this.#programs) if (program.diesWithParent) program.child.signalGroup("SIGKILL");
  }

  /** Dies at its call number `calls` from now. */
  dieAfter(calls: number): void {
    this.#callsLeft = calls;
  }

  /** As SIGSTOP does: it stands still, while its programs and all clocks go on. */
  stop(): void {
    if (this.#state !== "running") return;
    this.#state = "stopped";
    this.wasStopped = true;
    this.#goesOn = Promise.withResolvers<void>();
  }

  continue(): void {
    if (this.#state !== "stopped") return;
    this.#state = "running";
    this.#goesOn.resolve();
  }

  raise(signal: "SIGINT" | "SIGTERM"): void {
    for (const handler of [...this.#handlers]) handler(signal);
  }

  /** Resolves while it runs; never again once it is dead. */
  async gate(): Promise<void> {
    while (this.#state === "stopped") await this.#goesOn.promise;
    if (this.#state === "dead") await NEVER;
  }

  /** One call of a database: at once on a file, with a network in between on a server. */
  async call<T>(kind: "read" | "write", work: () => T): Promise<T> {
    await this.#step();
    if (this.#around.isServerForm) return await this.#remoteCall(work);
    const happens = this.#happens;
    if (happens("databaseBusy", kind)) throw sqliteError("SQLITE_BUSY", "database is locked");
    if (happens("databaseBroken", kind)) throw sqliteError("SQLITE_IOERR", "disk I/O error");
    if (kind === "write" && happens("databaseFull", kind)) {
      throw sqliteError("SQLITE_FULL", "database or disk is full");
    }
    const value = work();
    await this.#step();
    return value;
  }

  async #remoteCall<T>(work: () => T): Promise<T> {
    const { latencyMs, clock, random } = this.#around;
    const happens = this.#happens;
    await clock.sleep(Math.ceil(random.next() * latencyMs));
    // What was sent arrives, late perhaps, also when its sender is dead by then.
    if (happens("lateRequest", "request")) {
      this.#around.lateRequests++;
      await clock.sleep(random.int(500, 25_000));
      this.#around.lateRequests--;
    }
    if (happens("lostRequest", "request")) throw new TypeError("fetch failed");
    const value = attempted(work);
    if (happens("hang", "answer")) await clock.sleep(30_000);
    else await clock.sleep(Math.ceil(random.next() * latencyMs));
    await this.#step();
    if (happens("lostAnswer", "answer")) throw new TypeError("fetch failed");
    if ("error" in value) throw value.error;
    return value.value;
  }

  /** Between two awaits: here it may die, or wait until it is continued. */
  async #step(): Promise<void> {
    if (this.#callsLeft !== null && this.#callsLeft-- <= 0) this.die("is killed");
    if (this.#state !== "running") await this.gate();
  }

  async #op<T>(name: string, subject: string, work: () => T | Promise<T>): Promise<T> {
    await this.#step();
    const happens = this.#happens;
    if (NEEDS_ROOM.has(name) && happens("fileNoSpace", name)) {
      throw nodeError("ENOSPC", `no space left on device: ${subject}`, subject);
    }
    if (name.startsWith("files.") && happens("fileBroken", name)) {
      throw nodeError("EIO", `input/output error: ${subject}`, subject);
    }
    const value = await work();
    await this.#step();
    return value;
  }

  #clock(): Clock {
    const { clock, random, lateMs } = this.#around;
    return {
      nowMs: () => clock.nowMs() + this.machine.wallOffsetMs,
      monotonicMs: () => clock.monotonicMs(),
      sleep: async (ms, signal) => {
        await clock.sleep(ms + Math.floor(random.next() * lateMs), signal);
        await this.gate();
      },
      turn: async () => {
        await (random.next() < 0.15 ? clock.sleep(random.int(0, 5)) : clock.turn());
        await this.#step();
      },
    };
  }

  #files(): Files {
    const { files } = this.machine;
    const op = <T>(name: string, path: string, work: () => Promise<T>) =>
      this.#op(`files.${name}`, path, work);
    return {
      info: (path) => op("info", path, () => files.info(path)),
      read: (path, max) => op("read", path, () => files.read(path, max)),
      readPieces: (path, bytes, from) => this.#pieces(path, files.readPieces(path, bytes, from)),
      blob: (path) => op("blob", path, () => files.blob(path)),
      writeAtomic: (path, bytes, options) =>
        op("writeAtomic", path, () => files.writeAtomic(path, bytes, options)),
      writePieces: (path, pieces) => op("writePieces", path, () => files.writePieces(path, pieces)),
      link: (target, path) => op("link", path, () => files.link(target, path)),
      publish: (from, to, options) => op("publish", to, () => files.publish(from, to, options)),
      makeDirectory: (path, mode) => op("makeDirectory", path, () => files.makeDirectory(path, mode)),
      syncDirectories: (path) => op("syncDirectories", path, () => files.syncDirectories(path)),
      list: (path) => op("list", path, () => files.list(path)),
      remove: (path) => op("remove", path, () => files.remove(path)),
      realPath: (path) => op("realPath", path, () => files.realPath(path)),
      temporaryDirectory: (prefix) =>
        op("temporaryDirectory", prefix, () => files.temporaryDirectory(prefix)),
      // Unknown, so that no reserve is made: a mebibyte of chance for each world would cost more than the rest.
      space: (path) => op("space", path, () => Promise.resolve(null)),
    };
  }

  async *#pieces(path: string, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    await this.#op("files.readPieces", path, () => undefined);
    for await (const piece of pieces) {
      yield piece;
      await this.#step();
    }
  }

  #locks(): Locks {
    const { locks } = this.machine;
    const holding = (lock: FileLock): FileLock => {
      const free = () => lock.release();
      this.#held.add(free);
      return { release: () => this.#isHeld(free) && free() };
    };
    return {
      acquire: (path) =>
        this.#op("locks.acquire", path, async () => {
          const lock = await locks.acquire(path);
          if (this.isAlive) return holding(lock);
          lock.release();
          return await NEVER;
        }),
      tryAcquire: (path) =>
        this.#op("locks.tryAcquire", path, async () => {
          const lock = await locks.tryAcquire(path);
          if (lock === null) return null;
          if (this.isAlive) return holding(lock);
          // The kernel frees what the dead held, also what they got as they died.
          lock.release();
          return await NEVER;
        }),
      open: (path) =>
        this.#op("locks.open", path, async () => {
          const inner = await locks.open(path);
          const free = () => inner.unlock();
          return {
            lock: async () => {
              await this.#step();
              await inner.lock();
              this.#held.add(free);
              if (!this.isAlive) free();
              await this.#step();
            },
            unlock: () => void (this.#isHeld(free) && free()),
            close: () => void (this.#isHeld(free) && free()),
          };
        }),
    };
  }

  #isHeld(free: () => void): boolean {
    return this.isAlive && this.#held.delete(free);
  }

  #processes(): Processes {
    const { machine } = this;
    const marked = (marker: string) =>
      machine.programs.filter(({ child }) => child.alive && child.has(marker));
    return {
      spawn: (request) => this.#op("processes.spawn", request.program, () => this.#spawn(request)),
      findProgram: (name) =>
        this.#op("processes.findProgram", name, () => {
          const path = name === "setpriv" && machine.hasSetpriv ? SETPRIV : name;
          return path === PROGRAM || path === SETPRIV ? { path } : { missing: "not-found" as const };
        }),
      killedForMemory: () => null,
      attached: (request) => Promise.reject(nodeError("ENOSYS", "There is no terminal", request.program)),
      countMarked: (marker) => this.#op("processes.countMarked", marker, () => marked(marker).length),
      killMarked: (marker) =>
        this.#op("processes.killMarked", marker, () => {
          const found = marked(marker);
          for (const { child } of found) child.signalGroup("SIGKILL");
          return found.length;
        }),
      self: { pid: this.pid, startTicks: String(this.pid) },
      selfCommand: ["/bin/glassbox"],
      environment: { PATH: "/bin:/usr/bin" },
      workingDirectory: "/",
    };
  }

  #spawn(request: SpawnRequest): Child {
    const { clock, script } = this.#around;
    if (this.#happens("spawn", request.program)) {
      throw nodeError("EAGAIN", `spawn ${request.program}`, request.program);
    }
    const pid = this.machine.nextPid();
    const child = new MemoryChild({ pid, startTicks: String(pid) }, request);
    const program: StartedProgram = {
      child,
      job: request.env.GLASSBOX_JOB_ID ?? "",
      epoch: Number(request.env.GLASSBOX_EPOCH),
      diesWithParent: request.program === SETPRIV,
      hasSeenReboot: false,
      written: { stdout: 0, stderr: 0 },
    };
    const keeping = new Keeping(this.machine, request);
    this.machine.programs.push(program);
    this.#programs.push(program);
    this.#around.started(this, program);
    void child.play(keeping.watched(script, program), clock);
    return this.#asSeenByParent(child, keeping);
  }

  /** The child as this process sees it: nothing reaches one that is dead or stands still. */
  #asSeenByParent(child: MemoryChild, keeping: Keeping): Child {
    const gated = (pipe: AsyncIterable<Uint8Array>) => this.#gated(pipe);
    const whileAlive = (work: () => void) => void (this.isAlive && work());
    return {
      pid: child.pid,
      identity: child.identity,
      stdout: gated(child.stdout),
      stderr: gated(child.stderr),
      control: child.control === null ? null : gated(child.control),
      exited: child.exited.then(async (exit) => {
        await this.gate();
        return exit;
      }),
      signalGroup: (signal) => whileAlive(() => child.signalGroup(signal)),
      abandonPipes: () => whileAlive(() => child.abandonPipes()),
      usage: () => child.usage(),
      look: () => child.look(),
      kept: { release: () => undefined, stop: () => keeping.stop() },
    };
  }

  async *#gated(pipe: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of pipe) {
      await this.#step();
      yield piece;
    }
  }
}

/** Keeps what a program writes in files, as the kernel does for a real one, whether anyone reads it or not. */
class Keeping {
  #machine: Machine;
  #request: SpawnRequest;
  #kept: Record<"stdout" | "stderr", Uint8Array> = {
    stdout: new Uint8Array(),
    stderr: new Uint8Array(),
  };
  #isOn: boolean;

  constructor(machine: Machine, request: SpawnRequest) {
    this.#machine = machine;
    this.#request = request;
    this.#isOn = request.keep !== undefined;
  }

  stop(): void {
    this.#isOn = false;
  }

  /** The script with its writes noted before anyone can read them. */
  watched(script: Script, program: StartedProgram): Script {
    let hasEnded = false;
    const write =
      (stream: "stdout" | "stderr", to: (data: Uint8Array | string) => Promise<void>) =>
      async (data: Uint8Array | string) => {
        const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
        if (hasEnded || !program.child.alive) await NEVER;
        program.written[stream] += bytes.length;
        if (this.#isOn && bytes.length > 0) {
          this.#kept[stream] = this.#machine.append(this.#request.keep![stream], this.#kept[stream], bytes);
        }
        await to(bytes);
      };
    return async (process) => {
      const { stdout, stderr } = process;
      const code = await script({
        ...process,
        stdout: write("stdout", stdout),
        stderr: write("stderr", stderr),
      });
      hasEnded = true;
      return code;
    };
  }
}

function attempted<T>(work: () => T): { value: T } | { error: unknown } {
  try {
    return { value: work() };
  } catch (error) {
    return { error };
  }
}

function sqliteError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}
