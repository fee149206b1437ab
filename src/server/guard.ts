import { GlassboxError, quoted } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";

/** Where the server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The names under which a browser or a program of this machine may reach the server, beside the bound one. */
const LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"] as const;

/** A host as it stands in a URL: an IPv6 address in brackets. */
export function hostInUrl(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

/** Refuses a request whose target or headers are beyond the bounds, before anything of it is used. */
export function checkEnvelope(request: Request): void {
  const { pathname, search } = new URL(request.url);
  const urlBytes = pathname.length + search.length;
  if (urlBytes > LIMITS.urlBytesMax) {
    throw new GlassboxError(
      "url_too_long",
      `Cannot answer as the path and query must be at most ${LIMITS.urlBytesMax} bytes: they have ${urlBytes}`,
    );
  }
  let count = 0;
  let bytes = 0;
  for (const [name, value] of request.headers) {
    count += 1;
    // As on the wire: a colon, a space and the line's end.
    bytes += name.length + value.length + 4;
  }
  if (count > LIMITS.headersMax || bytes > LIMITS.headerBytesMax) {
    throw new GlassboxError(
      "header_too_large",
      `Cannot answer as there may be ${LIMITS.headersMax} headers of ${LIMITS.headerBytesMax} bytes together: ` +
        `there are ${count} of ${bytes} bytes`,
    );
  }
}

/**
 * Refuses whoever did not mean this server. A page of another site can make a browser send requests here, and a
 * name it owns can be made to resolve to 127.0.0.1; what it cannot do is forge Host, Origin and Sec-Fetch-Site.
 */
export function checkCaller(request: Request, address: Address): void {
  const allowed = allowedHosts(address);
  checkHost(request, allowed);
  const origin = request.headers.get("origin");
  if (origin !== null && !allowed.some((host) => origin === `http://${host}`)) {
    throw new GlassboxError(
      "foreign_origin",
      `Cannot answer a page of another origin: Origin must be http://${allowed[0]}, and is ${quoted(origin)}`,
    );
  }
  const site = request.headers.get("sec-fetch-site");
  // Another port of this machine is "same-site": a link from there is fine, a request by its scripts is not.
  const isLink = site === "same-site" && request.headers.get("sec-fetch-mode") === "navigate";
  if (site !== null && site !== "same-origin" && site !== "none" && !isLink) {
    throw new GlassboxError(
      "foreign_origin",
      `Cannot answer a request that another site makes: Sec-Fetch-Site is ${quoted(site)}`,
    );
  }
}

function checkHost(request: Request, allowed: readonly string[]): void {
  const host = request.headers.get("host");
  if (host === null || host === "") {
    throw new GlassboxError("usage", "Cannot answer as the Host header must name this server: it is missing");
  }
  // A request line with a whole URL in it names a host a second time.
  const target = new URL(request.url).host;
  const foreign = [host.toLowerCase(), target].find((name) => !allowed.includes(name));
  if (foreign === undefined) return;
  throw new GlassboxError(
    "foreign_host",
    `Cannot answer for the host ${quoted(foreign)}: this server is ${allowed.join(", ")}`,
  );
}

/** Every `host:port` that means this server. */
function allowedHosts({ host, port }: Address): string[] {
  const names = [...new Set([hostInUrl(host).toLowerCase(), ...LOOPBACK_NAMES])];
  const withPort = names.map((name) => `${name}:${port}`);
  return port === 80 ? [...withPort, ...names] : withPort;
}
