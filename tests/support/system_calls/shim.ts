/** Programs under test with shim.c between them and the C library. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("./shim.c", import.meta.url));

/** Kinds of calls at which a program can be killed; what each of them stands for is in shim.c. */
export const KILL_CALLS = [
  "openat",
  "pwrite64",
  "write",
  "fsync",
  "fdatasync",
  "rename",
  "clone",
  "sendto",
] as const;
export type KillCall = typeof KILL_CALLS[number];

export interface KillPoint {
  readonly call: KillCall;
  /** The first is 1, counted from when the program first opened something under the watched directory. */
  readonly at: number;
  readonly order: "before" | "after";
}

export interface ShimRequest {
  /** Changes to files under it are logged; must not hold symbolic links. */
  readonly directory: string;
  /** The file that they are added to. */
  readonly log?: string;
  readonly kill?: KillPoint;
}

export interface Shim extends AsyncDisposable {
  /** What a program's environment needs. */
  environment(request: ShimRequest): Record<string, string>;
}

/** Why the shim cannot be used on this machine; null where it can. */
export function shimRefusal(): string | null {
  if (Deno.build.os !== "linux") return "LD_PRELOAD as it is used here is Linux's";
  const directories = (Deno.env.get("PATH") ?? "").split(":");
  return directories.some((one) => existsSync(join(one, "gcc"))) ? null : "gcc is not installed";
}

/** Compiles the shim. Disposing removes it; what has loaded it goes on. */
export async function buildShim(): Promise<Shim> {
  const directory = await mkdtemp(join(tmpdir(), "glassbox-shim-"));
  const library = join(directory, "shim.so");
  const { success, stderr } = await new Deno.Command("gcc", {
    args: ["-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl", "-lpthread"],
  }).output();
  if (!success) throw new Error(`Cannot compile ${SOURCE}: ${new TextDecoder().decode(stderr)}`);
  return {
    environment: ({ directory, log, kill }) => ({
      LD_PRELOAD: library,
      GLASSBOX_SHIM_DIRECTORY: directory,
      ...(log === undefined ? {} : { GLASSBOX_SHIM_LOG: log }),
      ...(kill === undefined ? {} : { GLASSBOX_SHIM_KILL: `${kill.call}:${kill.at}:${kill.order}` }),
    }),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}
