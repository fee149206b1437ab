/** An HTTP upgrade as a web Request, and the Response that refuses it written to the bare connection. */

import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";

/** The request as `fetch` would see it. Its host must have been looked at before. */
export function requestOf({ url, headers, rawHeaders }: IncomingMessage): Request {
  return new Request(new URL(url ?? "/", `http://${headers.host}`), { headers: headersOf(rawHeaders) });
}

function headersOf(raw: readonly string[]): Headers {
  const headers = new Headers();
  for (let at = 0; at + 1 < raw.length; at += 2) headers.append(raw[at]!, raw[at + 1]!);
  return headers;
}

/** Writes the whole answer and closes the connection. */
export async function writeResponse(stream: Duplex, response: Response): Promise<void> {
  const body = new Uint8Array(await response.arrayBuffer());
  const headers = new Headers(response.headers);
  headers.set("connection", "close");
  headers.set("content-length", String(body.length));
  const lines = [`HTTP/1.1 ${response.status} ${response.statusText || STATUS_CODES[response.status] || ""}`];
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  stream.write(`${lines.join("\r\n")}\r\n\r\n`);
  stream.end(body);
}
