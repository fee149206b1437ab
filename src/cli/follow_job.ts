import { formatDuration } from "../config/duration.ts";
import { EXIT, GlassboxError } from "../core/errors.ts";
import type { Attempt, Job, JobEvent, JobFailure } from "../core/job.ts";
import { follow } from "../logs/follow.ts";
import type { Worker } from "../executor/worker.ts";
import { EarlySignals, type StoppingSignal } from "./early_signals.ts";
import { jobExitCode } from "./exit_code.ts";
import { JobOutput, type Shown } from "./job_output.ts";
import type { OutputError } from "./output_error.ts";
import { ProgressLine } from "./progress_line.ts";
import type { Session } from "./session.ts";
import { stateText } from "./style.ts";

export interface FollowRequest {
  readonly jobId: string;
  /** Keep standard output for data: the job's own goes to standard error. */
  readonly toStderr: boolean;
  /** The worker of this process that runs the job, to be hurried when the user insists; null when it runs elsewhere. */
  readonly worker: Worker | null;
  /** The error that kept the job's end from being recorded, or null; then there is nothing more to wait for. */
  readonly done: Promise<GlassboxError | null>;
  /** Hears signals since before the job was submitted; closed in the end. None where somebody else heard those. */
  readonly signals?: EarlySignals;
  /** Shows it otherwise than passing it through. */
  readonly output?: Shown;
}

/**
 * Shows a job until it is final and gives the exit code it means. Ctrl-C and a closed standard output cancel the
 * job when it is ours to run; a second Ctrl-C kills it without its grace period.
 */
export async function followJob(
  session: Session,
  request: FollowRequest,
): Promise<{ job: Job; exitCode: number }> {
  const { host, store, talk } = session;
  const interrupt = new Interruption(session, request);
  const progress = new ProgressLine(host.terminal.stderr, talk.style, !talk.isQuiet && !talk.isJson);
  const output = request.output ?? new JobOutput(host, progress, {
    toStderr: request.toStderr,
    onStdoutError: (error) => interrupt.outputFailed(error),
  });
  const signals = request.signals ?? new EarlySignals(host.signals, () => undefined);
  signals.handle((signal) => interrupt.signalled(signal));
  void request.done.then((error) => error === null || interrupt.leave());
  try {
    const watch = { afterLine: 0, afterEvent: 0, live: true, signal: interrupt.left };
    for await (const news of follow(store, request.jobId, watch)) {
      await output.show(news);
      for (const event of news.events) await sayRetry(session, event);
    }
  } finally {
    signals.close();
    await progress.clear();
    await output.endLine();
  }
  await interrupt.settled;
  const unrecorded = interrupt.left.aborted ? await request.done : null;
  if (unrecorded !== null) throw unrecorded;
  const job = await store.jobs.get(request.jobId);
  const attempt = (await store.jobs.attempts(request.jobId)).at(-1);
  return { job, exitCode: interrupt.exitCode ?? output.stdoutError?.exitCode ?? jobExitCode(job, attempt) };
}

/** Between two attempts nothing is seen of the job, so what is waited for is said. */
async function sayRetry({ talk }: Session, event: JobEvent): Promise<void> {
  if (event.kind !== "retry_scheduled") return;
  const { failure, delayMs } = event.data as { failure: JobFailure; delayMs: number };
  await talk.say(`attempt ${event.epoch} failed (${failure.message}); again in ${formatDuration(delayMs)}`, {
    job: event.job,
    retry: event.data,
  });
}

/** What ends a watch before the job does by itself, and the exit code that then tells it. */
class Interruption {
  exitCode: number | null = null;
  settled: Promise<unknown> = Promise.resolve();
  #session: Session;
  #request: FollowRequest;
  #left = new AbortController();
  #asked = false;

  constructor(session: Session, request: FollowRequest) {
    this.#session = session;
    this.#request = request;
  }

  /** Aborts when the watch is to end although the job goes on elsewhere. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  leave(): void {
    this.#left.abort();
  }

  signalled(signal: StoppingSignal): void {
    this.exitCode ??= { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated, SIGHUP: 129 }[signal];
    if (this.#asked) return this.#request.worker?.insist();
    this.#stop(signal);
  }

  outputFailed(error: OutputError): void {
    if (!error.isSilent) {
      const text = `${error.message}: its lines are kept for \`glassbox jobs logs ${this.#request.jobId}\``;
      return void this.#session.talk.error(new GlassboxError(error.code, text));
    }
    // Whoever closed our standard output wants no more of the job.
    if (!this.#asked) this.#stop("standard output was closed");
  }

  #stop(reason: string): void {
    this.#asked = true;
    const { worker, jobId } = this.#request;
    // A job of another process is not ours to end: only the watching ends.
    if (worker === null) return this.leave();
    const cancelled = this.#session.store.jobs.cancel(jobId, "command line", reason);
    this.settled = cancelled.catch(() => undefined);
    void this.#session.talk.say(`stopping job ${jobId} (${reason}); again to kill it at once`);
  }
}

/** The closing remark: how the job ended and where to read more. */
export async function sayOutcome(session: Session, job: Job): Promise<void> {
  const { store, talk } = session;
  const attempt: Attempt | undefined = (await store.jobs.attempts(job.id)).at(-1);
  const evidence = attempt?.evidence;
  const parts = [`job ${job.id} ${stateText(talk.style, job.state)}`];
  if (evidence) parts.push(`in ${formatDuration(evidence.wallMs)}`);
  if (evidence && evidence.exitCode !== null) parts.push(`· exit ${evidence.exitCode}`);
  if (evidence?.signal) parts.push(`· ${evidence.signal}`);
  if (evidence) parts.push(`· ${evidence.lineCount} ${evidence.lineCount === 1 ? "line" : "lines"}`);
  const artifacts = await store.artifacts.list(job.id);
  if (artifacts.length > 0) {
    parts.push(`· artifacts: ${artifacts.map((artifact) => artifact.name).join(", ")}`);
  }
  await talk.say(parts.join(" "), { job: job.id, state: job.state });
  // What a program means by its own exit code is for the program to say.
  if (job.failure !== null && job.failure.code !== "program_failed") await talk.failure(job.failure);
  if (evidence && evidence.droppedLines > 0) {
    await talk.say(
      `${evidence.droppedLines} lines (${evidence.droppedBytes} bytes) above the output bound were dropped`,
    );
  }
}
