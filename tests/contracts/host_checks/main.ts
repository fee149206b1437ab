/**
 * The program behind the checks. With the name of a part it plays that part; with `checks` and a directory it
 * runs every check under its own engine and prints one JSON line for each.
 */

import * as fs from "node:fs";
import process from "node:process";
import { createHost } from "../../../src/platform/host.ts";
import { endStarted } from "./check.ts";
import { ALL_CHECKS } from "./mod.ts";
import { playPart } from "./program.ts";

const host = createHost({ fifoWaitMs: 2_000 });
const args = process.argv.slice(2);

/** A check that takes so long hangs, and is to be named instead of holding up all tests. */
const HANG_MS = 180_000;

async function runCheck(name: string, directory: string): Promise<string | null> {
  const over = new AbortController();
  const hangs = host.clock.sleep(HANG_MS, over.signal).then(() => `it hangs, still after ${HANG_MS} ms`);
  const check = ALL_CHECKS[name]!({ host, directory, program: host.processes.selfCommand });
  try {
    return await Promise.race([hangs, check.then(() => null)]);
  } catch (error) {
    return error instanceof Error ? error.stack ?? error.message : String(error);
  } finally {
    over.abort();
    endStarted();
  }
}

async function runChecks(directory: string): Promise<void> {
  for (const [number, name] of Object.keys(ALL_CHECKS).entries()) {
    const own = `${directory}/${number}`;
    fs.mkdirSync(own);
    const failure = await runCheck(name, own);
    await host.terminal.stdout.write(`${JSON.stringify({ name, failure })}\n`);
  }
}

if (args[0] === "checks") await runChecks(args[1]!);
else if (!await playPart(host, args)) throw new Error(`Cannot play ${args[0]} as there is no such part`);
