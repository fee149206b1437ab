import assert from "node:assert/strict";
import { type ErrorCode, isGlassboxError } from "../core/errors.ts";
import { parseJsonc, parseStrictJson } from "./strict_json.ts";

const OPTIONS = { what: "the input", bytesMax: 10 * 1024 * 1024, depthMax: 64 };

function assertRefused(parse: () => unknown, code: ErrorCode, message: string): void {
  assert.throws(parse, (error) => {
    assert.ok(isGlassboxError(error), String(error));
    assert.deepEqual({ code: error.code, message: error.message }, { code, message });
    return true;
  });
}

const ACCEPTED: readonly string[] = [
  "null",
  "-0",
  "[]",
  "{}",
  "[[],{}]",
  '{"a":{"b":[1,-2.5e-3,1E5,true,false,null,"x"]},"":0}',
  '"\\ud83d\\ude00 \\\\ud800 \\u0000 \\/ \u2028 \u007f"',
  '{"a":{"a":1},"A":2,"b":[{"a":1},{"a":2}]}',
  " \t\r\n 1 \n",
  "1e-999",
  "1.7976931348623157e308",
  "[".repeat(64) + "]".repeat(64),
];

for (const text of ACCEPTED) {
  Deno.test(`parseStrictJson() gives what JSON.parse gives when the text is ${text.slice(0, 40)}`, () => {
    assert.deepEqual(parseStrictJson(text, OPTIONS), JSON.parse(text));
    assert.deepEqual(parseStrictJson(new TextEncoder().encode(text), OPTIONS), JSON.parse(text));
  });
}

/** The text, what is wrong with it, and where. */
const REFUSED: readonly [string, string, string][] = [
  ["", "it is empty", "1:1"],
  [" \n\t", "it is empty", "1:1"],
  ["\uFEFF", "it is empty", "1:1"],
  ["{} {}", 'one document is expected, and "{" follows it', "1:4"],
  ["1\n2", 'one document is expected, and "2" follows it', "2:1"],
  ["[]]", 'one document is expected, and "]" follows it', "1:3"],
  ['{"a":1,\n "a":2}', 'the key "a" stands twice in one object', "2:2"],
  ['{"a":1,"\\u0061":2}', 'the key "a" stands twice in one object', "1:8"],
  ['{"a":{"b":[],"c":1,"b":2}}', 'the key "b" stands twice in one object', "1:20"],
  ['{"__proto__":1}', 'the key "__proto__" is not allowed', "1:2"],
  ['{"\\u005f_proto__":1}', 'the key "__proto__" is not allowed', "1:2"],
  ['[{"a":{"constructor":{}}}]', 'the key "constructor" is not allowed', "1:8"],
  ['{\n"prototype":1}', 'the key "prototype" is not allowed', "2:1"],
  ["[1e999]", 'the number "1e999" is too large to be stored', "1:2"],
  ['{"a":-1e400}', 'the number "-1e400" is too large to be stored', "1:6"],
  ['["x\\ud800"]', "the escape \\ud800 is half of a surrogate pair and no character", "1:4"],
  ['["\\udc00\\ud800"]', "the escape \\udc00 is half of a surrogate pair and no character", "1:3"],
  ['["\\ud83d\\ude00\\uDBFF"]', "the escape \\uDBFF is half of a surrogate pair and no character", "1:15"],
  ['["\\\\\\ud800"]', "the escape \\ud800 is half of a surrogate pair and no character", "1:5"],
  ['{"\\ud800":1}', "the escape \\ud800 is half of a surrogate pair and no character", "1:3"],
  ['"\ud800"', "half of a surrogate pair is not a character", "1:2"],
  ['{"a":1,}', "a comma after the last entry is not allowed", "1:8"],
  ["[1,\n]", "a comma after the last entry is not allowed", "2:1"],
  ["// x\n1", "a comment is not allowed", "1:1"],
  ["[1 /* x */]", "a comment is not allowed", "1:4"],
  ["/* x", "a comment is not allowed", "1:1"],
  ["[1,,2]", 'a value is expected, and "," found', "1:4"],
  ["[,1]", 'a value or "]" is expected, and "," found', "1:2"],
  ["[1 2]", '"," or "]" is expected, and "2" found', "1:4"],
  ["[1", '"," or "]" is expected, and the end found', "1:3"],
  ['{"a" 1}', '":" is expected, and "1" found', "1:6"],
  ['{"a":}', 'a value is expected, and "}" found', "1:6"],
  ['{"a":1 "b":2}', '"," or "}" is expected, and "\\"b\\"" found', "1:8"],
  ["{a:1}", 'a key in double quotes or "}" is expected, and "a" found', "1:2"],
  ['{"a":1,b:2}', 'a key in double quotes is expected, and "b" found', "1:8"],
  ["{1:2}", 'a key in double quotes or "}" is expected, and "1" found', "1:2"],
  ["{'a':1}", 'a key in double quotes or "}" is expected, and "\'a\'" found', "1:2"],
  ["[}", 'a value or "]" is expected, and "}" found', "1:2"],
  ["{]", 'a key in double quotes or "}" is expected, and "]" found', "1:2"],
  ["]", 'a value is expected, and "]" found', "1:1"],
  ["nul", 'a value is expected, and "nul" found', "1:1"],
  ["NaN", 'a value is expected, and "NaN" found', "1:1"],
  ["-Infinity", 'a value is expected, and "-" found', "1:1"],
  ["+1", 'a value is expected, and "+1" found', "1:1"],
  ["[01]", '"," or "]" is expected, and "1" found', "1:3"],
  [".5", 'a value is expected, and ".5" found', "1:1"],
  ["[1.]", 'the number "1." lacks a digit at its end', "1:2"],
  ["[1e+]", 'the number "1e+" lacks a digit at its end', "1:2"],
  ['["abc', "a string has no closing quote on its line", "1:2"],
  ['["abc\\', "a string has no closing quote on its line", "1:2"],
  ['["a\n"]', "a string has no closing quote on its line", "1:2"],
  ['["a\tb"]', 'a string holds the control character "\\t" unescaped', "1:4"],
  ['["\\q"]', 'a string holds the unknown escape "\\\\q"', "1:3"],
  ['["\\u12g4"]', 'a string holds the unknown escape "\\\\u12g4"', "1:3"],
  ["[1\f]", '"," or "]" is expected, and "\\f" found', "1:3"],
  ["[1\u00a0]", '"," or "]" is expected, and "\u00a0" found', "1:3"],
  ['\uFEFF{"a":x}', 'a value is expected, and "x" found', "1:6"],
  ["[1,\r\n2,\r3,\n\n  x]", 'a value is expected, and "x" found', "5:3"],
  ['["é😀", x]', 'a value is expected, and "x" found', "1:8"],
];

