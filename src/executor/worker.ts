import { asGlassboxError, GlassboxError, isGlassboxError } from "../core/errors.ts";
import type { FileLock } from "../core/host.ts";
import type { Job } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import type { LaunchMode } from "../core/launch.ts";
import { VERSION } from "../core/version.ts";
import type { Subscription } from "../store/changes.ts";
import { QUEUE_TOPIC } from "../store/jobs.ts";
import type { ClaimFilter } from "../store/claims.ts";
import type { NewJob } from "../store/transitions.ts";
import { Attempt } from "./attempt.ts";
import type { Outcome } from "./attempt_directory.ts";
import type { ExecutorContext } from "./context.ts";
import { Lease } from "./lease.ts";
import { livenessPath, reap, settleJob } from "./reaper.ts";
import { keepReserve } from "./reserve.ts";
import { Silence } from "./silence.ts";
import { idMaker } from "./submit.ts";
import { sweep } from "./sweep.ts";

export interface WorkerOptions {
  readonly launch: LaunchMode;
  /** Jobs at once. */
  readonly concurrency: number;
  readonly queues: readonly string[];
  /** Told about what no job's row can hold, such as a database that can't be written. */
  readonly onError: (error: GlassboxError, jobId: string | null) => void;
  /** Told of what nobody has to act on at once. */
  readonly onWarning?: (text: string) => void;
}

/** A job that a command line asked for. */
export interface RunningJob {
  readonly id: string;
  /** False for the older job of a key that was used before. */
  readonly created: boolean;
  /** False while it waits for its time, its queue or its concurrency key. */
  readonly started: boolean;
  /** Gives the error that kept the job's end from being recorded, or null. */
  readonly done: Promise<GlassboxError | null>;
}

/** How often a worker looks for others that died, besides at its start. */
const REAP_EVERY_MS = 1_000;

/** How often a worker that waits for a delayed job looks at the time again. */
const DUE_LOOK_MS = 5_000;

/** After another worker was faster: it may have left something, and its commit may have come before our look. */
const LOOK_AGAIN_MS = 25;

/** How many such looks before it also looks for what it alone can end, of attempts that were settled elsewhere. */
const LOOKS_PER_SWEEP = 10;

/** How often it is made sure that the database file is still the one that was opened. */
const LOOK_EVERY_MS = 1_000;

/**
 * A process's right and duty to run jobs. While it lives it keeps its lock file locked; jobs it claims are its
 * own until they are final. `close` it when it has ended, or its jobs are reaped as those of a dead worker.
 */
export class Worker {
  readonly id: string;
  #context: ExecutorContext;
  #options: WorkerOptions;
  #lock: FileLock;
  #running = new Map<string, { attempt: Attempt; done: Promise<GlassboxError | null> }>();
  #draining = new AbortController();
  #lease: Lease | null = null;
  #unattended: ReadonlySet<string> = new Set();
  /** Attempts that began although the answer to their claim was lost; should it come after all, it is old news. */
  #startedLate = new Set<string>();
  #lostBy: GlassboxError | null = null;
  /** Attempts whose end could not be recorded when it came, and how they ended where that is known. */
  #unrecorded = new Map<string, Outcome | null>();
  #walIsLarge = false;
  #attending: Promise<void> = Promise.resolve();
  #closed = new AbortController();
  #outdatedBy: GlassboxError | null = null;

  private constructor(context: ExecutorContext, options: WorkerOptions, id: string, lock: FileLock) {
    this.#context = context;
    this.#options = options;
    this.id = id;
    this.#lock = lock;
  }

  /**
   * Takes the liveness lock. The worker's row is written by `register` or `runNew`: only after the lock is held,
   * or a reaper would see a worker that looks dead.
   */
  static async create(context: ExecutorContext, options: WorkerOptions): Promise<Worker> {
    const id = idMaker(context.host)();
    const path = livenessPath(context.store.runDirectory, id);
    await context.host.files.makeDirectory(`${context.store.runDirectory}/workers`, 0o700);
    return new Worker(context, options, id, await context.host.locks.acquire(path));
  }

  async register(): Promise<void> {
    const sinceMs = this.#context.host.clock.monotonicMs();
    await this.#context.store.workers.register(this.#row);
    await this.#keepLease(sinceMs);
  }

  get #row() {
    return { id: this.id, launch: this.#options.launch, version: VERSION };
  }

