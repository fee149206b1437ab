import { z } from "zod";
import { GlassboxError } from "../../core/errors.ts";
import { isFinal } from "../../core/job.ts";
import { LIMITS } from "../../core/limits.ts";
import { JobRequest } from "../../core/request.ts";
import { parseWith } from "../../core/schema.ts";
import { jobNotFinal, prepareJob, requestOf } from "../../executor/submit.ts";
import type { NewJob } from "../../store/transitions.ts";
import { readObject } from "../body.ts";
import type { ServerContext } from "../context.ts";
import {
  JobDetail,
  JobDocument,
  JobSummary,
  toArtifactDocument,
  toAttemptDocument,
  toJobDocument,
  toJobSummary,
} from "../documents.ts";
import { limit, states } from "../query.ts";
import { json, type Route, route } from "../route.ts";

const JobList = z.strictObject({
  jobs: z.array(JobSummary),
  next: z.string().nullable().describe("Give this as `before` for older jobs; null when there are none"),
}).meta({ id: "JobList" });

const NoQuery = z.strictObject({});

const CancelRequest = z.strictObject({
  reason: z
    .string()
    .max(500)
    // deno-lint-ignore no-control-regex
    .regex(/^[^\x00-\x1f\x7f]*$/, "must not contain control characters")
    .default("")
    .describe("Kept with the job, for people"),
}).meta({ id: "CancelRequest" });

const RetryRequest = z.strictObject({}).meta({ id: "RetryRequest" });

/** Kept with a job as who cancelled it. */
const ACTOR = "http";

