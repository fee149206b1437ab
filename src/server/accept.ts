import { GlassboxError, quoted } from "../core/errors.ts";

/** The first of `offered` that the request's Accept header likes best, or `not_acceptable`. */
export function negotiate(request: Request, offered: readonly string[]): string {
  const accept = request.headers.get("accept");
  if (accept === null || accept.trim() === "") return offered[0]!;
  const ranges = accept.split(",").map(parseRange);
  let best: { type: string; quality: number } | null = null;
  for (const type of offered) {
    const quality = qualityOf(type, ranges);
    if (quality > (best?.quality ?? 0)) best = { type, quality };
  }
  if (best !== null) return best.type;
  throw new GlassboxError(
    "not_acceptable",
    `Cannot answer with ${quoted(accept)}: there is ${offered.join(", ")}`,
  );
}

interface Range {
  readonly type: string;
  readonly quality: number;
}

function parseRange(text: string): Range {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1";
  const quality = Number(weight);
  return { type, quality: Number.isFinite(quality) ? quality : 0 };
}

/** The most exact range decides, as RFC 9110 section 12.5.1 says. */
function qualityOf(type: string, ranges: readonly Range[]): number {
  for (const wanted of [type, `${type.split("/")[0]}/*`, "*/*"]) {
    const range = ranges.find((one) => one.type === wanted);
    if (range !== undefined) return range.quality;
  }
  return 0;
}
