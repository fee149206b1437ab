import { z } from "zod";
import { GlassboxError, isGlassboxError } from "../../core/errors.ts";
import type { Job } from "../../core/job.ts";
import { prepareJob } from "../../executor/submit.ts";
import { slopeField, SlopeFieldError } from "../../tasks/phase_portrait/slope_field.ts";
import { readObject } from "../body.ts";
import { byteStream } from "../byte_stream.ts";
import type { ServerContext } from "../context.ts";
import {
  checkPortraitRequest,
  checkSlopeField,
  PORTRAIT_TASK,
  portraitStatus,
  resultOf,
  statusDocument,
} from "../portrait_documents.ts";
import { type Call, json, type Route, route } from "../route.ts";

const NoQuery = z.strictObject({});
const JobId = z.strictObject({ job_id: z.string() });
const Detail = z.strictObject({ detail: z.unknown() });
const refuses = ["bad_json", "too_deep", "too_large", "unsupported_media_type", "request_timeout"] as const;

/** Kept with a job as who cancelled it. */
const ACTOR = "http";

/** Downloads of a solved request, by what follows the id. */
const DOWNLOADS: Readonly<Record<string, { artifact: string; mediaType: string }>> = {
  json: { artifact: "results.json", mediaType: "application/json" },
  csv: { artifact: "trajectories.csv", mediaType: "text/csv; charset=utf-8" },
  bin: { artifact: "trajectories.bin", mediaType: "application/octet-stream" },
};

/**
 * The API of the tool that this task grew out of: unchanged for its clients, and each job an ordinary job, stored before
 * its id is told.
 */
export const portraitRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/submit",
    operation: "submitPortrait",
    summary: "Submit equations to be solved; the job is stored for good when this answers",
    query: NoQuery,
    replies: [
      { status: 200, about: "The job was stored", schema: JobId },
      { status: 400, about: "What the request means cannot be solved: all that is wrong with it" },
      { status: 422, about: "Fields are missing" },
    ],
    refuses: [...refuses, "shutting_down"],
    async answer({ request, context }) {
      if (context.isDraining()) {
        throw new GlassboxError("shutting_down", "Cannot accept a job as this server is shutting down");
      }
      const checked = checkPortraitRequest(await readObject(request, context.host.clock, { required: true }));
      if ("status" in checked) return json(checked.body, { status: checked.status });
      const asked = { task: PORTRAIT_TASK, input: checked.input };
      const { id } = await context.store.jobs.submit(await prepareJob(context, context.newId(), asked));
      return json({ job_id: id });
    },
  }),
  route({
    method: "GET",
    path: "/status/:id",
    operation: "portraitStatus",
    summary: "How a submitted job stands",
    query: NoQuery,
    replies: [
      { status: 200, about: "Its status, and its error or warnings", schema: z.looseObject({}) },
      { status: 404, about: "There is no such job", schema: Detail },
    ],
    refuses: [],
    answer: (call) => withJob(call, "job not found", (job) => json(statusDocument(job))),
  }),
  route({
    method: "GET",
    path: "/results/:id",
    operation: "portraitResults",
    summary: "The trajectories of a job; with .json, .csv or .bin after the id as a download",
    query: NoQuery,
    replies: [
      { status: 200, about: "Times, trajectories and what was found", mediaTypes: ["*/*"] },
      { status: 404, about: "There is no result, or not yet", schema: Detail },
    ],
    refuses: [],
    answer: giveResults,
  }),
  route({
    method: "POST",
    path: "/slope_field",
    operation: "slopeField",
    summary: "Arrows of a field on a grid, at once",
    query: NoQuery,
    replies: [
      { status: 200, about: "Places and directions, flat", schema: z.looseObject({}) },
      { status: 400, about: "Why there is none", schema: Detail },
    ],
    refuses,
    async answer({ request, context }) {
      const body = await readObject(request, context.host.clock, { required: true });
      const checked = checkSlopeField(body);
      if ("status" in checked) return json(checked.body, { status: checked.status });
      try {
        return json(slopeField(checked.request));
      } catch (error) {
        if (error instanceof SlopeFieldError) return json({ detail: error.message }, { status: 400 });
        throw error;
      }
    },
  }),
  ...(["/jobs/:id", "/cancel/:id"] as const).map((path) =>
    route({
      method: path === "/jobs/:id" ? "DELETE" : "POST",
      path,
      operation: path === "/jobs/:id" ? "deletePortrait" : "cancelPortrait",
      summary: "Ask a job to stop",
      query: NoQuery,
      replies: [
        { status: 202, about: "It was asked", schema: z.looseObject({}) },
        { status: 404, about: "There is no such job", schema: Detail },
        { status: 409, about: "It has ended", schema: Detail },
      ],
      refuses: [],
      answer: (call) => withJob(call, "job not found", (job) => cancel(call.context, job)),
    })
  ),
];

async function cancel({ store }: ServerContext, job: Job): Promise<Response> {
  try {
    const now = await store.jobs.cancel(job.id, ACTOR, "");
    return json({ job_id: now.id, status: portraitStatus(now) }, { status: 202 });
  } catch (error) {
    if (!isGlassboxError(error, "job_final")) throw error;
    return json({ detail: `job is ${portraitStatus(job)}` }, { status: 409 });
  }
}

/** Jobs of other tasks are not among those that this API knows. */
async function withJob(
  { params, context: { store } }: Call,
  missing: string,
  answer: (job: Job) => Response | Promise<Response>,
): Promise<Response> {
  const job = await store.jobs.find(params.id!);
  if (job === null || job.task !== PORTRAIT_TASK) return json({ detail: missing }, { status: 404 });
  return await answer(job);
}

async function giveResults(call: Call): Promise<Response> {
  const [id, extension] = call.params.id!.split(".", 2);
  const named = { ...call, params: { id: id! } };
  return await withJob(named, "result not found", async (job) => {
    const download = extension === undefined ? null : DOWNLOADS[extension];
    if (download !== null && download !== undefined) return await giveDownload(call, job, download);
    const result = download === null ? await resultOf(call.context.store, job) : null;
    if (result === null) return json({ detail: "result not found" }, { status: 404 });
    if ("inline" in result) return json(result.inline);
    return await giveDownload(call, job, DOWNLOADS.json!);
  });
}

async function giveDownload(
  { context, requestId, params }: Call,
  job: Job,
  { artifact: name, mediaType }: { artifact: string; mediaType: string },
): Promise<Response> {
  const { store } = context;
  const found = (await store.artifacts.list(job.id)).find((artifact) => artifact.name === name);
  if (found === undefined) return json({ detail: "result not found" }, { status: 404 });
  const artifact = await store.artifacts.get(job.id, name);
  const attachment = params.id!.includes(".")
    ? { "content-disposition": `attachment; filename="${job.id}.${name.split(".").at(-1)}"` }
    : {};
  return new Response(
    byteStream(store.artifacts.parts(artifact), (error) => context.report(error, requestId)),
    {
      headers: {
        "content-type": mediaType,
        "content-length": String(artifact.sizeBytes),
        "cache-control": "no-store",
        ...attachment,
      },
    },
  );
}
