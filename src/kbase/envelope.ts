import { RPC, RpcError } from "./rpc_error.ts";

/** How a request is to be answered; KBase speaks 1.1, and its servers take the others too. */
export type RpcVersion = "1.0" | "1.1" | "2.0";

export type RpcId = string | number | null;

export interface RpcRequest {
  readonly version: RpcVersion;
  /** Undefined where a request of version 2.0 has none, so that nothing is answered. */
  readonly id: RpcId | undefined;
  readonly method: string;
  readonly params: readonly unknown[];
  readonly context: unknown;
}

/** What of a request is known before it is known to be sound, for the answer that it is not. */
export interface RpcReplyTo {
  readonly version: RpcVersion;
  readonly id: RpcId | undefined;
}

/** To whom nothing can be attributed. */
export const NO_REQUEST: RpcReplyTo = { version: "1.1", id: undefined };

/** How to answer a document, whatever is wrong with it. */
export function replyTo(document: unknown): RpcReplyTo {
  if (!isObject(document)) return NO_REQUEST;
  const version = document["jsonrpc"] !== undefined ? "2.0" : document["version"] === "1.1" ? "1.1" : "1.0";
  const { id } = document;
  return { version, id: id === null || typeof id === "string" || typeof id === "number" ? id : undefined };
}

/** The request in a document, or an RpcError that says why it is none. */
export function readRequest(document: unknown): RpcRequest {
  if (!isObject(document)) {
    throw invalid(Array.isArray(document) ? "batches are not served" : "not an object");
  }
  const reply = replyTo(document);
  const { id, jsonrpc, method, params, context } = document;
  if (jsonrpc !== undefined && jsonrpc !== "2.0") throw invalid("jsonrpc must be 2.0");
  if (id !== undefined && reply.id === undefined) throw invalid("id must be a string, a number or null");
  if (id === undefined && reply.version !== "2.0") throw invalid("id is missing");
  if (typeof method !== "string") throw invalid("method must be a string");
  if (!/^[^.]+\.[^.]+$/.test(method)) throw invalid("method must be Module.method");
  return { ...reply, method, params: positional(params), context };
}

/** The positional arguments of a request; null and absent stand for none. */
function positional(params: unknown): readonly unknown[] {
  if (params === undefined || params === null) return [];
  if (Array.isArray(params)) return params;
  if (typeof params === "object") {
    throw new RpcError(RPC.params, "expected positional params, not keyword", { exitCode: 65 });
  }
  throw invalid("params must be an array");
}

/** KBase gives no message for these; what is wrong stands where a trace would. */
function invalid(why: string): RpcError {
  return new RpcError(RPC.request, null, { trace: why, exitCode: 65 });
}

export function successDocument({ version, id }: RpcReplyTo, result: readonly unknown[]): object {
  if (version === "2.0") return { jsonrpc: "2.0", result, id };
  return version === "1.1" ? { version, result, id } : { result, id };
}

/** An error never stands beside a `result`, not even null: KBase's Java clients give up on that. */
export function errorDocument({ version, id }: RpcReplyTo, error: RpcError): object {
  const { code, name, text: message, trace } = error;
  const base = version === "2.0" ? { jsonrpc: "2.0" } : { version };
  const content = { name, code, message, ...(version === "2.0" ? { data: trace } : { error: trace }) };
  return { ...base, ...(id === undefined ? {} : { id }), error: content };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
