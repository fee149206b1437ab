import { BOUNDS } from "./bounds.ts";
import { DOUBLE_SIGNS, namedLetterAt, SUPERSCRIPTS, withoutLookAlikes } from "./characters.ts";
import { fail, type ProblemCode, type Span } from "./problem.ts";

/** A piece of a text of equations. */
export interface Token extends Span {
  readonly kind: "number" | "name" | "superscript" | "sign" | "end";
  /** The sign or name as it is understood: look-alikes replaced, a name in NFC. Empty for a number. */
  readonly text: string;
  /** Of a number or superscript. */
  readonly value: number;
  /** True when a new line lies between this token and the one before it. */
  readonly afterNewline: boolean;
}

// Two-character signs come first, so that `**` is not read as two products.
const SIGN = /\*\*|==|!=|<=|>=|&&|\|\||[()[\]{},;<>+\-*/%^!']/y;
const SPACE = /[^\S\n\r\u2028\u2029\ufeff]+/y;
const NEWLINE = /[\n\r\u2028\u2029]/y;
const NUMBER = /(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+|\*\^[+-]?[0-9]+)?/y;
const PRECISION = /`{1,2}[0-9.]*/y;
const EXPONENT = /\*\^[+-]?[0-9]+/y;
const NAME_START = /[\p{L}_][\p{L}\p{M}0-9_₀-₉]*/uy;
const NAME_REST = /[\p{L}\p{M}0-9_₀-₉]+/uy;
const NAME = /^[\p{L}_][\p{L}0-9_₀-₉]*$/u;
const SUPERSCRIPT = /[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+/y;

/** Cuts a text into tokens; the last one is the end. Throws EquationError at the first that is none. */
export function tokensOf(original: string): Token[] {
  if (original.length > BOUNDS.characters) {
    const what = `${original.length} characters are too many, there may be ${BOUNDS.characters}`;
    fail(original, "E_LIMIT", { pos: BOUNDS.characters, end: original.length }, what);
  }
  return new Lexer(original).all();
}

class Lexer {
  readonly #original: string;
  readonly #text: string;
  readonly #tokens: Token[] = [];
  #pos = 0;
  #afterNewline = false;

  constructor(original: string) {
    this.#original = original;
    this.#text = withoutLookAlikes(original);
    if (this.#text.startsWith("\ufeff")) this.#pos = 1;
  }

  all(): Token[] {
    while (this.#skip()) {
      if (this.#tokens.length === BOUNDS.tokens) {
        this.#fail("E_LIMIT", this.#pos, this.#pos + 1, `there may be ${BOUNDS.tokens} words and signs`);
      }
      this.#next();
    }
    this.#pos = this.#text.length;
    this.#add("end", this.#pos, "");
    return this.#tokens;
  }

  /** Skips spaces, new lines and comments; false at the end. */
  #skip(): boolean {
    while (this.#pos < this.#text.length) {
      if (this.#take(NEWLINE) !== null) this.#afterNewline = true;
      else if (this.#text.startsWith("(*", this.#pos)) this.#comment();
      else if (this.#take(SPACE) === null) return true;
    }
    return false;
  }

  #comment(): void {
    const start = this.#pos;
    let depth = 0;
    do {
      const [opens, closes] = ["(*", "*)"].map((mark) => this.#text.startsWith(mark, this.#pos));
      depth += opens ? 1 : closes ? -1 : 0;
      this.#pos += opens || closes ? 2 : 1;
      if (this.#pos > this.#text.length) {
        this.#fail("E_COMMENT", start, start + 2, "this comment does not end", "close it with *)");
      }
    } while (depth > 0);
  }

  #next(): void {
    const start = this.#pos;
    const character = this.#text[start]!;
    const double = DOUBLE_SIGNS.get(character);
    if (/[0-9]/.test(character) || /^\.[0-9]/.test(this.#text.slice(start, start + 2))) this.#number();
    else if (this.#isNameStart()) this.#name();
    else if (double !== undefined) this.#sign(double, 1);
    else if (character === "″") {
      this.#sign("'", 0);
      this.#sign("'", 1);
    } else if (this.#look(SUPERSCRIPT) !== null) this.#superscript();
    else if (/^(\/\/|===|\/\.|\/@)/.test(this.#text.slice(start, start + 3))) this.#foreignOperator();
    else {
      const sign = this.#look(SIGN);
      if (sign !== null) this.#sign(sign, sign.length);
      else this.#foreignCharacter(character);
    }
  }

  #sign(text: string, length: number): void {
    const start = this.#pos;
    this.#pos += length;
    this.#add("sign", start, text);
  }

  #number(): void {
    const start = this.#pos;
    let digits = this.#take(NUMBER)!;
    let end = this.#pos;
    // Mathematica writes the exponent behind the precision.
    const late = this.#take(PRECISION) !== null && !/[eE^]/.test(digits) ? this.#take(EXPONENT) : null;
    if (late !== null) [digits, end] = [digits + late, this.#pos];
    const value = Number(digits.replace("*^", "e"));
    const after = this.#text.slice(end, end + 2);
    if (digits === "0" && /^[xX][0-9a-fA-F]|^[bBoO][0-9]/.test(after)) {
      this.#badNumber(start, end + 2, "is not decimal", "write the number in decimal digits");
    }
    if (after.startsWith("_")) {
      this.#badNumber(start, end + 1, "is cut by an underscore", "write the digits without _");
    }
    if (after.startsWith(".")) this.#badNumber(start, end + 1, "has two decimal points");
    if (!Number.isFinite(value)) this.#badNumber(start, end, "is too large for a double");
    this.#add("number", start, "", value);
  }

  #badNumber(start: number, end: number, what: string, hint?: string): never {
    this.#fail(
      "E_NUMBER",
      start,
      end,
      `the number ${quotedPiece(this.#text.slice(start, end))} ${what}`,
      hint,
    );
  }

  #isNameStart(): boolean {
    return this.#look(NAME_START) !== null || namedLetterAt(this.#text, this.#pos) !== null;
  }

  #name(): void {
    const start = this.#pos;
    let name = this.#take(NAME_START) ?? "";
    for (let piece: string | null = ""; piece !== null; piece = this.#nameRest()) name += piece;
    name = name.normalize("NFC");
    if (!NAME.test(name)) {
      this.#fail(
        "E_CHAR",
        start,
        this.#pos,
        `the name ${quotedPiece(name)} has a mark that names may not have`,
      );
    }
    if (name.startsWith("__")) {
      const hint = "let the name begin with a letter";
      this.#fail("E_NAME_RESERVED", start, this.#pos, `the name ${quotedPiece(name)} begins with __`, hint);
    }
    if (name.length > BOUNDS.nameCharacters) {
      const what = `the name ${quotedPiece(name)} is longer than ${BOUNDS.nameCharacters} characters`;
      this.#fail("E_LIMIT", start, this.#pos, what);
    }
    this.#add("name", start, name);
  }

  #nameRest(): string | null {
    const named = namedLetterAt(this.#text, this.#pos);
    if (named === null) return this.#take(NAME_REST);
    this.#pos = named.end;
    return named.letter;
  }

  #superscript(): void {
    const start = this.#pos;
    const [first, ...rest] = this.#take(SUPERSCRIPT)!;
    const digits = [first!, ...rest].map((character) => SUPERSCRIPTS.indexOf(character)).filter((d) =>
      d >= 0
    );
    const value = Number(digits.join("")) * (first === "⁻" ? -1 : 1);
    if (!Number.isFinite(value)) this.#badNumber(start, this.#pos, "is too large for a double");
    this.#add("superscript", start, "", value);
  }

  #foreignOperator(): never {
    const text = /^(===|..)/.exec(this.#text.slice(this.#pos))![0];
    const hint = text === "//" ? "use Floor[a / b] for a whole quotient" : undefined;
    this.#fail("E_OPERATOR", this.#pos, this.#pos + text.length, `there is no operator ${text}`, hint);
  }

  #foreignCharacter(character: string): never {
    if (character === "=") {
      const what = "a single = does not make an equation";
      this.#fail("E_SINGLE_EQUALS", this.#pos, this.#pos + 1, what, "use ==");
    }
    const shown = String.fromCodePoint(this.#text.codePointAt(this.#pos)!);
    const hint = CHARACTER_HINTS.get(character);
    this.#fail("E_CHAR", this.#pos, this.#pos + shown.length, `cannot read ${quotedPiece(shown)}`, hint);
  }

  #look(pattern: RegExp): string | null {
    pattern.lastIndex = this.#pos;
    return pattern.exec(this.#text)?.[0] ?? null;
  }

  #take(pattern: RegExp): string | null {
    const found = this.#look(pattern);
    this.#pos += found?.length ?? 0;
    return found;
  }

  #add(kind: Token["kind"], pos: number, text: string, value = 0): void {
    this.#tokens.push({ kind, text, value, pos, end: this.#pos, afterNewline: this.#afterNewline });
    this.#afterNewline = false;
  }

  #fail(code: ProblemCode, pos: number, end: number, what: string, hint?: string): never {
    fail(this.#original, code, { pos, end }, what, hint);
  }
}

const CHARACTER_HINTS: ReadonlyMap<string, string> = new Map([
  ["&", "use && between conditions"],
  ["|", "use || between conditions"],
  ["?", "write If[condition, a, b]"],
  ["\\", "letters are named as in \\[Alpha]"],
]);

/** A piece of the text for a message: at most 40 characters, and unreadable ones by their number. */
export function quotedPiece(piece: string): string {
  const cut = piece.length > 40 ? `${piece.slice(0, 37)}...` : piece;
  const shown = cut.replace(
    /[\p{C}\p{Z}]/gu,
    (character) =>
      character === " " ? " " : `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`,
  );
  return `"${shown}"`;
}
