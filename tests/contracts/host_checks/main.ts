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

async function runCheck(name: string, directory: string): Promise<string | null> {
  try {
    await ALL_CHECKS[name]!({ host, directory, program: host.processes.selfCommand });
    return null;
  } catch (error) {
    return error instanceof Error ? error.stack ?? error.message : String(error);
  } finally {
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
