/** What every row of the fault matrix ends with: a new job runs to its end, and no invariant is broken. */
import assert from "node:assert/strict";
import { type Program, programs, type Sandbox, type StartOptions } from "./glassbox.ts";

/** Throws unless a new job completes and `glassbox verify` finds nothing wrong. */
export async function demandRecovery(sandbox: Sandbox, options: StartOptions = {}): Promise<void> {
  const again = await sandbox.run(["run", "--", "sh", "-c", "echo recovered"], options);
  assert.deepEqual([again.code, again.out], [0, "recovered\n"], again.err);
  const verdict = await sandbox.run(["verify"], options);
  assert.equal(verdict.code, 0, verdict.out + verdict.err);
}

/** The ways to start the program, and of two the binary alone: for rows that take long and meet the same code in both. */
export function oneProgram(): Program[] {
  const all = programs();
  return all.length === 1 ? all : all.filter(({ name }) => name === "binary");
}
