import type { z } from "zod";
import type { Job } from "../core/job.ts";
import type { Store } from "../store/store.ts";
import { faultsOf, portraitRequest, type RequestFault } from "../tasks/phase_portrait/request.ts";

/** The task that the seed tool's API submits. */
export const PORTRAIT_TASK = "phase-portrait";

/** The words that its clients know for a job's state. */
export function portraitStatus({ state }: Pick<Job, "state">): string {
  return state === "completed" ? "finished" : state;
}

/** What `/status` and the socket say of a job. */
export function statusDocument(job: Job) {
  const warnings = (job.result as { meta?: { warnings?: string[] } } | null)?.meta?.warnings;
  return {
    job_id: job.id,
    status: portraitStatus(job),
    ...(job.failure === null ? {} : {
      error: job.failure.message,
      ...(detailsOf(job) === undefined ? {} : { error_details: detailsOf(job) }),
    }),
    ...(warnings === undefined || warnings.length === 0 ? {} : { warnings }),
  };
}

function detailsOf({ failure }: Job): unknown {
  return failure?.details;
}

/** Where a job's result lies: in its row, or, when long or of a failed job, in an artifact; null when there is none. */
export async function resultOf(
  store: Store,
  job: Job,
): Promise<{ readonly inline: object } | { readonly artifact: "results.json" } | null> {
  const result = job.result as { trajectories: unknown } | null;
  if (result !== null && result.trajectories !== null) return { inline: result };
  const artifacts = await store.artifacts.list(job.id);
  return artifacts.some(({ name }) => name === "results.json") ? { artifact: "results.json" } : null;
}

/** A request of the seed tool's clients, checked: what it lacks in shape is answered with 422, in meaning with 400. */
export type CheckedRequest =
  | { readonly input: Record<string, unknown> }
  | { readonly status: 400 | 422; readonly body: unknown };

/** Fields that these clients send and that no one reads are left out, as they always were. */
export function checkPortraitRequest(body: Record<string, unknown>): CheckedRequest {
  const input = onlyKnown(body);
  const parsed = portraitRequest.safeParse(input);
  if (!parsed.success) {
    const missing = parsed.error.issues.filter((issue) => isMissing(issue, input));
    return missing.length > 0
      ? { status: 422, body: { detail: missing.map(missingDocument) } }
      : meaning(parsed.error.issues.map(toFault));
  }
  const faults = faultsOf(parsed.data);
  return faults.length > 0 ? meaning(faults) : { input };
}

function onlyKnown(body: Record<string, unknown>): Record<string, unknown> {
  const known = Object.fromEntries(Object.entries(body).filter(([name]) => name in portraitRequest.shape));
  // Clients of old send null for what they leave to the server.
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== null));
}

type Issue = z.core.$ZodIssue;

function isMissing(issue: Issue, input: Record<string, unknown>): boolean {
  const [field] = issue.path;
  return issue.path.length === 1 && issue.code === "invalid_type" && !((field as string) in input);
}

function missingDocument({ path }: Issue) {
  return { type: "missing", loc: ["body", ...path], msg: "Field required" };
}

function toFault({ path, message }: Issue): RequestFault {
  const field = path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`,
    "",
  );
  return { field, message };
}

/** All that is wrong at once. */
function meaning(errors: readonly RequestFault[]): CheckedRequest {
  const detail = {
    type: "urn:glassbox:error:invalid_input",
    title: "Invalid request payload",
    status: 400,
    errors,
  };
  return { status: 400, body: { detail } };
}
