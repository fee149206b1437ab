import { EXIT } from "../core/errors.ts";
import type { Attempt, FailureCode, Job } from "../core/job.ts";

/** Numbers of the signals that end programs, as on Linux and macOS. */
const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGXCPU: 24,
  SIGXFSZ: 25,
};

export function signalExitCode(signal: string): number {
  return 128 + (SIGNALS[signal] ?? 0);
}

const FAILURES: Partial<Record<FailureCode, number>> = {
  timeout: EXIT.timeout,
  program_not_found: EXIT.unavailable,
  program_not_executable: EXIT.denied,
  start_failed: EXIT.unavailable,
  storage_full: EXIT.io,
  internal: EXIT.software,
};

/** What a final job means as an exit code: for a program, its own code, or 128 plus the signal that ended it. */
export function jobExitCode(job: Job, attempt: Attempt | undefined): number {
  if (job.state === "completed") return EXIT.completed;
  if (job.failure === null) return EXIT.failed;
  const evidence = attempt?.evidence;
  if (job.failure.code === "program_failed") return evidence?.exitCode ?? EXIT.failed;
  if (job.failure.code === "program_signalled" && evidence?.signal) return signalExitCode(evidence.signal);
  if (job.failure.code === "out_of_memory") return signalExitCode("SIGKILL");
  return FAILURES[job.failure.code] ?? EXIT.failed;
}
