import { asGlassboxError, type GlassboxError } from "../core/errors.ts";
import { firingKey, type Schedule } from "../core/schedule.ts";
import { type ScheduleHead, SCHEDULES_TOPIC } from "../store/schedules.ts";
import type { ExecutorContext } from "./context.ts";
import { type CatchUpPlan, type DueTimes, dueTimes, planCatchUp } from "./cron.ts";
import { idMaker, prepareJob } from "./submit.ts";

export interface SchedulerOptions {
  /** Told of what no job's row can hold, once for each schedule and reason. */
  readonly onError: (error: GlassboxError, schedule: string | null) => void;
  /** Told of times that were due and get no job. */
  readonly onMissed: (text: string, facts: Record<string, unknown>) => void;
}

/** Waits are cut into naps: a timer does not notice that the wall clock was set, or that the machine slept. */
const NAP_MS = 15_000;

/** After a fault a schedule is left alone for so long. */
const FAULT_PAUSE_MS = 5_000;

/** Jobs submitted in one commit. */
const FIRINGS_PER_COMMIT = 100;

/**
 * Fires what is due. Any number of processes may do so on one database: a due time belongs to whoever moves the
 * schedule's mark past it, in the same commit that submits the job.
 */
export class Scheduler {
  readonly #context: ExecutorContext;
  readonly #options: SchedulerOptions;
  readonly #newId: () => string;
  readonly #known = new Map<string, { head: ScheduleHead; due: DueTimes; nextMs: number | null }>();
  /** What was told already, by schedule; null stands for the list of schedules itself. */
  readonly #told = new Map<string | null, string>();

  constructor(context: ExecutorContext, options: SchedulerOptions) {
    this.#context = context;
    this.#options = options;
    this.#newId = idMaker(context.host);
  }

  /** Fires due times until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, host: { clock } } = this.#context;
    const subscription = store.changes.subscribe(SCHEDULES_TOPIC);
    try {
      while (!signal.aborted) {
        subscription.reset();
        const nextMs = await this.round();
        const changed = new AbortController();
        const over = AbortSignal.any([signal, changed.signal]);
        const waitMs = Math.min(NAP_MS, Math.max(1, nextMs - clock.nowMs()));
        await Promise.race([subscription.next(over), clock.sleep(waitMs, over)]);
        changed.abort();
      }
    } finally {
      subscription.close();
    }
  }

  /** Settles all that is due now, and gives the time of the next look: Infinity when nothing is to come. */
  async round(): Promise<number> {
    const nowMs = this.#context.host.clock.nowMs();
    const heads = await this.#heads();
    if (heads === null) return nowMs + FAULT_PAUSE_MS;
    let nextMs = Infinity;
    for (const head of heads) {
      if (!head.paused) nextMs = Math.min(nextMs, await this.#settleDue(head, nowMs));
    }
    return nextMs;
  }

  async #heads(): Promise<ScheduleHead[] | null> {
    try {
      const heads = await this.#context.store.schedules.heads();
      const names = new Set(heads.map(({ name }) => name));
      for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
      this.#told.delete(null);
      return heads;
    } catch (error) {
      this.#tell(error, null);
      return null;
    }
  }

  /** Gives the schedule's next due time. What is wrong with one schedule must not stop the others. */
  async #settleDue(head: ScheduleHead, nowMs: number): Promise<number> {
    try {
      const { due, nextMs } = this.#know(head);
      if (nextMs === null) return Infinity;
      if (nextMs > nowMs) return nextMs;
      const plan = await planCatchUp(due, head.catchUp, head.settledUntilMs, nowMs, this.#context.host.clock);
      if (plan !== null && !await this.#fire(head, plan)) return nowMs;
      this.#told.delete(head.name);
      return due.next(plan?.untilMs ?? nowMs) ?? Infinity;
    } catch (error) {
      this.#tell(error, head.name);
      return nowMs + FAULT_PAUSE_MS;
    }
  }

  /** Computing a due time takes up to a millisecond, so what has not changed is not computed again. */
  #know(head: ScheduleHead): { due: DueTimes; nextMs: number | null } {
    const known = this.#known.get(head.name);
    const isSame = known?.head.cron === head.cron && known.head.timeZone === head.timeZone;
    if (isSame && known.head.settledUntilMs === head.settledUntilMs) return known;
    const due = isSame ? known.due : dueTimes(head);
    const fresh = { head, due, nextMs: due.next(head.settledUntilMs) };
    this.#known.set(head.name, fresh);
    return fresh;
  }

  /** False when another process has settled some of it meanwhile, or the schedule was changed: look again. */
  async #fire(head: ScheduleHead, plan: CatchUpPlan): Promise<boolean> {
    const schedule = await this.#context.store.schedules.find(head.name);
    if (schedule === null || schedule.settledUntilMs !== head.settledUntilMs) return false;
    let { settledUntilMs } = schedule;
    let missed = plan.missed > 0 ? { count: plan.missed, isExact: plan.isExact } : null;
    for (let at = 0; at === 0 || at < plan.fire.length; at += FIRINGS_PER_COMMIT) {
      const times = plan.fire.slice(at, at + FIRINGS_PER_COMMIT);
      const isLast = at + FIRINGS_PER_COMMIT >= plan.fire.length;
      const untilMs = isLast ? plan.untilMs : times.at(-1)!;
      const firings = await Promise.all(times.map((dueAtMs) => this.#firing(schedule, dueAtMs)));
      const settlement = { firings, untilMs, missed };
      if (!await this.#context.store.schedules.settle({ ...schedule, settledUntilMs }, settlement)) {
        return false;
      }
      if (missed !== null) this.#tellMissed(schedule, missed, plan.fire.length);
      missed = null;
      settledUntilMs = untilMs;
    }
    return true;
  }

  async #firing(schedule: Schedule, dueAtMs: number) {
    const request = { ...schedule.request, key: firingKey(schedule.name, dueAtMs) };
    return { job: await prepareJob(this.#context, this.#newId(), request), dueAtMs };
  }

  #tellMissed(schedule: Schedule, missed: { count: number; isExact: boolean }, jobs: number): void {
    const count = missed.isExact ? `${missed.count}` : `more than ${missed.count}`;
    this.#options.onMissed(
      `schedule ${schedule.name} missed ${count} ${
        missed.count === 1 ? "time" : "times"
      } while nobody watched ` +
        `(catch-up ${schedule.catchUp}): ${jobs} ${jobs === 1 ? "job" : "jobs"} made`,
      { schedule: schedule.name, missed: missed.count, isExact: missed.isExact, jobs },
    );
  }

  #tell(error: unknown, schedule: string | null): void {
    const known = asGlassboxError(error);
    if (this.#told.get(schedule) === known.message) return;
    this.#told.set(schedule, known.message);
    this.#options.onError(known, schedule);
  }
}
