import { z } from "zod";
import { JobRequest } from "./request.ts";

/** What happens to times that passed while nobody watched: nothing, one job for the last, or one for each. */
export const CATCH_UP_RULES = ["skip", "last", "all"] as const;
export type CatchUp = (typeof CATCH_UP_RULES)[number];

const NAME_WANTED = "must be 1 to 64 of a-z, 0-9, _ and -, and begin with a letter or digit";

export const ScheduleName = z.string(NAME_WANTED).regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, NAME_WANTED);

/** The request of every job that a schedule fires; their keys are made of the schedule's name and the due time. */
export const ScheduledRequest = JobRequest.omit({ key: true });
export type ScheduledRequest = z.infer<typeof ScheduledRequest>;

/** A schedule as it is asked for: the one schema behind the command line and HTTP. */
export const ScheduleDefinition = z.strictObject({
  cron: z
    .string()
    .min(1)
    .max(200)
    .describe("Five fields (minute, hour, day, month, weekday), or six with seconds before them"),
  timeZone: z.string().min(1).max(64).default("UTC").describe("Where the clock hangs, as in Europe/Berlin"),
  catchUp: z
    .enum(CATCH_UP_RULES)
    .default("last")
    .describe("For times that passed while nobody watched: no job, one for the last, or one for each"),
  request: ScheduledRequest.describe("What to run"),
});
export type ScheduleDefinition = z.infer<typeof ScheduleDefinition>;

export interface Schedule extends ScheduleDefinition {
  readonly name: string;
  readonly paused: boolean;
  readonly createdAtMs: number;
  /** All due times up to this one have been dealt with. */
  readonly settledUntilMs: number;
}

/** The idempotency key of the job that is due at this time; it is why no time is ever fired twice. */
export function firingKey(schedule: string, dueAtMs: number): string {
  return `schedule:${schedule}:${new Date(dueAtMs).toISOString()}`;
}
