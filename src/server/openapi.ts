import { z } from "zod";
import { type ErrorCode, GlassboxError } from "../core/errors.ts";
import { VERSION } from "../core/version.ts";
import { ProblemDocument } from "./documents.ts";
import { PROBLEM_MEDIA_TYPE } from "./problem.ts";
import type { Reply, Route } from "./route.ts";

type JsonObject = Record<string, unknown>;

/** Any route may answer with these: the guard, the bounds and what nobody foresaw. */
const ANY_ROUTE_REFUSES: readonly ErrorCode[] = [
  "invalid_input",
  "not_acceptable",
  "foreign_host",
  "foreign_origin",
  "url_too_long",
  "header_too_large",
  "internal",
];

const made = new WeakMap<readonly Route[], JsonObject>();

/** The OpenAPI 3.1 document of a route table; made once. */
export function openApi(routes: readonly Route[]): JsonObject {
  const document = made.get(routes) ?? make(routes);
  made.set(routes, document);
  return document;
}

function make(routes: readonly Route[]): JsonObject {
  const components = new Components();
  const paths: Record<string, JsonObject> = {};
  for (const row of routes) {
    if (row.operation === null) continue;
    const path = row.path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}");
    paths[path] = { ...paths[path], [row.method.toLowerCase()]: operation(row, components) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "glassbox",
      version: VERSION,
      summary: "Submit jobs, watch every line they write, and fetch what they leave",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: [],
    paths,
    components: { schemas: components.schemas },
  };
}

function operation(row: Route, components: Components): JsonObject {
  const { body } = row;
  return {
    operationId: row.operation,
    summary: row.summary,
    parameters: [...pathParameters(row), ...queryParameters(row), ...headerParameters(row)],
    ...(body === undefined ? {} : {
      requestBody: {
        required: body.required,
        content: { "application/json": { schema: components.add(body.schema, "input") } },
      },
    }),
    responses: {
      ...Object.fromEntries(row.replies.map((reply) => [reply.status, response(reply, components)])),
      ...refusals([...row.refuses, ...ANY_ROUTE_REFUSES], components),
    },
  };
}

function pathParameters({ path }: Route): JsonObject[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
}

function queryParameters({ query }: Route): JsonObject[] {
  const { properties = {} } = z.toJSONSchema(query, { io: "input", unrepresentable: "any" });
  return Object.entries(properties).map(([name, property]) => {
    const { description, anyOf: _, ...schema } = property as JsonObject;
    return {
      name,
      in: "query",
      required: false,
      schema,
      ...(description === undefined ? {} : { description }),
    };
  });
}

function headerParameters({ headers = {} }: Route): JsonObject[] {
  return Object.entries(headers).map(([name, description]) => ({
    name,
    in: "header",
    required: false,
    description,
    schema: { type: "string" },
  }));
}

function response(reply: Reply, components: Components): JsonObject {
  const schema = reply.schema === undefined ? {} : components.add(reply.schema, "output");
  const types = reply.mediaTypes ?? (reply.schema === undefined ? [] : ["application/json"]);
  const describes = (type: string) => type === "application/json" || type === "text/event-stream";
  const headers = Object.entries(reply.headers ?? {}).map(([name, description]) =>
    [name, { description, schema: { type: "string" } }] as const
  );
  return {
    description: reply.about,
    ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers) }),
    ...(types.length === 0 ? {} : {
      content: Object.fromEntries(types.map((type) => [type, describes(type) ? { schema } : {}])),
    }),
  };
}

/** One response per status, naming the codes it may carry. */
function refusals(codes: readonly ErrorCode[], components: Components): JsonObject {
  const byStatus = new Map<number, Set<ErrorCode>>();
  for (const code of codes) {
    const { status } = new GlassboxError(code, "");
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code));
  }
  const schema = components.add(ProblemDocument, "output");
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [status, {
      description: `A problem: ${[...group].join(", ")}`,
      content: { [PROBLEM_MEDIA_TYPE]: { schema } },
    }]),
  );
}

/** The schemas that have a name, each once. */
class Components {
  readonly schemas: Record<string, unknown> = {};

  /** Gives `schema` as JSON Schema, by reference where it is named. */
  add(schema: z.ZodType, io: "input" | "output"): JsonObject {
    // As a property of something, a named schema becomes a definition and a reference to it.
    const whole = z.toJSONSchema(z.object({ it: schema }), { io, unrepresentable: "any" });
    const owner = (schema.meta()?.id as string | undefined) ?? "Inline";
    const nameOf = (name: string) => name.replace(/^__schema(\d+)$/, `${owner}Part$1`);
    const text = JSON.stringify({ it: whole.properties!.it, definitions: whole.$defs ?? {} });
    const { it, definitions } = JSON.parse(
      text.replace(/"#\/\$defs\/([^"]+)"/g, (_, name) => `"#/components/schemas/${nameOf(name)}"`),
    );
    for (const [name, definition] of Object.entries(definitions as Record<string, JsonObject>)) {
      const { id: _, ...rest } = definition;
      this.schemas[nameOf(name)] = rest;
    }
    return it;
  }
}
