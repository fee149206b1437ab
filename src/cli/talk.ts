import { displayText, jsonLine } from "../core/display.ts";
import type { GlassboxError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { JobFailure } from "../core/job.ts";
import type { Style } from "./style.ts";

/**
 * Everything glassbox says about itself: on standard error, one line each, as text or JSON. A standard error that
 * nobody reads any more never stops a job.
 */
export class Talk {
  #host: Host;
  #style: Style;
  #json: boolean;
  #quiet: boolean;

  constructor(host: Host, style: Style, options: { json: boolean; quiet: boolean }) {
    this.#host = host;
    this.#style = style;
    this.#json = options.json;
    this.#quiet = options.quiet;
  }

  get style(): Style {
    return this.#style;
  }

  get isJson(): boolean {
    return this.#json;
  }

  get isQuiet(): boolean {
    return this.#quiet;
  }

  /** A remark; `--quiet` silences it. `facts` is what the JSON form holds beside the text. */
  async say(text: string, facts: Record<string, unknown> = {}): Promise<void> {
    if (this.#quiet) return;
    await this.#write(this.#json ? jsonLine({ level: "info", message: text, ...facts }) : text);
  }

  /** An error; always said. */
  async error(error: GlassboxError): Promise<void> {
    await this.#complain(error.message, { code: error.code, errors: error.fields, exit: error.exitCode });
  }

  /** Why a job failed; always said. */
  async failure(failure: JobFailure): Promise<void> {
    await this.#complain(failure.message, { code: failure.code, errors: failure.fields ?? [] });
  }

  async #complain(text: string, facts: Record<string, unknown>): Promise<void> {
    const message = displayText(text.replaceAll("\n", " "));
    await this.#write(
      this.#json
        ? jsonLine({ level: "error", message, ...facts })
        : `${this.#style.red("glassbox:")} ${message}`,
    );
  }

  async #write(line: string): Promise<void> {
    await this.#host.terminal.stderr.write(`${line}\n`).catch(() => undefined);
  }
}
