/** Jobs by way of the command line, as the journeys submit them and read what it shows of them. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import type { Artifact, Attempt, Job, JobEvent } from "../../src/core/job.ts";
import type { Sandbox, StartOptions } from "./glassbox.ts";
import { eventually } from "./processes.ts";

export interface ShownJob {
  readonly job: Job;
  readonly attempts: readonly Attempt[];
  readonly artifacts: readonly Artifact[];
  readonly events: readonly JobEvent[];
  readonly digest: string | null;
}

/** Leaves a program to whatever worker there will be; gives the job's id. */
export async function detach(sandbox: Sandbox, command: readonly string[]): Promise<string> {
  const { code, out, err } = await sandbox.run(["run", "--detach", "--", ...command]);
  assert.equal(code, 0, err);
  return out.trim();
}

/** One job with everything but its lines. */
export function showJob(sandbox: Sandbox, id = "latest", options?: StartOptions): Promise<ShownJob> {
  return sandbox.json<ShownJob>(["jobs", "show", id], options);
}

/** All jobs, newest first. */
export function listJobs(sandbox: Sandbox, options?: StartOptions): Promise<Job[]> {
  return sandbox.json<Job[]>(["jobs", "list", "--limit", "1000"], options);
}

export interface ShownLine {
  readonly seq: number;
  readonly stream: "stdout" | "stderr";
  readonly end: string;
  readonly text: string;
}

export async function linesOf(sandbox: Sandbox, id = "latest"): Promise<ShownLine[]> {
  const { code, out, err } = await sandbox.run(["jobs", "logs", id, "--json"]);
  if (code !== 0) throw new Error(`jobs logs ended with ${code}: ${err}`);
  return out.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** The lines that begin with `glassbox:`, which is how glassbox complains. */
export function complaints(err: string): string[] {
  return err.split("\n").filter((line) => line.startsWith("glassbox:"));
}

/** Resolves when a worker has made the file that shows that it lives; `run` listens to signals before, and submits after it. */
export async function workerAppears({ database }: Sandbox): Promise<void> {
  await eventually("a worker is there", () => {
    try {
      return readdirSync(`${database}.run/workers`).length > 0;
    } catch {
      return false;
    }
  });
}
