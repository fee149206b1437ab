import { isGlassboxError } from "../core/errors.ts";
import type { Random } from "../core/host.ts";
import type { FailureCode, Job } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import { streamBytes } from "../logs/frames.ts";
import type { Captured } from "../store/jobs.ts";
import type { Fence, Finish } from "../store/transitions.ts";
import type { ExecutorContext } from "./context.ts";
import { spendReserve } from "./reserve.ts";

/** Trying again cannot help: the same request would meet the same refusal. */
const HOPELESS: readonly FailureCode[] = ["invalid_input", "bad_output", "output_too_large"];

/** The jitter spreads what failed together: each pause is between 0.8 and 1.2 of its nominal length. */
const JITTER = 0.2;

/** The pause before the attempt that follows attempt `epoch`: doubled each time, bounded, and jittered. */
export function backoffDelayMs(random: Random, backoffMs: number, epoch: number): number {
  const nominal = Math.min(backoffMs * 2 ** (epoch - 1), LIMITS.backoffMsMax);
  const [high, low] = random.bytes(2) as Uint8Array & [number, number];
  const unit = (high * 256 + low) / 65_535;
  return Math.round(nominal * (1 - JITTER + 2 * JITTER * unit));
}

/** True when a failing attempt is to be followed by another. */
export function mayRetry(job: Job, finish: Finish): boolean {
  if (finish.state !== "failed" || finish.failure === null) return false;
  const hopeless = finish.failure.permanent === true || HOPELESS.includes(finish.failure.code);
  return job.epoch < job.maxAttempts && !hopeless;
}

/** Who ends, and who may try again: `keepFor` is the only worker that may, null stands for any. */
export interface Ended {
  readonly job: Job;
  readonly fence: Fence;
  readonly keepFor: string | null;
}

/**
 * Records how an attempt ended: another one to come, or the job's final state. On a full disk with the reserve; and where
 * the last output is larger than that, without it, counted as dropped: a job whose end nobody records would never end.
 */
export async function recordEnd(
  context: ExecutorContext,
  ended: Ended,
  finish: Finish,
  last: Captured,
): Promise<void> {
  try {
    await recordOnce(context, ended, finish, last);
  } catch (error) {
    if (!isGlassboxError(error, "storage_full") || !await spendReserve(context)) throw error;
    try {
      await recordOnce(context, ended, finish, last);
    } catch (again) {
      if (!isGlassboxError(again, "storage_full") || finish.evidence === null) throw again;
      await recordOnce(context, ended, withoutOutput(finish, last), { ...last, chunks: [] });
    }
  }
}

function withoutOutput(finish: Finish, { chunks }: Captured): Finish {
  const evidence = finish.evidence!;
  const lines = chunks.reduce((sum, { firstSeq, lastSeq }) => sum + lastSeq - firstSeq + 1, 0);
  const bytes = chunks.map(({ frames }) => streamBytes(frames)).reduce(
    (sum, { stdout, stderr }) => sum + stdout + stderr,
    0,
  );
  return {
    ...finish,
    evidence: {
      ...evidence,
      lineCount: evidence.lineCount - lines,
      outputBytes: evidence.outputBytes - bytes,
      droppedLines: evidence.droppedLines + lines,
      droppedBytes: evidence.droppedBytes + bytes,
    },
  };
}

async function recordOnce(
  context: ExecutorContext,
  ended: Ended,
  finish: Finish,
  last: Captured,
): Promise<void> {
  const { host, store } = context;
  const { job, fence, keepFor } = ended;
  if (!mayRetry(job, finish)) return await finishForGood(context, fence, finish, last);
  const { evidence, droppedProgress = 0, failure } = finish;
  const delayMs = backoffDelayMs(host.random, job.backoffMs, job.epoch);
  const retry = { evidence, droppedProgress, failure: failure!, delayMs, reservedFor: keepFor };
  await store.jobs.retry(fence, retry, last);
}

/** A server may refuse a row that an embedded file would take; the job must end all the same, and say why. */
async function finishForGood(
  { store }: ExecutorContext,
  fence: Fence,
  finish: Finish,
  last: Captured,
): Promise<void> {
  try {
    await store.jobs.finish(fence, finish, last);
  } catch (error) {
    if (!isGlassboxError(error, "too_large") || finish.resultJson === null) throw error;
    const failure = { code: "output_too_large", message: error.message } as const;
    await store.jobs.finish(fence, { ...finish, state: "failed", resultJson: null, failure }, last);
  }
}
