import { EXIT } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { RPC, RpcError } from "../kbase/rpc_error.ts";
import { signalExitCode } from "./exit_code.ts";

/** A request to stop this process, heard from its first moment on. */
export class StopSignal {
  exitCode: number | null = null;
  readonly #host: Host;
  readonly #asked = new AbortController();
  readonly #off: () => void;
  #name = "";

  constructor(host: Host) {
    this.#host = host;
    this.#off = host.signals.on((signal) => {
      this.exitCode ??= signalExitCode(signal);
      this.#name ||= signal;
      this.#asked.abort();
    });
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

  /** Rejects when the job has had its time to stop and has not. */
  async overdue(ms: number): Promise<never> {
    await new Promise<void>((resolve) => this.onAsked(() => resolve()));
    await this.#host.clock.sleep(ms);
    throw this.#error();
  }

  close(): void {
    this.#off();
  }

  #error(): RpcError {
    return new RpcError(RPC.server, `The job was cancelled: ${this.#name}`, {
      exitCode: this.exitCode ?? EXIT.terminated,
    });
  }
}
