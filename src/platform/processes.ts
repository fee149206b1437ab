/** Starting, signalling and finding processes. */

import { type ChildProcess, spawn as nodeSpawn } from "node:child_process";
import process from "node:process";
import type {
  Child,
  ChildExit,
  ChildUsage,
  KeptOutput,
  Processes,
  ProcessIdentity,
  ProcessLook,
  SignalName,
  SpawnRequest,
} from "../core/host.ts";
import { type ChildPipes, type ConnectedPipes, type Input, makePipes } from "./child_pipes.ts";
import type { Source } from "./source.ts";
import { findProgram } from "./find_program.ts";
import { codeOf } from "./node_error.ts";
import { countMarked, identityOf, killedForMemory, killMarked, startTicks, usageOf } from "./proc.ts";
import { lookAtGroup } from "./proc_look.ts";
import { literally } from "./runtime.ts";

/** Turns a binary made by Bun into Bun's own command line: a child must never see it. */
const BUN_SWITCH = "BUN_BE_BUN";

export function createProcesses(selfCommand: Processes["selfCommand"]): Processes {
  return {
    spawn,
    findProgram,
    attached,
    killMarked,
    killedForMemory,
    countMarked: (marker) => Promise.resolve(countMarked(marker)),
    self: identityOf(process.pid),
    selfCommand,
    environment: definedOnly(process.env),
    workingDirectory: process.cwd(),
  };
}

function definedOnly(env: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

const SHELL = "/bin/sh";

/** A script without a `#!` line is the shell's, as with execvp(3); not every engine knows that by itself. */
async function spawn(request: SpawnRequest): Promise<Child> {
  try {
    return await spawnDirectly(request);
  } catch (error) {
    if (codeOf(error) !== "ENOEXEC") throw error;
    return await spawnDirectly({ ...request, program: SHELL, args: [request.program, ...request.args] });
  }
}

async function spawnDirectly(request: SpawnRequest): Promise<Child> {
  const pipes = await makePipes(request);
  const child = start(request, pipes);
  if (child.pid === undefined) {
    pipes.discard();
    throw await startFailure(child);
  }
  return new StartedChild(child, child.pid, pipes.connect(child));
}

function start(request: SpawnRequest, pipes: ChildPipes): ChildProcess {
  const { [BUN_SWITCH]: _, ...env } = request.env;
  try {
    const options = { cwd: request.cwd, env, detached: true, stdio: pipes.stdio };
    return literally(() => nodeSpawn(request.program, [...request.args], options));
  } catch (error) {
    pipes.discard();
    throw error;
  }
}

function startFailure(child: ChildProcess): Promise<Error> {
  return new Promise((resolve) => child.once("error", resolve));
}

function attached(request: Pick<SpawnRequest, "program" | "args" | "cwd" | "env">): Promise<ChildExit> {
  const { [BUN_SWITCH]: _, ...env } = request.env;
  const options = { cwd: request.cwd, env, stdio: "inherit" } as const;
  const child = literally(() => nodeSpawn(request.program, [...request.args], options));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
}

class StartedChild implements Child {
  readonly pid: number;
  readonly identity: ProcessIdentity;
  readonly stdout: Source;
  readonly stderr: Source;
  readonly control: Source | null;
  readonly exited: Promise<ChildExit>;
  readonly kept: KeptOutput | null;
  readonly #stdin: Input | null;
  #groupGone = false;

  constructor(child: ChildProcess, pid: number, { stdin, stdout, stderr, control, kept }: ConnectedPipes) {
    this.pid = pid;
    // Read before the event loop turns: until then even a child that has ended is still in /proc.
    this.identity = identityOf(pid);
    this.#stdin = stdin;
    this.stdout = stdout;
    this.stderr = stderr;
    this.control = control;
    this.kept = kept;
    child.on("error", () => {});
    this.exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
  }

  /**
   * The kernel keeps a pid from reuse while any process has it as its group. So as long as /proc/PID is either
   * our child or nobody, the group of that number can only be ours.
   */
  signalGroup(signal: SignalName): void {
    if (this.#groupGone) return;
    const ticks = startTicks(this.pid);
    if (ticks !== "" && ticks !== this.identity.startTicks) this.#groupGone = true;
    else this.#groupGone = !signalled(-this.pid, signal);
  }

  abandonPipes(): void {
    for (const pipe of [this.#stdin, this.stdout, this.stderr, this.control]) pipe?.abandon();
  }

  look(): ProcessLook[] {
    return lookAtGroup(this.pid);
  }

  usage(): ChildUsage {
    return startTicks(this.pid) === this.identity.startTicks ? usageOf(this.pid) : NO_USAGE;
  }
}

const NO_USAGE: ChildUsage = { peakMemoryBytes: null, cpuMs: null };

/** False when there is nobody to signal. One whom we may not signal is not gone: its end will not come, and shows that. */
function signalled(pid: number, signal: SignalName): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false;
    if (codeOf(error) === "EPERM") return true;
    throw error;
  }
}
