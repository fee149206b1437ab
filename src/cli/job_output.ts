import type { Host, Output } from "../core/host.ts";
import type { JobEvent, LogLine, PartialLine, StreamName } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import type { News } from "../logs/follow.ts";
import { OutputError } from "./output_error.ts";
import type { ProgressLine } from "./progress_line.ts";

const LF = 10;
const NEWLINE = Uint8Array.of(LF);

/** Where a followed job is shown. */
export interface Shown {
  /** Why our standard output takes no more, or null. */
  readonly stdoutError: OutputError | null;
  show(news: News): Promise<void>;
  /** Brings a terminal's cursor to the start of a line, so that what is said next stands for itself. */
  endLine(): Promise<void>;
}

/**
 * Passes a job's output through to the terminal, byte for byte, stream to stream. Unfinished text is shown at
 * once and completed later. When one of our streams fails the other goes on.
 */
export class JobOutput implements Shown {
  #outputs: Record<StreamName, Output>;
  /** Bytes of the present line that were shown before it was finished. */
  #shown: Record<StreamName, number> = { stdout: 0, stderr: 0 };
  #failed = new Set<StreamName>();
  #stdoutError: OutputError | null = null;
  /** Where a terminal's cursor was left behind text without a newline. */
  #midLine: Output | null = null;
  #progress: ProgressLine;
  #onStdoutError: (error: OutputError) => void;

  /** `toStderr` keeps standard output free for data. A standard error that fails stops nothing and is not told. */
  constructor(
    host: Host,
    progress: ProgressLine,
    options: { toStderr: boolean; onStdoutError: (error: OutputError) => void },
  ) {
    const { stdout, stderr } = host.terminal;
    this.#outputs = { stdout: options.toStderr ? stderr : stdout, stderr };
    this.#progress = progress;
    this.#onStdoutError = options.onStdoutError;
  }

  get stdoutError(): OutputError | null {
    return this.#stdoutError;
  }

  async show(news: News): Promise<void> {
    if (news.lines.length > 0 || (news.partials?.length ?? 0) > 0) await this.#progress.clear();
    for (const run of runsOf(news.lines)) await this.#write(run.stream, this.#bytesOf(run.stream, run.lines));
    for (const partial of news.partials ?? []) await this.#showPartial(partial);
    for (const event of news.events) await this.#showProgress(event);
  }

  async endLine(): Promise<void> {
    await this.#midLine?.write(NEWLINE).catch(() => undefined);
    this.#midLine = null;
  }

  #bytesOf(stream: StreamName, lines: readonly LogLine[]): Uint8Array {
    const whole = new Uint8Array(lines.reduce((sum, line) => sum + line.bytes.length + 1, 0));
    let at = 0;
    for (const line of lines) {
      const bytes = this.#shown[stream] === 0 ? line.bytes : line.bytes.subarray(this.#shown[stream]);
      this.#shown[stream] = 0;
      whole.set(bytes, at);
      at += bytes.length;
      if (line.end === "newline") whole[at++] = LF;
    }
    return whole.subarray(0, at);
  }

  async #showPartial({ stream, bytes }: PartialLine): Promise<void> {
    const shown = this.#shown[stream];
    if (bytes.length <= shown) return;
    this.#shown[stream] = bytes.length;
    await this.#write(stream, bytes.subarray(shown));
  }

  async #showProgress(event: JobEvent): Promise<void> {
    if (event.kind !== "progress") return;
    const { fraction, message } = event.data as { fraction: number; message?: string };
    await this.#progress.show(fraction, message ?? "", this.#shown.stdout + this.#shown.stderr > 0);
  }

  async #write(stream: StreamName, bytes: Uint8Array): Promise<void> {
    if (this.#failed.has(stream) || bytes.length === 0) return;
    const output = this.#outputs[stream];
    if (output.isTerminal) this.#midLine = bytes.at(-1) === 10 ? null : output;
    try {
      await output.write(bytes);
    } catch (error) {
      this.#failed.add(stream);
      if (!(error instanceof OutputError)) return;
      this.#stdoutError = error;
      this.#onStdoutError(error);
    }
  }
}

/** Neighbouring lines of one stream, to be written together. */
function* runsOf(lines: readonly LogLine[]): Generator<{ stream: StreamName; lines: LogLine[] }> {
  let run: LogLine[] = [];
  let bytes = 0;
  for (const line of lines) {
    const first = run[0];
    if (first !== undefined && (first.stream !== line.stream || bytes > LIMITS.chunkBytesMax)) {
      yield { stream: first.stream, lines: run };
      run = [];
      bytes = 0;
    }
    run.push(line);
    bytes += line.bytes.length + 1;
  }
  if (run[0] !== undefined) yield { stream: run[0].stream, lines: run };
}
