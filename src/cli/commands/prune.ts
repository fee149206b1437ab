import { parseDuration } from "../../config/duration.ts";
import { EXIT, GlassboxError, quoted } from "../../core/errors.ts";
import { FINAL_STATES, type JobState } from "../../core/job.ts";
import { prune, type Pruned } from "../../executor/retention.ts";
import type { PruneFilter } from "../../store/retention.ts";
import { type Cli, type GlobalFlags, type Session, withSession } from "../session.ts";
import { wholeNumber, writeJson } from "./run.ts";

export interface PruneFlags extends GlobalFlags {
  readonly olderThan?: string | undefined;
  readonly keep?: string | undefined;
  readonly state?: readonly string[] | undefined;
  readonly dryRun?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** `glassbox jobs prune`: deletes final jobs with all they left. */
export function jobsPrune(cli: Cli, flags: PruneFlags): Promise<number> {
  const ageMs = flags.olderThan === undefined ? undefined : parseDuration(flags.olderThan, "--older-than");
  const filter: PruneFilter = {
    ...(ageMs === undefined ? {} : { finishedBeforeMs: cli.host.clock.nowMs() - ageMs }),
    ...(flags.keep === undefined ? {} : { keep: demandKeep(flags.keep) }),
    ...(flags.state === undefined
      ? {}
      : { states: flags.state.flatMap((text) => text.split(",")).map(demandFinal) }),
  };
  if (Object.keys(filter).length === 0) {
    throw new GlassboxError(
      "usage",
      "Cannot prune as at least one of --older-than, --keep and --state must say which jobs may go",
    );
  }
  return withSession(cli, flags, async (session) => {
    const dryRun = flags.dryRun ?? false;
    const left = new AbortController();
    const off = cli.host.signals.on(() => left.abort());
    const pruned = await prune(session, filter, { dryRun, signal: left.signal }).finally(off);
    const freeBytes = await session.store.retention.freeBytes();
    if (flags.json) await writeJson(cli.host, { ...pruned, dryRun, freeBytes });
    await session.talk.say(`${dryRun ? "would delete" : "deleted"} ${prunedText(pruned)}`);
    if (!dryRun && freeBytes > 0) await sayFree(session, freeBytes);
    return left.signal.aborted ? EXIT.interrupted : EXIT.completed;
  });
}

export function prunedText({ jobs, bytes }: Pruned): string {
  return `${jobs} ${jobs === 1 ? "job" : "jobs"} with ${bytes} bytes`;
}

async function sayFree({ talk }: Session, freeBytes: number): Promise<void> {
  await talk.say(`${freeBytes} bytes inside the file are free: they are used again before it grows`);
}

function demandKeep(text: string): number {
  const keep = wholeNumber("--keep", text);
  if (keep >= 0) return keep;
  throw new GlassboxError("usage", `Cannot use --keep ${text} as it must be 0 or more`);
}

function demandFinal(text: string): JobState {
  const state = FINAL_STATES.find((known) => known === text);
  if (state !== undefined) return state;
  throw new GlassboxError(
    "usage",
    `Cannot use --state ${quoted(text)} as it must be one of ${
      FINAL_STATES.join(", ")
    }: only final jobs are deleted`,
  );
}
