import { asGlassboxError, type GlassboxError } from "../core/errors.ts";
import type { FileLock } from "../core/host.ts";
import type { Job } from "../core/job.ts";
import type { LaunchMode } from "../core/launch.ts";
import { VERSION } from "../core/version.ts";
import { QUEUE_TOPIC } from "../store/jobs.ts";
import type { NewJob } from "../store/transitions.ts";
import { Attempt } from "./attempt.ts";
import type { ExecutorContext } from "./context.ts";
import { livenessPath, reap, settleJob } from "./reaper.ts";
import { idMaker } from "./submit.ts";

export interface WorkerOptions {
  readonly launch: LaunchMode;
  /** Jobs at once. */
  readonly concurrency: number;
  readonly queues: readonly string[];
  /** Told about what no job's row can hold, such as a database that can't be written. */
  readonly onError: (error: GlassboxError, jobId: string | null) => void;
}

/** How often a worker looks for others that died, besides at its start. */
const REAP_EVERY_MS = 1_000;

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
    await this.#context.store.workers.register({
      id: this.id,
      launch: this.#options.launch,
      version: VERSION,
    });
  }

  /** Ids of the jobs running now. */
  get running(): string[] {
    return [...this.#running.keys()];
  }

  /**
   * Registers, submits and claims in one commit, and starts the job. Gives the id of the job to follow, and
   * whether it is new: with a key that was used before it is the older job, which may be running elsewhere.
   * `done` gives the error that kept the job's end from being recorded, or null.
   */
  async runNew(job: NewJob): Promise<{ id: string; created: boolean; done: Promise<GlassboxError | null> }> {
    const { store } = this.#context;
    // All three are asked for in one turn of the event loop, so they share one group commit, in this order.
    const [, submitted, claimed] = await Promise.all([
      this.register(),
      store.jobs.submit(job),
      store.jobs.claim(this.id, { jobId: job.id, queues: [], tasks: [], limit: 1 }),
    ]);
    const own = claimed[0];
    if (own !== undefined) return { ...submitted, done: this.#start(own) };
    return { ...submitted, done: Promise.resolve(null) };
  }

  /** Claims and runs jobs until `drain`; resolves when the last of them is final. */
  async work(): Promise<void> {
    const subscription = this.#context.store.changes.subscribe(QUEUE_TOPIC);
    const reaping = this.#reapFromTimeToTime();
    try {
      while (!this.#draining.signal.aborted) {
        subscription.reset();
        const free = this.#options.concurrency - this.#running.size;
        if (free > 0) await this.#claimSome(free);
        await subscription.next(this.#draining.signal);
      }
    } finally {
      subscription.close();
    }
    await Promise.all([...this.#running.values()].map(({ done }) => done));
    await reaping;
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
    try {
      await this.#settleUnattended();
      await this.#context.store.workers.markStopped(this.id);
    } catch (error) {
      this.#lock.release();
      throw error;
    }
    await this.#context.host.files.remove(livenessPath(this.#context.store.runDirectory, this.id));
    this.#lock.release();
  }

  async #claimSome(limit: number): Promise<void> {
    const tasks = this.#context.registry.list().map((task) => task.name);
    try {
      const { queues } = this.#options;
      const jobs = await this.#context.store.jobs.claim(this.id, { jobId: null, queues, tasks, limit });
      for (const job of jobs) void this.#start(job);
    } catch (error) {
      this.#report(error, null);
      await this.#context.host.clock.sleep(REAP_EVERY_MS, this.#draining.signal);
    }
  }

  #start(job: Job): Promise<GlassboxError | null> {
    const attempt = new Attempt(this.#context, job, this.id);
    const done = attempt.run()
      .then(() => null, (error) => this.#report(error, job.id))
      .finally(() => {
        this.#running.delete(job.id);
        // A place became free: the claiming loop looks again.
        this.#context.store.changes.notify([QUEUE_TOPIC]);
      });
    this.#running.set(job.id, { attempt, done });
    return done;
  }

  async #reapFromTimeToTime(): Promise<void> {
    while (!this.#draining.signal.aborted) {
      await this.#context.host.clock.sleep(REAP_EVERY_MS, this.#draining.signal);
      if (!this.#draining.signal.aborted) {
        await this.#settleUnattended().catch((error) => this.#report(error, null));
        await reap(this.#context).catch((error) => this.#report(error, null));
      }
    }
  }

  /** Jobs of ours whose end could not be recorded when it came, as the disk was full or the database away. */
  async #settleUnattended(): Promise<void> {
    const { running } = await this.#context.store.jobs.heldBy(this.id);
    // A job that was claimed a moment ago is in our list after this turn.
    await this.#context.host.clock.turn();
    const self = { id: this.id, launch: this.#options.launch, pid: this.#context.host.processes.self.pid };
    for (const job of running) {
      if (!this.#running.has(job.id)) await settleJob(this.#context, self, job);
    }
  }

  #report(error: unknown, jobId: string | null): GlassboxError {
    const known = asGlassboxError(error);
    this.#options.onError(known, jobId);
    return known;
  }
}
