import assert from "node:assert/strict";
import { verdictOf } from "./verdict.ts";

const ID = "5d54bdcb9b402d15271b3208";

function judge(output: unknown) {
  const text = typeof output === "string" ? output : JSON.stringify(output);
  return verdictOf(new TextEncoder().encode(text));
}

Deno.test("verdictOf() accepts a result, and warns of one that the Narrative shows badly", () => {
  const report = { report_name: "r", report_ref: "1/2/3" };
  const fine = judge({ version: "1.1", id: ID, result: [report] });
  assert.deepEqual([fine.state, fine.errorCode, fine.warnings], ["completed", null, []]);
  assert.equal(judge({}).state, "completed");
  assert.equal(judge({ version: "1.1", id: ID.toUpperCase(), result: [] }).state, "completed");
  assert.equal(judge({ version: "1.1", id: null, result: [] }).state, "completed");
  assert.match(judge({ version: "1.1", result: [1] }).warnings.join(" "), /shows no report.*is no object/);
});

Deno.test("verdictOf() finds what makes EE2 or the runner fail, by its error code", () => {
  const cases: [unknown, number, RegExp][] = [
    [{ version: "1.1", id: ID, result: null }, 4, /result must be there, and not be null/],
    [{ version: "1.1", id: ID }, 4, /result must be there/],
    [{ result: [] }, 4, /version must be there/],
    [{ version: 1.1, result: [] }, 4, /version must be there, and be a string/],
    [{ version: "1.1", id: "7", result: [] }, 2, /24 hexadecimal digits/],
    [{ version: "1.1", id: 7, result: [] }, 2, /24 hexadecimal digits: it is 7/],
    [{ version: "1.1", id: "7", result: null }, 4, /result must be there/],
    ['\ufeff{"version": "1.1", "result": []}', 2, /not JSON/],
    [{ error: null, result: [] }, 2, /must not have that key/],
    [{ version: "1.1", error: { message: "mine" } }, 1, /Job output contains an error: mine/],
    ['{"result": [NaN]}', 2, /not JSON/],
    ["[]", 2, /no object/],
    ["", 2, /not JSON/],
  ];
  for (const [output, code, text] of cases) {
    const verdict = judge(output);
    assert.deepEqual([verdict.state, verdict.errorCode], ["error", code], JSON.stringify(output));
    assert.match(verdict.text, text);
  }
  const both = judge({ version: "1.1", error: { message: "m" }, result: [] });
  assert.match(both.warnings.join(), /result stands beside error/);
});

Deno.test("verdictOf() makes up an error for an output that is missing or too large", () => {
  const missing = verdictOf(null);
  assert.equal(missing.errorCode, 1);
  assert.deepEqual(missing.document["error"], {
    code: -32601,
    name: "Output not found",
    message: "No output generated. Check logs for more details",
    error: "No output generated",
  });
  const { text } = verdictOf({ sizeBytes: 1_073_741_825 });
  assert.equal(text, "Method returned too much output (1073741825 > 1073741824)");
});
