/**
 * Drives the program as a user would: from source and as the binary, each sandbox with its own database, home,
 * temporary directory and environment, and everything it started ended, by pid, when it is disposed.
 *
 *     await using sandbox = await newSandbox(program);
 *     const { code, out, err } = await sandbox.run(["run", "--", "echo", "hello"]);
 *     await using server = await sandbox.serve();
 *     await fetch(`${server.url}/health`);
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { endAllThatNames, eventually } from "./processes.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Where `deno task compile` puts it. */
export const BINARY = join(ROOT, "dist/glassbox");

/** One way to start the program. */
export interface Program {
  readonly name: "source" | "binary";
  /** To be followed by glassbox's own arguments. */
  readonly command: readonly [string, ...string[]];
}

/** The ways to start the program that this run is to test, as `deno task test --source|--binary` chose them. */
export function programs(): Program[] {
  const wanted = Deno.env.get("GLASSBOX_TEST_PROGRAM") ?? "both";
  const all: Program[] = [
    { name: "source", command: [Deno.execPath(), "run", "-A", join(ROOT, "main.ts")] },
    { name: "binary", command: [BINARY] },
  ];
  const chosen = all.filter(({ name }) => wanted === "both" || wanted === name);
  if (chosen.length === 0) {
    throw new Error(`GLASSBOX_TEST_PROGRAM must be source, binary or both: it is ${wanted}`);
  }
  if (chosen.some(({ name }) => name === "binary") && !existsSync(BINARY)) {
    throw new Error(
      "Cannot test dist/glassbox as it is not there: run `deno task compile` or set GLASSBOX_TEST_PROGRAM=source",
    );
  }
  return chosen;
}

export interface StartOptions {
  /** The sandbox's own working directory when left out. */
  readonly cwd?: string;
  /** Added to the sandbox's environment; undefined removes. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What standard input holds; it is empty when left out, and "open" leaves it to `Running.stdin`. */
  readonly stdin?: string | Uint8Array | "open";
}

/** How a process ended, with all it wrote. */
export interface Ended {
  /** 128 plus the signal for one that a signal ended. */
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** `stdout` as text. */
  readonly out: string;
  /** `stderr` as text. */
  readonly err: string;
}

/** A started process. Disposing kills it if it still runs, and waits for its end. */
export interface Running extends AsyncDisposable {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** Resolves with the match as soon as what it wrote so far matches; rejects when it ends without. */
  said(pattern: RegExp, stream?: "stdout" | "stderr"): Promise<RegExpExecArray>;
  /** What it wrote so far. */
  text(stream: "stdout" | "stderr"): string;
  signal(name: Deno.Signal): void;
  /** Only with `stdin: "open"`. */
  readonly stdin: WritableStream<Uint8Array>;
}

/** A `glassbox serve` that is listening. */
export interface Server extends Running {
  /** Without a slash at its end. */
  readonly url: string;
}

export interface Sandbox extends AsyncDisposable {
  readonly program: Program;
  readonly directory: string;
  /** The database file that commands use when no flag names another. */
  readonly database: string;
  /** The working directory of what it starts. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs a command line to its end. */
  run(args: readonly string[], options?: StartOptions): Promise<Ended>;
  start(args: readonly string[], options?: StartOptions): Running;
  /** Starts `serve` on a free port and resolves when it listens. */
  serve(args?: readonly string[], options?: StartOptions): Promise<Server>;
  /** Starts `worker` and resolves when it takes jobs. */
  worker(args?: readonly string[], options?: StartOptions): Promise<Running>;
  /** Runs a command with `--json` and gives what it printed; throws when it fails. */
  json<T = Record<string, unknown>>(args: readonly string[], options?: StartOptions): Promise<T>;
  /** The same sandbox with another way to start the program. */
  with(program: Program): Sandbox;
}

/** A place where nothing has run yet. */
export async function newSandbox(program: Program): Promise<Sandbox> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), "glassbox-test-")));
  const [cwd, home, temporary] = [join(directory, "here"), join(directory, "home"), join(directory, "tmp")];
  for (const path of [cwd, home, temporary]) await mkdir(path);
  const env = {
    PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin",
    HOME: home,
    LANG: "C.UTF-8",
    NO_COLOR: "1",
    TMPDIR: temporary,
    XDG_CONFIG_HOME: join(directory, "config"),
    XDG_STATE_HOME: join(directory, "state"),
    // Only for the program run from source, which must find its modules under another HOME too.
    DENO_DIR: Deno.env.get("DENO_DIR") ??
      join(Deno.env.get("XDG_CACHE_HOME") ?? join(homedir(), ".cache"), "deno"),
    DENO_NO_UPDATE_CHECK: "1",
  };
  const database = join(directory, "state/glassbox/glassbox.db");
  const started: Running[] = [];
  return sandboxOf({ program, directory, database, cwd, env }, started);
}

type Place = Pick<Sandbox, "program" | "directory" | "database" | "cwd" | "env">;

