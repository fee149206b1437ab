import { createScanner, type JSONScanner, parse } from "jsonc-parser";
import { GlassboxError, quoted } from "../core/errors.ts";
import { badJson, decodeJson, type JsonSource, positionOf } from "./json_text.ts";

/**
 * JSON as it comes from outside, checked before anything is built from it. V8 and JavaScriptCore word the errors
 * of JSON.parse differently and give no line, keep the last of two equal keys, and take any depth; the scan here
 * decides instead, with one wording for all.
 */

export interface StrictJsonOptions extends JsonSource {
  /** How many arrays and objects may stand inside each other; `[[1]]` has depth 2. */
  readonly depthMax: number;
}

/** Bounds of a config file. */
const JSONC_LIMITS = { bytesMax: 1024 * 1024, depthMax: 64 } as const;

/** Keys that mean something else than data to JavaScript. */
const REFUSED_KEYS: readonly string[] = ["__proto__", "constructor", "prototype"];

/** The value of one JSON document (RFC 8259), or `bad_json`, `too_large` or `too_deep` with line and column. */
export function parseStrictJson(source: Uint8Array | string, options: StrictJsonOptions): unknown {
  const text = decodeJson(source, options);
  new Check(text, options, false).run();
  try {
    return JSON.parse(text);
  } catch {
    throw badJson(options.what, "it is not JSON", "1:1");
  }
}

/** The same for JSON with comments, where a comma may also stand after the last entry. */
export function parseJsonc(source: Uint8Array | string, what: string): unknown {
  const options = { what, ...JSONC_LIMITS };
  const text = decodeJson(source, options);
  new Check(text, options, true).run();
  return parse(text, [], { allowTrailingComma: true });
}

/** jsonc-parser declares these as ambient const enums, which a compiler that sees one file at a time cannot read. */
const TOKEN = {
  openBrace: 1,
  closeBrace: 2,
  openBracket: 3,
  closeBracket: 4,
  comma: 5,
  colon: 6,
  null: 7,
  true: 8,
  false: 9,
  string: 10,
  number: 11,
  lineComment: 12,
  blockComment: 13,
  end: 17,
} as const;

/** Stands for an object without keys so far: most cost is in objects that stay empty. */
const NO_KEYS = new Set<string>();

type Expected = "value" | "valueOrEnd" | "key" | "keyOrEnd" | "colon" | "commaOrEnd" | "nothing";

/** One pass over the tokens with the open arrays and objects on a list, so that depth costs no stack. */
class Check {
  readonly #text: string;
  readonly #options: StrictJsonOptions;
  readonly #jsonc: boolean;
  readonly #scanner: JSONScanner;
  /** Innermost last: the keys seen of an object, null for an array. */
  readonly #open: (Set<string> | null)[] = [];
  #expected: Expected = "value";

  constructor(text: string, options: StrictJsonOptions, jsonc: boolean) {
    this.#text = text;
    this.#options = options;
    this.#jsonc = jsonc;
    this.#scanner = createScanner(text, false);
  }

