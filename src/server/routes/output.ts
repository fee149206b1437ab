import { z } from "zod";
import { isArtifactName } from "../../core/artifact_name.ts";
import { concatBytes } from "../../core/bytes.ts";
import { displayText } from "../../core/display.ts";
import { GlassboxError } from "../../core/errors.ts";
import { isFinal, JOB_STATES, type LogLine } from "../../core/job.ts";
import { LIMITS } from "../../core/limits.ts";
import { jobDigest } from "../../logs/digest.ts";
import { follow } from "../../logs/follow.ts";
import type { Store } from "../../store/store.ts";
import { negotiate } from "../accept.ts";
import { byteStream } from "../byte_stream.ts";
import {
  ArtifactDocument,
  EventDocument,
  LineDocument,
  PartialDocument,
  toArtifactDocument,
  toEventDocument,
  toLineDocument,
  toPartialDocument,
} from "../documents.ts";
import { after, limit, wholeNumber } from "../query.ts";
import { type Call, json, type Route, route } from "../route.ts";

const pageFields = {
  after: z.int().describe("Give this as `after` for what comes next"),
  more: z.boolean().describe("Whether more is stored already"),
};

const EventPage = z.strictObject({ events: z.array(EventDocument), ...pageFields }).meta({ id: "EventPage" });

const LinePage = z.strictObject({
  lines: z.array(LineDocument),
  partials: z.array(PartialDocument).describe("Unfinished text, once all lines were given"),
  ...pageFields,
}).meta({ id: "LinePage" });

const ResultDocument = z.strictObject({
  id: z.string(),
  state: z.enum(JOB_STATES),
  result: z.unknown().describe("Any JSON; null until the job is completed"),
  failure: z.unknown().describe("Why it failed, as in the job; null when it did not"),
}).meta({ id: "Result" });

const Digest = z.strictObject({
  id: z.string(),
  digest: z.string().nullable().describe("Null until the job is final"),
  parts: z.record(z.string(), z.string()).nullable().describe(
    "One of each part: where two runs differ, these tell",
  ),
}).meta({ id: "Digest" });

const ArtifactList = z.strictObject({ artifacts: z.array(ArtifactDocument) }).meta({ id: "ArtifactList" });

const LogQuery = z.strictObject({
  after,
  limit: wholeNumber({
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    default: Number.MAX_SAFE_INTEGER,
    about: `How many lines to give; all by default, but a page of JSON has ${LIMITS.listLimitMax} at most`,
  }),
  format: z
    .enum(["json", "ndjson", "text", "raw"])
    .optional()
    .describe("Goes before Accept; `text` is escaped for display, `raw` is the bytes as they were written"),
});

const LOG_MEDIA_TYPES = {
  json: "application/json",
  ndjson: "application/x-ndjson",
  text: "text/plain",
  raw: "application/octet-stream",
} as const;

type LogFormat = keyof typeof LOG_MEDIA_TYPES;

/** A page of lines ends here, also when fewer were given than asked for. */
const PAGE_BYTES_MAX = 1024 * 1024;

export const outputRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/v1/jobs/:id/events",
    operation: "listEvents",
    summary: "The facts of a job's life, in order",
    query: z.strictObject({ after, limit: limit(LIMITS.listLimitMax) }),
    replies: [{ status: 200, about: "The events", schema: EventPage }],
    refuses: ["job_not_found", "invalid_input"],
    async answer({ params, query, context: { store } }) {
      const { id } = await store.jobs.get(params.id!);
      const events = await store.jobs.events(id, query.after, query.limit + 1);
      const page = events.slice(0, query.limit);
      return json({
        events: page.map(toEventDocument),
        after: page.at(-1)?.seq ?? query.after,
        more: events.length > page.length,
      });
    },
  }),
  route({
    method: "GET",
    path: "/api/v1/jobs/:id/logs",
    operation: "listLines",
    summary:
      "A job's output: a page of lines as JSON, or all of it as text, bytes or a JSON document per line",
    query: LogQuery,
    replies: [{
      status: 200,
      about: "The lines",
      schema: LinePage,
      mediaTypes: Object.values(LOG_MEDIA_TYPES),
    }],
    refuses: ["job_not_found", "invalid_input", "not_acceptable"],
    async answer(call) {
      const { params, query, context: { store } } = call;
      const onError = (error: unknown) => call.context.report(error, call.requestId);
      const { id } = await store.jobs.get(params.id!);
      const format = formatOf(call);
      if (format === "json") {
        return json(await linePage(store, id, query.after, Math.min(query.limit, LIMITS.listLimitMax)));
      }
      const lines = storedLines(store, id, query.after, query.limit);
      return new Response(byteStream(encoded(lines, format), onError), {
        headers: {
          "content-type": format === "text" ? "text/plain; charset=utf-8" : LOG_MEDIA_TYPES[format],
          "cache-control": "no-store",
          ...(format === "raw" ? { "content-disposition": `attachment; filename="${id}.log"` } : {}),
        },
      });
    },
  }),
  route({
    method: "GET",
    path: "/api/v1/jobs/:id/result",
    operation: "getResult",
    summary: "What a job came to",
    query: z.strictObject({}),
    replies: [{ status: 200, about: "Its state, and its result or failure", schema: ResultDocument }],
    refuses: ["job_not_found"],
    async answer({ params, context: { store } }) {
      const { id, state, result, failure } = await store.jobs.get(params.id!);
      return json({ id, state, result, failure });
    },
  }),
  route({
    method: "GET",
    path: "/api/v1/jobs/:id/digest",
    operation: "getDigest",
    summary:
      "One SHA-256 over all a job was asked and left; equal work has an equal digest, however it was launched",
    query: z.strictObject({}),
    replies: [{ status: 200, about: "The digest; reads every line of the job", schema: Digest }],
    refuses: ["job_not_found"],
    async answer({ params, context: { store } }) {
      const job = await store.jobs.get(params.id!);
      const digests = isFinal(job.state) ? await jobDigest(store, job) : { digest: null, parts: null };
      return json({ id: job.id, ...digests });
    },
  }),
  route({
    method: "GET",
    path: "/api/v1/jobs/:id/artifacts",
    operation: "listArtifacts",
    summary: "The files a job has left so far",
    query: z.strictObject({}),
    replies: [{ status: 200, about: "The artifacts, by name", schema: ArtifactList }],
    refuses: ["job_not_found"],
    async answer({ params, context: { store } }) {
      const { id } = await store.jobs.get(params.id!);
      return json({ artifacts: (await store.artifacts.list(id)).map(toArtifactDocument) });
    },
  }),
  route({
    method: "GET",
    path: "/api/v1/jobs/:id/artifacts/:name{.+}",
    operation: "getArtifact",
    summary: "The bytes of an artifact",
    query: z.strictObject({}),
    replies: [
      { status: 200, about: "The bytes, as the artifact's own media type", mediaTypes: ["*/*"] },
      { status: 304, about: "They are what If-None-Match names" },
    ],
    refuses: ["job_not_found", "artifact_not_found"],
    answer: giveArtifact,
  }),
];

