import assert from "node:assert/strict";
import { isGlassboxError } from "../core/errors.ts";
import { negotiate } from "./accept.ts";

const OFFERED = ["application/json", "text/plain"];

function chosen(accept: string | null): string | null {
  const request = new Request("http://a/", accept === null ? {} : { headers: { accept } });
  try {
    return negotiate(request, OFFERED);
  } catch (error) {
    assert.ok(isGlassboxError(error, "not_acceptable"));
    return null;
  }
}

Deno.test("negotiate() chooses what the caller likes best, and else what is offered first", () => {
  const rows: [accept: string | null, wanted: string | null][] = [
    [null, "application/json"],
    ["", "application/json"],
    ["*/*", "application/json"],
    ["text/plain", "text/plain"],
    ["TEXT/Plain", "text/plain"],
    ["text/*", "text/plain"],
    ["application/json;q=0.5, text/plain", "text/plain"],
    ["text/plain;q=0.5, */*;q=0.1", "text/plain"],
    ["text/plain, application/json", "application/json"],
    ["*/*, application/json;q=0", "text/plain"],
    ["text/plain;q=0.000", null],
    ["image/png", null],
    ["text/plain;q=none", null],
  ];
  for (const [accept, wanted] of rows) assert.equal(chosen(accept), wanted, String(accept));
});
