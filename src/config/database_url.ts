import { resolvePath } from "../core/paths.ts";

/**
 * Where the database is, as one URL. A file is always `file:/absolute/path`, with `%`, `?`, `#`, spaces and
 * control characters percent-encoded, because libSQL decodes the path and takes `?` and `#` for a query and a
 * fragment. Every other character stands for itself, so that the URL is one word and can still be read.
 */

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):/;
const REMOTE_SCHEMES: readonly string[] = ["http", "https", "ws", "wss", "libsql"];
const TOKEN_ADVICE = "put the token in GLASSBOX_DB_TOKEN";

/** A URL fit for `Settings.database`, or why the value cannot become one (it begins with "must"). */
export type DatabaseUrl = { readonly url: string } | { readonly problem: string };

/** Reads a path or URL as a user gave it; a relative path is taken from `directory`. */
export function databaseUrl(value: string, directory: string): DatabaseUrl {
  const scheme = SCHEME.exec(value)?.[1]?.toLowerCase();
  if (value === ":memory:") return problem(IN_MEMORY);
  if (scheme === undefined) return fromPath(value, directory);
  if (scheme === "file") return fromFileUrl(value.slice("file:".length), directory);
  if (REMOTE_SCHEMES.includes(scheme)) return fromRemoteUrl(scheme, value.slice(scheme.length));
  return problem(
    "must be a path or begin with file:, http:, https:, ws:, wss: or libsql: (write a path with a colon as ./a:b)",
  );
}

/** The URL of a file by its absolute path. */
export function fileUrl(path: string): string {
  // deno-lint-ignore no-control-regex
  return `file:${path.replace(/[%?#\s\x00-\x1f\x7f]/g, encodeURIComponent)}`;
}

/** The path of an embedded database, or null when the URL names a server. */
export function databasePath(url: string): string | null {
  const path = /^file:(?:\/\/(?:localhost)?(?=\/))?(.*)$/is.exec(url)?.[1];
  return path === undefined ? null : decodeURIComponent(path);
}

/** A database value as it may be shown: what could be a password or a token in it is replaced by `***`. */
export function redactUrl(value: string): string {
  const scheme = SCHEME.exec(value)?.[1];
  if (scheme === undefined || scheme.toLowerCase() === "file") return value;
  // Up to the last @, since a password with a slash in it ends what a URL parser takes for the host.
  const hidden = value.replace(/^([^:]*:(?:\/\/)?).*@/s, "$1***@");
  return hidden.replace(/(?!\?tls=[01]$)\?.*|#.*/s, (rest) => `${rest[0]}***`);
}

/** Why a path cannot be used as it was given, or null. */
export function pathProblem(path: string): string | null {
  if (path === "") return "must not be empty";
  if (path.includes("\0")) return "must not hold a NUL character";
  if (path === "~" || path.startsWith("~/")) return "must be a whole path, as ~ is not expanded here";
  return null;
}

const IN_MEMORY =
  "must be a file or a server, as a database in memory is lost with the process that opened it";

function problem(text: string): DatabaseUrl {
  return { problem: text };
}

function fromPath(path: string, directory: string): DatabaseUrl {
  const wrong = pathProblem(path);
  return wrong === null ? { url: fileUrl(resolvePath(directory, path)) } : problem(wrong);
}

function fromFileUrl(rest: string, directory: string): DatabaseUrl {
  if (/[?#]/.test(rest)) {
    return problem(
      "must have no query and no fragment (write ? as %3F and # as %23, or give a path, not a URL)",
    );
  }
  if (/^\/\/(?!\/|localhost\/)/i.test(rest)) {
    return problem("must name a file of this machine, as in file:/absolute/path");
  }
  const path = decoded(rest.replace(/^\/\/(localhost)?/i, ""));
  if (path === null) return problem("must have a valid percent-encoding");
  return path === ":memory:" ? problem(IN_MEMORY) : fromPath(path, directory);
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function fromRemoteUrl(scheme: string, rest: string): DatabaseUrl {
  const url = `${scheme}${rest}`;
  if (!/^:\/\/[^/?#]/.test(rest) || !URL.canParse(url) || /[\s\\]/.test(url)) {
    return problem(`must be a valid URL, as in ${scheme}://example.org:8080`);
  }
  const parsed = new URL(url);
  if (parsed.username !== "" || parsed.password !== "" || /^:\/\/[^/?#]*@/.test(rest)) {
    return problem(`must hold no user name and no password (${TOKEN_ADVICE})`);
  }
  if (parsed.searchParams.has("authToken")) return problem(`must hold no authToken (${TOKEN_ADVICE})`);
  if (!/^(\?tls=[01])?$/.test(parsed.search)) return problem("must have no query other than tls=0 or tls=1");
  if (url.includes("#")) return problem("must have no fragment");
  return { url };
}
