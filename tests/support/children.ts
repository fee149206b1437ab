/** Child processes that tests talk to in lines. */
import { fileURLToPath } from "node:url";

const CHILD = fileURLToPath(new URL("store_child.ts", import.meta.url));

export interface TalkingChild extends AsyncDisposable {
  readonly pid: number;
  /** The next line that the child says, as JSON. Rejects when it ends first, with what it wrote to stderr. */
  hear<T>(): Promise<T>;
  /** Lets a waiting child go on. */
  tell(): Promise<void>;
  kill(): Promise<void>;
  readonly ended: Promise<Deno.CommandStatus>;
}

/** Starts `store_child.ts` with these arguments, behind `prefix`. Disposing kills it if it still runs. */
export function startStoreChild(args: readonly string[], prefix: readonly string[] = []): TalkingChild {
  const line = [...prefix, Deno.execPath(), "run", "-A", "--no-check", CHILD, ...args];
  const child = new Deno.Command(line[0]!, {
    args: line.slice(1),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const complaints = new Response(child.stderr).text();
  const lines = readLines(child.stdout);
  const input = child.stdin.getWriter();
  const kill = async () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await child.status;
  };
  return {
    pid: child.pid,
    ended: child.status,
    hear: async <T>() => {
      const { value, done } = await lines.next();
      if (done) throw new Error(`The child ended: ${await complaints}`);
      return JSON.parse(value) as T;
    },
    tell: () => input.write(new TextEncoder().encode("go\n")),
    kill,
    [Symbol.asyncDispose]: async () => {
      await kill();
      await input.abort().catch(() => undefined);
      await lines.return();
      await complaints;
    },
  };
}

async function* readLines(bytes: ReadableStream<Uint8Array>): AsyncGenerator<string, void, void> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const piece of bytes) {
    const parts = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}
