/** Text as the tables' makers treat it: their white space is not JavaScript's, and empty is not blank. */

export { compareCodePoints } from "../../core/byte_text.ts";

const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const ENDS = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "g");
const WORDS = new RegExp(`[^${SPACE}()]+`, "g");

/** Without white space at both ends; U+001C to U+001F and U+0085 count as such, U+FEFF does not. */
export function trim(text: string): string {
  // Most texts begin and end with a letter, and a look at two characters is far quicker than a search.
  return isPlain(text.charCodeAt(0)) && isPlain(text.charCodeAt(text.length - 1))
    ? text
    : text.replace(ENDS, "");
}

function isPlain(unit: number): boolean {
  return unit > 0x20 && unit < 0x7f;
}

export function isBlank(text: string | null): boolean {
  return text === null || (!isPlain(text.charCodeAt(0)) && trim(text) === "");
}

/** What stands between white space and parentheses. */
export function wordsOf(rule: string): string[] {
  return rule.match(WORDS) ?? [];
}

/** The trimmed parts between semicolons that are not blank. */
export function partsOf(text: string | null): string[] {
  return text === null ? [] : text.split(";").map(trim).filter((part) => part !== "");
}

/** Characters as people count them in code: a pair of surrogates is one. */
export function codePoints(text: string): number {
  let count = text.length;
  for (let at = 0; at < text.length - 1; at++) {
    if ((text.charCodeAt(at) & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00) count--;
  }
  return count;
}
