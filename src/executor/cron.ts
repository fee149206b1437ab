import { Cron } from "croner";
import { GlassboxError, messageOf, quoted } from "../core/errors.ts";
import type { Clock } from "../core/host.ts";
import type { ScheduleDefinition } from "../core/schedule.ts";

/** The due times of a cron expression in a time zone. */
export interface DueTimes {
  /** The first due time after `afterMs`, or null when there is none any more. */
  next(afterMs: number): number | null;
}

type CronTable = Pick<ScheduleDefinition, "cron" | "timeZone">;

/** Nicknames that the library knows; its @reboot is for another kind of program. */
const NICKNAME = /^@(yearly|annually|monthly|weekly|daily|hourly)$/i;

/** Reads an expression, or throws `invalid_input`. It may still be one that never fires. */
export function dueTimes({ cron, timeZone }: CronTable): DueTimes {
  demandTimeZone(timeZone);
  const pattern = cron.trim();
  if (!NICKNAME.test(pattern) && ![5, 6].includes(pattern.split(/\s+/).length)) {
    throw refusal("cron", cron, "must have 5 fields, or 6 with seconds first, as in `0 3 * * *`");
  }
  try {
    return new CronTimes(new Cron(pattern, { timezone: timeZone, paused: true, mode: "5-or-6-parts" }));
  } catch (error) {
    const reason = messageOf(error).replace(/^CronPattern: /, "");
    throw refusal("cron", cron, `must be a cron expression, as in \`0 3 * * *\`: ${reason}`);
  }
}

/** Refuses a definition that no time would ever fire. `nowMs` is when it begins to count. */
export function demandDueTimes(definition: CronTable, nowMs: number): DueTimes {
  const due = dueTimes(definition);
  if (due.next(nowMs) !== null) return due;
  throw refusal(
    "cron",
    definition.cron,
    "must fire at some time: there is no such day or time, now or later",
  );
}

/** The next due times, at most `count`. */
export function upcoming(due: DueTimes, afterMs: number, count: number): number[] {
  const times: number[] = [];
  for (let at: number | null = afterMs; times.length < count;) {
    at = due.next(at);
    if (at === null) break;
    times.push(at);
  }
  return times;
}

/** Says aloud that a schedule fires more often than once a minute; null when it does not. */
export function frequencyWarning(due: DueTimes, nowMs: number): string | null {
  const times = upcoming(due, nowMs, 3);
  const gaps = times.slice(1).map((time, index) => time - times[index]!);
  const shortest = Math.min(...gaps);
  if (gaps.length === 0 || shortest >= 60_000) return null;
  const every = shortest === 1_000 ? "every second" : `every ${shortest / 1_000} seconds`;
  return `this schedule fires ${every}, which is a job each time`;
}

const MINUTE_MS = 60_000;

class CronTimes implements DueTimes {
  readonly #cron: Cron;

  constructor(cron: Cron) {
    this.#cron = cron;
  }

  /**
   * The library counts on the wall clock, which shows an hour twice when summer time ends: asked from within the
   * second showing it answers with times of the first. Those are over, so it is asked again from each later minute.
   */
  next(afterMs: number): number | null {
    for (let from = afterMs;; from = endOfMinute(from + 1)) {
      const next = this.#ask(from);
      if (next === null || next > afterMs) return next;
    }
  }

  /** For some days that do not exist the library searches until its stack is full. */
  #ask(fromMs: number): number | null {
    try {
      return this.#cron.nextRun(new Date(fromMs))?.getTime() ?? null;
    } catch (error) {
      if (error instanceof RangeError) return null;
      throw error;
    }
  }
}

function endOfMinute(ms: number): number {
  return (Math.floor(ms / MINUTE_MS) + 1) * MINUTE_MS - 1;
}

function demandTimeZone(timeZone: string): void {
  try {
    new Intl.DateTimeFormat("en", { timeZone });
  } catch {
    throw refusal(
      "timeZone",
      timeZone,
      "must be a time zone of the IANA database, such as UTC, Europe/Berlin or America/New_York",
    );
  }
}

function refusal(field: string, value: string, wanted: string): GlassboxError {
  return new GlassboxError(
    "invalid_input",
    `Cannot accept this schedule as ${field} ${wanted}: current value is ${quoted(value)}`,
    { fields: [{ field, message: wanted }] },
  );
}

/** A time that is looked at so soon after it was due was not missed by anybody. */
export const ON_TIME_MS = 60_000;

/** Jobs that one round of catching up may make; older times are dropped, and counted. */
export const CATCH_UP_MAX = 1_000;

/** Missed times are counted one by one up to here; a year of minutes would take minutes to count. */
const COUNT_MAX = 5_000;

/** Due times computed before the event loop gets a turn: each takes up to a millisecond. */
const TIMES_PER_TURN = 20;

/** What is to be done about the due times after `afterMs` up to `nowMs`. */
export interface CatchUpPlan {
  /** Due times to fire, oldest first. */
  readonly fire: readonly number[];
  /** Times that the rule leaves out. */
  readonly missed: number;
  /** False when there are more than were counted. */
  readonly isExact: boolean;
  /** The newest due time: with the jobs fired, all up to here is settled. */
  readonly untilMs: number;
}

/** Applies a schedule's catch-up rule; null when nothing was due. */
export async function planCatchUp(
  due: DueTimes,
  rule: ScheduleDefinition["catchUp"],
  afterMs: number,
  nowMs: number,
  clock: Pick<Clock, "turn">,
): Promise<CatchUpPlan | null> {
  const counted = await between(due, afterMs, nowMs, COUNT_MAX, clock);
  if (counted.length === 0) return null;
  const newest = async (count: number) =>
    counted.length < COUNT_MAX
      ? counted.slice(-count)
      : await newestBetween(due, afterMs, nowMs, count, clock);
  const [last] = await newest(1);
  const onTime = await between(due, Math.max(afterMs, nowMs - ON_TIME_MS), nowMs, COUNT_MAX, clock);
  const late = rule === "skip" ? [] : rule === "last" ? [last!] : await newest(CATCH_UP_MAX);
  const fire = rule === "all" || onTime.length === 0 ? late : onTime;
  return {
    fire,
    missed: counted.length - fire.length,
    isExact: counted.length < COUNT_MAX,
    untilMs: last!,
  };
}

async function between(
  due: DueTimes,
  afterMs: number,
  untilMs: number,
  max: number,
  clock: Pick<Clock, "turn">,
): Promise<number[]> {
  const times: number[] = [];
  for (let at = due.next(afterMs); at !== null && at <= untilMs && times.length < max; at = due.next(at)) {
    times.push(at);
    if (times.length % TIMES_PER_TURN === 0) await clock.turn();
  }
  return times;
}

/** Looks back over longer and longer spans, as due times can only be computed forward. */
async function newestBetween(
  due: DueTimes,
  afterMs: number,
  untilMs: number,
  count: number,
  clock: Pick<Clock, "turn">,
): Promise<number[]> {
  for (let spanMs = MINUTE_MS;; spanMs *= 2) {
    const fromMs = Math.max(afterMs, untilMs - spanMs);
    const times = await between(due, fromMs, untilMs, Infinity, clock);
    if (times.length >= count || fromMs === afterMs) return times.slice(-count);
  }
}
