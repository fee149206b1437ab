/** Where a program is, as execvp(3) would find it. */

import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import * as path from "node:path";
import type { Processes } from "../core/host.ts";

/** What execvp(3) searches when the environment has no PATH. */
const PATH_DEFAULT = "/bin:/usr/bin";

type Found = "program" | "not-executable" | "not-found";

export const findProgram: Processes["findProgram"] = async (name, cwd, env) => {
  let missing: "not-found" | "not-executable" = "not-found";
  for (const candidate of programCandidates(name, cwd, env)) {
    const found = await look(candidate);
    if (found === "program") return { path: candidate };
    if (found === "not-executable") missing = found;
  }
  return { missing };
};

/** The paths to look at, in order. An empty element of PATH, like a relative one, counts from the child's `cwd`. */
export function programCandidates(
  name: string,
  cwd: string,
  env: Readonly<Record<string, string>>,
): string[] {
  if (name === "" || name.includes("\0")) return [];
  if (name.includes("/")) return [path.resolve(cwd, name)];
  return (env["PATH"] ?? PATH_DEFAULT).split(":").map((directory) => path.resolve(cwd, directory, name));
}

async function look(file: string): Promise<Found> {
  try {
    if (!(await stat(file)).isFile()) return "not-executable";
    await access(file, constants.X_OK);
    return "program";
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EACCES"
      ? "not-executable"
      : "not-found";
  }
}
