import { z } from "zod";
import { parseStrictJson } from "../../config/strict_json.ts";
import { canonicalJson } from "../../core/canonical.ts";
import { messageOf, quoted } from "../../core/errors.ts";
import { GlassboxError } from "../../core/errors.ts";
import type { Files } from "../../core/host.ts";
import { parseWith } from "../../core/schema.ts";
import { RPC, RpcError } from "../rpc_error.ts";

const Reply = z.strictObject({
  method: z.string().regex(/^[^.\s]+\.[^.\s]+$/, "must be Module.method"),
  /** Left out, it answers any arguments. */
  params: z.array(z.json()).optional(),
  result: z.array(z.json()).optional(),
  error: z.strictObject({ message: z.string(), code: z.int().optional(), name: z.string().optional() })
    .optional(),
}).refine(({ result, error }) => (result === undefined) !== (error === undefined), {
  message: "must have either a result or an error",
});

/** What a method answered once. */
export type Recorded = z.output<typeof Reply>;

const BYTES_MAX = 64 * 1024 * 1024;

/** A file with a list of replies. */
export async function readRecorded(files: Files, path: string): Promise<readonly Recorded[]> {
  let bytes: Uint8Array;
  try {
    bytes = await files.read(path, BYTES_MAX);
  } catch (error) {
    throw new GlassboxError("input_missing", `Cannot read ${quoted(path)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const document = parseStrictJson(bytes, { what: quoted(path), bytesMax: BYTES_MAX, depthMax: 64 });
  return parseWith(z.array(Reply), document, "", quoted(path));
}

/** The reply to equal arguments before one to any; equal entries answer one after the other, the last for good. */
export function recordedAnswer(
  replies: readonly Recorded[],
  used: Map<Recorded, number>,
  method: string,
  params: readonly unknown[],
): readonly unknown[] {
  const wanted = canonicalJson(params);
  const own = replies.filter((reply) => reply.method === method);
  const exact = own.filter((reply) => reply.params !== undefined && canonicalJson(reply.params) === wanted);
  const fitting = exact.length > 0 ? exact : own.filter((reply) => reply.params === undefined);
  const reply = fitting.find((one) => !used.has(one)) ?? fitting.at(-1);
  if (reply === undefined) {
    throw new RpcError(RPC.method, `No recorded reply of ${method} fits these arguments`);
  }
  used.set(reply, (used.get(reply) ?? 0) + 1);
  if (reply.error === undefined) return reply.result!;
  const { code = RPC.server[0], name = RPC.server[1], message } = reply.error;
  throw new RpcError([code, name], message);
}
