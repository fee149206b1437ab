import { formatDuration, parseDuration } from "../../config/duration.ts";
import { toBase64 } from "../../core/bytes.ts";
import { EXIT, GlassboxError, isGlassboxError, quoted } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import type { JobRequestInput } from "../../core/request.ts";
import { LIMITS } from "../../core/limits.ts";
import { resolvePath } from "../../core/paths.ts";
import { idMaker, prepareJob } from "../../executor/submit.ts";
import { Worker } from "../../executor/worker.ts";
import type { NewJob } from "../../store/transitions.ts";
import { shellWord } from "../../core/command_line.ts";
import { EarlySignals } from "../early_signals.ts";
import { followJob, sayOutcome } from "../follow_job.ts";
import { jobDocument } from "../job_document.ts";
import { readNamed, readTaskInput } from "../read_input.ts";
import { type Cli, type GlobalFlags, type Session, withSession } from "../session.ts";

export interface RunFlags extends GlobalFlags {
  readonly input?: string | undefined;
  readonly set?: readonly string[] | undefined;
  readonly key?: string | undefined;
  readonly timeout?: string | undefined;
  readonly grace?: string | undefined;
  readonly jobQueue?: string | undefined;
  readonly priority?: string | undefined;
  readonly attempts?: string | undefined;
  readonly backoff?: string | undefined;
  readonly delay?: string | undefined;
  readonly concurrencyKey?: string | undefined;
  readonly outputMax?: string | undefined;
  readonly cwd?: string | undefined;
  readonly env?: readonly string[] | undefined;
  readonly stdin?: string | undefined;
  readonly artifact?: readonly string[] | undefined;
  readonly detach?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** `glassbox run`: `words` stand before `--`, `program` behind it; null when there is no `--`. */
export async function run(
  cli: Cli,
  flags: RunFlags,
  words: readonly string[],
  program: readonly string[] | null,
): Promise<number> {
  // Before anything is opened: a request that is refused should not leave a new, empty database behind.
  const request = await makeRequest(cli, flags, words, program);
  const job = await prepareJob(cli, idMaker(cli.host)(), request).catch((error) => {
    throw underFlagNames(error);
  });
  return await withSession(cli, flags, (session) => submitAndRun(session, job, flags));
}

/** The flags that give fields of the request. */
const FLAG_NAMES: Readonly<Record<string, string>> = {
  key: "--key",
  queue: "--job-queue",
  priority: "--priority",
  timeoutMs: "--timeout",
  graceMs: "--grace",
  maxAttempts: "--attempts",
  backoffMs: "--backoff",
  delayMs: "--delay",
  concurrencyKey: "--concurrency-key",
  outputBytesMax: "--output-max",
};

/** A refused value that a flag gave is a mistake on the command line, and is told under the flag's name. */
function underFlagNames(error: unknown): unknown {
  if (!isGlassboxError(error, "invalid_input")) return error;
  const fields = error.fields.map(({ field, message }) => ({ field: FLAG_NAMES[field] ?? field, message }));
  if (!fields.every(({ field }) => field.startsWith("--"))) return error;
  const text = fields.map(({ field, message }) => `${field}: ${message}`).join("; ");
  return new GlassboxError("usage", `Cannot run with ${text}`, { fields });
}

/** Submits a job and, unless it is to be detached, runs it here and shows it. */
export async function submitAndRun(
  session: Session,
  job: NewJob,
  flags: Pick<RunFlags, "detach" | "json">,
): Promise<number> {
  if (flags.detach) return await detach(session, job, flags);
  // Whoever stops us while the job is being submitted must not leave it behind as one that was lost.
  const signals = new EarlySignals(session.host.signals, (signal) => {
    void session.talk.say(`stopping as soon as the job is submitted (${signal}); again to end at once`);
  });
  try {
    return await withWorker(
      session,
      (worker) => runHere(session, worker, { ...job, reservedFor: worker.id }, flags, signals),
    );
  } finally {
    signals.close();
  }
}

async function withWorker(session: Session, use: (worker: Worker) => Promise<number>): Promise<number> {
  const worker = await Worker.create(session, {
    launch: "run",
    concurrency: 1,
    queues: [],
    // What goes wrong with the job itself is told once, by whoever waits for it to be done.
    onError: (error, jobId) => void (jobId === null && session.talk.error(error)),
  });
  try {
    return await use(worker);
  } finally {
    await worker.close();
  }
}

async function runHere(
  session: Session,
  worker: Worker,
  job: NewJob,
  flags: Pick<RunFlags, "json">,
  signals: EarlySignals,
): Promise<number> {
  const { id, created, started, done } = await worker.runNew(job);
  if (!created) await session.talk.say(`key ${JSON.stringify(job.key)} was used before: showing job ${id}`);
  else if (!started) await session.talk.say(waitingText(job));
  const shown = await followJob(session, {
    jobId: id,
    toStderr: flags.json ?? false,
    worker: created ? worker : null,
    done,
    signals,
  });
  await done;
  await sayOutcome(session, shown.job);
  if (flags.json) await writeJson(session.host, await jobDocument(session.store, id));
  return shown.exitCode;
}

function waitingText(job: NewJob): string {
  if (job.delayMs > 0) return `job ${job.id} waits ${formatDuration(job.delayMs)}, as it was asked to`;
  return `job ${job.id} waits until queue ${job.queue} is open and no job with its concurrency key runs`;
}

async function detach(session: Session, job: NewJob, flags: Pick<RunFlags, "json">): Promise<number> {
  const { host, store, talk, settings } = session;
  const { id } = await store.jobs.submit(job, settings.queuedMax);
  if (flags.json) await writeJson(host, await jobDocument(store, id));
  else await host.terminal.stdout.write(`${id}\n`);
  const workers = (await store.workers.open()).filter((worker) => worker.launch !== "run");
  if (workers.length === 0) {
    await talk.say(
      `job ${id} waits, as no worker is running on this database: start \`glassbox worker\` or \`glassbox serve\``,
    );
  }
  return EXIT.completed;
}

export async function writeJson(host: Host, document: unknown): Promise<void> {
  await host.terminal.stdout.write(
    `${JSON.stringify(document, null, host.terminal.stdout.isTerminal ? 2 : undefined)}\n`,
  );
}

export async function makeRequest(
  cli: Cli,
  flags: RunFlags,
  words: readonly string[],
  program: readonly string[] | null,
): Promise<JobRequestInput> {
  const common = {
    key: flags.key ?? null,
    ...(flags.jobQueue === undefined ? {} : { queue: flags.jobQueue }),
    ...(flags.priority === undefined ? {} : { priority: wholeNumber("--priority", flags.priority) }),
    ...(flags.timeout === undefined ? {} : { timeoutMs: parseDuration(flags.timeout, "--timeout") }),
    ...(flags.grace === undefined ? {} : { graceMs: parseDuration(flags.grace, "--grace") }),
    ...(flags.attempts === undefined ? {} : { maxAttempts: wholeNumber("--attempts", flags.attempts) }),
    ...(flags.backoff === undefined ? {} : { backoffMs: parseDuration(flags.backoff, "--backoff") }),
    ...(flags.delay === undefined ? {} : { delayMs: parseDuration(flags.delay, "--delay") }),
    ...(flags.concurrencyKey === undefined ? {} : { concurrencyKey: flags.concurrencyKey }),
    ...(flags.outputMax === undefined
      ? {}
      : { outputBytesMax: wholeNumber("--output-max", flags.outputMax) }),
  };
  if (program !== null) {
    return { task: "exec", input: await programInput(cli.host, flags, words, program), ...common };
  }
  const task = taskName(cli, flags, words);
  const input = await readTaskInput(cli.host, flags.input, flags.set ?? []);
  const absolute = (path: string) => resolvePath(cli.host.processes.workingDirectory, path);
  return {
    task,
    input: (cli.registry.get(task)?.resolvePaths?.(input, absolute) ?? input) as never,
    ...common,
  };
}

function taskName(cli: Cli, flags: RunFlags, words: readonly string[]): string {
  const [task, ...rest] = words;
  if (task === undefined) {
    throw new GlassboxError(
      "usage",
      "Cannot run as neither a task nor `-- PROGRAM` is given: see `glassbox run --help`",
    );
  }
  if (cli.registry.get(task) === undefined) throw unknownTask(cli, task, words);
  if (rest.length > 0) {
    throw new GlassboxError(
      "usage",
      `Cannot run task ${quoted(task)} with ${
        quoted(rest.join(" "))
      } behind it: its input is given with --input or --set`,
    );
  }
  for (const [name, value] of [["--cwd", flags.cwd], ["--stdin", flags.stdin]] as const) {
    if (value !== undefined) throw onlyForPrograms(name);
  }
  if (flags.env?.length) throw onlyForPrograms("--env");
  if (flags.artifact?.length) throw onlyForPrograms("--artifact");
  return task;
}

async function programInput(
  host: Host,
  flags: RunFlags,
  words: readonly string[],
  program: readonly string[],
): Promise<JobRequestInput["input"]> {
  const [name, ...args] = program;
  if (words.length > 0 || name === undefined) {
    throw new GlassboxError(
      "usage",
      name === undefined
        ? "Cannot run as no program follows `--`: glassbox run -- PROGRAM [ARGUMENT]…"
        : `Cannot run both task ${
          quoted(words.join(" "))
        } and a program: give either a task or \`-- PROGRAM\``,
    );
  }
  if (flags.input !== undefined || flags.set?.length) {
    throw new GlassboxError("usage", "Cannot use --input or --set with a program: its words follow `--`");
  }
  const cwd = resolvePath(host.processes.workingDirectory, flags.cwd ?? ".");
  return {
    program: name,
    args,
    cwd,
    ...(flags.env?.length ? { env: environmentOf(flags.env) } : {}),
    ...(flags.stdin === undefined ? {} : { stdin: await stdinOf(host, flags.stdin) }),
    ...(flags.artifact?.length ? { outputs: flags.artifact.map(outputOf) } : {}),
  };
}

/** Kept as text where it is text, so that the stored input can be read; else as base64. */
async function stdinOf(host: Host, name: string): Promise<string | { base64: string }> {
  const bytes = await readNamed(host, "--stdin", name, LIMITS.inputBytesMax);
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return text.includes("\0") ? { base64: toBase64(bytes) } : text;
  } catch {
    return { base64: toBase64(bytes) };
  }
}

