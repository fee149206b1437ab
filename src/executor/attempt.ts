import { GlassboxError, isGlassboxError, messageOf } from "../core/errors.ts";
import { type Child, type ChildExit, type KeptOutput, spaceLeft } from "../core/host.ts";
import type { Job, JobFailure, StreamName } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import type { Task } from "../core/task.ts";
import { Recorder } from "../logs/recorder.ts";
import { insist } from "../store/insist.ts";
import { Secrets, type SecretStream } from "../logs/secrets.ts";
import { cancelTopic, type Captured } from "../store/jobs.ts";
import type { Fence, Finish } from "../store/transitions.ts";
import { AttemptDirectory, type Outcome } from "./attempt_directory.ts";
import { attemptMarker } from "./command.ts";
import type { ExecutorContext } from "./context.ts";
import { Reports } from "./reports.ts";
import { recordEnd } from "./retry.ts";
import { type Ending, start, type Started } from "./start.ts";
import { StartFailure } from "./start_failure.ts";
import { Stopper } from "./stop.ts";
import { QuietWatch } from "./quiet.ts";
import { sweepBefore } from "./sweep.ts";
import { UsageSampler } from "./usage.ts";
import { sleepAwake } from "./wake.ts";

/** A killed process group has let go of its pipes by then, on a busy machine too. */
const KILLED_MS = 200;

/**
 * One try at a claimed job, from its row to its final state. Every launch runs jobs through here, so equal jobs
 * leave equal rows, events, lines and results. Never throws for what the job did; only when nothing can be recorded.
 */
export class Attempt {
  readonly #context: ExecutorContext;
  readonly #job: Job;
  readonly #keepFor: string | null;
  readonly #fence: Fence;
  readonly #stopper: Stopper;
  readonly #directory: AttemptDirectory;
  readonly #reports: Reports;
  #unrecorded: Outcome | null = null;
  #hasInsisted = false;
  readonly #lost = new AbortController();
  readonly #secrets: Secrets;
  readonly #streams: Readonly<Record<StreamName, SecretStream>>;
  /** The child's output as long as it is kept in files. */
  #kept: KeptOutput | null = null;

