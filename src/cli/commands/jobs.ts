import { formatDuration, parseDuration } from "../../config/duration.ts";
import { concatBytes } from "../../core/bytes.ts";
import { commandLine, parsePreview } from "../../core/command_line.ts";
import { displayCut, displayText } from "../../core/display.ts";
import { EXIT, GlassboxError, quoted } from "../../core/errors.ts";
import { JOB_STATES, type JobState, type JobSummary, type LogLine, type StreamName } from "../../core/job.ts";
import { LIMITS } from "../../core/limits.ts";
import { idMaker, jobNotFinal, prepareJob, requestOf } from "../../executor/submit.ts";
import { follow } from "../../logs/follow.ts";
import { jobExitCode } from "../exit_code.ts";
import { sayOutcome } from "../follow_job.ts";
import { allEvents, jobDocument } from "../job_document.ts";
import { type Cli, type GlobalFlags, type Session, withSession } from "../session.ts";
import { createStyle, stateText, wantsColor } from "../style.ts";
import { utcTime } from "../utc_time.ts";
import { table } from "../table.ts";
import { showJob } from "../job_page.ts";
import { submitAndRun, wholeNumber, writeJson } from "./run.ts";

const NEWLINE = new Uint8Array([10]);

export interface JobsFlags extends GlobalFlags {
  readonly json?: boolean | undefined;
}

export function jobsList(
  cli: Cli,
  flags: JobsFlags & {
    state?: readonly string[] | undefined;
    task?: string | undefined;
    limit?: string | undefined;
  },
): Promise<number> {
  const states = flags.state?.flatMap((text) => text.split(",")).map(demandState);
  const limit = flags.limit === undefined ? LIMITS.listLimitDefault : demandLimit(flags.limit);
  return withSession(cli, flags, async (session) => {
    const jobs = await session.store.jobs.list({
      limit,
      ...(states === undefined ? {} : { states }),
      ...(flags.task === undefined ? {} : { task: flags.task }),
    });
    if (flags.json) await writeJson(cli.host, jobs);
    else await writeTable(session, jobs);
    return EXIT.completed;
  });
}

async function writeTable(session: Session, jobs: readonly JobSummary[]): Promise<void> {
  const { host, settings, talk } = session;
  if (jobs.length === 0) return await talk.say("no jobs yet: try `glassbox run -- echo hello`");
  const style = createStyle(wantsColor(settings.color, host.terminal.stdout));
  const header = ["ID", "STATE", "SUBMITTED (UTC)", "TOOK", "WHAT"];
  const rows = jobs.map((
    job,
  ) => [job.id, job.state, utcTime(job.createdAtMs), tookText(job), whatText(job)]);
  await host.terminal.stdout.write(table([header, ...rows], (text, row, column) => {
    if (row === 0) return style.bold(text);
    return column === 1 ? stateText(style, text as JobState) : text;
  }));
}

export function jobsShow(cli: Cli, flags: JobsFlags, word: string): Promise<number> {
  return withJob(cli, flags, word, async (session, id) => {
    const document = await jobDocument(session.store, id);
    const events = await allEvents(session.store, id);
    if (flags.json) await writeJson(cli.host, { ...document, events });
    else await showJob(session, document, events);
    return EXIT.completed;
  });
}

export interface LogsFlags extends JobsFlags {
  readonly follow?: boolean | undefined;
  readonly after?: string | undefined;
  readonly stream?: string | undefined;
  readonly time?: boolean | undefined;
  readonly number?: boolean | undefined;
  readonly raw?: boolean | undefined;
}

export function jobsLogs(cli: Cli, flags: LogsFlags, word: string): Promise<number> {
  const after = flags.after === undefined ? 0 : wholeNumber("--after", flags.after);
  if (after < 0) throw new GlassboxError("usage", `Cannot use --after ${after} as it must be 0 or more`);
  return withJob(cli, flags, word, async (session, id) => {
    const left = new AbortController();
    const off = cli.host.signals.on(() => left.abort());
    const watch = { afterLine: after, afterEvent: 0, live: flags.follow ?? false, signal: left.signal };
    try {
      for await (const news of follow(session.store, id, watch)) {
        const lines = news.lines.filter((line) => flags.stream === undefined || line.stream === flags.stream);
        await writeLines(session, flags, lines);
      }
    } finally {
      off();
    }
    return left.signal.aborted ? EXIT.interrupted : EXIT.completed;
  });
}

async function writeLines(session: Session, flags: LogsFlags, lines: readonly LogLine[]): Promise<void> {
  if (lines.length === 0) return;
  const { stdout } = session.host.terminal;
  if (flags.raw) return await stdout.write(asWritten(lines));
  const style = createStyle(wantsColor(session.settings.color, stdout));
  const text = flags.json ? lines.map(lineJson) : lines.map((line) => lineText(line, flags, style.red));
  await stdout.write(text.join(""));
}

/** In one piece, as a write for each line would take a hundred times as long. */
function asWritten(lines: readonly LogLine[]): Uint8Array {
  return concatBytes(lines.flatMap(({ bytes, end }) => end === "newline" ? [bytes, NEWLINE] : [bytes]));
}

