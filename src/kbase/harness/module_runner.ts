import type { Child, Host } from "../../core/host.ts";
import { RPC, RpcError } from "../rpc_error.ts";
import { errorFields, type StandIn, type StandInCall } from "./answer.ts";
import { type Recorded, recordedAnswer } from "./recorded.ts";
import { OUTPUT_BYTES_MAX, stoppedVerdict, type TooLarge, type Verdict, verdictOf } from "./verdict.ts";

/** One method call, to be carried out. */
export interface ModuleCall {
  /** A UUID for a sub-job. */
  readonly id: string;
  /** The execution engine's id of the job it belongs to. */
  readonly jobId: string;
  readonly method: string;
  readonly params: readonly unknown[];
  readonly context: unknown;
  readonly signal: AbortSignal;
}

export interface Ran {
  readonly verdict: Verdict;
  /** The exit code of its process; null where there was none, or a signal ended it. */
  readonly exitCode: number | null;
}

/** Something that carries out a module's methods. */
export interface ModuleRunner {
  /** In words, for the log. */
  readonly how: string;
  readonly version: string;
  run(call: ModuleCall): Promise<Ran>;
}

/** Methods of this program in the place of a module. */
export function standInRunner(version: string, methods: StandIn, call: () => StandInCall): ModuleRunner {
  return {
    how: "built-in stand-in",
    version,
    run: ({ jobId, method, params }) =>
      answered(jobId, async () => {
        const name = method.split(".")[1]!;
        const standIn = Object.hasOwn(methods, name) ? methods[name] : undefined;
        if (standIn !== undefined) return await standIn(params, call());
        throw new RpcError(
          RPC.method,
          `The stand-in has no method ${method}: give the module's image, or a recorded reply`,
        );
      }),
  };
}

/** Replies that were written down before. */
export function recordedRunner(replies: readonly Recorded[]): ModuleRunner {
  const used = new Map<Recorded, number>();
  return {
    how: "recorded reply",
    version: "0.0.0",
    run: ({ jobId, method, params }) =>
      answered(jobId, () => Promise.resolve(recordedAnswer(replies, used, method, params))),
  };
}

async function answered(id: string, work: () => Promise<readonly unknown[]>): Promise<Ran> {
  let document: object;
  try {
    document = { version: "1.1", id, result: await work() };
  } catch (error) {
    document = { version: "1.1", id, error: errorFields(error) };
  }
  const verdict = verdictOf(new TextEncoder().encode(JSON.stringify(document)));
  return { verdict, exitCode: null };
}

/** A process that runs one job: how it is started, and how it is killed where a signal does not reach it. */
export interface Launch {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly kill?: readonly [string, ...string[]];
}

export type Show = (stream: "stdout" | "stderr", bytes: Uint8Array) => Promise<void>;

/** Runs a job's process to its end, shows what it writes as it comes, and reads its output.json as KBase does. */
export async function runLaunch(
  host: Pick<Host, "processes" | "files">,
  launch: Launch,
  output: string,
  { signal, show }: { readonly signal: AbortSignal; readonly show: Show },
): Promise<Ran> {
  if (signal.aborted) return { verdict: stoppedVerdict("cancelled"), exitCode: null };
  const { program, args, cwd, env } = launch;
  const child = await host.processes.spawn({ program, args, cwd, env, stdin: null, control: false });
  const stop = () => void killed(host, child, launch);
  // Whoever was told to stop while it was being started would be told by no event any more.
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  try {
    const shown = [passOn(child.stdout, "stdout", show), passOn(child.stderr, "stderr", show)];
    const { code } = await child.exited;
    // What it left behind may hold its output open for ever.
    child.signalGroup("SIGKILL");
    await Promise.all(shown);
    return { verdict: verdictOf(await readOutput(host, output)), exitCode: code };
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** As JobRunner does it: at once, without a word before. */
async function killed(
  host: Pick<Host, "processes">,
  child: Child,
  { kill, cwd, env }: Launch,
): Promise<void> {
  if (kill !== undefined) {
    const [program, ...args] = kill;
    const killer = await host.processes.spawn({ program, args, cwd, env, stdin: null, control: false }).catch(
      () => null,
    );
    await killer?.exited;
  }
  child.signalGroup("SIGKILL");
}

async function passOn(
  pieces: AsyncIterable<Uint8Array>,
  stream: "stdout" | "stderr",
  show: Show,
): Promise<void> {
  for await (const piece of pieces) await show(stream, piece);
}

async function readOutput(
  { files }: Pick<Host, "files">,
  path: string,
): Promise<Uint8Array | TooLarge | null> {
  const info = await files.info(path).catch(() => null);
  if (info?.kind !== "file") return null;
  if (info.sizeBytes > OUTPUT_BYTES_MAX) return info;
  return await files.read(path, OUTPUT_BYTES_MAX);
}
