import type { Host } from "../core/host.ts";
import type { LogLine, StreamName } from "../core/job.ts";
import type { News } from "../logs/follow.ts";
import type { Shown } from "./job_output.ts";

/**
 * Passes a job's lines on as KBase's runner needs them: valid UTF-8, each in one write of its own. A byte that is
 * none would end the runner's reading. Unfinished text waits for its end, as the runner takes whole lines only;
 * and a runner that reads no more does not stop the job.
 */
export class KbaseOutput implements Shown {
  readonly stdoutError = null;
  readonly #host: Host;
  readonly #decoders: Record<StreamName, TextDecoder> = {
    stdout: new TextDecoder(),
    stderr: new TextDecoder(),
  };

  constructor(host: Host) {
    this.#host = host;
  }

  async show(news: News): Promise<void> {
    for (const line of news.lines) await this.#line(line);
  }

  endLine(): Promise<void> {
    return Promise.resolve();
  }

  async #line({ stream, bytes, end }: LogLine): Promise<void> {
    // A line that was cut for its length may have been cut inside a character.
    const text = this.#decoders[stream].decode(bytes, { stream: end === "cut" });
    await this.#host.terminal[stream].write(end === "cut" ? text : `${text}\n`).catch(() => undefined);
  }
}
