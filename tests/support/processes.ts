/** What tests wait for and look at outside the program: processes, files, locks, gates. */
import { constants, readdirSync, readFileSync } from "node:fs";
import { access, type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";

const LOOK_EVERY_MS = 5;
const GIVE_UP_MS = 120_000;

/** Resolves with what `look` gives as soon as it is neither null nor false; throws, naming `what`, when that never comes. */
export async function eventually<T>(
  what: string,
  look: () => T | null | false | Promise<T | null | false>,
): Promise<T> {
  const giveUpAt = performance.now() + GIVE_UP_MS;
  for (;;) {
    const seen = await look();
    if (seen !== null && seen !== false) return seen;
    if (performance.now() > giveUpAt) throw new Error(`Waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** Resolves when there is something at `path`. */
export async function fileAppears(path: string): Promise<void> {
  await eventually(`${path} is there`, () => access(path).then(() => true, () => false));
}

function allPids(): number[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
}

/** A file of /proc/PID; empty when there is no such process any more. */
function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}

/** Processes that have `entry` as one NAME=value of their environment; zombies have none. */
export function pidsWith(entry: string): number[] {
  const wanted = `\0${entry}\0`;
  return allPids().filter((pid) => `\0${read(pid, "environ")}\0`.includes(wanted));
}

/** Kills every process that has `text` in its environment or its command line, and resolves when all have ended. */
export async function endAllThatNames(text: string): Promise<void> {
  const killed = new Set<number>();
  await eventually(`nobody names ${text}`, () => {
    const pids = allPids().filter((pid) => (read(pid, "environ") + read(pid, "cmdline")).includes(text));
    killAll(pids);
    for (const pid of pids) killed.add(pid);
    // One that is about to end has neither any more, but still its files.
    return pids.length === 0 && ![...killed].some(isAlive);
  });
}

/** The children of a process, and all below them. */
export function descendantsOf(pid: number): number[] {
  const parents = new Map(allPids().map((one) => [one, parentOf(one)]));
  const below = new Set([pid]);
  // A set that grows while it is walked is walked to its new end.
  for (const parent of below) for (const [child, its] of parents) if (its === parent) below.add(child);
  below.delete(pid);
  return [...below];
}

/** The fourth field of /proc/PID/stat; the second, a name in parentheses, may hold anything. */
function parentOf(pid: number): number {
  const stat = read(pid, "stat");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}

/** True while there is a process of that number that has not ended, seen by anyone or not. */
export function isAlive(pid: number): boolean {
  return /\) [^ZX] /.test(read(pid, "stat"));
}

/** Resolves when all of these have ended. */
export async function processesEnd(pids: readonly number[]): Promise<void> {
  await eventually(`processes ${pids.join(", ")} have ended`, () => !pids.some(isAlive));
}

/** Kills by number; silent where there is nobody. */
export function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It has ended already.
    }
  }
}

/** A FIFO that a job reads one line from: it waits there until the test opens the gate. */
export interface Gate {
  readonly path: string;
  /** Lets one reader go on, as soon as there is one: it gets a line, and then the end of the file. */
  open(): Promise<void>;
}

export async function makeGate(directory: string, name = "gate"): Promise<Gate> {
  const path = join(directory, name);
  const { success } = await new Deno.Command("mkfifo", { args: [path] }).output();
  if (!success) throw new Error(`Cannot make a FIFO at ${path}`);
  return {
    path,
    async open() {
      const writer = await eventually(`somebody waits at ${path}`, () => writerFor(path));
      // Whoever was to read may be gone by now.
      await writer.write("go\n").catch(() => undefined);
      await writer.close();
    },
  };
}

/** Null while nobody has opened the FIFO to read; a writer that waited for that inside open(2) could wait for ever. */
function writerFor(fifo: string): Promise<FileHandle | null> {
  return open(fifo, constants.O_WRONLY | constants.O_NONBLOCK).catch((error) => {
    if (error.code === "ENXIO") return null;
    throw error;
  });
}

/** Holds the write lock of a database, as another glassbox in the middle of a commit would. */
export async function holdWriteLock(database: string): Promise<Disposable> {
  const file = await Deno.open(`${database}.lock`, { read: true, write: true, create: true });
  await file.lock(true);
  return { [Symbol.dispose]: () => file.close() };
}

/** As Promise.all, but waits for all of them even when one fails, so that each has cleaned up behind itself. */
export async function allEnded<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((one) => {
    if (one.status === "rejected") throw one.reason;
    return one.value;
  });
}