  async #keepLease(sinceMs: number): Promise<void> {
    const { store, host } = this.#context;
    // The lock file says more than heartbeats could, wherever everyone who reads the database can see it.
    if (store.isEmbedded) return void (this.#attending = this.#attendFile());
    this.#lease = new Lease(host.clock, store.workers, this.id, sinceMs, (why) => this.#lost(why));
    await this.#lease.begin();
    void this.#lease.keep();
  }

  /** A program may be silent for hours, and its database deleted meanwhile. */
  async #attendFile(): Promise<void> {
    const { store, host: { clock } } = this.#context;
    while (!this.#closed.signal.aborted && this.#lostBy === null) {
      await store.checkPlace().catch((error) => this.#report(error, null));
      await keepReserve(this.#context);
      await this.#lookAtWal();
      await clock.sleep(LOOK_EVERY_MS, this.#closed.signal);
    }
  }

  /** Told once, and again only after the log was small. */
  async #lookAtWal(): Promise<void> {
    const bytes = await this.#context.store.walBytes();
    const isLarge = bytes > LIMITS.walWarnBytes;
    if (isLarge && !this.#walIsLarge) {
      this.#options.onWarning?.(
        `the write-ahead log of ${this.#context.store.display} has grown to ${bytes} bytes: a program that reads ` +
          "the database for long keeps it from being emptied",
      );
    }
    this.#walIsLarge = isLarge;
  }

  /** The database is gone: what runs is ended, as nothing about it could ever be found again. */
  #abandon(error: GlassboxError): void {
    this.#lostBy = error;
    this.#draining.abort();
    for (const { attempt } of this.#running.values()) attempt.abandon(error);
  }

  /** Everything this worker held may run elsewhere by now: it kills what it runs, and records nothing. */
  #lost(why: string): void {
    this.#draining.abort();
    for (const { attempt } of this.#running.values()) attempt.fence();
    const message =
      `Cannot go on as worker ${this.id} as ${why}: its jobs belong to others now; start it again`;
    this.#lostBy = this.#report(new GlassboxError("lease_lost", message), null);
  }

  /** Why this worker had to let go of all that it held; null while it has not. */
  get lostBy(): GlassboxError | null {
    return this.#lostBy;
  }

  /** Why this worker may write nothing more: its database has a newer schema now; or null. */
  get outdatedBy(): GlassboxError | null {
    return this.#outdatedBy;
  }

