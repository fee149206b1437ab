import { z } from "zod";

/**
 * The control channel: what a job's child may say besides its output. One JSON document per line on file
 * descriptor 3, which GLASSBOX_CONTROL_FD names. Any program may use `progress` and `event`:
 *
 *     echo '{"type":"progress","fraction":0.5,"message":"half way"}' >&3
 */

export const CONTROL_FD = 3;

/** Visible ASCII and spaces: a media type becomes a header of an answer. */
export const MEDIA_TYPE = /^[\x20-\x7e]{1,200}$/;

/** Of one message of progress, as each of them stays in the database. */
const COUNTS_MAX = 16;

/** Made at its first use, as most programs never say anything here. */
export const ControlMessage = z.lazy(() =>
  z.discriminatedUnion("type", [
    z.strictObject({
      type: z.literal("progress"),
      fraction: z.number().min(0).max(1),
      message: z.string().max(500).optional(),
      /** Numbers that go with it, such as rows or bytes so far. */
      counts: z.record(z.string().min(1).max(64), z.number())
        .refine((counts) => Object.keys(counts).length <= COUNTS_MAX).optional(),
    }),
    z.strictObject({
      type: z.literal("event"),
      kind: z.string().regex(/^[a-z][a-z0-9_]{0,63}$/),
      data: z.json(),
    }),
    z.strictObject({
      type: z.literal("artifact"),
      name: z.string().min(1).max(255),
      /** Where the child left the bytes; must be inside the attempt's directory. */
      path: z.string().min(1),
      mediaType: z.string().regex(MEDIA_TYPE).optional(),
    }),
    z.strictObject({ type: z.literal("result"), value: z.json() }),
    z.strictObject({
      type: z.literal("failure"),
      code: z.enum(["task_failed", "invalid_input", "bad_output"]),
      message: z.string(),
      fields: z.array(z.strictObject({ field: z.string(), message: z.string() })).optional(),
      details: z.json().optional(),
      permanent: z.literal(true).optional(),
      /** Where in the code it happened, for the job's events. */
      trace: z.string().max(16_000).optional(),
    }),
  ])
);

export type ControlMessage = z.infer<typeof ControlMessage>;
