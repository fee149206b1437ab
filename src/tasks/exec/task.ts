import { z } from "zod";
import { isArtifactName } from "../../core/artifact_name.ts";
import { fromBase64 } from "../../core/bytes.ts";
import { MEDIA_TYPE } from "../../core/control.ts";
import { LIMITS } from "../../core/limits.ts";
import { defineTask } from "../../core/task.ts";

const text = z.string().regex(/^[^\0]*$/, "must not contain a NUL character");

const absolutePath = text.min(1).max(4096).regex(/^\//, "must be an absolute path");

const artifactName = z
  .string()
  .refine(isArtifactName, "must be a relative name of at most 255 characters, without empty parts, . or ..");

/** Any program as a job. */
export const exec = defineTask({
  name: "exec",
  summary: "Run any program as a job",
  isolation: "program",
  input: z.strictObject({
    program: text.min(1).max(4096).describe("A path, or a name to look up on PATH"),
    args: z.array(text).max(10_000).default([]).describe("Its arguments, each passed as it is; no shell"),
    cwd: absolutePath.optional().describe("Its working directory; a private empty one by default"),
    env: z
      .record(text.regex(/^[^=]+$/, "must be a name without ="), text)
      .default({})
      .describe("Added to the environment of the process that executes the job"),
    stdin: z
      .union([z.string(), z.strictObject({ base64: z.base64() })])
      .optional()
      .describe("Its standard input, as text or as base64; empty by default"),
    outputs: z
      .array(z.strictObject({
        path: text.min(1).max(4096).describe("Relative to the working directory, or absolute"),
        name: artifactName.optional().describe("The artifact's name; the file's own by default"),
        mediaType: z.string().regex(MEDIA_TYPE, "must be visible ASCII, at most 200 characters").optional()
          .describe("Guessed from the name by default"),
        required: z.boolean().default(true).describe("Whether the job fails when the file is not there"),
      }))
      .max(LIMITS.artifactsMax)
      .default([])
      .describe("Files it is expected to leave; they become artifacts"),
  }),
  output: z.lazy(() => z.strictObject({ exitCode: z.int() })),
  command: (input) => ({
    program: input.program,
    args: input.args,
    cwd: input.cwd ?? null,
    env: input.env,
    stdin: input.stdin === undefined ? null : stdinBytes(input.stdin),
    outputs: input.outputs,
  }),
  result: ({ exitCode }) => ({ exitCode }),
});

function stdinBytes(stdin: string | { base64: string }): Uint8Array {
  return typeof stdin === "string" ? new TextEncoder().encode(stdin) : fromBase64(stdin.base64);
}