function lineJson(line: LogLine): string {
  const text = new TextDecoder().decode(line.bytes);
  return `${
    JSON.stringify({ seq: line.seq, stream: line.stream, at: isoTime(line.atMs), end: line.end, text })
  }\n`;
}

/** Escaped, so that what a program wrote can not play with the reader's terminal; `--raw` gives the bytes. */
function lineText(line: LogLine, flags: LogsFlags, paint: (text: string) => string): string {
  const number = flags.number ? `${String(line.seq).padStart(6)}  ` : "";
  const time = flags.time ? `${isoTime(line.atMs)}  ` : "";
  const bytes = line.bytes.at(-1) === 13 ? line.bytes.subarray(0, -1) : line.bytes;
  const text = displayText(bytes);
  return `${number}${time}${line.stream === "stderr" ? paint(text) : text}\n`;
}

export function jobsWait(
  cli: Cli,
  flags: JobsFlags & { timeout?: string | undefined },
  word: string,
): Promise<number> {
  const timeoutMs = flags.timeout === undefined ? null : parseDuration(flags.timeout, "--timeout");
  return withJob(cli, flags, word, async (session, id) => {
    const left = new AbortController();
    const off = cli.host.signals.on(() => left.abort());
    const over = new AbortController();
    if (timeoutMs !== null) void cli.host.clock.sleep(timeoutMs, left.signal).then(() => over.abort());
    const watch = {
      afterLine: Number.MAX_SAFE_INTEGER,
      afterEvent: 0,
      live: true,
      signal: AbortSignal.any([left.signal, over.signal]),
    };
    for await (const _ of follow(session.store, id, watch)) { /* only the end matters */ }
    off();
    const interrupted = left.signal.aborted;
    left.abort();
    const job = await session.store.jobs.get(id);
    if (job.finishedAtMs === null && interrupted) return EXIT.interrupted;
    if (job.finishedAtMs === null) {
      throw new GlassboxError(
        "request_timeout",
        `Cannot wait longer for job ${id} than ${formatDuration(timeoutMs ?? 0)}: it is still ${job.state}`,
      );
    }
    await sayOutcome(session, job);
    if (flags.json) await writeJson(cli.host, await jobDocument(session.store, id));
    return jobExitCode(job, (await session.store.jobs.attempts(id)).at(-1));
  });
}

export function jobsCancel(
  cli: Cli,
  flags: JobsFlags & { reason?: string | undefined },
  word: string,
): Promise<number> {
  return withJob(cli, flags, word, async (session, id) => {
    const job = await session.store.jobs.cancel(id, "command line", flags.reason ?? "");
    if (flags.json) await writeJson(cli.host, job);
    await session.talk.say(`job ${id} ${job.state === "cancelled" ? "is cancelled" : "was asked to stop"}`);
    return EXIT.completed;
  });
}

export function jobsRetry(
  cli: Cli,
  flags: JobsFlags & { detach?: boolean | undefined },
  word: string,
): Promise<number> {
  return withJob(cli, flags, word, async (session, id) => {
    const job = await session.store.jobs.get(id);
    if (job.finishedAtMs === null) {
      throw jobNotFinal(job);
    }
    const again = await prepareJob(session, idMaker(cli.host)(), requestOf(job), { retryOf: id });
    return await submitAndRun(session, again, flags);
  });
}

/** Opens the database and turns `latest` into an id. */
export function withJob(
  cli: Cli,
  flags: GlobalFlags,
  word: string,
  work: (session: Session, id: string) => Promise<number>,
): Promise<number> {
  return withSession(cli, flags, async (session) => {
    const id = await session.store.jobs.resolveId(word);
    await session.store.jobs.get(id);
    return await work(session, id);
  });
}

export function demandStream(text: string): StreamName {
  if (text === "stdout" || text === "stderr") return text;
  throw new GlassboxError("usage", `Cannot use --stream ${quoted(text)} as it must be stdout or stderr`);
}

function demandState(text: string): JobState {
  const state = JOB_STATES.find((known) => known === text);
  if (state !== undefined) return state;
  throw new GlassboxError(
    "usage",
    `Cannot use --state ${quoted(text)} as it must be one of ${JOB_STATES.join(", ")}`,
  );
}

function demandLimit(text: string): number {
  const limit = wholeNumber("--limit", text);
  if (limit >= 1 && limit <= LIMITS.listLimitMax) return limit;
  throw new GlassboxError(
    "usage",
    `Cannot use --limit ${text} as it must be from 1 to ${LIMITS.listLimitMax}`,
  );
}

function whatText({ task, inputPreview }: JobSummary): string {
  const what = task === "exec" ? commandLine(parsePreview(inputPreview)) ?? inputPreview : task;
  return displayCut(what, 60);
}

function tookText(job: JobSummary): string {
  if (job.startedAtMs === null || job.finishedAtMs === null) return "";
  return formatDuration(job.finishedAtMs - job.startedAtMs);
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
