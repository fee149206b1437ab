import type { Child, ChildUsage, Clock } from "../core/host.ts";

const FIRST_MS = 5;
const LAST_MS = 100;
const GLANCE_EVERY_MS = 50;

/**
 * Asks the kernel about a child again and again until `ended` aborts. Memory is the kernel's own high-water mark,
 * so only what a child grew by after the last look is missed; looks come often at first, as many children are short.
 */
export class UsageSampler {
  #glancedMs = -Infinity;
  #best: ChildUsage = { peakMemoryBytes: null, cpuMs: null };

  constructor(private readonly child: Pick<Child, "usage">, private readonly clock: Clock) {
    this.look();
  }

  get usage(): ChildUsage {
    return this.#best;
  }

  look(): void {
    const now = this.child.usage();
    this.#best = {
      peakMemoryBytes: larger(this.#best.peakMemoryBytes, now.peakMemoryBytes),
      cpuMs: larger(this.#best.cpuMs, now.cpuMs),
    };
  }

  /** A program that writes may be about to end: looks as well, unless that was done a moment ago. */
  glance(): void {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.#glancedMs < GLANCE_EVERY_MS) return;
    this.#glancedMs = nowMs;
    this.look();
  }

  async run(ended: AbortSignal): Promise<void> {
    for (let pauseMs = FIRST_MS; !ended.aborted; pauseMs = Math.min(pauseMs * 2, LAST_MS)) {
      await this.clock.sleep(pauseMs, ended);
      if (!ended.aborted) this.look();
    }
  }
}

function larger(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.max(a, b);
}
