/** What a KBase runner lays out around a module, and a stand-in for its auth service. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Sandbox, StartOptions } from "./glassbox.ts";

/** As long and of the same letters as KBase's. */
export const TOKEN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

export const JOB_ID = "5d54bdcb9b402d15271b3208";

export interface WorkOptions {
  /** A document, or the text of a broken one; null for no input.json. */
  readonly input?: unknown;
  /** The token file's whole content; null for no file. */
  readonly token?: string | null;
  /** Keys of config.properties; left out, there is no such file. */
  readonly config?: Readonly<Record<string, string>>;
  /** The module's kbase.yml. */
  readonly module?: string;
}

/** The module's directory is the sandbox's working directory, and the job's is `work` in it. */
export async function makeWork(sandbox: Sandbox, options: WorkOptions = {}): Promise<string> {
  const { input = call("Glassbox.selftest", [{ steps: 2 }]), token = `${TOKEN}\n`, config, module } = options;
  const work = join(sandbox.cwd, "work");
  await mkdir(join(work, "tmp"), { recursive: true });
  if (input !== null) {
    await writeFile(join(work, "input.json"), typeof input === "string" ? input : JSON.stringify(input));
  }
  if (token !== null) await writeFile(join(work, "token"), token);
  if (config !== undefined) {
    const lines = Object.entries(config).map(([key, value]) => `${key} = ${value}`);
    await writeFile(join(work, "config.properties"), ["[global]", ...lines, ""].join("\n"));
  }
  if (module !== undefined) await writeFile(join(sandbox.cwd, "kbase.yml"), module);
  return work;
}

/** A job as KBase's runner writes it. */
export function call(method: string, params: unknown): Record<string, unknown> {
  return {
    id: JOB_ID,
    version: "1.1",
    method,
    params,
    context: {
      service_ver: null,
      call_stack: [{ method, time: "2026-01-31T10:11:12+00:00", job_id: JOB_ID }],
    },
  };
}

// deno-lint-ignore no-explicit-any
export async function readJson(path: string): Promise<any> {
  return JSON.parse(await readFile(path, "utf8"));
}

/** With these options any command looks at the job database of the work directory. */
export function inWork(work: string): StartOptions {
  return { env: { GLASSBOX_DB: join(work, "tmp/glassbox.db") } };
}

/**
 * The files below a directory that hold this text, as it is. A program may run in it meanwhile and tidy up: what is gone
 * when its turn comes holds nothing. The directory itself must be there.
 */
export async function filesWith(directory: string, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    try {
      if (entry.isDirectory()) found.push(...await filesWith(path, text));
      else if (entry.isFile() && (await readFile(path)).includes(text)) found.push(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return found;
}

export interface AuthService extends AsyncDisposable {
  /** As config.properties names it. */
  readonly url: string;
  /** How often it was asked. */
  readonly asked: () => number;
}

/** Knows the users of these tokens, by the newer interface. */
export function authService(users: Readonly<Record<string, string>>): AuthService {
  let asked = 0;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => undefined }, (request) => {
    asked += 1;
    const user = users[request.headers.get("authorization") ?? ""];
    const isPath = new URL(request.url).pathname === "/api/V2/token";
    if (isPath && user !== undefined) return Response.json({ user, type: "Login" });
    return Response.json({ error: { httpcode: 401, appcode: 10020, message: "10020 Invalid token" } }, {
      status: 401,
    });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/api/legacy/KBase/Sessions/Login`,
    asked: () => asked,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
