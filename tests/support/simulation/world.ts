/** A simulated world: machines, processes and one database, all drawn from one seed and moved by one clock. */
import { messageOf } from "../../../src/core/errors.ts";
import { GlassboxError } from "../../../src/core/errors.ts";
import type { Job } from "../../../src/core/job.ts";
import type { ExecutorContext } from "../../../src/executor/context.ts";
import { VirtualClock } from "../../../src/platform/memory_clock.ts";
import type { StoreOptions } from "../../../src/store/store.ts";
import type { Violation } from "../../../src/verify/check.ts";
import type { Told } from "../../../src/verify/history.ts";
import { randomOf, type SeededRandom } from "../random.ts";
import type { SimulatedDatabase } from "./database.ts";
import { Machine, type StartedProgram } from "./machine.ts";
import { SimulatedProcess, type Surroundings } from "./process.ts";
import { drawProfile, type FaultName, type Profile } from "./profile.ts";
import { LEFT_FILE, simulatedProgram } from "./programs.ts";

const START_MS = Date.UTC(2030, 0, 1);

/** A process that serves others: it has a worker and answers requests. */
export interface Service {
  readonly process: SimulatedProcess;
  readonly context: ExecutorContext;
}

/** A job that was asked to stop while it ran. */
export interface AskedToStop {
  readonly job: Job;
  readonly atMs: number;
}

export class World implements Surroundings {
  readonly seed: number;
  readonly profile: Profile;
  readonly clock = new VirtualClock(START_MS);
  readonly database: SimulatedDatabase;
  readonly machines: readonly Machine[];
  /** What the world does, apart from the mishaps, so that neither changes the other's draws. */
  readonly actions: SeededRandom;
  readonly random: SeededRandom;
  readonly processes: SimulatedProcess[] = [];
  readonly services: Service[] = [];
  readonly programs: { readonly owner: SimulatedProcess; readonly program: StartedProgram }[] = [];
  readonly told: Told[] = [];
  readonly violations: Violation[] = [];
  readonly lines: string[] = [];
  /** Ids of jobs that were acknowledged, in order. */
  readonly jobs: string[] = [];
  /** What each key was first accepted for. */
  readonly keys = new Map<string, { readonly job: string; readonly body: string }>();
  readonly stopping: AskedToStop[] = [];
  /** Which process each worker is. */
  readonly workers = new Map<string, SimulatedProcess>();
  readonly script;
  lateMs: number;
  latencyMs: number;
  lateRequests = 0;
  #faultsOn = true;
  #hash = 0x811c9dc5;
  #hash2 = 0x01000193;
  #names = 0;

  constructor(seed: number, database: SimulatedDatabase) {
    this.seed = seed;
    this.database = database;
    this.actions = randomOf(seed);
    this.profile = drawProfile(this.actions);
    this.random = randomOf(seed ^ 0x5bd1e995);
    this.lateMs = this.profile.lateMs;
    this.latencyMs = this.profile.latencyMs;
    this.machines = Array.from(
      { length: this.profile.machines },
      (_, index) => new Machine(index, this.profile.diesWithParent),
    );
    database.reset(`world-${seed}`);
    this.script = simulatedProgram({
      began: (job, epoch) => {
        this.trace(`program of ${this.short(job)} begins, attempt ${epoch}`);
        this.told.push({ kind: "effect", job, epoch });
      },
      left: (process, bytes) => {
        const started = this.programs.find(({ program }) =>
          program.child.pid === process.pid &&
          program.job === process.request.env.GLASSBOX_JOB_ID
        );
        started?.owner.machine.leave(`${process.request.cwd}/${LEFT_FILE}`, bytes);
      },
    });
    this.trace(`seed ${seed}: ${JSON.stringify(this.profile)}`);
  }

  get isServerForm(): boolean {
    return this.profile.form === "server";
  }

  /** One line of what happened; equal seeds give equal lines. */
  trace(text: string): void {
    const line = `${this.clock.monotonicMs()} ${text}`;
    this.lines.push(line);
    for (let at = 0; at < line.length; at++) {
      this.#hash = Math.imul(this.#hash ^ line.charCodeAt(at), 0x01000193);
      this.#hash2 = Math.imul(this.#hash2 ^ line.charCodeAt(at), 0x85ebca6b);
    }
  }

