import { z } from "zod";
import { LIMITS } from "./limits.ts";

/** A request to run a task: the one schema behind the command line, HTTP and RPC. */
export const JobRequest = z.strictObject({
  task: z.string().min(1).max(64).describe("The task to run; see `glassbox tasks`"),
  input: z.json().default({}).describe("The task's input, as its own schema says"),
  key: z
    .string()
    .min(1)
    .max(LIMITS.keyLengthMax)
    // deno-lint-ignore no-control-regex
    .regex(/^[^\x00-\x1f\x7f]*$/, "must not contain control characters")
    .nullable()
    .default(null)
    .describe("Idempotency key: a second request with the same key and body is the first job"),
  queue: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, "must be 1 to 64 of a-z, 0-9, _ and -")
    .default("default")
    .describe("The queue that workers claim from"),
  priority: z.int().min(-1000).max(1000).default(0).describe("Higher is claimed first"),
  timeoutMs: z
    .int()
    .min(1)
    .max(LIMITS.timeoutMsMax)
    .nullable()
    .default(null)
    .describe("The attempt is stopped after this long; null means never"),
  graceMs: z
    .int()
    .min(0)
    .max(LIMITS.graceMsMax)
    .default(LIMITS.graceMsDefault)
    .describe("Between asking a program to stop (TERM) and killing it (KILL)"),
  maxAttempts: z
    .int()
    .min(1)
    .max(LIMITS.attemptsMax)
    .nullable()
    .default(null)
    .describe("Attempts in all; null means 1, or 3 for a task that may safely run twice"),
  backoffMs: z
    .int()
    .min(0)
    .max(LIMITS.backoffMsMax)
    .default(LIMITS.backoffMsDefault)
    .describe("The pause before the second attempt; it doubles with each further one"),
  delayMs: z.int().min(0).max(LIMITS.timeoutMsMax).default(0).describe(
    "Not started before so long has passed",
  ),
  concurrencyKey: z
    .string()
    .min(1)
    .max(LIMITS.keyLengthMax)
    .nullable()
    .default(null)
    .describe("Jobs with equal keys run one after the other"),
  outputBytesMax: z
    .int()
    .min(0)
    .max(LIMITS.outputBytesMax)
    .default(LIMITS.outputBytesDefault)
    .describe("Output above this is dropped, and counted"),
});

export type JobRequest = z.infer<typeof JobRequest>;
export type JobRequestInput = z.input<typeof JobRequest>;
