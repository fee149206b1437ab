import { EXIT } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { RPC, RpcError } from "../kbase/rpc_error.ts";
import { signalExitCode } from "./exit_code.ts";

/** What may end a job from outside, heard from its first moment on: a signal, or a fault that nobody caught. */
export class StopSignal {
  exitCode: number | null = null;
  readonly #host: Host;
  readonly #asked = new AbortController();
  readonly #off: readonly (() => void)[];
  readonly #uncaught = Promise.withResolvers<never>();
  #name = "";

  constructor(host: Host) {
    this.#host = host;
    const off = host.signals.on((signal) => {
      this.exitCode ??= signalExitCode(signal);
      this.#name ||= signal;
      this.#asked.abort();
    });
    this.#off = [off, host.signals.onUncaught((error) => this.#uncaught.reject(error))];
  }

  get signal(): AbortSignal {
    return this.#asked.signal;
  }

  /** Tells when it is heard, also when that was before. */
  onAsked(tell: (signal: string) => void): void {
    if (this.signal.aborted) return tell(this.#name);
    this.signal.addEventListener("abort", () => tell(this.#name), { once: true });
  }

  refuseIfAsked(): void {
    if (this.signal.aborted) throw this.#error();
  }

  /** Rejects with what nobody caught: also that must not keep a job from being answered. */
  get uncaught(): Promise<never> {
    return this.#uncaught.promise;
  }

  /** Rejects when the job has had its time to stop and has not. */
  async overdue(ms: number): Promise<never> {
    await new Promise<void>((resolve) => this.onAsked(() => resolve()));
    await this.#host.clock.sleep(ms);
    throw this.#error();
  }

  close(): void {
    for (const off of this.#off) off();
  }

  #error(): RpcError {
    return new RpcError(RPC.server, `The job was cancelled: ${this.#name}`, {
      exitCode: this.exitCode ?? EXIT.terminated,
    });
  }
}
