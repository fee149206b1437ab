import assert from "node:assert/strict";
import { displayCut, displayText } from "./display.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

Deno.test("displayText() shows control characters as what they are and keeps tabs and text", () => {
  const cases: readonly [string | Uint8Array, string][] = [
    ["plain ä € 🧬\ttab", "plain ä € 🧬\ttab"],
    ["\x1b[2J", "\\x1b[2J"],
    ["\x1b]0;title\x07", "\\x1b]0;title\\x07"],
    ["a\0b\rc\nd", "a\\x00b\\x0dc\\x0ad"],
    ["\x7f\x80\x9b\x9f", "\\x7f\\x80\\x9b\\x9f"],
    ["abc\u202egnp.exe\u2066", "abc\\u202egnp.exe\\u2066"],
    ["\u061c\u200e\u200f\u202a\u2069", "\\u061c\\u200e\\u200f\\u202a\\u2069"],
    [bytes(0x61, 0xff, 0xfe, 0x62), "a\ufffd\ufffdb"],
    [bytes(0xe2, 0x82), "\ufffd"],
    [bytes(0xc2, 0x9b, 0x33, 0x6d), "\\x9b3m"],
    [bytes(), ""],
  ];
  for (const [value, wanted] of cases) assert.equal(displayText(value), wanted);
});

Deno.test("displayText() leaves no control character of any kind but the tab", () => {
  const all = Array.from({ length: 0x3000 }, (_, code) => String.fromCharCode(code)).join("");
  // deno-lint-ignore no-control-regex
  assert.equal(/[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/.test(displayText(all)), false);
});

Deno.test("displayCut() keeps what fits and marks what was cut", () => {
  assert.equal(displayCut("x".repeat(10), 10), "x".repeat(10));
  assert.equal(displayCut("x".repeat(11), 10), `${"x".repeat(9)}…`);
  assert.equal(displayCut(new TextEncoder().encode("€".repeat(10)), 10), "€".repeat(10));
  assert.equal(displayCut(new TextEncoder().encode("€".repeat(1_000)), 10), `${"€".repeat(9)}…`);
  assert.equal(displayCut("\x1b".repeat(10), 10), "\\x1b\\x1b\\…");
  assert.equal(displayCut(new Uint8Array(1_000_000).fill(65), 3), "AA…");
});
