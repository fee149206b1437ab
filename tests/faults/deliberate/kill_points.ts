/** Faults that tests/faults/kill_points_test.ts must find. */
import type { DeliberateFault } from "../../support/rig.ts";

const RIG = {
  rig: "tests/faults/kill_points_test.ts",
  env: { GLASSBOX_KILL_POINTS_ROUNDS: "80", GLASSBOX_SEED: "1" },
} as const;

export const FAULTS: readonly DeliberateFault[] = [
  {
    ...RIG,
    name: "201 is answered before the commit",
    guards: "I2",
    file: "src/server/routes/jobs.ts",
    find: "  const { id, created } = await store.jobs.submit(job, intake.queuedMax);\n",
    replace: `  setTimeout(() => void store.jobs.submit(job).catch(() => undefined), 200);
  return json({ id: job.id } as never, { status: 201 });
  const { id, created } = await store.jobs.submit(job, intake.queuedMax);
`,
    filter: "servers killed",
    env: { ...RIG.env, GLASSBOX_KILL_POINTS_ROUNDS: "200" },
    says: /was acknowledged \(submitted\) but is not there/,
  },
  {
    ...RIG,
    name: "a key is not kept, so that asking again runs the job again",
    guards: "I5",
    file: "src/executor/submit.ts",
    find: "    key,\n    queue: parsed.queue,",
    replace: "    key: null,\n    queue: parsed.queue,",
    filter: "command lines killed",
    says: /repeated: \[\s*.*\+\s+'line-\d+'/s,
  },
  {
    ...RIG,
    name: "another attempt is asked for where none is left",
    guards: "I12",
    file: "src/executor/retry.ts",
    find: "job.epoch < job.maxAttempts",
    replace: "job.epoch <= job.maxAttempts",
    filter: "workers killed",
    says: /I12 {2}job \S+ is cancelled, but nobody asked for it/,
  },
  {
    ...RIG,
    name: "what a program wrote to standard error is not recorded",
    guards: "I7",
    file: "src/executor/attempt.ts",
    find: 'pump(child.stderr, (bytes) => record("stderr", bytes))',
    replace: "pump(child.stderr, () => Promise.resolve())",
    filter: "children killed",
    says: /child-\d+ was killed (before|after) write \d/,
  },
];