function environmentOf(assignments: readonly string[]): Record<string, string> {
  return Object.fromEntries(assignments.map((assignment) => {
    const cut = assignment.indexOf("=");
    if (cut > 0) return [assignment.slice(0, cut), assignment.slice(cut + 1)];
    throw new GlassboxError("usage", `Cannot use --env ${quoted(assignment)} as it must be NAME=VALUE`);
  }));
}

/** `report.html` or `name=path`. */
function outputOf(text: string): { path: string; name?: string } {
  const cut = text.indexOf("=");
  return cut > 0 ? { name: text.slice(0, cut), path: text.slice(cut + 1) } : { path: text };
}

function unknownTask(cli: Cli, task: string, words: readonly string[]): GlassboxError {
  const names = cli.registry.list().map((known) => known.name).join(", ");
  const line = words.map(shellWord).join(" ");
  return new GlassboxError(
    "task_unknown",
    `Cannot find task ${quoted(task)}: there are ${names}. To run a program: glassbox run -- ${line}`,
  );
}

function onlyForPrograms(flag: string): GlassboxError {
  return new GlassboxError(
    "usage",
    `Cannot use ${flag} with a task: it is for programs, as in glassbox run ${flag} … -- PROGRAM`,
  );
}

export function wholeNumber(flag: string, text: string): number {
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw new GlassboxError("usage", `Cannot use ${flag} ${quoted(text)} as it must be a whole number`);
}
