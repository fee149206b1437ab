import type { Clock, ProcessLook } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";

/** Why a program may be silent: in words, and the processes it was read from. */
export interface Diagnosis {
  readonly why:
    | "running"
    | "output_unread"
    | "waiting_to_read"
    | "waiting_for_disk"
    | "stopped"
    | "sleeping"
    | "unknown";
  readonly message: string;
}

/** What the look at a silent program means; `cpuMs` is what it used since the look before. */
export function diagnose(looks: readonly ProcessLook[], cpuMs: number): Diagnosis {
  const who = (look: ProcessLook) => `${look.name} (pid ${look.pid})`;
  const writer = looks.find(({ waitsFor }) => waitsFor?.call === "write" && waitsFor.descriptor <= 2);
  if (writer) return { why: "output_unread", message: `${who(writer)} waits until its output is read` };
  const runner = looks.find(({ state }) => state === "R");
  if (runner || cpuMs > 0) {
    const what = runner ? who(runner) : "it";
    return { why: "running", message: `${what} runs, and used ${cpuMs} ms of processor time meanwhile` };
  }
  const reader = looks.find(({ waitsFor }) => waitsFor?.call === "read");
  if (reader) {
    const { descriptor, on } = reader.waitsFor!;
    const what = descriptor === 0 ? `its standard input, a ${on}` : `descriptor ${descriptor}, a ${on}`;
    return { why: "waiting_to_read", message: `${who(reader)} waits to read from ${what}` };
  }
  const disk = looks.find(({ state }) => state === "D");
  if (disk) return { why: "waiting_for_disk", message: `${who(disk)} waits for a disk or file system` };
  const stopped = looks.find(({ state }) => state === "T" || state === "t");
  if (stopped) return { why: "stopped", message: `${who(stopped)} was stopped by a signal` };
  if (looks.length === 0) return { why: "unknown", message: "nothing can be seen of its processes here" };
  return { why: "sleeping", message: `${who(looks[0]!)} sleeps` };
}

/**
 * Watches for a program that writes nothing for long, and says why that may be: first after `silentAfterMs`, then
 * after pauses that double, a few times in all.
 */
export class QuietWatch {
  readonly #clock: Clock;
  #heardMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#heardMs = clock.monotonicMs();
  }

  /** The program wrote something. */
  heard(): void {
    this.#heardMs = this.#clock.monotonicMs();
  }

  async run(
    look: () => readonly ProcessLook[],
    report: (silence: { forMs: number } & Diagnosis) => void,
    ended: AbortSignal,
  ): Promise<void> {
    let cpuMs = 0;
    let patienceMs = LIMITS.silentAfterMs;
    for (let told = 0; told < LIMITS.silentEventsMax && !ended.aborted;) {
      const silentMs = this.#clock.monotonicMs() - this.#heardMs;
      if (silentMs < patienceMs) {
        await this.#clock.sleep(patienceMs - silentMs, ended);
        continue;
      }
      const looks = look();
      const usedMs = looks.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
      report({ forMs: Math.round(silentMs), ...diagnose(looks, Math.max(0, usedMs - cpuMs)) });
      cpuMs = usedMs;
      told++;
      patienceMs *= 2;
    }
  }
}