function formatOf(call: Call<z.output<typeof LogQuery>>): LogFormat {
  if (call.query.format !== undefined) return call.query.format;
  const type = negotiate(call.request, Object.values(LOG_MEDIA_TYPES));
  return (Object.keys(LOG_MEDIA_TYPES) as LogFormat[]).find((format) => LOG_MEDIA_TYPES[format] === type)!;
}

/** Stored lines in order, read as they are taken. */
async function* storedLines(
  store: Store,
  jobId: string,
  afterLine: number,
  count: number,
): AsyncGenerator<LogLine> {
  const options = { afterLine, afterEvent: Number.MAX_SAFE_INTEGER, live: false };
  let given = 0;
  for await (const { lines } of follow(store, jobId, options)) {
    for (const line of lines) {
      if (given++ === count) return;
      yield line;
    }
  }
}

async function linePage(
  store: Store,
  jobId: string,
  afterLine: number,
  count: number,
): Promise<z.infer<typeof LinePage>> {
  const lines: z.infer<typeof LineDocument>[] = [];
  let bytes = 0;
  let more = false;
  for await (const line of storedLines(store, jobId, afterLine, count + 1)) {
    more = lines.length === count || (lines.length > 0 && bytes + line.bytes.length > PAGE_BYTES_MAX);
    if (more) break;
    bytes += line.bytes.length;
    lines.push(toLineDocument(line));
  }
  const partials = more ? [] : await store.lines.partials(jobId);
  return { lines, partials: partials.map(toPartialDocument), after: lines.at(-1)?.seq ?? afterLine, more };
}

const NEWLINE = Uint8Array.of(10);

async function* encoded(
  lines: AsyncGenerator<LogLine>,
  format: Exclude<LogFormat, "json">,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const line of lines) {
    if (format === "ndjson") yield encoder.encode(`${JSON.stringify(toLineDocument(line))}\n`);
    else if (format === "text") yield encoder.encode(`${displayText(withoutReturn(line.bytes))}\n`);
    else yield line.end === "newline" ? concatBytes([line.bytes, NEWLINE]) : line.bytes;
  }
}

/** The CR of a line that ended in CR LF is no news to a reader. */
function withoutReturn(bytes: Uint8Array): Uint8Array {
  return bytes.at(-1) === 13 ? bytes.subarray(0, -1) : bytes;
}

async function giveArtifact({ request, requestId, params, context }: Call): Promise<Response> {
  const { store } = context;
  const onError = (error: unknown) => context.report(error, requestId);
  const { id } = await store.jobs.get(params.id!);
  const name = params.name!;
  if (!isArtifactName(name)) {
    throw new GlassboxError(
      "artifact_not_found",
      `Cannot find artifact ${JSON.stringify(name.slice(0, 255))} of job ${id}`,
    );
  }
  const artifact = await store.artifacts.get(id, name);
  const etag = `"${artifact.sha256}"`;
  const headers = {
    etag,
    "cache-control": "private, no-cache",
    "content-type": safeMediaType(artifact.mediaType),
    // What a job left is not ours: opened in a browser, it may do nothing in our name.
    "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "content-disposition": attachment(name),
  };
  const known = request.headers.get("if-none-match")?.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  if (known?.some((tag) => tag === etag || tag === "*")) return new Response(null, { status: 304, headers });
  return new Response(byteStream(store.artifacts.parts(artifact), onError), {
    headers: { ...headers, "content-length": String(artifact.sizeBytes) },
  });
}

/** A job may name any media type; one that is none would not go into a header. */
function safeMediaType(mediaType: string): string {
  const token = "[\\w!#$&^.+-]+";
  const pattern = new RegExp(`^${token}/${token}(\\s*;\\s*${token}=("[\\w !#$&^.+-]*"|${token}))*$`);
  return pattern.test(mediaType) ? mediaType : "application/octet-stream";
}

/** RFC 6266, with the name in UTF-8 and a plain one for those who cannot read that. */
function attachment(name: string): string {
  const base = name.slice(name.lastIndexOf("/") + 1);
  const plain = base.replace(/[^\w.-]/g, "_");
  const encoded = encodeURIComponent(base).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}
