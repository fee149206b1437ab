/** Faults that the chaos rig must find. */
import type { DeliberateFault } from "../../support/rig.ts";

const RIG = { rig: "tests/faults/chaos_test.ts", env: { GLASSBOX_CHAOS_ROUNDS: "12", GLASSBOX_SEED: "1" } };

export const FAULTS: readonly DeliberateFault[] = [
  {
    name: "a submission is acknowledged before its commit",
    guards: "I2",
    file: "src/store/jobs.ts",
    find:
      "const writing = this.#core.write(submitStatements(job, this.#now(), room), [job.id, QUEUE_TOPIC]);",
    replace:
      "const writing = this.#core.write(submitStatements(job, this.#now(), room), [job.id, QUEUE_TOPIC]);\n" +
      "    writing.catch(() => undefined);\n" +
      "    if (job.reservedFor === null) return { id: job.id, created: true };",
    ...RIG,
    says: /\/api\/v1\/jobs answered 404|invariant: 'I[25]'/,
  },
  {
    name: "a worker claims a job that another runs",
    guards: "I4",
    file: "src/store/claims.ts",
    find: "`SELECT id FROM jobs WHERE state = 'queued' AND cancel_at_ms IS NULL AND not_before_ms <= ?2",
    replace:
      "`SELECT id FROM jobs WHERE state IN ('queued', 'running') AND epoch < 2 AND cancel_at_ms IS NULL AND not_before_ms <= ?2",
    ...RIG,
    says: /had its effect in 2 attempts, but may be tried 1 times|I4 /,
  },
  {
    name: "the reaper leaves what a dead worker's jobs started",
    guards: "I11",
    file: "src/executor/reaper.ts",
    find: "await context.host.processes.killMarked(`${marker.name}=${marker.value}`);",
    replace: "void marker;",
    ...RIG,
    env: { GLASSBOX_CHAOS_ROUNDS: "25", GLASSBOX_SEED: "1" },
    says: /leftovers: \[\s*[+-]?\s*'\d+/,
  },
];
