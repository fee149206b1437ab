import { sha256 } from "@noble/hashes/sha2.js";
import { toHex } from "../core/bytes.ts";
import { CONTROL_FD } from "../core/control.ts";
import type { Host, SpawnRequest } from "../core/host.ts";
import type { Job } from "../core/job.ts";
import { baseName } from "../core/paths.ts";
import type { Command } from "../core/task.ts";
import { SURROUNDINGS_VARIABLE } from "./kbase_surroundings.ts";

/** What programs are told so that they write at once, for those that listen to their environment. */
const UNBUFFERED: Readonly<Record<string, string>> = { PYTHONUNBUFFERED: "1" };

/** Never handed down: the first turns a Bun binary into another program, the second is a secret. */
const WITHHELD = ["BUN_BE_BUN", "GLASSBOX_DB_TOKEN"];

/** What a shell says about the process it started, which is us: of an attempt it would be untrue. */
const ABOUT_US = ["_", "OLDPWD", SURROUNDINGS_VARIABLE];

/** Which database an attempt belongs to: a copy has the same id, but lies elsewhere, and owns none of its processes. */
export interface MarkedDatabase {
  readonly id: string;
  readonly runDirectory: string;
}

/** NAME=value in the environment of everything an attempt starts: finds what is left of it after a crash. */
export function attemptMarker(
  { id, runDirectory }: MarkedDatabase,
  jobId: string,
  epoch: number,
): { name: string; value: string } {
  const place = toHex(sha256(new TextEncoder().encode(`${id} ${runDirectory}`)).subarray(0, 6));
  return { name: "GLASSBOX_ATTEMPT", value: `${place}.${jobId}.${epoch}` };
}

/** NAME=value in the environment of the process that keeps an attempt's output when its owner dies. */
export function keeperMarker(
  database: MarkedDatabase,
  jobId: string,
  epoch: number,
): { name: string; value: string } {
  return { name: "GLASSBOX_KEEPER", value: attemptMarker(database, jobId, epoch).value };
}

/** Where an attempt works and what its request adds to its environment. */
export interface Place {
  readonly scratch: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The environment of an attempt: that of this process, what the request adds, and who the attempt is. */
export function attemptEnvironment(
  host: Host,
  database: MarkedDatabase,
  job: Job,
  { scratch, cwd, env }: Place,
): Record<string, string> {
  const marker = attemptMarker(database, job.id, job.epoch);
  const inherited = { ...host.processes.environment };
  for (const name of ABOUT_US) delete inherited[name];
  const environment: Record<string, string> = {
    ...inherited,
    ...UNBUFFERED,
    PWD: cwd,
    ...env,
    [marker.name]: marker.value,
    GLASSBOX_JOB_ID: job.id,
    GLASSBOX_EPOCH: String(job.epoch),
    GLASSBOX_DIRECTORY: scratch,
    GLASSBOX_CONTROL_FD: String(CONTROL_FD),
  };
  for (const name of WITHHELD) delete environment[name];
  return environment;
}

/**
 * Starts a program so that it dies with us and writes line by line, where the helpers for that exist: setpriv(1)
 * asks the kernel to kill it when this process dies, stdbuf(1) turns off the block buffering of C programs. Both
 * replace themselves by the program, so pid, signals and exit code are its own.
 */
export async function programRequest(
  host: Host,
  command: Command,
  cwd: string,
  env: Record<string, string>,
): Promise<SpawnRequest> {
  const helpers = await Promise.all([
    withoutEngineWords(host),
    helper(host, "setpriv", ["--pdeathsig", "KILL", "--"]),
    helper(host, "stdbuf", ["-oL", "-eL", "--"]),
  ]);
  const line = [...helpers.flat(), command.program, ...command.args];
  const [program, ...args] = line as [string, ...string[]];
  return { program, args, cwd, env, stdin: command.stdin, control: true };
}

/** A task of this build in a child made from the same binary. */
export async function dispatchRequest(
  host: Host,
  cwd: string,
  env: Record<string, string>,
  stdin: Uint8Array,
): Promise<SpawnRequest> {
  return { ...await selfLine(host, ["dispatch"]), cwd, env, stdin, control: true };
}

/** This program again, with other words; the kernel kills it when this process dies, where setpriv(1) can ask for that. */
export async function selfLine(
  host: Host,
  words: readonly string[],
): Promise<Pick<SpawnRequest, "program" | "args">> {
  const line = [
    ...await helper(host, "setpriv", ["--pdeathsig", "KILL", "--"]),
    ...host.processes.selfCommand,
    ...words,
  ];
  const [program, ...args] = line as [string, ...string[]];
  return { program, args };
}

/** Deno adds a variable about the control channel to a child's environment that only env(1) can take away again. */
async function withoutEngineWords(host: Host): Promise<string[]> {
  return host.about.engine === "deno" ? await helper(host, "env", ["-u", "DENO_EXTRA_STDIO_FDS"]) : [];
}

const known = new WeakMap<Host, Map<string, Promise<string | null>>>();

async function helper(host: Host, name: string, args: readonly string[]): Promise<string[]> {
  const helpers = known.get(host) ?? new Map<string, Promise<string | null>>();
  known.set(host, helpers);
  const path = helpers.get(name) ?? findHelper(host, name);
  helpers.set(name, path);
  const found = await path;
  return found === null ? [] : [found, ...args];
}

/** BusyBox has a setpriv that knows no --pdeathsig, so its links are passed over. */
async function findHelper(host: Host, name: string): Promise<string | null> {
  const found = await host.processes.findProgram(name, "/", host.processes.environment);
  if (!("path" in found)) return null;
  const real = await host.files.realPath(found.path);
  return real === null || baseName(real) === "busybox" ? null : found.path;
}
