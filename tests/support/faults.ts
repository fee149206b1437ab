/** Faults of the machine around the program: small disks, system calls that fail, and what must be true afterwards. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { isAlive } from "./processes.ts";
import { type Running, type Sandbox, type Server, type StartOptions, startProcess } from "./glassbox.ts";

/** After a fault: a new job runs to its end, and nothing in the whole database is out of order. */
export async function recovers(sandbox: Sandbox, options?: StartOptions): Promise<void> {
  const again = await sandbox.run(["run", "--", "echo", "recovered"], options);
  assert.deepEqual([again.code, again.out], [0, "recovered\n"], again.err);
  const verdict = await sandbox.run(["verify"], options);
  assert.equal(verdict.code, 0, verdict.out + verdict.err);
}

/** Stops a server by SIGTERM and gives its exit code. */
export async function stopped(server: Running): Promise<number> {
  server.signal("SIGTERM");
  return (await server.ended).code;
}

export interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

/** Submits a program as a job over HTTP. */
export async function submit(server: Server, [program, ...args]: readonly string[]): Promise<Answer> {
  const response = await fetch(`${server.url}/api/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ task: "exec", input: { program, args } }),
  });
  return {
    status: response.status,
    retryAfter: response.headers.get("retry-after"),
    body: await response.json(),
  };
}

/** One job as the server knows it. */
export async function jobAt(server: Server, id: string): Promise<Answer["body"]> {
  return await (await fetch(`${server.url}/api/v1/jobs/${id}`)).json();
}

const MOUNTS = canMount();
const TRACES = canTrace();
let LOOPS: boolean | undefined;

/** Says in a test's name why it is ignored here, and ignores it: mounting needs root and a kernel that lets it. */
export function needsMount(name: string): { name: string; ignore: boolean } {
  return { name: MOUNTS ? name : `${name} (ignored: no right to mount here)`, ignore: !MOUNTS };
}

/** The same for an ext4 in a file, which needs a loop device as well, and mkfs.ext4(8). */
export function needsLoop(name: string): { name: string; ignore: boolean } {
  const loops = LOOPS ??= MOUNTS && canLoop();
  return { name: loops ? name : `${name} (ignored: no loop device can be mounted here)`, ignore: !loops };
}

/** The same for strace(1), which must be there and allowed to trace. */
export function needsTrace(name: string): { name: string; ignore: boolean } {
  return { name: TRACES ? name : `${name} (ignored: no strace, or no right to trace here)`, ignore: !TRACES };
}

export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  remount(options: string): Promise<void>;
}

/** A file system in memory; `options` as for mount(8), such as `size=2m,nr_inodes=8`. */
export async function smallDisk(path: string, options: string): Promise<SmallDisk> {
  await mkdir(path);
  await mustRun("mount", "-t", "tmpfs", "-o", options, "tmpfs", path);
  return {
    path,
    remount: (changed) => mustRun("mount", "-o", `remount,${changed}`, path),
    [Symbol.asyncDispose]: () => mustRun("umount", "--lazy", path),
  };
}

export async function mustRun(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
  assert.ok(success, `${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/** `-e inject` of strace(1), such as `fsync:error=EIO:when=1`, with the calls that it is about. */
function injection(inject: string, paths: readonly string[] = []): string[] {
  const calls = inject.split(":")[0]!;
  return [
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    `trace=${calls}`,
    "-e",
    `inject=${inject}`,
    ...paths.flatMap((path) => ["-P", path]),
  ];
}

/** The same sandbox, in which every program that is started has these system calls fail. */
export function withFault(sandbox: Sandbox, inject: string, paths: readonly string[] = []): Sandbox {
  const { name, command } = sandbox.program;
  return sandbox.with({ name, command: ["strace", ...injection(inject, paths), ...command] });
}

/** Makes system calls of a running process fail until it is disposed. */
export async function faultIn(
  pid: number,
  inject: string,
  paths: readonly string[] = [],
): Promise<AsyncDisposable> {
  const tracer = startProcess("strace", [
    ...injection(inject, paths).filter((word) => word !== "-qq"),
    "-p",
    `${pid}`,
  ], {
    env: { PATH: Deno.env.get("PATH") },
  });
  await tracer.said(/attached/);
  return {
    async [Symbol.asyncDispose]() {
      // It lets go of the process before it ends; and ends by itself when that has ended, which may be just now.
      try {
        tracer.signal("SIGINT");
      } catch (error) {
        if (isAlive(tracer.pid)) throw error;
      }
      await tracer.ended;
    },
  };
}

function canMount(): boolean {
  if (Deno.uid() !== 0) return false;
  const place = Deno.makeTempDirSync();
  const { success } = new Deno.Command("mount", { args: ["-t", "tmpfs", "tmpfs", place], stderr: "null" })
    .outputSync();
  if (success) new Deno.Command("umount", { args: [place] }).outputSync();
  Deno.removeSync(place);
  return success;
}

function canLoop(): boolean {
  const place = Deno.makeTempDirSync();
  const script =
    'truncate -s 4m "$0/image" && mkfs.ext4 -q "$0/image" && mkdir "$0/at" && mount -o loop "$0/image" "$0/at" && umount --lazy "$0/at"';
  const { success } = new Deno.Command("sh", { args: ["-c", script, place], stdout: "null", stderr: "null" })
    .outputSync();
  Deno.removeSync(place, { recursive: true });
  return success;
}

function canTrace(): boolean {
  try {
    return new Deno.Command("strace", { args: ["-qq", "-o", "/dev/null", "true"], stderr: "null" })
      .outputSync().success;
  } catch {
    return false;
  }
}
