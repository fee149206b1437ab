import type { Signals } from "../core/host.ts";

export type StoppingSignal = Parameters<Parameters<Signals["on"]>[0]>[0];

/**
 * Hears a signal that asks to stop before there is anything that could be stopped, and hands it to whoever can act on
 * it later. Nobody is kept waiting by that: the second signal before `handle` ends the process, as if nobody listened.
 */
export class EarlySignals {
  readonly #signals: Signals;
  #heard: StoppingSignal | null = null;
  #off: () => void;

  /** Calls `tell` for the one that comes before `handle`. */
  constructor(signals: Signals, tell: (signal: StoppingSignal) => void) {
    this.#signals = signals;
    this.#off = signals.on((signal) => {
      this.#off();
      this.#heard = signal;
      tell(signal);
    });
  }

  /** Tells of the one that has come, and of each that comes until `close`. */
  handle(handler: (signal: StoppingSignal) => void): void {
    this.#off();
    this.#off = this.#signals.on(handler);
    if (this.#heard !== null) handler(this.#heard);
    this.#heard = null;
  }

  close(): void {
    this.#off();
  }
}