  /** Ids of the jobs running now. */
  get running(): string[] {
    return [...this.#running.keys()];
  }

  /**
   * Registers, submits and claims in one commit, and starts the job; with a key that was used before it gives the
   * older job, which may be running elsewhere.
   */
  async runNew(job: NewJob): Promise<RunningJob> {
    const sinceMs = this.#context.host.clock.monotonicMs();
    const { claimed, ...submitted } = await this.#context.store.jobs.submitAndClaim(this.#row, job);
    await this.#keepLease(sinceMs);
    if (!submitted.created) return { ...submitted, started: false, done: Promise.resolve(null) };
    return { ...submitted, started: claimed !== null, done: this.#runToTheEnd(job.id, claimed) };
  }

  /**
   * Runs the job reserved for this worker until it is final: waits while its queue is paused or full, and until
   * a further attempt is due.
   */
  async #runToTheEnd(jobId: string, claimed: Job | null): Promise<GlassboxError | null> {
    const { store, host } = this.#context;
    const news = store.changes.subscribe(QUEUE_TOPIC);
    try {
      const own = { jobId, queues: [], tasks: [] };
      for (let job = claimed;; job = await this.#claimIfAny(own)) {
        const error = job === null ? null : await this.#start(job);
        if (error !== null || this.#lostBy !== null) return this.#lostBy ?? error;
        news.reset();
        const now = await store.jobs.get(jobId);
        if (now.state !== "queued") return null;
        const dueInMs = now.notBeforeMs - host.clock.nowMs();
        // A queue that was freed and a cancel both come as news; the time that is due does not.
        if (job === null || dueInMs > 0) await this.#newsOrTime(news, dueInMs > 0 ? dueInMs : null);
      }
    } catch (error) {
      return this.#report(error, jobId);
    } finally {
      news.close();
    }
  }

  /** A long wait is made of short ones: a wall clock may be set, and a machine may sleep meanwhile. */
  async #newsOrTime(news: Subscription, ms: number | null): Promise<void> {
    if (ms === null) return await news.next(this.#draining.signal);
    const over = new AbortController();
    const either = AbortSignal.any([over.signal, this.#draining.signal]);
    void this.#context.host.clock.sleep(Math.min(ms, DUE_LOOK_MS), either).then(() => over.abort());
    await news.next(either);
    over.abort();
  }

  /** Claims and runs jobs until `drain`; resolves when the last of them is final. */
  async work(): Promise<void> {
    const subscription = this.#context.store.changes.subscribe(QUEUE_TOPIC);
    const reaping = this.#reapFromTimeToTime();
    try {
      while (!this.#draining.signal.aborted) {
        subscription.reset();
        const free = this.#options.concurrency - this.#running.size;
        const dueInMs = free > 0 ? await this.#claimSome(free) : null;
        await this.#newsOrTime(subscription, dueInMs);
      }
    } finally {
      subscription.close();
    }
    await reaping;
    // Claims that were committed just before the drain, and whose answers were lost, are ours to run as well.
    if (!this.#context.store.isEmbedded && this.#lostBy === null) {
      await this.#attendAll().catch(() => undefined);
    }
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  /** Stops claiming. What runs goes on to its end. */
  drain(): void {
    this.#draining.abort();
  }

  get isDraining(): boolean {
    return this.#draining.signal.aborted;
  }

  /** Asks all running jobs to stop, as a cancel by `actor`. */
  async cancelRunning(actor: string, reason: string): Promise<void> {
    await Promise.all(
      this.running.map((id) => this.#context.store.jobs.cancel(id, actor, reason).catch(() => undefined)),
    );
  }

  /** Kills what still runs, without the rest of its grace period. */
  insist(): void {
    for (const { attempt } of this.#running.values()) attempt.insist();
  }

  /** A worker whose jobs could not be recorded does not say goodbye, so that the next start settles them. */
  async close(): Promise<void> {
    this.#lease?.end();
    this.#closed.abort();
    // Nothing can be recorded. The lock file stays, so that whoever brings the database back finds this worker dead.
    if (isGlassboxError(this.#lostBy, "storage_gone")) return this.#lock.release();
    try {
      await this.#attendAll();
      await Promise.all([...this.#running.values()].map(({ done }) => done));
      await this.#context.store.workers.markStopped(this.id);
    } catch (error) {
      this.#lock.release();
      throw error;
    }
    // It may be making the reserve just now: whoever closes a worker must be able to remove all that it made.
    await this.#attending;
    await this.#context.host.files.remove(livenessPath(this.#context.store.runDirectory, this.id));
    this.#lock.release();
  }

  /** Twice, as the first look only notes what it finds. To be called when nothing is being claimed any more. */
  async #attendAll(): Promise<void> {
    await this.#attendUnattended();
    await this.#attendUnattended();
  }

  /** Looks first, as a claim in vain would take the write lock. */
  async #claimIfAny(filter: ClaimFilter): Promise<Job | null> {
    const { jobs } = this.#context.store;
    return (await jobs.outlook(this.id, filter)).isClaimable ? await jobs.claim(this.id, filter) : null;
  }

  /** Claims up to `places` jobs and starts them; gives the time until it is worth looking again, null when only news can make it so. */
  async #claimSome(places: number): Promise<number | null> {
    const { store, registry, host } = this.#context;
    const { queues } = this.#options;
    const filter = { jobId: null, queues, tasks: registry.list().map((task) => task.name) };
    // What is left of a full disk is for the jobs that run already.
    if (!store.takesNew) return REAP_EVERY_MS;
    try {
      // Only a look: a claim in vain would take the write lock, in every idle worker, at every commit of anybody.
      const { isClaimable, dueMs } = await store.jobs.outlook(this.id, filter);
      if (!isClaimable) return dueMs === null ? null : Math.max(1, dueMs - host.clock.nowMs());
      const first = await store.jobs.claim(this.id, filter);
      if (first === null) return LOOK_AGAIN_MS;
      void this.#start(first);
      // The others share one group commit.
      const more = Array.from({ length: places - 1 }, () => store.jobs.claim(this.id, filter));
      // A claim that failed must not keep those that succeeded from being started.
      const outcomes = await Promise.allSettled(more);
      for (const outcome of outcomes) {
        if (outcome.status === "fulfilled" && outcome.value !== null) void this.#start(outcome.value);
      }
      return 1;
    } catch (error) {
      this.#report(error, null);
      return REAP_EVERY_MS;
    }
  }

  #start(job: Job): Promise<GlassboxError | null> {
    // The answer to a claim may come when others have taken over already.
    if (this.#lostBy !== null) return Promise.resolve(this.#lostBy);
    const known = this.#running.get(job.id)?.done;
    if (known !== undefined || this.#startedLate.has(keyOf(job))) return known ?? Promise.resolve(null);
    // A command line shows its job to the end, so a further attempt is its own as well.
    const keepFor = this.#options.launch === "run" ? this.id : null;
    const attempt = new Attempt(this.#context, job, this.id, keepFor);
    const done = attempt.run()
      .then(() => null, (error) => {
        this.#unrecorded.set(keyOf(job), attempt.unrecorded);
        return this.#report(error, job.id);
      })
      .finally(() => {
        this.#running.delete(job.id);
        // A place became free: the claiming loop looks again.
        this.#context.store.changes.notify([QUEUE_TOPIC]);
      });
    this.#running.set(job.id, { attempt, done });
    return done;
  }

  async #reapFromTimeToTime(): Promise<void> {
    const silence = new Silence(this.#context.host.clock);
    const report = (error: unknown) => void this.#report(error, null);
    for (let look = 1; !this.#draining.signal.aborted; look++) {
      await this.#context.host.clock.sleep(REAP_EVERY_MS, this.#draining.signal);
      if (this.#draining.signal.aborted) return;
      await this.#context.store.demandSchema().catch(report);
      await this.#attendUnattended().catch(report);
      await reap(this.#context, silence).catch(report);
      if (look % LOOKS_PER_SWEEP === 0) await sweep(this.#context).catch(report);
    }
  }

  /**
   * Jobs that are ours by their rows, but that nobody here attends: those whose end could not be recorded when it
   * came, as the disk was full or the database away, are settled; those whose claim was committed while its answer
   * was lost are run.
   */
  async #attendUnattended(): Promise<void> {
    const held = await this.#context.store.jobs.heldBy(this.id);
    // The answer to a claim may still be on its way to us, so only what two looks show was really left behind.
    const before = this.#unattended;
    this.#unattended = new Set(held.running.map(({ id }) => id));
    const running = held.running.filter(({ id }) => before.has(id));
    const { about, processes } = this.#context.host;
    const self = {
      id: this.id,
      launch: this.#options.launch,
      pid: processes.self.pid,
      bootId: about.bootId,
    };
    for (const job of running) {
      if (this.#running.has(job.id)) continue;
      if (this.#unrecorded.has(keyOf(job))) {
        await settleJob(this.#context, self, job, this.#unrecorded.get(keyOf(job)));
        this.#unrecorded.delete(keyOf(job));
      } else await this.#startLate(job);
    }
  }

  /** What was running a moment ago may have ended since, or its claim been answered: only one that was never begun is. */
  async #startLate(job: Job): Promise<void> {
    const now = await this.#context.store.jobs.find(job.id);
    if (this.#lostBy !== null || this.#running.has(job.id) || this.#unrecorded.has(keyOf(job))) return;
    if (now?.state !== "running" || now.owner !== this.id || now.epoch !== job.epoch) return;
    if (this.#startedLate.has(keyOf(job))) return;
    void this.#start(now);
    this.#startedLate.add(keyOf(job));
  }

  /** A newer glassbox has migrated the database: this one may write nothing more, and ends what it runs. */
  #outdated(error: GlassboxError): void {
    this.#outdatedBy = error;
    this.#draining.abort();
    for (const { attempt } of this.#running.values()) attempt.cannotRecord(error);
  }

  #report(error: unknown, jobId: string | null): GlassboxError {
    const known = asGlassboxError(error);
    const isGone = isGlassboxError(known, "storage_gone");
    // It is told once, and not for every write that met it.
    if (isGone && this.#lostBy !== null) return known;
    if (isGone) this.#abandon(known);
    if (this.#outdatedBy !== null && known.code === this.#outdatedBy.code) return known;
    if (isGlassboxError(known, "storage_newer_schema")) this.#outdated(known);
    this.#options.onError(known, jobId);
    return known;
  }
}

function keyOf(job: Pick<Job, "id" | "epoch">): string {
  return `${job.id} ${job.epoch}`;
}
