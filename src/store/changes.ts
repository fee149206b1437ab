import type { Clock } from "../core/host.ts";

/** How often commits of other processes are looked for while anyone waits. */
const POLL_EMBEDDED_MS = 25;
const POLL_SERVER_MS = 200;

/** Something to wait on: dirty after a change of its topic, until `reset`. */
export class Subscription {
  #dirty = true;
  #wake: (() => void) | null = null;
  #changes: Changes;
  readonly topic: string;

  constructor(changes: Changes, topic: string) {
    this.#changes = changes;
    this.topic = topic;
  }

  /** Call before looking at the database: changes that come after that look are then never missed. */
  reset(): void {
    this.#dirty = false;
  }

  mark(): void {
    this.#dirty = true;
    this.#wake?.();
  }

  get isWaiting(): boolean {
    return this.#wake !== null;
  }

  /** Resolves at the next change, at once when one came since `reset`, and also when `signal` aborts. */
  next(signal?: AbortSignal): Promise<void> {
    if (this.#dirty || signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.#wake = null;
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      this.#wake = wake;
      signal?.addEventListener("abort", wake, { once: true });
      this.#changes.poll();
    });
  }

  close(): void {
    this.#changes.drop(this);
    this.#wake?.();
  }
}

/**
 * Tells who waits that the database has changed: commits of this process at once and by topic, commits of other
 * processes by looking at the file's version counter a few times per 100 ms while anyone waits.
 */
export class Changes {
  #subscriptions = new Set<Subscription>();
  #clock: Clock;
  #version: () => Promise<number | null>;
  /** Kept between two waits: a foreign commit between a look at the database and the wait after it is then seen. */
  #seen: number | null | undefined = undefined;
  #polling = false;
  #closed = new AbortController();

  constructor(clock: Clock, version: () => Promise<number | null>) {
    this.#clock = clock;
    this.#version = version;
  }

  subscribe(topic: string): Subscription {
    const subscription = new Subscription(this, topic);
    this.#subscriptions.add(subscription);
    return subscription;
  }

  drop(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
  }

  notify(topics: readonly string[]): void {
    for (const subscription of this.#subscriptions) {
      if (topics.includes(subscription.topic)) subscription.mark();
    }
  }

  /** Starts looking for foreign commits; ends by itself when nobody waits. */
  poll(): void {
    if (this.#polling) return;
    this.#polling = true;
    void this.#pollLoop();
  }

  close(): void {
    this.#closed.abort();
    for (const subscription of this.#subscriptions) subscription.mark();
    this.#subscriptions.clear();
  }

  async #pollLoop(): Promise<void> {
    while (!this.#closed.signal.aborted && this.#anyoneWaits()) {
      const now = await this.#versionNow();
      if (now !== this.#seen) this.#markAll();
      this.#seen = now;
      await this.#clock.sleep(now === null ? POLL_SERVER_MS : POLL_EMBEDDED_MS, this.#closed.signal);
      if (now === null) this.#markAll();
    }
    // In the same turn as the last look at who waits: whoever waits from now on starts the next loop.
    this.#polling = false;
  }

  /** A read that fails wakes everyone: their own reads then meet the error and can tell it. */
  async #versionNow(): Promise<number | null> {
    try {
      return await this.#version();
    } catch {
      return null;
    }
  }

  #anyoneWaits(): boolean {
    for (const subscription of this.#subscriptions) if (subscription.isWaiting) return true;
    return false;
  }

  #markAll(): void {
    for (const subscription of this.#subscriptions) subscription.mark();
  }
}
