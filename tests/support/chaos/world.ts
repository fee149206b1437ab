/** Where a chaos run happens: one database, processes that are started again whenever they end, clocks, networks. */
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Program, Running, Sandbox } from "../glassbox.ts";
import { type FaultProxy, startFaultProxy } from "../fault_proxy.ts";
import { isAlive } from "../processes.ts";
import type { SeededRandom } from "../random.ts";
import { type Sqld, startSqld } from "../sqld.ts";

const FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/** False where the Debian package `faketime` is missing; the run then says so, and leaves clocks alone. */
export const CAN_FAKE_CLOCKS = existsSync(FAKETIME);

const SHARED_MEMORY = "/dev/shm";

/** A faked clock leaves two files behind for each process that was killed; they would fill up a small /dev/shm. */
export function clearFakeClocks(): void {
  if (!CAN_FAKE_CLOCKS || !existsSync(SHARED_MEMORY)) return;
  for (const name of readdirSync(SHARED_MEMORY)) {
    const pid = /^(?:sem\.faketime_sem|faketime_shm)_(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(SHARED_MEMORY, name), { force: true });
  }
}

/** In the environment of all that a run starts, and of all that its jobs start. */
export const MARK = "GLASSBOX_CHAOS";

/** A machine as glassbox sees one: a clock, a way to the database, and lock files of its own. */
export interface Machine {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** The way to the database server; null for a file. */
  readonly network: FaultProxy | null;
  /** Sets its wall clock this far from the real one. */
  setClock(offsetSeconds: number): void;
}

/** Exits that a process under chaos may have: well, lease lost, database away, port or storage trouble, signals. */
const EXPECTED_EXITS: readonly number[] = [0, 69, 74, 75, 130, 137, 143];

/** A process that is started again whenever it ends. */
export class Actor {
  running: Running | null = null;
  /** Of a server that listens. */
  url: string | null = null;
  #isWanted = true;
  #kept: Promise<void>;

  constructor(
    readonly name: string,
    readonly machine: Machine,
    readonly start: () => Running,
    readonly onAnomaly: (what: string) => void,
  ) {
    this.#kept = this.#keep();
  }

  signal(name: Deno.Signal): void {
    try {
      this.running?.signal(name);
    } catch {
      // It has ended a moment ago.
    }
  }

  /** Asks it to end for good, and resolves when it has. */
  async dismiss(): Promise<void> {
    this.#isWanted = false;
    this.signal("SIGTERM");
    await this.#kept;
  }

  async #keep(): Promise<void> {
    while (this.#isWanted) {
      const running = this.start();
      this.running = running;
      void running.said(/listening on (http:\/\/\S+?)\/? /).then(
        ([, url]) => this.url = url!,
        () => undefined,
      );
      const { code, err } = await running.ended;
      this.running = null;
      this.url = null;
      if (!EXPECTED_EXITS.includes(code)) {
        this.onAnomaly(`${this.name} ended with ${code}: ${err.slice(-600)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

export interface World extends AsyncDisposable {
  readonly name: "file" | "server";
  readonly sandbox: Sandbox;
  readonly machines: readonly Machine[];
  readonly actors: readonly Actor[];
  readonly anomalies: string[];
  /** Pids that were stopped for a while. */
  readonly stopped: Set<number>;
  /** The environment of whoever judges: real clock, nothing in the way. */
  readonly judge: Readonly<Record<string, string>>;
  /** Kills the database server and starts it again; null for a file. */
  readonly restartServer: (() => Promise<void>) | null;
  /** Each command line may be from source or the binary. */
  anyProgram(random: SeededRandom): Program;
}

/** Four workers and two servers, on one file, or on two machines over a database server. */
export async function makeWorld(
  sandbox: Sandbox,
  programs: readonly Program[],
  isRemote: boolean,
): Promise<World> {
  const directory = join(sandbox.directory, "sqld");
  let sqld: Sqld | null = isRemote ? await startSqld(directory) : null;
  const url = sqld?.url ?? null;
  const port = url === null ? 0 : Number(new URL(url).port);
  const names = isRemote ? ["one", "two"] : ["one"];
  const machines = names.map((name) => makeMachine(sandbox, name, url));
  const judge: Record<string, string> = url === null
    ? {}
    : { GLASSBOX_DB: url, XDG_STATE_HOME: join(sandbox.directory, "judge") };
  // The schema is made in peace.
  await sandbox.run(["jobs", "list"], { env: judge });
  // One after the other: two servers cannot have one port.
  let restarting = Promise.resolve();
  const restart = async () => {
    await sqld?.[Symbol.asyncDispose]();
    sqld = await startSqld(directory, port);
  };
  const anomalies: string[] = [];
  const crew = ["worker", "server", "worker", "worker", "server", "worker"] as const;
  const actors = crew.map((kind, index) => {
    const machine = machines[index % machines.length]!;
    const program = programs[Math.floor(index / 2) % programs.length]!;
    const args = kind === "worker"
      ? ["worker", "--concurrency", "2"]
      : ["serve", "--port", "0", "--workers", "2"];
    const name = `${kind} ${index} (${program.name})`;
    const start = () => sandbox.with(program).start(args, { env: machine.env });
    return new Actor(name, machine, start, (what) => anomalies.push(what));
  });
  return {
    name: isRemote ? "server" : "file",
    sandbox,
    machines,
    actors,
    anomalies,
    stopped: new Set(),
    judge,
    restartServer: url === null ? null : () => restarting = restarting.then(restart),
    anyProgram: (random) => random.pick(programs),
    [Symbol.asyncDispose]: async () => {
      for (const actor of actors) actor.signal("SIGCONT");
      await Promise.all(actors.map((actor) => actor.dismiss()));
      for (const { network } of machines) await network?.[Symbol.asyncDispose]();
      await sqld?.[Symbol.asyncDispose]();
    },
  };
}

function makeMachine(sandbox: Sandbox, name: string, url: string | null): Machine {
  const clock = join(sandbox.directory, `clock-${name}`);
  const setClock = (offsetSeconds: number) =>
    writeFileSync(clock, `${offsetSeconds < 0 ? "" : "+"}${offsetSeconds}`);
  setClock(0);
  const network = url === null ? null : startFaultProxy(url);
  const faketime = {
    LD_PRELOAD: FAKETIME,
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    FAKETIME_CACHE_DURATION: "1",
    NO_FAKE_STAT: "1",
  };
  const env = {
    [MARK]: sandbox.directory,
    ...(CAN_FAKE_CLOCKS ? faketime : {}),
    ...(network === null
      ? {}
      : { GLASSBOX_DB: network.url, XDG_STATE_HOME: join(sandbox.directory, `state-${name}`) }),
  };
  return { name, env, network, setClock };
}
