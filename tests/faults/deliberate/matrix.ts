import type { DeliberateFault } from "../../support/rig.ts";

export const FAULTS: readonly DeliberateFault[] = [
  {
    name: "a database file that was replaced is not noticed",
    guards: "I2",
    file: "src/store/database_file.ts",
    find: "if (info === undefined || info?.identity === this.#identity) return;",
    replace: "if (info !== null) return;",
    rig: "tests/faults/matrix_database_test.ts",
    filter: "fault 23: a database that is replaced",
    says: /storage_gone/,
  },
  {
    name: "what a program leaves behind lives for 15 s",
    guards: "I11",
    file: "src/core/limits.ts",
    find: "leftoverGraceMs: 5_000",
    replace: "leftoverGraceMs: 15_000",
    rig: "tests/faults/matrix_process_test.ts",
    filter: "fault 2:",
    says: /it took \d+/,
  },
  {
    name: "a full disk is named without what is left of it",
    guards: "I15",
    file: "src/store/store.ts",
    find: "return space === null ? error : fullError(this.display, error, space);",
    replace: "return error;",
    rig: "tests/faults/matrix_disk_test.ts",
    filter: "fault 9: a full disk (source) ends with 74",
    says: /bytes free/,
  },
];
