import type { Violation } from "../../verify/check.ts";
import type { VerifyReport, VerifyStep } from "../../verify/verify.ts";
import { ProgressLine } from "../progress_line.ts";
import type { Cli } from "../session.ts";
import type { Talk } from "../talk.ts";

/** What a reader of the database says: `total`, about how many jobs there are, once; `done` last. */
export type ReaderMessage = VerifyStep | { readonly total: number } | { readonly done: true };

const JOBS_PER_PICTURE = 200;

/** What was found so far, and how far that is, shown at the bottom of a terminal. */
export class Findings implements VerifyReport {
  readonly violations: Violation[] = [];
  jobs = 0;
  #total = 0;
  readonly #progress: ProgressLine;

  constructor({ host }: Cli, talk: Talk) {
    this.#progress = new ProgressLine(host.terminal.stderr, talk.style, !talk.isQuiet && !talk.isJson);
  }

  async hear(message: ReaderMessage): Promise<void> {
    if ("violation" in message) this.violations.push(message.violation);
    else if ("total" in message) this.#total = Math.max(this.#total, message.total);
    else if ("reading" in message && message.reading !== null) {
      if (this.jobs++ % JOBS_PER_PICTURE === 0) await this.#show();
    }
  }

  /** Ends the showing of progress, or makes room for a line of text before it goes on. */
  hide(): Promise<void> {
    return this.#progress.clear();
  }

  async #show(): Promise<void> {
    const total = Math.max(1, this.#total, this.jobs);
    await this.#progress.show(this.jobs / total, `${this.jobs} of ${total} jobs`, false);
  }
}
