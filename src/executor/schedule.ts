import type { TaskRegistry } from "../core/task.ts";
import { type Schedule, ScheduleDefinition, ScheduleName } from "../core/schedule.ts";
import { parseWith } from "../core/schema.ts";
import { demandDueTimes, dueTimes, frequencyWarning, upcoming } from "./cron.ts";
import { prepareJob } from "./submit.ts";

/** Times to come that are shown of a schedule. */
const SHOWN_TIMES = 3;

/** Checks all of a schedule before it is stored: name, cron expression, time zone, and the request as a job's. */
export async function prepareSchedule(
  registry: TaskRegistry,
  name: string,
  definition: unknown,
  nowMs: number,
): Promise<ScheduleDefinition> {
  parseWith(ScheduleName, name, "name", "this schedule");
  const parsed = parseWith(ScheduleDefinition, definition, "", "this schedule");
  demandDueTimes(parsed, nowMs);
  await prepareJob({ registry }, "", parsed.request);
  return parsed;
}

/** A schedule with what its expression means. */
export interface ScheduleOutlook extends Schedule {
  /** The next due times; none while it is paused. */
  readonly nextMs: readonly number[];
  /** Said aloud of a schedule that fires more often than once a minute. */
  readonly warning: string | null;
}

export function outlook(schedule: Schedule, nowMs: number): ScheduleOutlook {
  const due = dueTimes(schedule);
  const from = Math.max(nowMs, schedule.settledUntilMs);
  return {
    ...schedule,
    nextMs: schedule.paused ? [] : upcoming(due, from, SHOWN_TIMES),
    warning: frequencyWarning(due, nowMs),
  };
}
