import assert from "node:assert/strict";
import { z } from "zod";
import { isGlassboxError } from "./errors.ts";
import { fieldErrors, fieldPath, parseWith } from "./schema.ts";

const Schema = z.strictObject({
  name: z.string().max(3),
  list: z.array(z.int()).default([]),
  "odd key": z.boolean().optional(),
});

function fieldsOf(value: unknown, root = "input"): string[] {
  const parsed = Schema.safeParse(value);
  return parsed.success ? [] : fieldErrors(root, parsed.error).map(({ field }) => field);
}

Deno.test("fieldPath() names a place as code would", () => {
  assert.equal(fieldPath("input", ["args", 2, "x"]), "input.args[2].x");
  assert.equal(fieldPath("input", ["odd key", "9"]), 'input["odd key"]["9"]');
  assert.equal(fieldPath("", ["task"]), "task");
  assert.equal(fieldPath("", [0]), "[0]");
  assert.equal(fieldPath("", []), "(the whole document)");
});

Deno.test("fieldErrors() names every bad field: wrong, missing and unknown ones", () => {
  assert.deepEqual(fieldsOf({ name: "long", list: [1, "2", 3.5], "odd key": 1, a: 1, b: 2 }), [
    "input.name",
    "input.list[1]",
    "input.list[2]",
    'input["odd key"]',
    "input.a",
    "input.b",
  ]);
  assert.deepEqual(fieldsOf({}), ["input.name"]);
  assert.deepEqual(fieldsOf([]), ["input"]);
  assert.deepEqual(fieldsOf(null, ""), ["(the whole document)"]);
});

Deno.test("fieldErrors() gives twenty entries at most, and says how many it left out", () => {
  const bad = (count: number) => ({ name: "x", list: Array.from({ length: count }, () => "no") });
  assert.equal(fieldsOf(bad(19)).length, 19);
  assert.equal(fieldsOf(bad(20)).at(-1), "input.list[19]");
  const parsed = Schema.safeParse(bad(21));
  const fields = fieldErrors("input", parsed.error!);
  assert.equal(fields.length, 20);
  assert.deepEqual(fields.at(-1), { field: "input", message: "has 2 more bad fields" });
});

Deno.test("parseWith() gives the value with its defaults, or one error that names all fields", () => {
  assert.deepEqual(parseWith(Schema, { name: "abc" }, "input", "this input"), { name: "abc", list: [] });
  assert.throws(() => parseWith(Schema, { name: 1, more: 2 }, "input", "this input"), (error) => {
    assert.ok(isGlassboxError(error, "invalid_input"));
    assert.match(
      error.message,
      /^Cannot accept this input: input\.name: .*; input\.more: is not a known field$/,
    );
    assert.deepEqual(error.fields.map(({ field }) => field), ["input.name", "input.more"]);
    return true;
  });
});
