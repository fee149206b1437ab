/**
 * A file is verified in a process of its own, as libsql ends the process, whatever it is, that reads text which is
 * no UTF-8 or a page that makes no sense: then the parent names the job that was being read, and lets another go on
 * behind it. Parent and reader are one program; the reader writes one JSON message a line to its standard output.
 */

import { databasePath } from "../../config/resolve.ts";
import type { Settings } from "../../config/settings.ts";
import { EXIT, GlassboxError } from "../../core/errors.ts";
import type { Child, ChildExit } from "../../core/host.ts";
import { selfLine } from "../../executor/command.ts";
import { isProvenDead } from "../../executor/reaper.ts";
import { verifySteps } from "../../verify/verify.ts";
import { signalExitCode } from "../exit_code.ts";
import { type Cli, type GlobalFlags, type Session, withSession } from "../session.ts";
import { wantsColor } from "../style.ts";
import type { Talk } from "../talk.ts";
import type { Findings, ReaderMessage } from "./verify_findings.ts";

/** Of the reader alone; not for people. */
export interface ReaderFlags {
  readonly reader?: boolean | undefined;
  /** Go on behind this job. */
  readonly after?: string | undefined;
}

/** Each costs a start; a file with more unreadable jobs than these is one for `glassbox repair`. */
const UNREADABLE_MAX = 100;

/** Opens the database and checks it, from behind the job `after` on, and tells `hear` step by step. */
export function read(
  cli: Cli,
  flags: GlobalFlags,
  after: string | null,
  hear: (message: ReaderMessage) => Promise<void>,
): Promise<number> {
  return withSession(cli, flags, async (session) => {
    const { store } = session;
    const living = await livingWorkers(session);
    await hear({ total: Object.values(await store.jobs.count()).reduce((sum, count) => sum + count, 0) });
    const around = { isWorkerAlive: (worker: string) => living.has(worker) };
    for await (const step of verifySteps(store, around, after)) await hear(step);
    await hear({ done: true });
    return EXIT.completed;
  });
}

/** The reader's end. A message is written before the next step: what was not when the process dies was not said. */
export function reportToParent(cli: Cli, flags: GlobalFlags & ReaderFlags): Promise<number> {
  const { stdout } = cli.host.terminal;
  return read(cli, flags, flags.after ?? null, (message) => stdout.write(`${JSON.stringify(message)}\n`));
}

/** Workers that are not proven dead; a dead one's jobs were settled when this command opened the database. */
async function livingWorkers(session: Session): Promise<Set<string>> {
  const living = new Set<string>();
  for (const worker of await session.store.workers.open()) {
    if (!await isProvenDead(session, worker)) living.add(worker.id);
  }
  return living;
}

interface Surroundings {
  readonly settings: Settings;
  readonly talk: Talk;
}

/** The parent's end: an exit code that is not 0 has been explained on standard error already. */
export async function readInChild(
  cli: Cli,
  flags: GlobalFlags,
  { settings, talk }: Surroundings,
  findings: Findings,
): Promise<number> {
  const path = databasePath(settings.database)!;
  let after: string | null = null;
  for (let unreadable = 0; unreadable < UNREADABLE_MAX; unreadable++) {
    const end = await readOnce(cli, readerWords(cli, flags, settings, after), findings);
    if (end.isDone) return EXIT.completed;
    if (!end.hasGivenUp) return await ended(end.exit, findings, talk);
    if (end.reading === null) throw gaveUp(path, findings.jobs, end);
    const message = `cannot be read: ${reasonOf(end)}; bring back a backup, or glassbox repair`;
    await findings.hear({ violation: { invariant: "I14", job: end.reading, message } });
    after = end.reading;
  }
  await findings.hide();
  await talk.say(`stopped after ${UNREADABLE_MAX} jobs that cannot be read: not all jobs were checked`);
  return EXIT.completed;
}

async function ended({ code, signal }: ChildExit, findings: Findings, talk: Talk): Promise<number> {
  // Why it refused the database it has said itself.
  if (code !== null) return code;
  await findings.hide();
  await talk.say(
    `stopped after ${findings.jobs} jobs, as ${signal} ended the process that reads the database`,
  );
  return signalExitCode(signal!);
}