  run(): void {
    for (;;) {
      const token = this.#next();
      if (token === TOKEN.end && this.#expected === "nothing") return;
      this.#take(token);
    }
  }

  #next(): number {
    for (;;) {
      this.#skipSpace();
      const token = this.#scanner.scan() as number;
      if ((this.#scanner.getTokenError() as number) !== 0) throw this.#broken(token);
      if (token !== TOKEN.lineComment && token !== TOKEN.blockComment) return token;
      if (!this.#jsonc) throw this.#bad("a comment is not allowed");
    }
  }

  /** The scanner builds a string of every space it passes, which costs a second for 10 MiB of them. */
  #skipSpace(): void {
    const from = this.#scanner.getPosition();
    let at = from;
    while (isSpace(this.#text.charCodeAt(at))) at += 1;
    if (at > from) this.#scanner.setPosition(at);
  }

  #take(token: number): void {
    switch (token) {
      case TOKEN.openBrace:
      case TOKEN.openBracket:
        return this.#openContainer(token === TOKEN.openBrace);
      case TOKEN.closeBrace:
      case TOKEN.closeBracket:
        return this.#closeContainer(token === TOKEN.closeBrace);
      case TOKEN.comma:
        if (this.#expected !== "commaOrEnd") throw this.#unexpected();
        this.#expected = this.#open.at(-1) === null ? "value" : "key";
        return;
      case TOKEN.colon:
        if (this.#expected !== "colon") throw this.#unexpected();
        this.#expected = "value";
        return;
      case TOKEN.string:
        this.#checkPairs();
        if (this.#expected === "key" || this.#expected === "keyOrEnd") return this.#key();
        return this.#scalar();
      case TOKEN.number:
        this.#checkNumber();
        return this.#scalar();
      case TOKEN.null:
      case TOKEN.true:
      case TOKEN.false:
        return this.#scalar();
      default:
        throw this.#unexpected();
    }
  }

  #openContainer(isObject: boolean): void {
    this.#needValue();
    this.#open.push(isObject ? NO_KEYS : null);
    const { what, depthMax } = this.#options;
    if (this.#open.length > depthMax) {
      throw new GlassboxError(
        "too_deep",
        `Cannot read ${what} as its depth must be at most ${depthMax}: ` +
          `level ${this.#open.length} begins at ${this.#position()}`,
      );
    }
    this.#expected = isObject ? "keyOrEnd" : "valueOrEnd";
  }

  #closeContainer(isObject: boolean): void {
    const inside = this.#open.at(-1);
    if (inside === undefined || (inside !== null) !== isObject) throw this.#unexpected();
    const afterComma = this.#expected === "key" || (this.#expected === "value" && !isObject);
    if (afterComma && !this.#jsonc) throw this.#bad("a comma after the last entry is not allowed");
    const first = this.#expected === "keyOrEnd" || this.#expected === "valueOrEnd";
    if (!afterComma && !first && this.#expected !== "commaOrEnd") throw this.#unexpected();
    this.#open.pop();
    this.#afterValue();
  }

  #key(): void {
    const key = this.#scanner.getTokenValue();
    const seen = this.#open.at(-1) as Set<string>;
    if (REFUSED_KEYS.includes(key)) throw this.#bad(`the key ${quoted(key)} is not allowed`);
    if (seen.has(key)) throw this.#bad(`the key ${quoted(key)} stands twice in one object`);
    if (seen === NO_KEYS) this.#open[this.#open.length - 1] = new Set([key]);
    else seen.add(key);
    this.#expected = "colon";
  }

  #scalar(): void {
    this.#needValue();
    this.#afterValue();
  }

  #needValue(): void {
    if (this.#expected !== "value" && this.#expected !== "valueOrEnd") throw this.#unexpected();
  }

  #afterValue(): void {
    this.#expected = this.#open.length === 0 ? "nothing" : "commaOrEnd";
  }

  #checkNumber(): void {
    const number = this.#scanner.getTokenValue();
    if (Number.isFinite(Number(number))) return;
    throw this.#bad(`the number ${quoted(number)} is too large to be stored`);
  }

  /** Half of a surrogate pair would silently become U+FFFD where the text is stored as UTF-8. */
  #checkPairs(): void {
    if (this.#scanner.getTokenValue().isWellFormed()) return;
    const at = loneSurrogate(this.#text, this.#scanner.getTokenOffset());
    const escape = this.#text.slice(at, at + 6);
    throw this.#bad(`the escape ${escape} is half of a surrogate pair and no character`, at);
  }

  #broken(token: number): GlassboxError {
    if (token === TOKEN.blockComment) {
      return this.#bad(this.#jsonc ? "a comment is not closed" : "a comment is not allowed");
    }
    if (token === TOKEN.number) {
      return this.#bad(`the number ${quoted(this.#tokenText())} lacks a digit at its end`);
    }
    const at = stringFault(this.#text, this.#scanner.getTokenOffset());
    const fault = this.#text[at];
    if (fault === undefined || fault === "\n" || fault === "\r") {
      return this.#bad("a string has no closing quote on its line");
    }
    if (fault === "\\") {
      const escape = this.#text[at + 1] === "u" ? this.#text.slice(at, at + 6) : this.#text.slice(at, at + 2);
      return this.#bad(`a string holds the unknown escape ${quoted(escape)}`, at);
    }
    return this.#bad(`a string holds the control character ${quoted(fault)} unescaped`, at);
  }

  #unexpected(): GlassboxError {
    const { what } = this.#options;
    const atEnd = this.#scanner.getTokenOffset() >= this.#text.length;
    if (atEnd && this.#expected === "value" && this.#open.length === 0) {
      return badJson(what, "it is empty", "1:1");
    }
    const found = atEnd ? "the end" : quoted(this.#tokenText());
    if (this.#expected === "nothing") {
      return this.#bad(`one document is expected, and ${found} follows it`);
    }
    return this.#bad(`${this.#expectation()} is expected, and ${found} found`);
  }

  #expectation(): string {
    const close = this.#open.at(-1) === null ? '"]"' : '"}"';
    return {
      value: "a value",
      valueOrEnd: 'a value or "]"',
      key: "a key in double quotes",
      keyOrEnd: 'a key in double quotes or "}"',
      colon: '":"',
      commaOrEnd: `"," or ${close}`,
      nothing: "nothing",
    }[this.#expected];
  }

  #tokenText(): string {
    const from = this.#scanner.getTokenOffset();
    return this.#text.slice(from, from + Math.min(this.#scanner.getTokenLength(), 40));
  }

  #position(at: number = this.#scanner.getTokenOffset()): string {
    return positionOf(this.#text, at);
  }

  #bad(problem: string, at?: number): GlassboxError {
    return badJson(this.#options.what, problem, this.#position(at));
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/** Offset of what breaks the string that opens at `open`; the text's length when nothing closes it. */
function stringFault(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    const character = text[at]!;
    if (character < " ") return at;
    if (character !== "\\") continue;
    if (!/^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(text.slice(at, at + 6))) {
      return at + 1 < text.length ? at : text.length;
    }
    at += 1;
  }
  return text.length;
}

/** Offset of the first escape in the string at `open` that is a surrogate without its other half. */
function loneSurrogate(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    if (text[at] !== "\\") continue;
    if (/^\\u[dD][89abAB]..\\u[dD][c-fC-F]/.test(text.slice(at, at + 10))) at += 11;
    else if (/^\\u[dD][89a-fA-F]/.test(text.slice(at, at + 4))) return at;
    else at += 1;
  }
  return open;
}
