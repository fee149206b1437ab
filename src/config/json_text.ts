import { GlassboxError } from "../core/errors.ts";

/** What a JSON document is called in messages, and how large it may be. */
export interface JsonSource {
  /** Names the document: `the input file "in.json"`. */
  readonly what: string;
  /** Of the document as UTF-8, with its byte order mark. */
  readonly bytesMax: number;
}

const BYTE_ORDER_MARK = "\uFEFF";

/** The text of a document without its byte order mark: valid Unicode, and no larger than allowed. */
export function decodeJson(source: Uint8Array | string, { what, bytesMax }: JsonSource): string {
  const sizeBytes = typeof source === "string" ? utf8Length(source, bytesMax) : source.length;
  if (sizeBytes > bytesMax) {
    throw new GlassboxError(
      "too_large",
      `Cannot read ${what} as its size must be at most ${bytesMax} bytes: current size is ${sizeBytes} bytes`,
    );
  }
  return withoutMark(typeof source === "string" ? wellFormed(source, what) : decodeUtf8(source, what));
}

/** Line and column of an offset as `3:14`, both from 1; the column counts characters, not bytes. */
export function positionOf(text: string, offset: number): string {
  const lineBreak = /\r\n|\r|\n/g;
  let line = 1;
  let lineStart = 0;
  for (let found = lineBreak.exec(text); found !== null; found = lineBreak.exec(text)) {
    if (lineBreak.lastIndex > offset) break;
    line += 1;
    lineStart = lineBreak.lastIndex;
  }
  let column = 1;
  for (const _ of text.slice(lineStart, offset)) column += 1;
  return `${line}:${column}`;
}

/** The error of every document that is not JSON; `at` is a position such as `3:14`. */
export function badJson(what: string, problem: string, at: string): GlassboxError {
  return new GlassboxError("bad_json", `Cannot read ${what} as JSON: ${problem}, at ${at}`);
}

/** Exact up to `bytesMax`; above it, any size that is above it too. */
function utf8Length(text: string, bytesMax: number): number {
  // UTF-8 is never shorter than UTF-16 counts units, so a huge text need not be encoded to be refused.
  return text.length > bytesMax ? text.length : new TextEncoder().encode(text).length;
}

function withoutMark(text: string): string {
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
}

function wellFormed(text: string, what: string): string {
  if (text.isWellFormed()) return text;
  const at = text.search(/[\uD800-\uDFFF]/u);
  throw badJson(what, "half of a surrogate pair is not a character", positionOf(text, at));
}

function decodeUtf8(bytes: Uint8Array, what: string): string {
  if (looksLikeUtf16(bytes)) {
    throw badJson(what, "the text must be UTF-8, and this is UTF-16; save it as UTF-8", "1:1");
  }
  try {
    return utf8(bytes);
  } catch {
    const at = firstInvalid(bytes);
    const before = withoutMark(utf8(bytes.subarray(0, at)));
    const byte = bytes[at]!.toString(16).padStart(2, "0");
    const problem = `the text must be UTF-8, and the byte 0x${byte} (number ${at + 1}) is not`;
    throw badJson(what, problem, positionOf(before, before.length));
  }
}

function utf8(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** A UTF-16 byte order mark, or a NUL on one side of the first character, which no JSON in UTF-8 begins with. */
function looksLikeUtf16([first, second]: Uint8Array): boolean {
  if (first === undefined || second === undefined) return false;
  const marked = (first === 0xfe && second === 0xff) || (first === 0xff && second === 0xfe);
  return marked || (first === 0) !== (second === 0);
}

function firstInvalid(bytes: Uint8Array): number {
  let at = 0;
  for (let length = 1; at < bytes.length && length > 0; at += length) length = sequenceLength(bytes, at);
  return at;
}

/** Bytes of the character that begins at `at`, or 0 when none does (RFC 3629 section 4). */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return 1;
  const length = lead < 0xc2 || lead > 0xf4 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // The first byte narrows the second where the rest would be too long, a surrogate or above U+10FFFF.
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  for (let next = 1; next < length; next++) {
    const byte = bytes[at + next] ?? 0;
    if (next === 1 ? byte < low || byte > high : byte < 0x80 || byte > 0xbf) return 0;
  }
  return length;
}
