/** Starts the program as a shell would: in a pipe, behind a redirection, with a stream closed. */
import { type Running, type Sandbox, type StartOptions, startProcess } from "./glassbox.ts";

/** Runs `script` with sh, in which `"$@"` stands for the program and `args`. */
export function throughShell(
  sandbox: Sandbox,
  script: string,
  args: readonly string[],
  options: StartOptions = {},
): Running {
  return startProcess("sh", ["-c", script, "sh", ...sandbox.program.command, ...args], {
    ...options,
    cwd: options.cwd ?? sandbox.cwd,
    env: { ...sandbox.env, ...options.env },
  });
}
