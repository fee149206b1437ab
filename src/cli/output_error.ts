import { EXIT, GlassboxError, messageOf } from "../core/errors.ts";
import type { Host, Output } from "../core/host.ts";
import { signalExitCode } from "./exit_code.ts";

const REASONS: Readonly<Record<string, string>> = {
  EBADF: "it is closed",
  EIO: "the terminal or device behind it failed",
  ENOSPC: "no space is left behind it",
  EPIPE: "nobody reads it any more",
};

/** Standard output did not take what a command had to say. */
export class OutputError extends GlassboxError {
  /** The kernel's name for the reason: EPIPE, ENOSPC … */
  readonly errno: string;

  constructor(cause: unknown) {
    const errno = String((cause as { code?: unknown } | null)?.code ?? "EIO");
    super(
      "output_failed",
      `Cannot write to standard output as ${REASONS[errno] ?? messageOf(cause)} (${errno})`,
      {
        cause,
      },
    );
    this.errno = errno;
  }

  /** Whoever closed a pipe knows it, so like a program that SIGPIPE ends nothing is said about it. */
  get isSilent(): boolean {
    return this.errno === "EPIPE";
  }

  override get exitCode(): number {
    return this.isSilent ? signalExitCode("SIGPIPE") : EXIT.io;
  }
}

/** The same host with a standard output whose failures are OutputErrors, told apart from all other failed writes. */
export function withGuardedOutput(host: Host): Host {
  const { terminal } = host;
  return { ...host, terminal: { ...terminal, stdout: guarded(terminal.stdout) } };
}

function guarded(output: Output): Output {
  return {
    isTerminal: output.isTerminal,
    get columns() {
      return output.columns;
    },
    write: (data) =>
      output.write(data).catch((cause) => {
        throw new OutputError(cause);
      }),
  };
}
