/** Jobs of the launch-parity suite about how a job ends. The long ones first, so that others run beside them. */
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { COMPLETED, failed, type ParityJob, shell, told } from "./job.ts";

/** Long enough for a shell to have begun, also where the machine is busy. */
const TIMEOUT_MS = 3_000;
const TERM_IGNORED = 'trap "" TERM; echo ready; while :; do sleep 1; done';

const signalled = (signal: string, number: number) =>
  ({ state: "failed", failure: "program_signalled", exit: 128 + number, exitCode: null, signal }) as const;
const neverStarted = (failure: string, exit: number) =>
  ({ state: "failed", failure, exit, exitCode: null, events: ["submitted", "claimed", "finished"] }) as const;
const cancelled = { state: "cancelled", exit: 1, exitCode: null } as const;

export const ENDINGS: readonly ParityJob[] = [
  {
    name: "leaves a process behind that holds its output",
    program: shell("sleep 60 & echo done"),
    expect: {
      ...COMPLETED,
      stdout: "done\n",
      events: told(["leftovers_killed", { afterMs: 5000 }], "finished"),
    },
  },
  {
    name: "runs into its timeout",
    program: shell("echo begun; exec sleep 60"),
    timeoutMs: TIMEOUT_MS,
    expect: {
      state: "failed",
      failure: "timeout",
      message: /timeout of 3000 ms$/,
      exit: 124,
      exitCode: null,
      signal: "SIGTERM",
      stdout: "begun\n",
    },
  },
  {
    name: "runs into its timeout and ignores TERM",
    program: shell(TERM_IGNORED),
    timeoutMs: TIMEOUT_MS,
    graceMs: 200,
    expect: {
      state: "failed",
      failure: "timeout",
      exit: 124,
      exitCode: null,
      signal: "SIGKILL",
      stdout: "ready\n",
    },
  },
  { name: "exits with 0", program: ["true"], expect: COMPLETED },
  {
    name: "exits with 3",
    program: shell("echo out; echo err >&2; exit 3"),
    expect: { ...failed(3), stdout: "out\n", stderr: "err\n" },
  },
  { name: "exits with 255", program: shell("exit 255"), expect: failed(255) },
  {
    name: "is killed by a signal",
    program: shell("echo before; kill -9 $$"),
    expect: { ...signalled("SIGKILL", 9), stdout: "before\n" },
  },
  { name: "ends itself with TERM", program: shell("kill -TERM $$"), expect: signalled("SIGTERM", 15) },
  {
    name: "is cancelled while it runs",
    program: shell("echo ready; exec sleep 60"),
    act: "cancel",
    expect: {
      ...cancelled,
      signal: "SIGTERM",
      stdout: "ready\n",
      events: told("cancel_requested", "finished"),
    },
  },
  {
    name: "is cancelled and ends well",
    // Until it is sleep(1), what was forked is a shell that may take TERM for its parent's and lose it.
    program: shell(
      'trap "echo bye; exit 0" TERM; sleep 60 & ' +
        'until read -r name < /proc/$!/comm && [ "$name" = sleep ]; do :; done; echo ready; wait',
    ),
    act: "cancel",
    expect: {
      ...cancelled,
      exitCode: 0,
      stdout: "ready\nbye\n",
      events: told("cancel_requested", "finished"),
    },
  },
  {
    name: "is cancelled and ignores TERM",
    program: shell(TERM_IGNORED),
    graceMs: 200,
    act: "cancel",
    expect: {
      ...cancelled,
      signal: "SIGKILL",
      stdout: "ready\n",
      events: told("cancel_requested", "finished"),
    },
  },
  {
    name: "is interrupted",
    program: shell("echo ready; exec sleep 60"),
    act: "interrupt",
    expect: {
      ...cancelled,
      exitInterrupted: 130,
      signal: "SIGTERM",
      stdout: "ready\n",
      events: told("cancel_requested", "finished"),
    },
  },
  {
    name: "is cancelled before it is claimed",
    program: shell("echo never"),
    act: "cancel queued",
    expect: { ...cancelled, events: ["submitted", "finished"] },
  },
  {
    name: "is cancelled between claim and start",
    program: shell("echo never"),
    act: "cancel at claim",
    expect: { ...cancelled, events: ["submitted", "claimed", "cancel_requested", "finished"] },
  },
  {
    name: "has arguments longer than the kernel takes",
    program: ["true", "x".repeat(140_000)],
    asInput: true,
    expect: { ...neverStarted("start_failed", 69), message: /too long \(E2BIG\)$/ },
  },
  {
    name: "names a program that is not there",
    program: ["no-such-program-anywhere", "--version"],
    expect: { ...neverStarted("program_not_found", 69), message: /"no-such-program-anywhere"/ },
  },
  {
    name: "names a program that is not executable",
    program: ["./plain"],
    prepare: async (directory) => {
      await writeFile(join(directory, "plain"), "#!/bin/sh\n");
      await chmod(join(directory, "plain"), 0o644);
    },
    expect: { ...neverStarted("program_not_executable", 77), message: /"\.\/plain".*not executable/ },
  },
  {
    name: "names a directory as its program",
    program: ["./directory"],
    prepare: async (directory) => void await mkdir(join(directory, "directory")),
    expect: neverStarted("program_not_executable", 77),
  },
  {
    name: "names a working directory that is not there",
    program: ["pwd"],
    cwd: "gone",
    expect: { ...neverStarted("start_failed", 69), message: /\/gone as it is not a directory/ },
  },
];
