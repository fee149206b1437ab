import type { JobState } from "../core/job.ts";
import { isFinal } from "../core/job.ts";
import type { Violation } from "./check.ts";

/** What a client was told, as a test rig wrote it down: the acknowledgements that must never be taken back. */
export type Told =
  /** A job id was given: 201, a printed id. */
  | { readonly kind: "submitted"; readonly job: string; readonly key?: string }
  /** A final state was given: an exit code, an `end` message, a document. */
  | { readonly kind: "ended"; readonly job: string; readonly state: JobState }
  /** A line was shown with its number. */
  | { readonly kind: "line"; readonly job: string; readonly seq: number; readonly sha256: string }
  /** An effect outside glassbox, counted by the job itself. */
  | { readonly kind: "effect"; readonly job: string; readonly epoch: number };

/** What the database says of a job now. */
export interface JobFact {
  readonly state: JobState;
  readonly key: string | null;
  readonly maxAttempts: number;
  /** SHA-256 of a line's bytes by its number; null when there is no such line. */
  readonly lineSha256: (seq: number) => string | null;
}

/** Holds everything that was told against the database: I1, I2, I5, I6. */
export function checkHistory(told: readonly Told[], find: (job: string) => JobFact | null): Violation[] {
  const violations: Violation[] = [];
  const effects = new Map<string, number>();
  const keys = new Map<string, string>();
  for (const word of told) {
    const report = (invariant: string, message: string) =>
      violations.push({ invariant, job: word.job, message });
    const fact = find(word.job);
    if (fact === null) {
      report("I2", `was acknowledged (${word.kind}) but is not there`);
      continue;
    }
    if (word.kind === "submitted" && word.key !== undefined) {
      const other = keys.get(word.key);
      if (other !== undefined && other !== word.job) report("I5", `has the key of job ${other}`);
      keys.set(word.key, word.job);
    }
    if (word.kind === "ended" && (!isFinal(fact.state) || fact.state !== word.state)) {
      report("I1", `was told to be ${word.state} and is ${fact.state}`);
    }
    if (word.kind === "line" && fact.lineSha256(word.seq) !== word.sha256) {
      report("I6", `showed line ${word.seq}, which is now another or none`);
    }
    if (word.kind === "effect") {
      const id = `${word.job} ${word.epoch}`;
      effects.set(id, (effects.get(id) ?? 0) + 1);
      if (effects.get(id)! > 1) {
        report("I5", `had its effect ${effects.get(id)} times in attempt ${word.epoch}`);
      }
    }
  }
  return [...violations, ...checkEffects(effects, find)];
}

/** I5: a job that may be tried once has its effect at most once. */
function checkEffects(
  effects: ReadonlyMap<string, number>,
  find: (job: string) => JobFact | null,
): Violation[] {
  const attempts = new Map<string, number>();
  for (const id of effects.keys()) {
    const job = id.split(" ")[0]!;
    attempts.set(job, (attempts.get(job) ?? 0) + 1);
  }
  return [...attempts].filter(([job, count]) => count > (find(job)?.maxAttempts ?? Infinity)).map((
    [job, count],
  ) => ({
    invariant: "I5",
    job,
    message: `had its effect in ${count} attempts, but may be tried ${find(job)!.maxAttempts} times`,
  }));
}
