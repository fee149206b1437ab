/** What a benchmark works with: a directory of its own, the programs it measures, and what is to be ended at its end. */
import { fileURLToPath } from "node:url";
import { createHost } from "../src/platform/host.ts";
import { Store } from "../src/store/store.ts";
import type { Sample } from "./table.ts";

/** No helper takes nearly as long: one that does waits for what will never come. */
const OUTPUT_MS_MAX = 120_000;

const BENCH = fileURLToPath(new URL(".", import.meta.url));
const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** A way to start glassbox. */
export interface Program {
  /** `binary`, or `source` for deno run main.ts. */
  readonly name: string;
  readonly argv: readonly string[];
}

/** What a started process left when it had ended. */
export interface Ended extends Sample {
  /** Unix time. */
  readonly beganMs: number;
  readonly exitMs: number;
  readonly firstLineMs: number | null;
  readonly peakMb: number;
  readonly cpuMs: number;
}

export class Room implements AsyncDisposable {
  readonly directory: string;
  readonly quick: boolean;
  readonly programs: readonly Program[];
  readonly python: string;
  #endings: (() => unknown)[] = [];
  #databases = 0;
  #spawner: Spawner | null = null;

  private constructor(directory: string, quick: boolean, programs: readonly Program[], python: string) {
    this.directory = directory;
    this.quick = quick;
    this.programs = programs;
    this.python = python;
  }

  static async create(options: { binary: string; quick: boolean; within: string | null }): Promise<Room> {
    const directory = await Deno.makeTempDir({
      prefix: "glassbox-bench-",
      ...(options.within === null ? {} : { dir: options.within }),
    });
    return new Room(directory, options.quick, await findPrograms(options.binary), await findPython());
  }

  /** Runs at the end, last come first. */
  defer(ending: () => unknown): void {
    this.#endings.push(ending);
  }

  /** Where a new database may be made. */
  newDatabase(): string {
    return `${this.directory}/${++this.#databases}/glassbox.db`;
  }

  /** Opens a database in this process, as the program does. */
  async openStore(path: string): Promise<Store> {
    const store = await Store.open({
      url: `file:${path}`,
      token: null,
      path,
      display: path,
      expectId: null,
      runDirectory: `${path}.run`,
    }, createHost());
    return store;
  }

  /** Starts a process, waits for its end and tells how it went. Throws when it failed. */
  async spawn(argv: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
    this.#spawner ??= this.#newSpawner();
    return await this.#spawner.run(argv, env);
  }

  /** The argv of one of the Python helpers beside this file. */
  helper(name: string, ...args: string[]): string[] {
    return [this.python, "-S", `${BENCH}${name}.py`, ...args];
  }

  /** Runs a helper or another program to its end and gives what it printed. */
  async output(argv: readonly string[], env: Record<string, string> = {}): Promise<string> {
    const signal = AbortSignal.timeout(OUTPUT_MS_MAX);
    const { code, stdout, stderr } = await command(argv, env, signal).output();
    if (code === 0) return new TextDecoder().decode(stdout);
    throw new Error(`${argv.join(" ")} ended with code ${code}: ${new TextDecoder().decode(stderr)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const ending of this.#endings.splice(0).reverse()) await ending();
    this.#spawner?.close();
    await Deno.remove(this.directory, { recursive: true });
  }

  #newSpawner(): Spawner {
    return new Spawner(this.helper("spawn"));
  }
}

/** A process with all its streams piped; `env` is added to this one's environment. */
export function command(
  argv: readonly string[],
  env: Record<string, string>,
  signal?: AbortSignal,
): Deno.Command {
  const [program, ...args] = argv as [string, ...string[]];
  const streams = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
  return new Deno.Command(program, { args, env, ...streams, ...(signal === undefined ? {} : { signal }) });
}

/** Gives orders to spawn.py, one at a time. */
class Spawner {
  #child: Deno.ChildProcess;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #answers: AsyncIterator<string>;

  constructor(argv: readonly string[]) {
    const [program, ...args] = argv as [string, ...string[]];
    this.#child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped" }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#answers = linesOf(this.#child.stdout);
  }

  async run(argv: readonly string[], env: Record<string, string>): Promise<Ended> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify({ argv, env })}\n`));
    const { value, done } = await this.#answers.next();
    if (done) throw new Error("spawn.py has ended");
    const { code, said, ...ended } = JSON.parse(value) as Ended & { code: number; said: string };
    if (code !== 0) throw new Error(`${argv.join(" ")} ended with code ${code}: ${said}`);
    return ended as Ended;
  }

  close(): void {
    void this.#writer.close().catch(() => undefined);
  }
}

/** The lines of a stream as they come. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string>)) {
    const lines = `${rest}${text}`.split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

async function findPrograms(binary: string): Promise<Program[]> {
  const source: Program = { name: "source", argv: [Deno.execPath(), "run", "-A", "-q", `${ROOT}main.ts`] };
  const isThere = await Deno.stat(binary).then((info) => info.isFile, () => false);
  if (isThere) return [{ name: "binary", argv: [binary] }, source];
  console.error(`No binary at ${binary}: measuring the source only. Make it with: deno task compile`);
  return [source];
}

/** The interpreter itself: a version manager's shim would be measured with it. */
async function findPython(): Promise<string> {
  const system = "/usr/bin/python3";
  if (await Deno.stat(system).then((info) => info.isFile, () => false)) return system;
  const { code, stdout } = await command(["python3", "-c", "import sys; print(sys.executable)"], {}).output();
  if (code !== 0) throw new Error("Cannot measure without python3: it starts and clocks what is measured");
  return new TextDecoder().decode(stdout).trim();
}
