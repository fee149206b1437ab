import type { Clock, ReusableLock } from "../core/host.ts";
import { isGlassboxError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import type { Connection } from "./connection.ts";
import type { Result, Statement } from "./driver.ts";
import { storageError } from "./failures.ts";

interface Pending {
  readonly sinceMs: number;
  readonly bytes: number;
  readonly statements: readonly Statement[];
  readonly resolve: (results: Result[]) => void;
  readonly reject: (error: unknown) => void;
}

/** A group holds the write lock, and the event loop, for one commit; these bounds keep that to some tens of milliseconds. */
const GROUP_STATEMENTS_MAX = 512;
const GROUP_BYTES_MAX = 1024 * 1024;
/** A write of more than this can wait for those who ask for little: a flood of output, parts of an artifact. */
const SMALL_BYTES_MAX = 16 * 1024;
/** Others who wait for the lock need so long to notice that it is free; who takes it again at once is always first. */
const GIVE_WAY_MS = 5;

/**
 * The one way to change the database. Writes that wait while another commit is under way are committed together
 * (group commit): one fsync acknowledges them all. Before a commit the file lock is taken, which waits without
 * blocking the event loop and is fair between processes, as SQLite's own busy wait is neither.
 */
export class Writer {
  #connection: Connection;
  #lock: ReusableLock | null;
  #guard: readonly Statement[];
  #clock: Clock;
  /** What asks for little, such as a cancel, a heartbeat or an end, and goes before what asks for much. */
  #small: Pending[] = [];
  #large: Pending[] = [];
  #givesWayUntilMs = -Infinity;
  #running: Promise<void> | null = null;

  /**
   * `lock` is null for a database server, which orders its writers itself. `guard` runs first in every transaction,
   * and fails where it must not be.
   */
  constructor(
    connection: Connection,
    lock: ReusableLock | null,
    clock: Clock,
    guard: readonly Statement[] = [],
  ) {
    this.#guard = guard;
    this.#connection = connection;
    this.#lock = lock;
    this.#clock = clock;
  }

  /** Runs the statements as one transaction; resolves after COMMIT, with one result per statement. */
  write(statements: readonly Statement[]): Promise<Result[]> {
    return new Promise((resolve, reject) => {
      const bytes = sizeOf(statements);
      const pending = { sinceMs: this.#clock.monotonicMs(), bytes, statements, resolve, reject };
      (isLarge(pending) ? this.#large : this.#small).push(pending);
      this.#running ??= this.#run();
    });
  }

  /** Runs `work` alone under the write lock, for migrations. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    await this.drained();
    return await this.#locked(work);
  }

  /** Writes that no commit has begun on. */
  get waiting(): number {
    return this.#small.length + this.#large.length;
  }

  /** Resolves when nothing is waiting to be written. */
  async drained(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  async #run(): Promise<void> {
    // One turn of patience lets everything that has reached this process already join the first group.
    await this.#clock.turn();
    while (this.#hasWork) {
      const waitMs = this.#givesWayUntilMs - this.#clock.monotonicMs();
      if (waitMs > 0) await this.#clock.sleep(waitMs);
      const wasLarge = this.#large.length > 0;
      await this.#commitGroup();
      if (wasLarge) this.#givesWayUntilMs = this.#clock.monotonicMs() + GIVE_WAY_MS;
      // Native memory of the client is freed, and timers run, only when the event loop turns.
      if (this.#hasWork) await this.#clock.turn();
    }
    // In the same turn as the last look at the queues: whoever writes from now on starts the next run.
    this.#running = null;
  }

  async #commitGroup(): Promise<void> {
    let group: Pending[] = [];
    try {
      const results = await this.#locked(() => {
        group = this.#takeGroup();
        const statements = group.flatMap((pending) => pending.statements);
        return this.#transact(statements, this.#patienceMs(group));
      });
      this.#settle(group, results);
    } catch (error) {
      if (group.length === 0) group = this.#takeGroup();
      // Nothing was begun while another held the database, so who came later may go on waiting.
      if (isGlassboxError(error, "storage_busy")) group = this.#putBackYoung(group);
      if (group.length === 1 || isFinalWord(error)) this.#fail(group, error);
      else await this.#commitOneByOne(group);
    }
  }

  /** Time spent in the queue counts: whoever has waited so long is told, whatever the others still have. */
  #patienceMs(group: readonly Pending[]): number {
    const oldestMs = Math.min(...group.map((pending) => pending.sinceMs));
    return Math.max(0, LIMITS.storageBusyMs - (this.#clock.monotonicMs() - oldestMs));
  }

  #putBackYoung(group: readonly Pending[]): Pending[] {
    // At least the oldest goes, or nothing would ever end.
    const oldestMs = Math.min(...group.map((pending) => pending.sinceMs));
    const bornMs = Math.max(oldestMs, this.#clock.monotonicMs() - LIMITS.storageBusyMs);
    const young = group.filter((pending) => pending.sinceMs > bornMs);
    this.#small.unshift(...young.filter((pending) => !isLarge(pending)));
    this.#large.unshift(...young.filter(isLarge));
    return group.filter((pending) => pending.sinceMs <= bornMs);
  }

  /** One bad member rolled the whole group back; alone, each gets its own commit or its own error. */
  async #commitOneByOne(group: readonly Pending[]): Promise<void> {
    for (const pending of group) {
      try {
        this.#settle([pending], await this.#locked(() => this.#transact(pending.statements)));
      } catch (error) {
        this.#fail([pending], error);
      }
    }
  }

  async #transact(statements: readonly Statement[], patienceMs?: number): Promise<Result[]> {
    const results = await this.#connection.transact([...this.#guard, ...statements], patienceMs);
    return results.slice(this.#guard.length);
  }

  async #locked<T>(work: () => Promise<T>): Promise<T> {
    await this.#lock?.lock().catch((error) => {
      throw storageError(error, this.#connection);
    });
    try {
      return await work();
    } finally {
      this.#lock?.unlock();
    }
  }

  get #hasWork(): boolean {
    return this.#small.length > 0 || this.#large.length > 0;
  }

  /** What is small first, as far as the bounds allow, then what is large; the oldest of that always has a place. */
  #takeGroup(): Pending[] {
    const group = [...takeUpTo(this.#small, []), ...this.#large.splice(0, 1)];
    return [...group, ...takeUpTo(this.#large, group)];
  }

  #settle(group: readonly Pending[], results: Result[]): void {
    let at = 0;
    for (const pending of group) {
      pending.resolve(results.slice(at, at + pending.statements.length));
      at += pending.statements.length;
    }
  }

  #fail(group: readonly Pending[], error: unknown): void {
    for (const pending of group) pending.reject(error);
  }
}