for (const [text, problem, at] of REFUSED) {
  Deno.test(`parseStrictJson() says "${problem}" at ${at} when the text is ${JSON.stringify(text)}`, () => {
    const message = `Cannot read the input as JSON: ${problem}, at ${at}`;
    assertRefused(() => parseStrictJson(text, OPTIONS), "bad_json", message);
  });
}

const UTF16 = "the text must be UTF-8, and this is UTF-16; save it as UTF-8";
const notUtf8 = (byte: string, number: number) =>
  `the text must be UTF-8, and the byte 0x${byte} (number ${number}) is not`;

const REFUSED_BYTES: readonly [string, readonly number[], string, string][] = [
  ["UTF-16 with a big-endian mark", [0xfe, 0xff, 0x00, 0x7b], UTF16, "1:1"],
  ["UTF-16 with a little-endian mark", [0xff, 0xfe, 0x7b, 0x00], UTF16, "1:1"],
  ["UTF-16 big-endian without a mark", [0x00, 0x7b, 0x00, 0x7d], UTF16, "1:1"],
  ["UTF-16 little-endian without a mark", [0x7b, 0x00, 0x7d, 0x00], UTF16, "1:1"],
  ["a byte that begins no character", [0x22, 0xc3, 0xa9, 0xff, 0x22], notUtf8("ff", 4), "1:3"],
  ["a lone continuation byte", [0x22, 0x80, 0x22], notUtf8("80", 2), "1:2"],
  ["an encoded surrogate", [0x5b, 0x0a, 0x22, 0xed, 0xa0, 0x80, 0x22], notUtf8("ed", 4), "2:2"],
  ["an overlong NUL", [0x22, 0xc0, 0x80, 0x22], notUtf8("c0", 2), "1:2"],
  ["an overlong three-byte form", [0x22, 0xe0, 0x9f, 0xbf, 0x22], notUtf8("e0", 2), "1:2"],
  ["a character above U+10FFFF", [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22], notUtf8("f4", 2), "1:2"],
  ["a character cut at the end", [0xef, 0xbb, 0xbf, 0x22, 0xe2, 0x82], notUtf8("e2", 5), "1:2"],
  ["Latin-1", [0x22, 0xe9, 0x22, 0x0a], notUtf8("e9", 2), "1:2"],
];

for (const [name, bytes, problem, at] of REFUSED_BYTES) {
  Deno.test(`parseStrictJson() refuses at ${at} when the bytes hold ${name}`, () => {
    const message = `Cannot read the input as JSON: ${problem}, at ${at}`;
    assertRefused(() => parseStrictJson(new Uint8Array(bytes), OPTIONS), "bad_json", message);
  });
}

Deno.test("parseStrictJson() reads every length of character when the bytes are UTF-8 with a mark", () => {
  const text = '\uFEFF["a\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\u{10000}\u{10ffff}"]';
  const value = parseStrictJson(new TextEncoder().encode(text), OPTIONS);
  assert.deepEqual(value, [text.slice(3, -2)]);
});

Deno.test("parseStrictJson() names the bytes beyond a limit when the document is too large", () => {
  const options = { ...OPTIONS, bytesMax: 6 };
  assert.equal(parseStrictJson('"éé"', options), "éé");
  const message = (bytes: number) =>
    `Cannot read the input as its size must be at most 6 bytes: current size is ${bytes} bytes`;
  assertRefused(() => parseStrictJson('"ééx"', options), "too_large", message(7));
  assertRefused(() => parseStrictJson(new Uint8Array(7), options), "too_large", message(7));
  assertRefused(() => parseStrictJson(" ".repeat(20), options), "too_large", message(20));
});

