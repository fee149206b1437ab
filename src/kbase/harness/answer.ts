import type { z } from "zod";
import { fieldErrors } from "../../core/schema.ts";
import { isObject } from "../envelope.ts";
import { RPC, RpcError } from "../rpc_error.ts";

/** A method of a stand-in: its positional arguments become its return values. */
export type StandInMethod = (params: readonly unknown[], call: StandInCall) => Promise<readonly unknown[]>;

export interface StandInCall {
  /** What the runner tells of the job so far, for what it saves. */
  readonly provenance: readonly unknown[];
}

/** The methods of a module, by the name behind the dot. */
export type StandIn = Readonly<Record<string, StandInMethod>>;

/** An error as a service words it. */
export function answerError(message: string): RpcError {
  return new RpcError(RPC.server, message);
}

/** Checks the only argument of a method. */
export function only<Schema extends z.ZodType>(schema: Schema, params: readonly unknown[]): z.output<Schema> {
  if (params.length !== 1) throw new RpcError(RPC.params, `expected 1 argument, got ${params.length}`);
  const parsed = schema.safeParse(params[0]);
  if (parsed.success) return parsed.data;
  const errors = fieldErrors("", parsed.error).map(({ field, message }) => `${field}: ${message}`);
  throw answerError(errors.join("; "));
}

/** As KBase's Java services answer. */
export function rpcResponse(document: object, status = 200): Response {
  return new Response(JSON.stringify(document), { status, headers: { "content-type": "application/json" } });
}

export interface RpcServiceOptions {
  /** What is told of the job to a method that saves. */
  readonly call: StandInCall;
  readonly isAllowed: (method: string) => boolean;
  /** True for a service that words its errors as KBase's Java servers do. */
  readonly isJava?: boolean;
}

/** One JSON-RPC service over HTTP, made of a stand-in. */
export async function answerRpc(
  request: Request,
  methods: StandIn,
  { call, isAllowed, isJava = false }: RpcServiceOptions,
): Promise<Response> {
  let id: unknown;
  try {
    const document: unknown = await request.json().catch(() => null);
    if (!isObject(document) || typeof document["method"] !== "string") {
      throw new RpcError(RPC.parse, "the request is not JSON, or has no method");
    }
    id = document["id"];
    const name = document["method"].split(".")[1] ?? "";
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
    if (method === undefined) throw new RpcError(RPC.method, `Can not find method [${document["method"]}]`);
    if (!isAllowed(name)) {
      throw new RpcError([-32400, "JSONRPCError"], "Authentication required, or the token is wrong");
    }
    const params = Array.isArray(document["params"]) ? document["params"] : [];
    return rpcResponse({ version: "1.1", id, result: await method(params, call) });
  } catch (error) {
    const fields = errorFields(error);
    return rpcResponse({ version: "1.1", id, error: isJava ? javaFields(fields) : fields }, 500);
  }
}

/** Anything thrown, as the `error` of an answer. */
export function errorFields(error: unknown): { name: string; code: number; message: string; error: string } {
  const message = error instanceof Error ? error.message : String(error);
  const [code, name] = error instanceof RpcError ? [error.code, error.name] : [-32500, "JSONRPCError"];
  return { name, code, message, error: message };
}

/** Java's servers have one name for all errors, and a code of their own for what a method throws. */
function javaFields(fields: ReturnType<typeof errorFields>): ReturnType<typeof errorFields> {
  return { ...fields, name: "JSONRPCError", code: fields.code === RPC.server[0] ? -32500 : fields.code };
}
