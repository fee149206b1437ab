/** Faults that the recovery rig must find. */
import type { DeliberateFault } from "../../support/rig.ts";

const RIG = {
  rig: "tests/faults/recovery_test.ts",
  env: { GLASSBOX_RECOVERY_ROUNDS: "12", GLASSBOX_SEED: "1" },
};

export const FAULTS: readonly DeliberateFault[] = [
  {
    name: "a worker looks for the dead three times less often",
    guards: "I10",
    file: "src/executor/worker.ts",
    find: "const REAP_EVERY_MS = 1_000;",
    replace: "const REAP_EVERY_MS = 3_000;",
    ...RIG,
    says: /recovery took longer than 2000 ms/,
  },
  {
    name: "a lease is half as long again",
    guards: "I4",
    file: "src/core/limits.ts",
    find: "leaseMs: 10_000,",
    replace: "leaseMs: 15_000,",
    ...RIG,
    says: /recovery took longer than 13000 ms/,
  },
  {
    name: "the job of a dead worker gets no further attempt",
    guards: "I5",
    file: "src/executor/retry.ts",
    find: "return job.epoch < job.maxAttempts && !hopeless;",
    replace: 'return job.epoch < job.maxAttempts && !hopeless && finish.failure.code !== "lost";',
    ...RIG,
    says: /died before the job ended/,
  },
];
