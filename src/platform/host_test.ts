/** The checks of tests/contracts/host_checks, run from source under Deno. */

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { endStarted } from "../../tests/contracts/host_checks/check.ts";
import { ALL_CHECKS } from "../../tests/contracts/host_checks/mod.ts";
import { createHost } from "./host.ts";

const MAIN = fileURLToPath(new URL("../../tests/contracts/host_checks/main.ts", import.meta.url));
const PROGRAM = [process.execPath, "run", "--allow-all", "--quiet", MAIN] as const;

for (const [name, check] of Object.entries(ALL_CHECKS)) {
  Deno.test(name, async () => {
    const directory = fs.mkdtempSync(`${tmpdir()}/glassbox-host-`);
    try {
      await check({
        host: createHost({ selfCommand: PROGRAM, fifoWaitMs: 2_000 }),
        directory,
        program: PROGRAM,
      });
    } finally {
      endStarted();
      fs.rmSync(directory, { recursive: true, force: true });
    }
  });
}
