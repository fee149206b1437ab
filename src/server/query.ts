import { z } from "zod";
import { JOB_STATES } from "../core/job.ts";
import { LIMITS } from "../core/limits.ts";
import { parseWith } from "../core/schema.ts";

/**
 * A whole number in a query; a default of MAX_SAFE_INTEGER stands for all there is.
 * Above `max` it counts as `max`: asking for more than there can be is no mistake.
 */
export function wholeNumber(
  options: { readonly min: number; readonly max: number; readonly default: number; readonly about: string },
) {
  const { min, max, about } = options;
  const shown = options.default === Number.MAX_SAFE_INTEGER ? {} : { default: options.default };
  return z
    .string()
    .default(String(options.default))
    .transform((text, context) => {
      const value = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
      if (value >= min && (Number.isInteger(value) || value > max)) return Math.min(value, max);
      const seen = JSON.stringify(text.slice(0, 40));
      context.addIssue({
        code: "custom",
        message: `must be a whole number of at least ${min}: it is ${seen}`,
      });
      return z.NEVER;
    })
    .meta({ type: "integer", minimum: min, ...shown, description: about });
}

export const after = wholeNumber({
  min: 0,
  max: Number.MAX_SAFE_INTEGER,
  default: 0,
  about: "Only what has a higher number than this",
});

/** How many to give, at most `listLimitMax`. */
export function limit(fallback: number) {
  return wholeNumber({
    min: 1,
    max: LIMITS.listLimitMax,
    default: fallback,
    about: `How many to give; more than ${LIMITS.listLimitMax} counts as that`,
  });
}

/** One value, or several, each of which may be several with commas between. */
export const states = z
  .union([z.string(), z.array(z.string())])
  .optional()
  .transform((given) => given === undefined ? undefined : [given].flat().flatMap((text) => text.split(",")))
  .pipe(z.array(z.enum(JOB_STATES)).optional())
  .meta({
    type: "array",
    items: { type: "string", enum: JOB_STATES },
    description: "Only jobs in this state; may be repeated, or hold several with commas between",
  });

/** The query of a URL as `schema` wants it, or `invalid_input` with each bad parameter as `query.name`. */
export function parseQuery<Schema extends z.ZodType>(schema: Schema, url: string): z.output<Schema> {
  const found = new Map<string, string | string[]>();
  for (const [name, value] of new URL(url).searchParams) {
    const before = found.get(name);
    found.set(name, before === undefined ? value : [before, value].flat());
  }
  return parseWith(schema, Object.fromEntries(found), "query", "this query");
}
