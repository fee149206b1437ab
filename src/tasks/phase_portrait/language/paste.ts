import { matches, outlineOf } from "./outline.ts";
import { EquationError } from "./problem.ts";
import { type Token, tokensOf } from "./tokens.ts";

/** What a pasted call of NDSolve holds, each part as it was written. */
export interface PastedSolve {
  readonly equations: string;
  /** The names that were asked for. */
  readonly variables: readonly string[];
  readonly independent: string | null;
  /** From and to. */
  readonly span: readonly [string, string] | null;
}

const SOLVERS: ReadonlySet<string> = new Set(["NDSolve", "NDSolveValue", "ParametricNDSolve", "DSolve"]);

/**
 * Takes `NDSolve[{equations}, variables, {t, from, to}]` apart, also with a name before and a semicolon behind; null
 * when the text is no such call.
 */
export function unwrapSolve(text: string): PastedSolve | null {
  const call = /^\s*(?:[\p{L}\p{N}]+\s*=\s*)?([A-Za-z]+\s*\[[^]*?)\s*;?\s*$/u.exec(text)?.[1];
  if (call === undefined || !SOLVERS.has(/^[A-Za-z]+/.exec(call)![0])) return null;
  const tokens = tokensIn(call);
  const args = tokens === null ? null : argumentsOf(tokens);
  if (args === null || args.length < 2) return null;
  const [equations, variables, range] = args as [Token[], Token[], Token[] | undefined];
  const independent = range !== undefined && matches(range, 0, ["{", "@", ","]) ? range[1]!.text : null;
  return {
    equations: sourceOf(call, equations),
    variables: variables.filter(({ kind, text }) => kind === "name" && text !== independent).map(({ text }) =>
      text
    ),
    independent,
    span: independent === null ? null : spanOf(call, range!),
  };
}

/** Null where brackets or characters are not right: the text then goes to the parser, which says what is wrong. */
function tokensIn(call: string): Token[] | null {
  try {
    const tokens = tokensOf(call);
    outlineOf(call, tokens, "t");
    return tokens;
  } catch (error) {
    if (error instanceof EquationError) return null;
    throw error;
  }
}

/** The tokens of each argument of the call that is the whole text. */
function argumentsOf(tokens: readonly Token[]): Token[][] | null {
  const args: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens.slice(1)) {
    if (["]", ")", "}"].includes(token.text) && --depth === 0) break;
    if (depth === 1 && token.text === ",") args.push([]);
    else if (depth >= 1) args.at(-1)!.push(token);
    if (["[", "(", "{"].includes(token.text)) depth++;
  }
  return args.every((arg) => arg.length > 0) ? args : null;
}

function spanOf(call: string, range: readonly Token[]): [string, string] | null {
  const commas = range.flatMap(({ text }, index) => text === "," ? [index] : []);
  if (commas.length !== 2) return null;
  const [first, second] = commas as [number, number];
  return [sourceOf(call, range.slice(first + 1, second)), sourceOf(call, range.slice(second + 1, -1))];
}

function sourceOf(text: string, tokens: readonly Token[]): string {
  return tokens.length === 0 ? "" : text.slice(tokens[0]!.pos, tokens.at(-1)!.end);
}
