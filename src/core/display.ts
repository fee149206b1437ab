/** Text made safe to show: nothing a program wrote may move a terminal's cursor or change its title. */

const decoder = new TextDecoder("utf-8", { fatal: false });

// C0 but tab, DEL and C1, line separators, and the bidirectional controls, which make text read as what it is not.
// deno-lint-ignore no-control-regex
const UNSAFE = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Invalid UTF-8 becomes U+FFFD and control characters become `\x1b` or `\u202e`; a tab stays. */
export function displayText(value: Uint8Array | string): string {
  const text = typeof value === "string" ? value : decoder.decode(value);
  return text.replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** The same, and never longer than `lengthMax` characters. */
export function displayCut(value: Uint8Array | string, lengthMax: number): string {
  const text = displayText(value instanceof Uint8Array ? value.subarray(0, lengthMax * 4) : value);
  return text.length > lengthMax ? `${text.slice(0, lengthMax - 1)}…` : text;
}

/** One line of JSON in which no character acts on a terminal or ends a line early. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(
    UNSAFE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
