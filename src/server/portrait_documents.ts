import type { Job } from "../core/job.ts";
import type { Store } from "../store/store.ts";
import { allFaultsOf, type RequestFault, shapeFaults } from "../tasks/phase_portrait/faults.ts";
import { portraitRequest } from "../tasks/phase_portrait/request.ts";
import { type SlopeFieldRequest, slopeFieldRequest } from "../tasks/phase_portrait/slope_field.ts";

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
      ...(job.failure.details === undefined ? {} : { error_details: job.failure.details }),
    }),
    ...(warnings === undefined || warnings.length === 0 ? {} : { warnings }),
  };
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

/** Fields whose wrong type these clients are told of in the words of the field, with 400; of others with 422. */
const TOLD_AS_MEANING = ["timespan", "initial_conditions", "parameters"];

/** Fields that these clients send and that no one reads are left out, as they always were. */
export function checkPortraitRequest(body: Record<string, unknown>): CheckedRequest {
  const input = onlyKnown(body), faults = allFaultsOf(input);
  if (faults.length === 0) return { input };
  if (faults.some(isShape)) return { status: 422, body: { detail: faults.map(shapeDocument) } };
  const detail = {
    type: "urn:glassbox:error:invalid_input",
    title: "Invalid request payload",
    status: 400,
    errors: faults,
  };
  return { status: 400, body: { detail } };
}

/** A request for a slope field, checked: what is wrong with its shape is told as of any other request. */
export function checkSlopeField(
  body: Record<string, unknown>,
): { readonly request: SlopeFieldRequest } | { readonly status: 422; readonly body: unknown } {
  const known = withoutNulls(body), parsed = slopeFieldRequest.safeParse(known);
  if (parsed.success) return { request: parsed.data };
  const faults = parsed.error.issues.flatMap((issue) => shapeFaults(issue, known));
  return { status: 422, body: { detail: faults.map(shapeDocument) } };
}

function onlyKnown(body: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(withoutNulls(body)).filter(([name]) => Object.hasOwn(portraitRequest.shape, name)),
  );
}

/** Clients of old send null for what they leave to the server. */
function withoutNulls(body: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
}

/** A field that is not there at all, or whose JSON type is another. */
function isShape({ field, code }: RequestFault): boolean {
  return code === "E_MISSING" || code === "E_TYPE" && !/[.[]/.test(field) && !TOLD_AS_MEANING.includes(field);
}

function shapeDocument({ field, code, message, ...place }: RequestFault) {
  const isMissing = code === "E_MISSING";
  return {
    type: isMissing ? "missing" : code === "E_TYPE" ? "type_error" : "value_error",
    loc: ["body", ...field.split(".")],
    msg: isMissing ? "Field required" : message,
    code,
    ...place,
  };
}
