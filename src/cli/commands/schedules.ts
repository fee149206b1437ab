import { displayCut } from "../../core/display.ts";
import { EXIT, GlassboxError, isGlassboxError } from "../../core/errors.ts";
import type { Schedule } from "../../core/schedule.ts";
import { outlook, prepareSchedule, type ScheduleOutlook } from "../../executor/schedule.ts";
import { type Cli, type GlobalFlags, type Session, withSession } from "../session.ts";
import { commandLine } from "../../core/command_line.ts";
import { utcTime } from "../utc_time.ts";
import { createStyle, wantsColor } from "../style.ts";
import { table } from "../table.ts";
import { makeRequest, type RunFlags, writeJson } from "./run.ts";

export interface ScheduleFlags extends GlobalFlags {
  readonly json?: boolean | undefined;
}

export interface ScheduleAddFlags extends RunFlags {
  readonly cron: string;
  readonly timeZone?: string | undefined;
  readonly catchUp?: string | undefined;
  readonly replace?: boolean | undefined;
}

/** `glassbox schedules add`: `words` stand before `--`, `program` behind it; null when there is no `--`. */
export async function schedulesAdd(
  cli: Cli,
  flags: ScheduleAddFlags,
  name: string,
  words: readonly string[],
  program: readonly string[] | null,
): Promise<number> {
  const { key: _, ...request } = await makeRequest(cli, flags, words, program);
  const asked = {
    cron: flags.cron,
    ...(flags.timeZone === undefined ? {} : { timeZone: flags.timeZone }),
    ...(flags.catchUp === undefined ? {} : { catchUp: flags.catchUp }),
    request,
  };
  const nowMs = cli.host.clock.nowMs();
  const definition = await prepareSchedule(cli.registry, name, asked, nowMs).catch((error) => {
    throw underFlagNames(error);
  });
  return await withSession(cli, flags, async (session) => {
    const options = { replace: flags.replace ?? false };
    const { schedule, outcome } = await session.store.schedules.put(name, definition, options);
    const shown = outlook(schedule, nowMs);
    if (flags.json) await writeJson(cli.host, shown);
    await session.talk.say(
      `schedule ${name} ${OUTCOMES[outcome]}: ${shown.cron} (${shown.timeZone}), ` +
        `catch-up ${shown.catchUp}, next ${nextText(shown)}`,
    );
    if (shown.warning !== null) await session.talk.say(`note: ${shown.warning}`);
    await sayIfNobodyFires(session);
    return EXIT.completed;
  });
}

const OUTCOMES = { created: "was added", replaced: "was replaced", unchanged: "is there already" } as const;

export function schedulesList(cli: Cli, flags: ScheduleFlags): Promise<number> {
  return withSession(cli, flags, async (session) => {
    const nowMs = cli.host.clock.nowMs();
    const schedules = (await session.store.schedules.list()).map((schedule) => outlook(schedule, nowMs));
    if (flags.json) await writeJson(cli.host, schedules);
    else await writeTable(session, schedules);
    return EXIT.completed;
  });
}

async function writeTable({ host, settings, talk }: Session, schedules: readonly ScheduleOutlook[]) {
  if (schedules.length === 0) {
    return await talk.say(
      'no schedules yet: try `glassbox schedules add hello --cron "* * * * *" -- echo hello`',
    );
  }
  const style = createStyle(wantsColor(settings.color, host.terminal.stdout));
  const header = ["NAME", "CRON", "TIME ZONE", "CATCH-UP", "NEXT (UTC)", "WHAT"];
  const rows = schedules.map((one) => [
    one.name,
    one.cron,
    one.timeZone,
    one.catchUp,
    nextText(one),
    displayCut(whatText(one), 60),
  ]);
  await host.terminal.stdout.write(
    table([header, ...rows], (text, row) => row === 0 ? style.bold(text) : text),
  );
}

export function schedulesShow(cli: Cli, flags: ScheduleFlags, name: string): Promise<number> {
  return withSession(cli, flags, async (session) => {
    const shown = outlook(await session.store.schedules.get(name), cli.host.clock.nowMs());
    if (flags.json) await writeJson(cli.host, shown);
    else await cli.host.terminal.stdout.write(page(shown));
    return EXIT.completed;
  });
}

function page(one: ScheduleOutlook): string {
  const rows = [
    ["name", one.name],
    ["cron", one.cron],
    ["time zone", one.timeZone],
    ["catch-up", one.catchUp],
    ["paused", one.paused ? "yes" : "no"],
    ["next (UTC)", nextText(one)],
    ["settled until (UTC)", utcTime(one.settledUntilMs)],
    ["runs", displayCut(whatText(one), 1_000)],
    ["queue", one.request.queue],
    ...one.warning === null ? [] : [["note", one.warning]],
  ];
  return table(rows, (text) => text);
}

export function schedulesRemove(cli: Cli, flags: ScheduleFlags, name: string): Promise<number> {
  return change(cli, flags, "was removed", (session) => session.store.schedules.remove(name));
}

export function schedulesPause(cli: Cli, flags: ScheduleFlags, name: string): Promise<number> {
  return change(cli, flags, "is paused", (session) => session.store.schedules.pause(name));
}

export function schedulesResume(cli: Cli, flags: ScheduleFlags, name: string): Promise<number> {
  return change(cli, flags, "fires again", (session) => session.store.schedules.resume(name));
}

function change(
  cli: Cli,
  flags: ScheduleFlags,
  what: string,
  work: (session: Session) => Promise<Schedule>,
): Promise<number> {
  return withSession(cli, flags, async (session) => {
    const schedule = await work(session);
    if (flags.json) await writeJson(cli.host, outlook(schedule, cli.host.clock.nowMs()));
    await session.talk.say(`schedule ${schedule.name} ${what}`);
    return EXIT.completed;
  });
}

async function sayIfNobodyFires({ store, talk }: Session): Promise<void> {
  const workers = (await store.workers.open()).filter(({ launch }) => launch !== "run");
  if (workers.length > 0) return;
  await talk.say("nothing fires it now: start `glassbox serve` or `glassbox worker` on this database");
}

/** The flags that give fields of a schedule. */
const FLAG_NAMES: Readonly<Record<string, string>> = {
  name: "NAME",
  cron: "--cron",
  timeZone: "--time-zone",
  catchUp: "--catch-up",
  "request.queue": "--queue",
  "request.priority": "--priority",
  "request.timeoutMs": "--timeout",
  "request.graceMs": "--grace",
  "request.outputBytesMax": "--output-max",
  "request.maxAttempts": "--attempts",
  "request.backoffMs": "--backoff",
  "request.concurrencyKey": "--concurrency-key",
};

/** A refused value that the command line gave is a mistake there, and is told under the flag's name. */
function underFlagNames(error: unknown): unknown {
  if (!isGlassboxError(error, "invalid_input") || error.fields.length === 0) return error;
  if (!error.fields.every(({ field }) => field in FLAG_NAMES)) return error;
  const fields = error.fields.map(({ field, message }) => ({ field: FLAG_NAMES[field]!, message }));
  const text = fields.map(({ field, message }) => `${field} ${message}`).join("; ");
  return new GlassboxError("usage", `Cannot add this schedule: ${text}`, { fields });
}

function nextText(one: ScheduleOutlook): string {
  if (one.paused) return "paused";
  if (one.nextMs.length === 0) return "never again";
  return one.nextMs.map(utcTime).join(", ");
}

function whatText({ request }: Schedule): string {
  return request.task === "exec" ? commandLine(request.input) ?? request.task : request.task;
}
