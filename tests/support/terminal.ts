/** A real terminal for the program: a pseudo-terminal that python3 holds, with our ends of it on pipes. */
import { type Running, type Sandbox, type StartOptions, startProcess } from "./glassbox.ts";

/** What is read here was written to the terminal; what is written here was typed; the end of input is a hang-up. */
const HOLDER = `
import os, pty, select, sys
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
watched = [0, terminal]
while True:
    ready = select.select(watched, [], [])[0]
    if terminal in ready:
        try: data = os.read(terminal, 65536)
        except OSError: break
        if not data: break
        os.write(1, data)
    elif 0 in ready:
        typed = os.read(0, 65536)
        if not typed: os.close(terminal); break
        os.write(terminal, typed)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) % 256)
`;

export interface OnTerminal extends Running {
  /** As if typed; Ctrl-C is "\\x03". */
  type(text: string): Promise<void>;
  /** Closes the terminal under the program. */
  hangUp(): Promise<void>;
}

/** Starts the program on a terminal of its own; all it writes there is this process's standard output. */
export function onTerminal(
  sandbox: Sandbox,
  args: readonly string[],
  options: StartOptions = {},
): OnTerminal {
  const line = ["-c", HOLDER, ...sandbox.program.command, ...args];
  const running = startProcess("python3", line, {
    cwd: sandbox.cwd,
    env: { ...sandbox.env, TERM: "xterm", ...options.env },
    stdin: "open",
  });
  const typing = running.stdin.getWriter();
  return {
    ...running,
    type: (text) => typing.write(new TextEncoder().encode(text)),
    hangUp: () => typing.close(),
    async [Symbol.asyncDispose]() {
      await typing.close().catch(() => undefined);
      typing.releaseLock();
      await running[Symbol.asyncDispose]();
    },
  };
}
