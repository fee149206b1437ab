import type { z } from "zod";
import type { ErrorCode } from "../core/errors.ts";
import type { ServerContext } from "./context.ts";

/** One request that has found its route. */
export interface Call<Query = unknown> {
  readonly request: Request;
  readonly requestId: string;
  /** The parts of the path that the route names, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly context: ServerContext;
}

export interface Reply {
  readonly status: number;
  readonly about: string;
  readonly schema?: z.ZodType;
  /** `application/json` when absent. */
  readonly mediaTypes?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * One row of the table that routing, the answer to a wrong method and /openapi.json are made from.
 */
export interface Route<Query extends z.ZodType = z.ZodType> {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** As Hono writes it: `/jobs/:id`, and `:name{.+}` for what may hold slashes. */
  readonly path: string;
  /** The operation's name in /openapi.json; null keeps it out of there. */
  readonly operation: string | null;
  readonly summary: string;
  readonly query: Query;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: { readonly schema: z.ZodType; readonly required: boolean };
  readonly replies: readonly Reply[];
  /** The codes it may answer with besides those that any route may. */
  readonly refuses: readonly ErrorCode[];
  answer(call: Call<z.output<Query>>): Response | Promise<Response>;
}

/** Declares a route; only gives the compiler the query's schema to check `answer` with. */
export function route<Query extends z.ZodType>(row: Route<Query>): Route {
  return row as unknown as Route;
}

/** A JSON answer that no cache may keep: a job's state is only ever true now. */
export function json(
  document: unknown,
  init: { status?: number; headers?: Record<string, string> } = {},
): Response {
  return new Response(JSON.stringify(document), {
    status: init.status ?? 200,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...init.headers },
  });
}