function sandboxOf(place: Place, started: Running[]): Sandbox {
  const start = (args: readonly string[], options: StartOptions = {}) => {
    const [program, ...first] = place.program.command;
    const running = startProcess(program, [...first, ...args], {
      ...options,
      cwd: options.cwd ?? place.cwd,
      env: { ...place.env, ...options.env },
    });
    started.push(running);
    return running;
  };
  const run = (args: readonly string[], options?: StartOptions) => {
    const running = start(args, options);
    return inTime(
      running.ended,
      RUN_MS,
      () => `${args.join(" ")} has not ended, but said:\n${toldBy(running)}`,
    );
  };
  return {
    ...place,
    start,
    run,
    serve: async (args = [], options) => {
      const running = start(["serve", "--port", "0", ...args], options);
      const [, url] = await running.said(/listening on (http:\/\/\S+?)\/? /);
      return Object.assign(running, { url: url! });
    },
    worker: async (args = [], options) => {
      const running = start(["worker", ...args], options);
      await running.said(/worker \S+ takes up to /);
      return running;
    },
    json: async (args, options) => {
      const ended = await run([...args, "--json"], options);
      if (ended.code !== 0) throw new Error(`${args.join(" ")} ended with ${ended.code}: ${ended.err}`);
      return JSON.parse(ended.out);
    },
    with: (program) => sandboxOf({ ...place, program }, started),
    [Symbol.asyncDispose]: async () => {
      const ends = Promise.all(started.map((running) => running[Symbol.asyncDispose]()));
      // What is left of the jobs of a test, and of what keeps their output, holds pipes open and may still make files.
      await endAllThatNames(`${place.directory}/`);
      await ends;
      await removeTree(place.directory);
    },
  };
}

/** Whoever was ending just when all were looked at may still have added a file to a directory. */
async function removeTree(directory: string): Promise<void> {
  await eventually(`${directory} is removed`, async () => {
    try {
      await rm(directory, { recursive: true, force: true });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOTEMPTY") throw error;
      return false;
    }
  });
}

/** Starts any program with exactly this environment. */
export function startProcess(program: string, args: readonly string[], options: StartOptions = {}): Running {
  const env = Object.entries(options.env ?? {}).filter((entry): entry is [string, string] =>
    entry[1] !== undefined
  );
  const child = new Deno.Command(program, {
    args: [...args],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    clearEnv: true,
    env: Object.fromEntries(env),
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (options.stdin !== undefined && options.stdin !== "open") void feed(child.stdin, options.stdin);
  const stdout = new Output(child.stdout);
  const stderr = new Output(child.stderr);
  const streams = { stdout, stderr };
  const ended = endOf(child, stdout, stderr);
  return {
    pid: child.pid,
    ended,
    said: async (pattern, stream = "stderr") => {
      const match = await inTime(
        streams[stream].match(pattern),
        SAY_MS,
        () =>
          `${program} ${
            args.join(" ")
          } has not said ${pattern}, but:\n${streams.stdout.text}\n${streams.stderr.text}`,
      );
      if (match !== null) return match;
      const { code, out, err } = await ended;
      throw new Error(
        `${program} ${args.join(" ")} ended with ${code} without saying ${pattern}:\n${out}\n${err}`,
      );
    },
    text: (stream) => streams[stream].text,
    signal: (name) => child.kill(name),
    get stdin() {
      return child.stdin;
    },
    [Symbol.asyncDispose]: async () => {
      kill(child);
      if (options.stdin === "open") await child.stdin.close().catch(() => undefined);
      await ended;
    },
  };
}

const SAY_MS = 120_000;
/** No command that a test waits for takes nearly as long. */
const RUN_MS = 600_000;

function toldBy({ text }: Running): string {
  return `${text("stdout")}\n${text("stderr")}`;
}

/** Turns a wait that would hang the whole run into a failure that says what was awaited. */
async function inTime<T>(awaited: Promise<T>, giveUpMs: number, what: () => string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Gave up after ${giveUpMs} ms: ${what()}`)), giveUpMs);
  });
  return await Promise.race([awaited, late]).finally(() => clearTimeout(timer));
}

async function endOf(child: Deno.ChildProcess, stdout: Output, stderr: Output): Promise<Ended> {
  const [status] = await Promise.all([child.status, stdout.done, stderr.done]);
  const { code, signal } = status;
  return {
    code,
    signal,
    stdout: stdout.bytes,
    stderr: stderr.bytes,
    get out() {
      return stdout.text;
    },
    get err() {
      return stderr.text;
    },
  };
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended already.
  }
}

/** A program may end, or close its input, before it has read all of it. */
async function feed(stdin: WritableStream<Uint8Array>, input: string | Uint8Array): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(typeof input === "string" ? new TextEncoder().encode(input) : input);
    await writer.close();
  } catch {
    await writer.abort().catch(() => undefined);
  }
}

/** Deno's own word, when another Deno looks after the same packages at this moment; no user of a binary meets it. */
const WORD_OF_DENO = "Blocking waiting for file lock on node_modules directory\n";

/** One stream of a process: kept whole, and watched. */
class Output {
  readonly done: Promise<void>;
  #pieces: Uint8Array[] = [];
  #wake: (() => void)[] = [];
  #isDone = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.done = this.#read(stream);
  }

  get bytes(): Uint8Array {
    const whole = new Uint8Array(this.#pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [whole];
    return whole;
  }

  get text(): string {
    return new TextDecoder().decode(this.bytes).replaceAll(WORD_OF_DENO, "");
  }

  /** Null when the stream ended without a match. */
  async match(pattern: RegExp): Promise<RegExpExecArray | null> {
    for (;;) {
      const match = new RegExp(pattern, pattern.flags.replace("g", "")).exec(this.text);
      if (match !== null || this.#isDone) return match;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const piece of stream) {
      this.#pieces.push(piece);
      this.#wakeAll();
    }
    this.#isDone = true;
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
