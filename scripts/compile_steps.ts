/** What the build scripts share: how they fail, how they speak, and how they start a tool. */
import process from "node:process";
import { fileURLToPath } from "node:url";

/** A failure a user can act on: its message is printed alone, and the script ends with `exit`. */
export class ScriptError extends Error {
  readonly exit: number;

  constructor(exit: number, message: string) {
    super(message);
    this.name = "ScriptError";
    this.exit = exit;
  }
}

/** sysexits.h, as the program itself uses them. */
export const EXIT = { usage: 64, noInput: 66, unavailable: 69, software: 70 } as const;

/** The root of the project, with a slash at its end; scripts never depend on the working directory. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Talk about the run, on stderr. */
export function say(text: string): void {
  console.error(text);
}

/** What a tool left behind. `output` is stdout and stderr as they came, without colours. */
export interface ToolResult {
  readonly code: number;
  readonly output: string;
}

/** How to start a tool. `onOutput` sees everything the tool has said so far, each time it says more. */
export interface ToolOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  readonly signal?: AbortSignal;
  readonly onOutput?: (output: string) => void;
}

/** Runs a tool to its end and keeps what it says; rejects only when it cannot be started. */
export async function runTool(
  program: string,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<ToolResult> {
  const child = new Deno.Command(program, {
    args: [...args],
    cwd: options.cwd ?? ROOT,
    env: { ...options.env, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  }).spawn();
  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string>)) {
      output += text;
      options.onOutput?.(output);
    }
  };
  const [status] = await Promise.all([child.status, collect(child.stdout), collect(child.stderr)]);
  return { code: status.code, output };
}

/** Runs a script's main function: a ScriptError becomes one line and its exit code, anything else is a bug. */
export async function runScript(main: () => Promise<number | void>): Promise<void> {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    say(`error: ${error.message}`);
    process.exitCode = error.exit;
  }
}
