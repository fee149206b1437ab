import { BOUNDS } from "./bounds.ts";
import { RESERVED } from "./functions.ts";
import { fail } from "./problem.ts";
import { quotedPiece, type Token } from "./tokens.ts";

/** What lies directly between a pair of brackets, not counting what lies in further brackets. */
export interface Bracket {
  readonly close: number;
  readonly comma: boolean;
  readonly equals: boolean;
}

/** What one scan of the tokens finds out before parsing. */
export interface Outline {
  /** By the index of the opening token. */
  readonly brackets: ReadonlyMap<number, Bracket>;
  /** Names that occur with a prime, in `D[...]` or in `Derivative[n][...]`; without any, those of bare left sides. */
  readonly dependents: ReadonlySet<string>;
  /** True when no derivative occurs, so that a bare left side stands for one. */
  readonly primeAssumed: boolean;
  /** The names of which derivatives occur, wherever they do. */
  readonly named: readonly Token[];
}

/** Checks the brackets, and finds the names that are functions of the independent variable. */
export function outlineOf(text: string, tokens: readonly Token[], independent: string): Outline {
  const brackets = bracketsOf(text, tokens);
  const named = derivedNames(tokens, independent);
  const primeAssumed = named.length === 0;
  const names = primeAssumed ? bareLeftSides(tokens, brackets, independent) : named;
  return { brackets, dependents: new Set(names.map((token) => token.text)), primeAssumed, named };
}

/** Throws EquationError at the first derivative of a name that has another meaning. */
export function checkDerivedNames(text: string, { named }: Outline, independent: string): void {
  const clash = named.find((token) => RESERVED.has(token.text) || token.text === independent);
  if (clash === undefined) return;
  const what = `${quotedPiece(clash.text)} cannot be a state as it has another meaning`;
  fail(text, "E_NAME_CLASH", clash, what, "choose another name");
}

const CLOSERS: ReadonlyMap<string, string> = new Map([["(", ")"], ["[", "]"], ["{", "}"]]);
const CLOSING: ReadonlySet<string> = new Set(CLOSERS.values());

function bracketsOf(text: string, tokens: readonly Token[]): Map<number, Bracket> {
  const brackets = new Map<number, Bracket>();
  const open: { index: number; comma: boolean; equals: boolean }[] = [];
  tokens.forEach((token, index) => {
    const inner = open.at(-1);
    if (token.kind !== "sign") return;
    if (CLOSERS.has(token.text)) {
      if (open.length === BOUNDS.nesting) fail(text, "E_DEPTH", token, tooDeep());
      open.push({ index, comma: false, equals: false });
    } else if (CLOSING.has(token.text)) {
      const opener = inner && tokens[inner.index]!;
      if (opener === undefined) fail(text, "E_BRACKET", token, `${token.text} closes nothing`);
      const wanted = CLOSERS.get(opener.text)!;
      if (wanted !== token.text) {
        fail(text, "E_BRACKET", token, `${token.text} does not close ${opener.text}`, `use ${wanted}`);
      }
      brackets.set(inner!.index, { close: index, comma: inner!.comma, equals: inner!.equals });
      open.pop();
    } else if (inner !== undefined) {
      if (token.text === ",") inner.comma = true;
      if (token.text === "==") inner.equals = true;
    }
  });
  const left = open.at(-1);
  if (left !== undefined) {
    const opener = tokens[left.index]!;
    fail(
      text,
      "E_BRACKET",
      opener,
      `${opener.text} is not closed`,
      `close it with ${CLOSERS.get(opener.text)}`,
    );
  }
  return brackets;
}

/** The words for nesting that is too deep. */
export function tooDeep(): string {
  return `brackets, signs and powers may be nested ${BOUNDS.nesting} deep`;
}

function derivedNames(tokens: readonly Token[], independent: string): Token[] {
  return tokens.flatMap((token, index) => {
    if (token.kind !== "name") return [];
    if (tokens[index + 1]?.text === "'") return [token];
    if (isDerivativeCall(tokens, index, independent)) return [tokens[index + 2]!];
    if (token.text === "Derivative" && matches(tokens, index + 1, ["[", "#", "]", "[", "@"])) {
      return [tokens[index + 5]!];
    }
    return [];
  });
}

/** True for the `D` of `D[x,`, `D[x[t],` and the same in round brackets. */
export function isDerivativeCall(tokens: readonly Token[], index: number, independent: string): boolean {
  if (tokens[index]!.text !== "D") return false;
  return ["[", "("].some((open) =>
    matches(tokens, index + 1, [open, "@", ","]) ||
    matches(tokens, index + 1, [open, "@", "[", independent, "]", ","]) ||
    matches(tokens, index + 1, [open, "@", "(", independent, ")", ","])
  );
}

/** True when the tokens from `index` are these; `@` stands for any name, `#` for any number. */
export function matches(tokens: readonly Token[], index: number, pattern: readonly string[]): boolean {
  return pattern.every((wanted, offset) => {
    const token = tokens[index + offset];
    if (wanted === "@") return token?.kind === "name";
    if (wanted === "#") return token?.kind === "number";
    return token?.text === wanted;
  });
}

/** The names that are all of a left side, or of an element of one: `x[t] == ...`, `{x, y} == ...`. */
function bareLeftSides(
  tokens: readonly Token[],
  brackets: ReadonlyMap<number, Bracket>,
  independent: string,
): Token[] {
  const outer = brackets.get(0);
  const depthOfSides = outer?.equals ? 1 : 0;
  const found: Token[] = [];
  let [start, depth] = [depthOfSides, 0];
  tokens.forEach((token, index) => {
    if (CLOSERS.has(token.text)) depth++;
    if (CLOSING.has(token.text)) depth--;
    if (depth !== depthOfSides) return;
    if (token.text === "==") found.push(...bareNames(tokens, start, index, independent));
    if ([",", ";", "&&"].includes(token.text)) start = index + 1;
    else if (startsOnNewLine(token) && depth === 0) start = index;
  });
  return found;
}

function bareNames(tokens: readonly Token[], start: number, end: number, independent: string): Token[] {
  const isVector = ["{", "("].includes(tokens[start]?.text ?? "");
  const found: Token[] = [];
  for (let index = isVector ? start + 1 : start; index < end;) {
    const name = tokens[index]!;
    if (name.kind !== "name" || RESERVED.has(name.text) || name.text === independent) return [];
    index++;
    const isApplied = ["[", "("].includes(tokens[index]?.text ?? "");
    if (isApplied && tokens[index + 1]?.text !== independent) return [];
    if (isApplied) index += 3;
    found.push(name);
    if (index < end && !(isVector && [",", "}", ")"].includes(tokens[index]!.text))) return [];
    index++;
    if (tokens[index]?.text === "}") index++;
  }
  return found;
}

/** True for a token that begins an equation when it comes first on a line and outside brackets. */
export function startsOnNewLine(token: Token): boolean {
  return token.afterNewline &&
    (token.kind === "number" || token.kind === "name" || ["(", "{"].includes(token.text));
}
