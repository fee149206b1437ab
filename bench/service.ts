/** A running `serve` or `worker`. */
import { command, linesOf, type Program, type Room } from "./room.ts";

export interface Service {
  readonly port: number;
  /** The kernel's high-water mark of its memory. */
  peakMb(): Promise<number | null>;
  /** Asks it to end and waits until it has. */
  stop(): Promise<void>;
}

/** Starts `serve` on a free port and waits until it listens. */
export async function startServe(room: Room, program: Program, database: string): Promise<Service> {
  const argv = [...program.argv, "serve", "--port", "0", "--log-format", "json", "--db", database];
  const { child, said } = start(argv);
  for await (const line of said) {
    const { url } = JSON.parse(line) as { url?: string };
    if (url !== undefined) return service(room, child, said, Number(new URL(url).port));
  }
  throw new Error(`${argv.join(" ")} ended before it listened`);
}

/** Starts `worker` and waits until it has said that it takes jobs. */
export async function startWorker(
  room: Room,
  program: Program,
  database: string,
  concurrency: number,
): Promise<Service> {
  const argv = [...program.argv, "worker", "--concurrency", String(concurrency), "--db", database];
  const { child, said } = start(argv);
  for await (const line of said) if (line.includes("takes up to")) return service(room, child, said, 0);
  throw new Error(`${argv.join(" ")} ended before it took jobs`);
}

function start(argv: readonly string[]) {
  const child = command(argv, {}).spawn();
  // A pipe that nobody reads would stop the program; what is not looked at is thrown away.
  void child.stdout.pipeTo(new WritableStream());
  const said = linesOf(child.stderr);
  return { child, said: { [Symbol.asyncIterator]: () => ({ next: () => said.next() }) } };
}

function service(
  room: Room,
  child: Deno.ChildProcess,
  said: AsyncIterable<string>,
  port: number,
): Service {
  const ended = (async () => {
    for await (const _ of said) { /* only read */ }
    await child.status;
  })();
  let isAsked = false;
  const stop = () => {
    if (!isAsked) child.kill("SIGTERM");
    isAsked = true;
    return ended;
  };
  room.defer(stop);
  return { port, peakMb: () => peakMemoryMb(child.pid), stop };
}

async function peakMemoryMb(pid: number): Promise<number | null> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(status);
  return match && Number(match[1]) / 1024;
}