export const jobRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/api/v1/jobs",
    operation: "submitJob",
    summary: "Submit a job; it is stored for good when this answers",
    query: NoQuery,
    headers: { "Idempotency-Key": "The same as `key` in the body; sent twice, the second is the first job" },
    body: { schema: JobRequest.meta({ id: "JobRequest" }), required: true },
    replies: [
      {
        status: 201,
        about: "The job was stored",
        schema: JobDocument,
        headers: { Location: "The job's own address" },
      },
      {
        status: 200,
        about: "A job with this key and this request was stored before: this is it",
        schema: JobDocument,
        headers: { Location: "The job's own address", "Idempotent-Replayed": "true" },
      },
    ],
    refuses: [
      "bad_json",
      "too_deep",
      "too_large",
      "invalid_input",
      "task_unknown",
      "key_conflict",
      "unsupported_media_type",
      "request_timeout",
      "queue_full",
      "rate_limited",
      "shutting_down",
    ],
    async answer({ request, context }) {
      refuseWhenDraining(context);
      const body = await readObject(request, context.host.clock, { required: true });
      const asked = withKey(body, request.headers.get("idempotency-key"));
      return await submit(context, await prepareJob(context, context.newId(), asked));
    },
  }),
  route({
    method: "GET",
    path: "/api/v1/jobs",
    operation: "listJobs",
    summary: "List jobs, newest first",
    query: z.strictObject({
      state: states,
      task: z.string().min(1).max(64).optional().describe("Only jobs of this task"),
      limit: limit(LIMITS.listLimitDefault),
      before: z
        .string()
        .regex(/^[0-9a-z]{26}$/, "must be the id of a job")
        .optional()
        .describe("Only jobs submitted before the one with this id"),
    }),
    replies: [{ status: 200, about: "The jobs", schema: JobList }],
    refuses: ["invalid_input"],
    async answer({ query, context }) {
      // One more than asked for tells whether there are older ones.
      const jobs = await context.store.jobs.list({
        limit: query.limit + 1,
        ...(query.state === undefined ? {} : { states: query.state }),
        ...(query.task === undefined ? {} : { task: query.task }),
        ...(query.before === undefined ? {} : { before: query.before }),
      });
      const page = jobs.slice(0, query.limit);
      const next = jobs.length > page.length ? page.at(-1)!.id : null;
      return json({ jobs: page.map(toJobSummary), next });
    },
  }),
  route({
    method: "GET",
    path: "/api/v1/jobs/:id",
    operation: "getJob",
    summary: "One job with its attempts and artifacts",
    query: NoQuery,
    replies: [{ status: 200, about: "The job", schema: JobDetail }],
    refuses: ["job_not_found"],
    async answer({ params, context: { store } }) {
      const job = await store.jobs.get(params.id!);
      const [attempts, artifacts, lastLine] = await Promise.all([
        store.jobs.attempts(job.id),
        store.artifacts.list(job.id),
        store.lines.lastSeq(job.id),
      ]);
      return json({
        ...toJobDocument(job),
        digestUrl: isFinal(job.state) ? `/api/v1/jobs/${job.id}/digest` : null,
        lastLine,
        attempts: attempts.map(toAttemptDocument),
        artifacts: artifacts.map(toArtifactDocument),
      });
    },
  }),
  route({
    method: "POST",
    path: "/api/v1/jobs/:id/cancel",
    operation: "cancelJob",
    summary: "Ask a job to stop: a queued one is cancelled at once, a running one as soon as it has ended",
    query: NoQuery,
    body: { schema: CancelRequest, required: false },
    replies: [{ status: 200, about: "The job as it is now", schema: JobDocument }],
    refuses: [
      "job_not_found",
      "job_final",
      "invalid_input",
      "bad_json",
      "too_large",
      "unsupported_media_type",
      "request_timeout",
    ],
    async answer({ request, params, context: { host, store } }) {
      const body = await readObject(request, host.clock, { required: false });
      const { reason } = parseWith(CancelRequest, body, "", "this request to cancel");
      return json(toJobDocument(await store.jobs.cancel(params.id!, ACTOR, reason)));
    },
  }),
  route({
    method: "POST",
    path: "/api/v1/jobs/:id/retry",
    operation: "retryJob",
    summary: "Submit the same request once more, as a new job",
    query: NoQuery,
    body: { schema: RetryRequest, required: false },
    replies: [{
      status: 201,
      about: "The new job",
      schema: JobDocument,
      headers: { Location: "The new job's own address" },
    }],
    refuses: [
      "job_not_found",
      "job_not_final",
      "invalid_input",
      "task_unknown",
      "bad_json",
      "too_large",
      "unsupported_media_type",
      "request_timeout",
      "queue_full",
      "rate_limited",
      "shutting_down",
    ],
    async answer({ request, params, context }) {
      refuseWhenDraining(context);
      const body = await readObject(request, context.host.clock, { required: false });
      parseWith(RetryRequest, body, "", "this request to retry");
      const job = await context.store.jobs.get(params.id!);
      if (!isFinal(job.state)) throw jobNotFinal(job);
      const again = await prepareJob(context, context.newId(), requestOf(job), { retryOf: job.id });
      return await submit(context, again);
    },
  }),
];

async function submit({ store, intake }: ServerContext, job: NewJob): Promise<Response> {
  intake.take();
  const { id, created } = await store.jobs.submit(job, intake.queuedMax);
  const location = `/api/v1/jobs/${id}`;
  return json(toJobDocument(await store.jobs.get(id)), {
    status: created ? 201 : 200,
    headers: { location, ...(created ? {} : { "idempotent-replayed": "true" }) },
  });
}

function refuseWhenDraining(context: ServerContext): void {
  if (!context.isDraining()) return;
  throw new GlassboxError(
    "shutting_down",
    "Cannot accept a job as this server is shutting down: submit it again when it has been started again",
  );
}

/** The header is how HTTP spells the request's key; both may be given if they say the same. */
function withKey(body: Record<string, unknown>, header: string | null): Record<string, unknown> {
  if (header === null) return body;
  const inBody = body.key ?? header;
  if (inBody === header) return { ...body, key: header };
  throw new GlassboxError(
    "invalid_input",
    "Cannot accept this request as the header Idempotency-Key and the field key must be equal where both are given",
    { fields: [{ field: "key", message: "must be equal to the header Idempotency-Key" }] },
  );
}
