import { badJson } from "../config/json_text.ts";
import { parseStrictJson } from "../config/strict_json.ts";
import { concatBytes } from "../core/bytes.ts";
import { GlassboxError, quoted } from "../core/errors.ts";
import type { Clock } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";

/** A job's input may have its own bound in full; the request around it is small. */
export const BODY_BYTES_MAX = LIMITS.inputBytesMax + 64 * 1024;

/** The request around an input is one object more. */
const BODY_DEPTH_MAX = LIMITS.inputDepthMax + 1;

const WHAT = "the request body";

/** The JSON object a request carries; an absent body is `{}` where `required` is false. */
export async function readObject(
  request: Request,
  clock: Clock,
  options: { readonly required: boolean },
): Promise<Record<string, unknown>> {
  if (!options.required && isWithoutBody(request)) return {};
  checkHeaders(request);
  const bytes = await readBytes(request, clock);
  const value = parseStrictJson(bytes, {
    what: WHAT,
    bytesMax: BODY_BYTES_MAX,
    depthMax: BODY_DEPTH_MAX,
  });
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw badJson(WHAT, "one object is expected", "1:1");
}

function isWithoutBody(request: Request): boolean {
  const { headers } = request;
  if (headers.has("content-type") || headers.has("transfer-encoding")) return false;
  return request.body === null || headers.get("content-length") === "0" || !headers.has("content-length");
}

function checkHeaders({ headers }: Request): void {
  const type = headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(type)) {
    throw new GlassboxError(
      "unsupported_media_type",
      `Cannot read ${WHAT} as its Content-Type must be application/json: it is ${quoted(type)}`,
    );
  }
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    throw new GlassboxError(
      "unsupported_media_type",
      `Cannot read ${WHAT} as it must not be compressed: its Content-Encoding is ${quoted(encoding)}`,
    );
  }
  if (Number(headers.get("content-length") ?? 0) > BODY_BYTES_MAX) throw tooLarge();
}

/** A whole body, whatever its type. The bound counts what comes and not only what was announced: a chunked body announces nothing. */
export async function readBytes(request: Request, clock: Clock): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array(0);
  const reader = request.body.getReader();
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for (;;) {
      const piece = await withinTime(reader.read(), clock);
      if (piece.done) return concatBytes(pieces);
      sizeBytes += piece.value.length;
      if (sizeBytes > BODY_BYTES_MAX) throw tooLarge();
      pieces.push(piece.value);
    }
  } catch (error) {
    // Not awaited: a sender that went silent may never let the cancel end.
    void reader.cancel(error).catch(() => undefined);
    throw error;
  }
}

async function withinTime<T>(reading: Promise<T>, clock: Clock): Promise<T> {
  const waiting = new AbortController();
  const late = clock.sleep(LIMITS.bodyIdleMs, waiting.signal).then(() => {
    if (waiting.signal.aborted) return reading;
    throw new GlassboxError(
      "request_timeout",
      `Cannot read ${WHAT} as nothing came for ${LIMITS.bodyIdleMs} ms`,
    );
  });
  try {
    return await Promise.race([reading, late]);
  } finally {
    waiting.abort();
  }
}

function tooLarge(): GlassboxError {
  return new GlassboxError(
    "too_large",
    `Cannot read ${WHAT} as it must be at most ${BODY_BYTES_MAX} bytes`,
  );
}
