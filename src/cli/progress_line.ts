import { displayCut } from "../core/display.ts";
import type { Output } from "../core/host.ts";
import type { Style } from "./style.ts";

const BAR_COLUMNS = 24;

/** One line at the bottom of a terminal that tells how far the job is; nothing at all where there is no terminal. */
export class ProgressLine {
  #output: Output;
  #style: Style;
  #visible = false;
  #enabled: boolean;

  constructor(output: Output, style: Style, enabled: boolean) {
    this.#output = output;
    this.#style = style;
    this.#enabled = enabled && output.isTerminal;
  }

  /** `midLine` says that the cursor stands behind unfinished text, which must not be painted over. */
  async show(fraction: number, message: string, midLine: boolean): Promise<void> {
    if (!this.#enabled || midLine) return;
    const filled = Math.round(fraction * BAR_COLUMNS);
    const bar = `${"━".repeat(filled)}${this.#style.dim("━".repeat(BAR_COLUMNS - filled))}`;
    const percent = `${Math.floor(fraction * 100)}%`.padStart(4);
    const room = Math.max(0, this.#output.columns - BAR_COLUMNS - percent.length - 3);
    this.#visible = true;
    await this.#paint(
      `\r\x1b[2K${this.#style.enabled ? bar : `[${"#".repeat(filled).padEnd(BAR_COLUMNS)}]`}${percent} ${
        displayCut(message, room)
      }`,
    );
  }

  async clear(): Promise<void> {
    if (!this.#visible) return;
    this.#visible = false;
    await this.#paint("\r\x1b[2K");
  }

  async #paint(text: string): Promise<void> {
    await this.#output.write(text).catch(() => undefined);
  }
}
