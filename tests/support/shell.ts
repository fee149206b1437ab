/** Starts the program as a shell would: in a pipe, behind a redirection, with a stream closed. */
import { type Ended, type Running, type Sandbox, type StartOptions, startProcess } from "./glassbox.ts";
import { descendantsOf, killAll } from "./processes.ts";

/** Runs `script` with sh, in which `"$@"` stands for the program and `args`. */
export function throughShell(
  sandbox: Sandbox,
  script: string,
  args: readonly string[],
  options: StartOptions = {},
): Running {
  const running = startProcess("sh", ["-c", script, "sh", ...sandbox.program.command, ...args], {
    ...options,
    cwd: options.cwd ?? sandbox.cwd,
    env: { ...sandbox.env, ...options.env },
  });
  let isOver = false;
  void running.ended.then(() => isOver = true, () => undefined);
  const end = running[Symbol.asyncDispose];
  return Object.assign(running, {
    [Symbol.asyncDispose]: async () => {
      // What the shell started holds its output, and would keep a test that failed waiting for ever.
      if (!isOver) killAll(descendantsOf(running.pid));
      await end();
    },
  });
}

/** Runs without root's right to pass over file permissions, which other users never have. */
export async function withoutOverride(sandbox: Sandbox, args: readonly string[]): Promise<Ended> {
  const script = Deno.uid() === 0
    ? 'exec setpriv --bounding-set -dac_override,-dac_read_search -- "$@"'
    : 'exec "$@"';
  await using running = throughShell(sandbox, script, args);
  return await running.ended;
}
