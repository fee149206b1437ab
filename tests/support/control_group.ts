/** A memory control group of a test's own, where the machine lets it be made. */
import { existsSync } from "node:fs";

export interface ControlGroup extends AsyncDisposable {
  /** Write a pid into it to move that process, and all it starts from then on, into the group. */
  readonly processes: string;
  /** Bytes that the group holds now. */
  used(): number;
  limit(bytes: number): void;
}

interface Place {
  readonly root: string;
  readonly limit: string;
  readonly usage: string;
  /** Where swap is bounded, which else takes what exceeds the limit; and whether that is memory and swap together. */
  readonly swap: string;
  readonly isBoth: boolean;
}

/** Where groups are made: by the second version of control groups, or the first; null where neither may be used. */
function place(): Place | null {
  if (Deno.uid() !== 0) return null;
  const second = {
    root: "/sys/fs/cgroup",
    limit: "memory.max",
    usage: "memory.current",
    swap: "memory.swap.max",
    isBoth: false,
  };
  const first = {
    root: "/sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    swap: "memory.memsw.limit_in_bytes",
    isBoth: true,
  };
  for (const one of [first, second]) {
    const path = `${one.root}/glassbox-probe-${crypto.randomUUID()}`;
    if (!existsSync(`${one.root}/cgroup.procs`)) continue;
    try {
      Deno.mkdirSync(path);
    } catch {
      continue;
    }
    const works = existsSync(`${path}/${one.limit}`) && takesProcesses(path);
    Deno.removeSync(path);
    if (works) return one;
  }
  return null;
}

/** A group may be made and yet take no process, as where this one lives in a part of the tree that it may not leave. */
function takesProcesses(path: string): boolean {
  const args = ["-c", 'echo $$ > "$0"', `${path}/cgroup.procs`];
  return new Deno.Command("sh", { args, stderr: "null" }).outputSync().success;
}

/** Why no group can be made here; null when one can. */
export function noControlGroup(): string | null {
  return place() === null
    ? "no memory control group can be made here (needs root and a writable cgroup)"
    : null;
}

export function makeControlGroup(): ControlGroup {
  const { root, limit, usage, swap, isBoth } = place()!;
  const path = `${root}/glassbox-test-${crypto.randomUUID()}`;
  Deno.mkdirSync(path);
  return {
    processes: `${path}/cgroup.procs`,
    used: () => Number(Deno.readTextFileSync(`${path}/${usage}`)),
    limit: (bytes) => {
      Deno.writeTextFileSync(`${path}/${limit}`, String(bytes));
      if (existsSync(`${path}/${swap}`)) {
        Deno.writeTextFileSync(`${path}/${swap}`, String(isBoth ? bytes : 0));
      }
    },
    [Symbol.asyncDispose]: async () => {
      // The group can be removed once the last of its processes is gone.
      for (let tries = 0; tries < 200; tries++) {
        try {
          return Deno.removeSync(path);
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }
    },
  };
}