  /** Names the whole trace so far. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0") +
      (this.#hash2 >>> 0).toString(16).padStart(8, "0");
  }

  violate(invariant: string, job: string | null, message: string): void {
    this.violations.push({ invariant, job, message });
    this.trace(`VIOLATION ${invariant} ${job ?? ""} ${message}`);
  }

  short(job: string): string {
    return job.slice(-6);
  }

  happens(fault: FaultName, subject: string): boolean {
    const chance = this.profile.chances[fault];
    if (!this.#faultsOn || chance === 0 || this.random.next() >= chance) return false;
    this.trace(`fault ${fault} at ${subject}`);
    return true;
  }

  /** From now on nothing goes wrong any more. */
  endFaults(): void {
    this.#faultsOn = false;
  }

  started(owner: SimulatedProcess, program: StartedProgram): void {
    for (const other of this.programs) {
      const isSameJob = other.program.job === program.job && other.program.child.alive;
      if (isSameJob && !this.#mayOverlap(other.owner, owner)) {
        const message = `attempt ${program.epoch} starts while attempt ${other.program.epoch} still runs`;
        this.violate("I4", program.job, message);
      }
    }
    this.programs.push({ owner, program });
  }

  /** Machines know nothing of each other's processes: one that stood still or died there may have left a program. */
  #mayOverlap(before: SimulatedProcess, now: SimulatedProcess): boolean {
    if (before.wasStopped || now.wasStopped) return this.isServerForm;
    return before.machine !== now.machine && !before.isAlive;
  }

  /** Starts a process that ends with its `main`. */
  start(
    kind: string,
    machine: Machine,
    main: (process: SimulatedProcess) => Promise<string>,
  ): SimulatedProcess {
    const name = `${kind}-${++this.#names}`;
    const process = new SimulatedProcess(name, machine, this, this.seed * 1_000 + this.#names);
    this.processes.push(process);
    this.trace(`${name} starts on ${machine.name}`);
    void main(process).then(
      (text) => process.die(`ends: ${text}`),
      (error) => {
        this.#judgeError(name, error);
        process.die(`fails: ${describe(error)}`);
      },
    );
    return process;
  }

  /** Follows a request to its answer; a dead server never gives one. */
  ask(what: string, asking: Promise<string>): void {
    void asking.then(
      (answer) => this.trace(`${what}: ${answer}`),
      (error) => {
        this.#judgeError(what, error);
        this.trace(`${what} fails: ${describe(error)}`);
      },
    );
  }

  /** Errors of ours and of the system are answers; anything else is a mistake in the program. */
  #judgeError(what: string, error: unknown): void {
    const isOfSystem = typeof (error as { code?: unknown } | null)?.code === "string";
    if (error instanceof GlassboxError || isOfSystem) return;
    this.violate("crash", null, `${what} ended with ${error instanceof Error ? error.stack : String(error)}`);
  }

  storeOptions(process: SimulatedProcess): StoreOptions {
    const openDriver = () => Promise.resolve(this.database.driver(process));
    const path = this.isServerForm ? null : "/data/glassbox.db";
    const url = this.isServerForm ? "http://database.simulated" : `file:${path}`;
    const runDirectory = this.isServerForm ? "/data/server.run" : `${path}.run`;
    return { url, token: null, path, display: url, expectId: null, runDirectory, openDriver };
  }

  get alive(): SimulatedProcess[] {
    return this.processes.filter(({ isAlive }) => isAlive);
  }

  /** Nothing goes wrong here but that processes die and stand still. */
  get isCalm(): boolean {
    return Object.values(this.profile.chances).every((chance) => chance === 0);
  }

  get service(): Service | null {
    const open = this.services.filter(({ process }) => process.isRunning);
    return open.length === 0 ? null : this.actions.pick(open);
  }
}

function describe(error: unknown): string {
  return error instanceof GlassboxError ? `${error.code}: ${error.message}` : messageOf(error);
}
