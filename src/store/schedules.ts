import { GlassboxError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import type { CatchUp, Schedule, ScheduleDefinition, ScheduledRequest } from "../core/schedule.ts";
import { type Row, type Statement, statement } from "./connection.ts";
import { QUEUE_TOPIC } from "./jobs.ts";
import { parsed } from "./rows.ts";
import type { StoreCore } from "./store_core.ts";
import { type NewJob, submitStatements } from "./transitions.ts";

/** Subscribed to by schedulers: a schedule was added, changed or removed. */
export const SCHEDULES_TOPIC = "schedules";

/** A schedule without its request, which may be large. */
export type ScheduleHead = Omit<Schedule, "request" | "createdAtMs">;

/** Due times of one schedule and the jobs for those that are to run. */
export interface Settlement {
  readonly firings: readonly { readonly job: NewJob; readonly dueAtMs: number }[];
  /** All due times up to this one are dealt with by it. */
  readonly untilMs: number;
  /** Told in an event of the first job: times that were due and get no job. */
  readonly missed: { readonly count: number; readonly isExact: boolean } | null;
}

/** Schedules by name. A schedule's times are settled, in order, by whoever gets there first. */
export class Schedules {
  #core: StoreCore;
  #host: Host;

  constructor(core: StoreCore, host: Host) {
    this.#core = core;
    this.#host = host;
  }

  /**
   * Adds a schedule, or replaces it where `replace` says so; an equal one stays as it is. A replaced schedule
   * begins anew: its times count from now.
   */
  async put(
    name: string,
    definition: ScheduleDefinition,
    options: { readonly replace: boolean },
  ): Promise<{ schedule: Schedule; outcome: "created" | "replaced" | "unchanged" }> {
    const request = JSON.stringify(definition.request);
    const results = await this.#core.write([
      statement("SELECT * FROM schedules WHERE name = ?", name),
      statement(
        `INSERT INTO schedules (name, cron, time_zone, catch_up, request, created_at_ms, settled_until_ms)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?6
         WHERE (SELECT count(*) FROM schedules WHERE name <> ?1) < ?8
         ON CONFLICT (name) DO UPDATE SET cron = excluded.cron, time_zone = excluded.time_zone,
           catch_up = excluded.catch_up, request = excluded.request,
           settled_until_ms = max(settled_until_ms + 1, excluded.settled_until_ms)
         WHERE ?7 = 1 AND (cron, time_zone, catch_up, request)
           <> (excluded.cron, excluded.time_zone, excluded.catch_up, excluded.request)`,
        name,
        definition.cron,
        definition.timeZone,
        definition.catchUp,
        request,
        this.#now(),
        options.replace ? 1 : 0,
        LIMITS.schedulesMax,
      ),
      statement("SELECT * FROM schedules WHERE name = ?", name),
    ], [SCHEDULES_TOPIC]);
    const [before, after] = [results[0]!.rows[0], results[2]!.rows[0]];
    if (after === undefined) throw tooMany(name);
    const schedule = toSchedule(after);
    if (before === undefined) return { schedule, outcome: "created" };
    if (results[1]!.rowsAffected === 1) return { schedule, outcome: "replaced" };
    if (!isSame(after, definition, request)) throw exists(name);
    return { schedule, outcome: "unchanged" };
  }

  /** In the order of their names. */
  async list(): Promise<Schedule[]> {
    const rows = await this.#core.read(statement("SELECT * FROM schedules ORDER BY name"));
    return rows.map(toSchedule);
  }

  /** The same without what they run. */
  async heads(): Promise<ScheduleHead[]> {
    const rows = await this.#core.read(statement(
      "SELECT name, cron, time_zone, catch_up, paused, settled_until_ms FROM schedules ORDER BY name",
    ));
    return rows.map(toHead);
  }

  async find(name: string): Promise<Schedule | null> {
    const rows = await this.#core.read(statement("SELECT * FROM schedules WHERE name = ?", name));
    return rows[0] === undefined ? null : toSchedule(rows[0]);
  }

  async get(name: string): Promise<Schedule> {
    return await this.find(name) ?? this.#missing(name);
  }

  /** Gives what was removed. Jobs that it fired stay. */
  async remove(name: string): Promise<Schedule> {
    const results = await this.#core.write([
      statement("SELECT * FROM schedules WHERE name = ?", name),
      statement("DELETE FROM schedules WHERE name = ?", name),
    ], [SCHEDULES_TOPIC]);
    const row = results[0]!.rows[0];
    return row === undefined ? this.#missing(name) : toSchedule(row);
  }

  /** A paused schedule has no due times. */
  async pause(name: string): Promise<Schedule> {
    return await this.#change(name, statement("UPDATE schedules SET paused = 1 WHERE name = ?", name));
  }

  /** Times count again from now; those of the pause are not caught up. */
  async resume(name: string): Promise<Schedule> {
    return await this.#change(
      name,
      statement(
        `UPDATE schedules SET paused = 0, settled_until_ms = max(settled_until_ms + 1, ?)
         WHERE name = ? AND paused = 1`,
        this.#now(),
        name,
      ),
    );
  }

  /**
   * Submits the jobs of a settlement and moves `settledUntilMs`, all or nothing: only while the schedule is still
   * settled up to where the settlement began. False when another process was faster, or the schedule has changed.
   */
  async settle(schedule: ScheduleHead, settlement: Settlement): Promise<boolean> {
    const { name, settledUntilMs } = schedule;
    const isOurs = statement(
      "EXISTS (SELECT 1 FROM schedules WHERE name = ? AND settled_until_ms = ? AND paused = 0)",
      name,
      settledUntilMs,
    );
    const atMs = this.#now();
    const jobs = settlement.firings.flatMap(({ job, dueAtMs }) => [
      ...submitStatements(job, atMs, isOurs),
      statement("UPDATE jobs SET schedule = ?, due_at_ms = ? WHERE id = ?", name, dueAtMs, job.id),
    ]);
    const results = await this.#core.write([
      ...jobs,
      ...missedEvent(schedule, settlement, atMs),
      // Last, as everything before asks for the old value.
      statement(
        "UPDATE schedules SET settled_until_ms = ? WHERE name = ? AND settled_until_ms = ? AND paused = 0",
        settlement.untilMs,
        name,
        settledUntilMs,
      ),
    ], settlement.firings.length > 0 ? [QUEUE_TOPIC] : []);
    return results.at(-1)!.rowsAffected === 1;
  }

  async #change(name: string, change: Statement): Promise<Schedule> {
    const results = await this.#core.write(
      [change, statement("SELECT * FROM schedules WHERE name = ?", name)],
      [SCHEDULES_TOPIC],
    );
    const row = results[1]!.rows[0];
    return row === undefined ? this.#missing(name) : toSchedule(row);
  }

  #missing(name: string): never {
    throw new GlassboxError(
      "schedule_not_found",
      `Cannot find schedule ${
        JSON.stringify(name.slice(0, 64))
      }: \`glassbox schedules list\` shows those there are`,
    );
  }

  #now(): number {
    return this.#host.clock.nowMs();
  }
}

