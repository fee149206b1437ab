/** What no route should have to think about: requests that are no clear HTTP, answered before any of our code. */

import type { IncomingMessage } from "node:http";
import { LIMITS } from "../core/limits.ts";
import type { ErrorCode } from "../core/errors.ts";

export interface Refusal {
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly retryAfterSeconds?: number;
}

export const BAD_REQUEST: Refusal = {
  status: 400,
  code: "usage",
  detail: "Cannot take this request as it is no clear HTTP",
};

export const INTERNAL: Refusal = {
  status: 500,
  code: "internal",
  detail: "Cannot answer this request: internal error",
};

/** Why this request is not looked at, or null. The engines disagree on these, and a proxy in front may as well. */
export function refusalOf(incoming: IncomingMessage): Refusal | null {
  const fields = incoming.rawHeaders.length / 2;
  if (fields > LIMITS.headersMax) {
    return {
      status: 431,
      code: "header_too_large",
      detail: `Cannot take this request as it may have ${LIMITS.headersMax} header fields: it has ${fields}`,
    };
  }
  const hosts = hostFields(incoming.rawHeaders);
  if (hosts.length !== 1 || hosts[0] === "") {
    return badHost(`one Host header with a value: it has ${hosts.length}`);
  }
  if (!isPlainHost(hosts[0]!)) return badHost("a host and a port in its Host header and nothing else");
  if (!namesSameHost(incoming.url ?? "/", hosts[0]!)) {
    return badHost("the same host in its target as in Host");
  }
  return null;
}

function badHost(wanted: string): Refusal {
  return { status: 400, code: "usage", detail: `Cannot take this request as it must have ${wanted}` };
}

function hostFields(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]!.toLowerCase() === "host");
}

function isPlainHost(host: string): boolean {
  return !/[\s/\\?#@]/.test(host) && URL.canParse(`http://${host}`);
}

/** A target may be a whole URL (RFC 9112 section 3.2.2); its host is what a URL made of it will say. */
function namesSameHost(target: string, host: string): boolean {
  if (target.startsWith("/") || target === "*") return true;
  return URL.canParse(target) && new URL(target).host === new URL(`http://${host}`).host;
}

/** A refusal as the parts of an RFC 9457 problem document. */
export function problem({ status, code, detail, retryAfterSeconds }: Refusal): {
  status: number;
  headers: Record<string, string>;
  body: string;
} {
  const body = JSON.stringify({ type: "about:blank", status, code, detail });
  const headers = {
    "content-type": "application/problem+json",
    "content-length": String(new TextEncoder().encode(body).length),
    "connection": "close",
    ...(retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) }),
  };
  return { status, headers, body };
}

export function toResponse(refusal: Refusal): Response {
  const { status, headers, body } = problem(refusal);
  return new Response(body, { status, headers });
}