const tooDeep = (level: number, at: string) =>
  `Cannot read the input as its depth must be at most 64: level ${level} begins at ${at}`;

Deno.test("parseStrictJson() is too_deep at the first level beyond the limit when the nesting is closed", () => {
  const arrays = "[".repeat(65) + "]".repeat(65);
  assertRefused(() => parseStrictJson(arrays, OPTIONS), "too_deep", tooDeep(65, "1:65"));
});

Deno.test("parseStrictJson() is too_deep and does not overflow when there are two million levels", () => {
  const arrays = "[".repeat(2_000_000);
  assertRefused(() => parseStrictJson(arrays, OPTIONS), "too_deep", tooDeep(65, "1:65"));
  const objects = '{"a":\n'.repeat(1_500_000);
  assertRefused(() => parseStrictJson(objects, OPTIONS), "too_deep", tooDeep(65, "65:1"));
});

Deno.test("parseStrictJson() needs no stack per level when the limit is two million levels", () => {
  const options = { ...OPTIONS, depthMax: 2_000_000 };
  const message = 'Cannot read the input as JSON: "," or "]" is expected, and "x" found, at 1:4000001';
  const text = "[".repeat(2_000_000) + "]".repeat(1_999_999) + " x";
  assertRefused(() => parseStrictJson(text, options), "bad_json", message);
});

Deno.test("parseStrictJson() takes seconds and not minutes when a document has 10 MiB", () => {
  const rows = Array.from(
    { length: 60_000 },
    (_, id) => ({ id, name: `gene ${id}`, tags: ["x", "y"], v: id / 3 }),
  );
  const bytes = new TextEncoder().encode(JSON.stringify({ rows, more: "é\n".repeat(500_000) }, null, 2));
  assert.ok(bytes.length > 9_000_000 && bytes.length < OPTIONS.bytesMax, `${bytes.length} bytes`);
  const from = performance.now();
  parseStrictJson(bytes, OPTIONS);
  const tookMs = performance.now() - from;
  // A scan that is quadratic in anything takes minutes here; the bound leaves room for a busy machine.
  assert.ok(tookMs < 30_000, `${tookMs} ms`);
});

Deno.test("parseJsonc() takes comments and a last comma when the text is a config file", () => {
  const text =
    '\uFEFF// head\n{\n  /* a\n b */ "a": [1, 2,], // tail\n  "b": {"url": "http://x//y"},\n}\n// end';
  assert.deepEqual(parseJsonc(text, "the config file"), { a: [1, 2], b: { url: "http://x//y" } });
});

const REFUSED_JSONC: readonly [string, string, string][] = [
  ["// nothing", "it is empty", "1:1"],
  ["{,}", 'a key in double quotes or "}" is expected, and "," found', "1:2"],
  ["[1,,]", 'a value is expected, and "," found', "1:4"],
  ['{"a":}', 'a value is expected, and "}" found', "1:6"],
  ["{}\n/* x", "a comment is not closed", "2:1"],
  ['{"a":1,/* x\n*/"a":2}', 'the key "a" stands twice in one object', "2:3"],
  ['{"__proto__":{}}', 'the key "__proto__" is not allowed', "1:2"],
  ["{/}", 'a key in double quotes or "}" is expected, and "/" found', "1:2"],
];

for (const [text, problem, at] of REFUSED_JSONC) {
  Deno.test(`parseJsonc() says "${problem}" at ${at} when the text is ${JSON.stringify(text)}`, () => {
    const message = `Cannot read the config file as JSON: ${problem}, at ${at}`;
    assertRefused(() => parseJsonc(text, "the config file"), "bad_json", message);
  });
}

Deno.test("parseStrictJson() agrees with JSON.parse when documents are broken at random", () => {
  const seeds = ['{"a":[1,2.5e3,"x\\u00e9\\n",true,null],"b":{"c":""}}', '[[],{},-0.1,"\\\\"]'];
  const alphabet = '{}[]:,"\\ \n0129.eE+-/tfnau\u0001é';
  let state = 12345;
  const next = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % below;
  };
  let accepted = 0;
  for (let round = 0; round < 20_000; round++) {
    const seed = seeds[next(seeds.length)]!;
    const at = next(seed.length);
    const text = seed.slice(0, at) + alphabet[next(alphabet.length)] + seed.slice(at + next(3));
    let expected: { value: unknown } | null = null;
    try {
      expected = { value: JSON.parse(text) };
    } catch { /* expected stays null */ }
    try {
      assert.deepEqual({ value: parseStrictJson(text, OPTIONS) }, expected, text);
      accepted += 1;
    } catch (error) {
      if (!isGlassboxError(error, "bad_json")) throw error;
      const own = /stands twice|too large to be stored/.test(error.message);
      assert.ok(expected === null || own, `${text}: ${error.message}`);
      assert.doesNotMatch(error.message, /it is not JSON/, text);
    }
  }
  assert.ok(accepted > 1_000, `${accepted} accepted`);
});
