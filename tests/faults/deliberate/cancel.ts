/** Faults that the cancel rig must find. */
import type { DeliberateFault } from "../../support/rig.ts";

const RIG = { rig: "tests/faults/cancel_test.ts", env: { GLASSBOX_CANCEL_ROUNDS: "11", GLASSBOX_SEED: "1" } };

export const FAULTS: readonly DeliberateFault[] = [
  {
    name: "a cancel asks the program alone, not its process group",
    guards: "I11",
    file: "src/platform/processes.ts",
    find: "else this.#groupGone = !signalled(-this.pid, signal);",
    replace: "else this.#groupGone = !signalled(this.pid, signal);",
    ...RIG,
    says: /was never asked to end/,
  },
  {
    name: "a cancel leaves what went into a session of its own",
    guards: "I11",
    file: "src/executor/attempt.ts",
    find: "if (!done.signal.aborted || this.#stopper.reason !== null) await this.#killMarked();",
    replace: "",
    ...RIG,
    says: /is not gone/,
  },
  {
    name: "what a stopped job left behind gets a second grace period",
    guards: "I12",
    file: "src/executor/attempt.ts",
    find: "const over = AbortSignal.any([done.signal, this.#stopper.insisted]);",
    replace: "const over = done.signal;",
    ...RIG,
    says: /cancel took too long/,
  },
  {
    name: "a cancel from another process is looked for every two seconds",
    guards: "I12",
    file: "src/store/changes.ts",
    find: "const POLL_EMBEDDED_MS = 25;",
    replace: "const POLL_EMBEDDED_MS = 2_000;",
    ...RIG,
    says: /cancel took too long/,
  },
];
