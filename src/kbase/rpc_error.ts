import { asGlassboxError, type ErrorCode } from "../core/errors.ts";

/** The codes of JSON-RPC with the names that KBase's Python server gives them. */
export const RPC = {
  parse: [-32700, "Parse error"],
  request: [-32600, "Invalid request"],
  method: [-32601, "Method not found"],
  params: [-32602, "Invalid params"],
  server: [-32000, "Server error"],
  unexpected: [0, "Unexpected Server Error"],
} as const satisfies Record<string, readonly [number, string]>;

export interface RpcErrorOptions {
  /** Where it happened, or the last lines of the job; null where nothing is known. */
  readonly trace?: string | null | undefined;
  /** What the process exits with when this ends a job. */
  readonly exitCode?: number | undefined;
  readonly cause?: unknown;
}

/** An error as KBase's callers read it. */
export class RpcError extends Error {
  readonly code: number;
  readonly trace: string | null;
  readonly exitCode: number;
  readonly text: string | null;

  constructor(
    [code, name]: readonly [number, string],
    message: string | null,
    { trace, exitCode, cause }: RpcErrorOptions = {},
  ) {
    super(message ?? name, cause === undefined ? undefined : { cause });
    this.name = name;
    this.code = code;
    this.text = message;
    this.trace = trace ?? null;
    this.exitCode = exitCode ?? 1;
  }
}

/** Anything thrown as an error for callers: our own errors in their words, all else without its inside. */
export function asRpcError(error: unknown): RpcError {
  if (error instanceof RpcError) return error;
  const known = asGlassboxError(error);
  return new RpcError(KINDS[known.code] ?? RPC.server, known.message, {
    exitCode: known.exitCode,
    cause: error,
  });
}

const KINDS: Partial<Record<ErrorCode, readonly [number, string]>> = {
  bad_json: RPC.parse,
  too_deep: RPC.parse,
  invalid_input: RPC.params,
  internal: RPC.unexpected,
};
