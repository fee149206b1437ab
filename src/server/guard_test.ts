import assert from "node:assert/strict";
import { isGlassboxError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import { type Address, checkCaller, checkEnvelope, hostInUrl } from "./guard.ts";

function codeOf(check: () => void): string {
  try {
    check();
    return "passes";
  } catch (error) {
    assert.ok(isGlassboxError(error));
    return error.code;
  }
}

function caller(address: Address, headers: Record<string, string>, url?: string): string {
  const request = new Request(url ?? `http://${hostInUrl(address.host)}:${address.port}/health`, { headers });
  return codeOf(() => checkCaller(request, address));
}

Deno.test("checkCaller() takes a name without its port only where the port is 80", () => {
  const web = { host: "127.0.0.1", port: 80 };
  assert.equal(caller(web, { host: "127.0.0.1" }), "passes");
  assert.equal(caller(web, { host: "localhost:80" }), "passes");
  assert.equal(caller(web, { host: "localhost", origin: "http://localhost" }), "passes");
  assert.equal(caller({ host: "127.0.0.1", port: 8000 }, { host: "127.0.0.1" }), "foreign_host");
});

Deno.test("checkCaller() takes the bound host as a URL spells it", () => {
  const six = { host: "::1", port: 8000 };
  assert.equal(caller(six, { host: "[::1]:8000", origin: "http://[::1]:8000" }), "passes");
  assert.equal(caller({ host: "127.0.0.2", port: 8000 }, { host: "127.0.0.2:8000" }), "passes");
  assert.equal(caller({ host: "127.0.0.2", port: 8000 }, { host: "127.0.0.3:8000" }), "foreign_host");
});

Deno.test("checkCaller() refuses a request whose URL and Host differ", () => {
  const address = { host: "127.0.0.1", port: 8000 };
  assert.equal(caller(address, { host: "127.0.0.1:8000" }, "http://evil.example/health"), "foreign_host");
  assert.equal(caller(address, {}), "usage");
});

Deno.test("checkEnvelope() takes exactly as much as the limits say", () => {
  const url = (bytes: number) => new Request(`http://a/${"x".repeat(bytes - 1)}`);
  assert.equal(codeOf(() => checkEnvelope(url(LIMITS.urlBytesMax))), "passes");
  assert.equal(codeOf(() => checkEnvelope(url(LIMITS.urlBytesMax + 1))), "url_too_long");
  const many = (count: number) =>
    new Request("http://a/", {
      headers: Object.fromEntries(Array.from({ length: count }, (_, at) => [`x-${at}`, ""])),
    });
  assert.equal(codeOf(() => checkEnvelope(many(LIMITS.headersMax))), "passes");
  assert.equal(codeOf(() => checkEnvelope(many(LIMITS.headersMax + 1))), "header_too_large");
  const large = (bytes: number) => new Request("http://a/", { headers: { x: "y".repeat(bytes - 5) } });
  assert.equal(codeOf(() => checkEnvelope(large(LIMITS.headerBytesMax))), "passes");
  assert.equal(codeOf(() => checkEnvelope(large(LIMITS.headerBytesMax + 1))), "header_too_large");
});