function isLarge({ bytes }: Pending): boolean {
  return bytes > SMALL_BYTES_MAX;
}

/** Takes from the head of a queue what may be committed together with `others`; at least one when there are none. */
function takeUpTo(queue: Pending[], others: readonly Pending[]): Pending[] {
  let statements = others.reduce((sum, one) => sum + one.statements.length, 0);
  let bytes = others.reduce((sum, one) => sum + one.bytes, 0);
  let count = 0;
  for (const next of queue) {
    statements += next.statements.length;
    bytes += next.bytes;
    const isFull = statements > GROUP_STATEMENTS_MAX || bytes > GROUP_BYTES_MAX;
    if (isFull && count + others.length > 0) break;
    count++;
  }
  return queue.splice(0, count);
}

/**
 * True when trying the members one by one is useless or wrong: after a lost answer the group may be committed, and
 * doing it again would do it twice.
 */
function isFinalWord(error: unknown): boolean {
  return isGlassboxError(error, "storage_busy") || isGlassboxError(error, "storage_unreachable") ||
    isGlassboxError(error, "shutting_down");
}

function sizeOf(statements: readonly Statement[]): number {
  let bytes = 0;
  for (const { args } of statements) {
    for (const arg of args) {
      if (typeof arg === "string") bytes += arg.length;
      else if (arg instanceof Uint8Array) bytes += arg.length;
    }
  }
  return bytes;
}
