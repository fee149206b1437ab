import assert from "node:assert/strict";
import { canonicalJson } from "./canonical.ts";

Deno.test("canonicalJson() gives equal text for equal values, whatever the order of their keys", () => {
  const a = canonicalJson({ b: [1, { d: null, c: true }], a: "x", é: 1, Z: 0 });
  assert.equal(a, canonicalJson({ Z: 0, é: 1, a: "x", b: [1, { c: true, d: null }] }));
  assert.equal(a, '{"Z":0,"a":"x","b":[1,{"c":true,"d":null}],"é":1}');
});

Deno.test("canonicalJson() tells different values apart", () => {
  const values = [null, 0, "", [], {}, [[]], [{}], { a: null }, { a: [1, 2] }, { a: [2, 1] }, "0", [0], {
    0: 0,
  }];
  const texts = values.map((value) => canonicalJson(value));
  assert.equal(new Set(texts).size, values.length);
  for (const [index, text] of texts.entries()) assert.deepEqual(JSON.parse(text), values[index]);
});

Deno.test("canonicalJson() keeps odd keys, leaves out undefined, and writes NUL and lone surrogates as escapes", () => {
  const odd = JSON.parse('{"__proto__":{"x":1},"constructor":2,"":3,"10":4,"9":5}');
  assert.equal(
    canonicalJson(odd),
    canonicalJson(JSON.parse('{"9":5,"":3,"10":4,"constructor":2,"__proto__":{"x":1}}')),
  );
  assert.deepEqual(JSON.parse(canonicalJson(odd)), odd);
  assert.ok(canonicalJson(odd).includes('"__proto__":{"x":1}'));
  assert.equal(canonicalJson({ a: undefined, b: 1 }), '{"b":1}');
  assert.equal(canonicalJson(["\0", "\ud800"]), '["\\u0000","\\ud800"]');
});