function readerWords(
  { host }: Cli,
  flags: GlobalFlags,
  settings: Settings,
  after: string | null,
): string[] {
  const color = settings.logFormat !== "json" && wantsColor(settings.color, host.terminal.stderr);
  return [
    "verify",
    "--reader",
    ...["--db", settings.database, "--log-format", settings.logFormat, "--color", color ? "always" : "never"],
    ...(settings.expectDatabase === null ? [] : ["--expect-db", settings.expectDatabase]),
    ...(flags.config === undefined ? [] : ["--config", flags.config]),
    // What a second one has to say was said by the first.
    ...(flags.quiet || after !== null ? ["--quiet"] : []),
    ...(after === null ? [] : ["--after", after]),
  ];
}

interface ReaderEnd {
  readonly exit: ChildExit;
  readonly isDone: boolean;
  /** The job it was reading last, or null for anything else. */
  readonly reading: string | null;
  readonly hasGivenUp: boolean;
  /** True where it named text that is no UTF-8 as the reason. */
  readonly isForText: boolean;
}

async function readOnce(
  { host }: Cli,
  words: readonly string[],
  findings: Findings,
): Promise<ReaderEnd> {
  const { environment, workingDirectory } = host.processes;
  const place = { cwd: workingDirectory, env: environment, stdin: null, control: false };
  const child = await host.processes.spawn({ ...await selfLine(host, words), ...place });
  const [said, heard, exit] = await Promise.all([
    passOn(child.stderr, async (line) => {
      await findings.hide();
      await host.terminal.stderr.write(line).catch(() => undefined);
    }),
    hear(child, findings),
    child.exited,
  ]);
  return { ...said, ...heard, exit, hasGivenUp: said.hasGivenUp || CRASHES.has(exit.signal) };
}

async function hear(child: Child, findings: Findings): Promise<Pick<ReaderEnd, "isDone" | "reading">> {
  let reading: string | null = null;
  for await (const line of linesOf(child.stdout)) {
    // The last one is cut where the reader died while it wrote.
    if (!line.endsWith("\n")) break;
    const message = JSON.parse(line) as ReaderMessage;
    if ("done" in message) return { isDone: true, reading: null };
    if ("reading" in message) reading = message.reading;
    await findings.hear(message);
  }
  return { isDone: false, reading };
}

/** What Rust, Bun and Deno begin with when they give up; all that follows is a report for their makers. */
const GIVING_UP = /^(thread '.*' (\(\d+\) )?panicked at|={20,}$|panic\(|Bun v|fatal runtime error|\*{20,}$)/;

async function passOn(
  stderr: AsyncIterable<Uint8Array>,
  say: (line: string) => Promise<void>,
): Promise<Pick<ReaderEnd, "hasGivenUp" | "isForText">> {
  let hasGivenUp = false;
  let isForText = false;
  for await (const line of linesOf(stderr)) {
    hasGivenUp ||= GIVING_UP.test(line.trimEnd());
    if (!hasGivenUp) await say(line);
    else isForText ||= line.includes("Utf8Error");
  }
  return { hasGivenUp, isForText };
}

async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let open = "";
  for await (const piece of source) {
    const lines = (open + decoder.decode(piece, { stream: true })).split(/(?<=\n)/);
    open = lines.at(-1)!.endsWith("\n") ? "" : lines.pop()!;
    yield* lines;
  }
  if (open !== "") yield open;
}

/** Signals by which a process ends itself, or the kernel ends it for what it did. */
const CRASHES: ReadonlySet<string | null> = new Set([
  "SIGABRT",
  "SIGBUS",
  "SIGFPE",
  "SIGILL",
  "SIGSEGV",
  "SIGTRAP",
]);

function reasonOf({ isForText, exit }: ReaderEnd): string {
  if (isForText) return "it holds text that is no UTF-8";
  return `what reads it was ended (${exit.signal ?? `exit code ${exit.code}`})`;
}

function gaveUp(path: string, jobs: number, end: ReaderEnd): GlassboxError {
  return new GlassboxError(
    "storage_damaged",
    `Cannot check the database ${path} to the end as ${reasonOf(end)}, after ${jobs} jobs: ` +
      "bring back a backup, or glassbox repair",
  );
}