function missedEvent(schedule: ScheduleHead, { firings, missed }: Settlement, atMs: number): Statement[] {
  const jobId = firings[0]?.job.id;
  if (jobId === undefined || missed === null) return [];
  const data = { schedule: schedule.name, catchUp: schedule.catchUp, ...missed };
  return [statement(
    `INSERT INTO events (job_id, seq, epoch, kind, data, at_ms)
     SELECT ?1, (SELECT max(seq) + 1 FROM events WHERE job_id = ?1), 0, 'times_missed', ?2, ?3
     WHERE EXISTS (SELECT 1 FROM jobs WHERE id = ?1)`,
    jobId,
    JSON.stringify(data),
    atMs,
  )];
}

function isSame(row: Row, definition: ScheduleDefinition, request: string): boolean {
  return row.cron === definition.cron && row.time_zone === definition.timeZone &&
    row.catch_up === definition.catchUp && row.request === request;
}

function tooMany(name: string): GlassboxError {
  return new GlassboxError(
    "schedule_exists",
    `Cannot add schedule ${
      JSON.stringify(name)
    } as there must be at most ${LIMITS.schedulesMax}: remove one first`,
  );
}

function exists(name: string): GlassboxError {
  return new GlassboxError(
    "schedule_exists",
    `Cannot add schedule ${JSON.stringify(name)} as there is one of that name with another definition: ` +
      "use --replace, or another name",
  );
}

function toHead(row: Row): ScheduleHead {
  return {
    name: String(row.name),
    cron: String(row.cron),
    timeZone: String(row.time_zone),
    catchUp: String(row.catch_up) as CatchUp,
    paused: Number(row.paused) === 1,
    settledUntilMs: Number(row.settled_until_ms),
  };
}

function toSchedule(row: Row): Schedule {
  return {
    ...toHead(row),
    request: parsed<ScheduledRequest>(row, "schedules", "request"),
    createdAtMs: Number(row.created_at_ms),
  };
}
