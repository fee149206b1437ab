/** Faults that tests/faults/power_loss_test.ts must find. */
import type { DeliberateFault } from "../../support/rig.ts";

const RIG = {
  rig: "tests/faults/power_loss_test.ts",
  env: { GLASSBOX_POWER_LOSS_ROUNDS: "1500", GLASSBOX_SEED: "1" },
} as const;

export const FAULTS: readonly DeliberateFault[] = [
  {
    ...RIG,
    name: "a commit is not synced (synchronous=NORMAL)",
    guards: "I2",
    file: "src/store/embedded.ts",
    find: '["synchronous", "FULL", 2]',
    replace: '["synchronous", "NORMAL", 1]',
    says: /I2 (job \S+ was acknowledged|the database is empty)/,
  },
  {
    ...RIG,
    name: "directories made for a new database are not synced",
    guards: "I2",
    file: "src/store/store.ts",
    find: "if (found === null && path !== null) await host",
    replace: "if (Math.random() > 2 && path !== null) await host",
    says: /I2 the database is gone/,
  },
  {
    ...RIG,
    name: "a file for the user is renamed into place without being synced",
    guards: "I9",
    file: "src/cli/commands/artifacts.ts",
    find: "concatBytes(parts), { sync: true })",
    replace: "concatBytes(parts))",
    says: /I9 out\/report\.txt is (torn|gone)/,
  },
  {
    ...RIG,
    name: "a new name is given without syncing its directory",
    guards: "I9",
    file: "src/platform/files.ts",
    find: "  await syncDirectory(path.dirname(to));",
    replace: "",
    says: /I9 out\/\S+\.db is (gone|an old one)/,
  },
];