  /** `keepFor` is the worker that alone may try the job again; null for any. */
  constructor(context: ExecutorContext, job: Job, worker: string, keepFor: string | null) {
    this.#context = context;
    this.#job = job;
    this.#keepFor = keepFor;
    this.#fence = { jobId: job.id, worker, epoch: job.epoch, lost: this.#lost.signal };
    this.#stopper = new Stopper(context.host.clock, job.graceMs);
    this.#directory = new AttemptDirectory(context.host.files, context.store.runDirectory, job.id, job.epoch);
    this.#secrets = context.confidential?.secretsOf(job.id) ?? Secrets.none;
    this.#streams = { stdout: this.#secrets.stream(), stderr: this.#secrets.stream() };
    this.#reports = new Reports(context, {
      fence: this.#fence,
      scratch: this.#directory.scratch,
      secrets: this.#secrets,
      onFailure: (error) => this.cannotRecord(error),
    });
  }

  /** How the job ended, when that could not be recorded, as on a full disk. */
  get unrecorded(): Outcome | null {
    return this.#unrecorded;
  }

  get jobId(): string {
    return this.#job.id;
  }

  /** Stops without recording anything: the job may belong to another worker by now. */
  fence(): void {
    this.#lost.abort();
    this.#stopper.stop("fenced");
  }

  /** Stops as nothing can be recorded any more; how it ended stays noted in the attempt's directory. */
  abandon(error: GlassboxError): void {
    this.#stopper.stop("storage", error);
    this.#stopper.insist();
  }

  /** Kills the job's processes at once instead of after the grace period. Its cancel may still be on its way to us. */
  insist(): void {
    this.#hasInsisted = true;
    this.#stopper.insist();
  }

  /** Runs to the final state. */
  async run(): Promise<void> {
    const { host, store } = this.#context;
    const startedMs = host.clock.monotonicMs();
    const recorder = new Recorder({
      clock: host.clock,
      // Only an earlier attempt can have left lines.
      firstSeq: this.#job.epoch === 1 ? 1 : await this.#insist(() => store.lines.lastSeq(this.#job.id)) + 1,
      outputBytesMax: this.#job.outputBytesMax,
      store: (captured) => store.jobs.recordOutput(this.#fence, captured),
      onStored: (bytes) => this.#release(bytes),
      onFailure: (error) => this.cannotRecord(error),
    });
    const watching = this.#watchForCancel();
    const work = new Work(recorder);
    try {
      await sweepBefore(this.#context, this.#job);
      await this.#directory.make();
      await this.#sealSecrets();
      work.ending = await this.#work(work);
    } catch (error) {
      work.ending = { failure: await this.#failureOf(error) };
    } finally {
      this.#stopper.end();
    }
    await watching;
    await this.#finish(work, recorder, host.clock.monotonicMs() - startedMs);
  }

  async #work(work: Work): Promise<Ending> {
    const task = this.#context.registry.get(this.#job.task);
    if (task === undefined) {
      return { failure: { code: "internal", message: `Cannot find task ${this.#job.task}` } };
    }
    const input = task.input.safeParse(this.#job.input);
    if (!input.success) {
      return {
        failure: { code: "invalid_input", message: "Cannot run the job as this glassbox refuses its input" },
      };
    }
    if (await this.#isCancelled()) {
      return { failure: { code: "internal", message: "stopped before it started" } };
    }
    const started = await start(this.#context, {
      job: this.#job,
      task,
      input: input.data,
      scratch: this.#directory.scratch,
      kept: this.#directory.kept,
      reports: this.#reports,
      signal: this.#stopper.signal,
      log: (stream, bytes) => work.recorder.push(stream, this.#streams[stream].push(bytes)),
    });
    void this.#stopper.deadline(this.#job.timeoutMs);
    if ("inline" in started) return await started.inline;
    return await this.#attend(started, task, work);
  }

  /** Attends a child from its start until it and its pipes have ended. */
  async #attend(started: Extract<Started, { child: Child }>, task: Task, work: Work): Promise<Ending> {
    const { child, program } = started;
    this.#kept = child.kept;
    this.#stopper.attach((signal) => child.signalGroup(signal));
    const { pid, startTicks } = child.identity;
    this.#reports.record(this.#context.store.jobs.recordStarted(this.#fence, { pid, startTicks, program }));
    const sampler = new UsageSampler(child, this.#context.host.clock);
    void sampler.run(this.#stopper.ended);
    const quiet = new QuietWatch(this.#context.host.clock);
    const tell = (silence: unknown) => this.#reports.event("silent", silence);
    void quiet.run(() => child.look(), tell, this.#stopper.ended);
    const record = (stream: StreamName, bytes: Uint8Array) => {
      quiet.heard();
      sampler.glance();
      return this.#record(work, stream, bytes);
    };
    const pipes = Promise.all([
      pump(child.stdout, (bytes) => record("stdout", bytes)),
      pump(child.stderr, (bytes) => record("stderr", bytes)),
      child.control === null ? undefined : this.#reports.read(child.control),
    ]);
    // Awaited only when the child has ended; until then a failing pipe must not count as unhandled.
    pipes.catch(() => undefined);
    work.exit = await child.exited;
    await this.#clearLeftovers(child, pipes);
    work.usage = sampler.usage;
    await this.#reports.settled();
    if (this.#stopper.reason !== null) return { failure: { code: "internal", message: "stopped" } };
    return await started.end(work.exit, task);
  }

  async #record(work: Work, stream: StreamName, bytes: Uint8Array): Promise<void> {
    await work.recorder.push(stream, this.#streams[stream].push(bytes));
    if (!work.recorder.isFull) return;
    this.#kept?.stop();
    this.#kept = null;
  }

  /** What is stored need not be kept in files as well. */
  #release(bytes: Readonly<Record<StreamName, number>>): void {
    this.#kept?.release("stdout", bytes.stdout);
    this.#kept?.release("stderr", bytes.stderr);
  }

  /** What a program leaves running may finish writing for a while; then it is killed, as nobody would ever own it. */
  async #clearLeftovers(child: Child, pipes: Promise<unknown>): Promise<void> {
    const done = new AbortController();
    const ended = pipes.finally(() => done.abort());
    ended.catch(() => undefined);
    await this.#context.host.clock.sleep(
      LIMITS.leftoverGraceMs,
      AbortSignal.any([done.signal, this.#stopper.signal]),
    );
    // What is left of a stopped job has the rest of its one grace period to end in.
    if (!done.signal.aborted && this.#stopper.reason !== null) {
      const over = AbortSignal.any([done.signal, this.#stopper.insisted]);
      await this.#context.host.clock.sleep(this.#job.graceMs, over);
    }
    if (!done.signal.aborted && this.#stopper.insisted.aborted) {
      // The group was killed an instant ago: what ends with that was no leftover.
      await sleepAwake(this.#context.host.clock, KILLED_MS, done.signal);
    }
    if (!done.signal.aborted) this.#reports.event("leftovers_killed", { afterMs: LIMITS.leftoverGraceMs });
    child.signalGroup("SIGKILL");
    // What went into a session of its own is not in the group, but carries the attempt's mark.
    if (!done.signal.aborted || this.#stopper.reason !== null) await this.#killMarked();
    if (!done.signal.aborted) child.abandonPipes();
    await ended;
  }

  async #killMarked(): Promise<void> {
    const { store, host } = this.#context;
    const marker = attemptMarker(store, this.#job.id, this.#job.epoch);
    await host.processes.killMarked(`${marker.name}=${marker.value}`);
  }

  async #finish(work: Work, recorder: Recorder, wallMs: number): Promise<void> {
    if (this.#stopper.reason === "fenced") return await this.#giveUp(recorder);
    for (const stream of ["stdout", "stderr"] as const) {
      void recorder.push(stream, this.#streams[stream].end());
    }
    // The last lines may wait long for their commit; should this process die meanwhile, its job has ended all the same.
    if (recorder.isStoring) await this.#note(work, recorder, recorder.end(), wallMs);
    const last = await recorder.close();
    await this.#reports.settled();
    const finish = await this.#note(work, recorder, last, wallMs);
    this.#unrecorded = { finish, last };
    await recordEnd(
      this.#context,
      { job: this.#job, fence: this.#fence, keepFor: this.#keepFor },
      finish,
      last,
    );
    this.#unrecorded = null;
    // What cannot be removed now goes with the whole directory some day; the job has ended well.
    await this.#directory.remove().catch(() => undefined);
  }

  /** Leaves the outcome as it stands in the attempt's directory, for whoever starts next after a crash. */
  async #note(work: Work, recorder: Recorder, last: Captured, wallMs: number): Promise<Finish> {
    const evidence = {
      exitCode: work.exit?.code ?? null,
      signal: work.exit?.signal ?? null,
      wallMs: Math.round(wallMs),
      cpuMs: work.usage.cpuMs,
      peakMemoryBytes: work.usage.peakMemoryBytes,
      ...recorder.totals,
    };
    const { droppedProgress } = this.#reports;
    const killedOnRequest = this.#hasInsisted && this.#stopper.reason === null &&
      evidence.signal === "SIGKILL";
    const verdict = this.#cleaned(this.#verdict(work));
    const finish = { ...verdict, evidence, droppedProgress, killedOnRequest } satisfies Finish;
    await this.#directory.saveOutcome(finish, last).catch(() => undefined);
    return finish;
  }

  async #sealSecrets(): Promise<void> {
    if (this.#secrets.isEmpty) return;
    // Loaded only here, as most jobs have nothing to hide.
    const { seal } = await import("../logs/sealed_secrets.ts");
    await this.#directory.saveSeal(seal(this.#secrets.bytes, this.#context.host.random.bytes(16)));
  }

  #cleaned(verdict: Pick<Finish, "state" | "resultJson" | "failure">): typeof verdict {
    const { state, resultJson, failure } = verdict;
    const safe = resultJson === null ? null : this.#secrets.text(resultJson);
    return { state, resultJson: safe, failure: this.#secrets.json(failure) };
  }

  /** The final state: a stop from outside outweighs how the work ended, unless the work had ended before it. */
  #verdict(work: Work): Pick<Finish, "state" | "resultJson" | "failure"> {
    const ending = work.ending;
    if (this.#stopper.reason === "cancel") return { state: "cancelled", resultJson: null, failure: null };
    if (this.#stopper.reason === "timeout") {
      const message = `The job was stopped as it ran longer than its timeout of ${this.#job.timeoutMs} ms`;
      return { state: "failed", resultJson: null, failure: { code: "timeout", message } };
    }
    if (this.#stopper.reason === "storage") {
      return { state: "failed", resultJson: null, failure: failureOf(this.#stopper.cause) };
    }
    if ("failure" in ending) return { state: "failed", resultJson: null, failure: ending.failure };
    return { state: "completed", resultJson: JSON.stringify(ending.result), failure: null };
  }

  /** The job belongs to someone else now: nothing more may be written about this attempt. */
  async #giveUp(recorder: Recorder): Promise<void> {
    await recorder.close();
    await this.#directory.remove();
  }

  async #watchForCancel(): Promise<void> {
    const subscription = this.#context.store.changes.subscribe(cancelTopic(this.#job.id));
    try {
      while (!this.#stopper.ended.aborted) {
        subscription.reset();
        if (await this.#isCancelled()) return;
        await subscription.next(this.#stopper.ended);
      }
    } catch (error) {
      if (!this.#stopper.ended.aborted) this.cannotRecord(error);
    } finally {
      subscription.close();
    }
  }

  async #isCancelled(): Promise<boolean> {
    const job = await this.#insist(() => this.#context.store.jobs.find(this.#job.id));
    if (job?.cancel) this.#stopper.stop("cancel");
    return this.#stopper.reason !== null;
  }

  /** A full disk is named, with what is left of it. */
  async #failureOf(error: unknown): Promise<JobFailure> {
    if (codeOf(error) !== "ENOSPC") return failureOf(error);
    const { host: { files }, store } = this.#context;
    const space = await files.space(store.runDirectory);
    const left = space === null ? "" : ` (${spaceLeft(space)})`;
    const message = `Cannot run the job as the disk of ${this.#directory.scratch} is full${left}`;
    return { code: "storage_full", message };
  }

  /** A server that is away for a while must not end a job: it is asked again as long as the job is ours. */
  #insist<T>(read: () => Promise<T>): Promise<T> {
    return insist(this.#context.host, AbortSignal.any([this.#lost.signal, this.#stopper.ended]), read);
  }

  /** Stops the job, as nothing more can be recorded of it. */
  cannotRecord(error: unknown): void {
    this.#stopper.stop(isGlassboxError(error, "fenced") ? "fenced" : "storage", error);
  }
}

/** What is known of the work so far; kept outside it, so that an exception loses nothing. */
class Work {
  ending: Ending = { failure: { code: "internal", message: "The attempt ended without an outcome" } };
  exit: ChildExit | null = null;
  usage: { peakMemoryBytes: number | null; cpuMs: number | null } = { peakMemoryBytes: null, cpuMs: null };

  constructor(readonly recorder: Recorder) {}
}

async function pump(
  pieces: AsyncIterable<Uint8Array>,
  push: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  for await (const piece of pieces) await push(piece);
}

/** An error met while running a job, as the failure its row shows. */
export function failureOf(error: unknown): JobFailure {
  if (error instanceof StartFailure) return { code: error.code, message: error.message };
  if (isGlassboxError(error, "storage_full")) return { code: "storage_full", message: error.message };
  if (error instanceof GlassboxError) return { code: "internal", message: error.message };
  const code = codeOf(error);
  if (code === "EMFILE" || code === "ENFILE") {
    return { code: "start_failed", message: `Cannot run the job as too many files are open (${code})` };
  }
  return { code: "internal", message: `Cannot run the job: ${messageOf(error)}` };
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code ?? "");
}
