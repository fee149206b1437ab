import { type ErrorCode, GlassboxError } from "../core/errors.ts";

/** A problem document (RFC 9457) with our stable code. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  /** One entry per bad field. */
  readonly errors: readonly { readonly field: string; readonly message: string }[];
  readonly requestId: string;
}

export const PROBLEM_MEDIA_TYPE = "application/problem+json";

/** Callers that meet these do well to come again. */
const RETRY_AFTER_SECONDS: Partial<Record<ErrorCode, number>> = {
  shutting_down: 5,
  storage_busy: 1,
  storage_unreachable: 5,
  too_many_watchers: 5,
  queue_full: 5,
  rate_limited: 1,
  storage_denied: 5,
};

/** The connection is of no use any more after these, as the rest of the body was never read. */
const CLOSING: readonly ErrorCode[] = ["too_large", "request_timeout", "unsupported_media_type"];

/** The answer to a request that failed. What is not a GlassboxError tells the caller nothing but its number. */
export function problemResponse(
  error: unknown,
  requestId: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const problem = problemOf(error, requestId);
  const retryAfter = RETRY_AFTER_SECONDS[problem.code];
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: {
      "content-type": PROBLEM_MEDIA_TYPE,
      "cache-control": "no-store",
      ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
      ...(CLOSING.includes(problem.code) ? { connection: "close" } : {}),
      ...headers,
    },
  });
}

/** The document of `problemResponse`. */
export function problemOf(error: unknown, requestId: string): Problem {
  const known = error instanceof GlassboxError ? error : new GlassboxError(
    "internal",
    `Cannot answer as of an unexpected error: the log of this server tells more under ${requestId}`,
  );
  return {
    type: `urn:glassbox:error:${known.code}`,
    title: titleOf(known.code),
    status: known.status,
    detail: known.message,
    code: known.code,
    errors: known.fields,
    requestId,
  };
}

function titleOf(code: ErrorCode): string {
  const words = code.replaceAll("_", " ").replace("json", "JSON").replace("url", "URL");
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
