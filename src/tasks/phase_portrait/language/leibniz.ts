import { BOUNDS } from "./bounds.ts";
import { matches } from "./outline.ts";
import type { Token } from "./tokens.ts";

/**
 * Reads `dx/dt` as `x'`, `d²x/dt²` and `d^2x/dt^2` as `x''`. Names that were given a value stay what they are.
 */
export function withoutLeibniz(
  tokens: readonly Token[],
  { independent, parameters }: { independent: string; parameters: ReadonlySet<string> },
): Token[] {
  const result: Token[] = [];
  for (let index = 0; index < tokens.length;) {
    const quotient = tokens[index]!.kind === "name" ? quotientAt(tokens, index, `d${independent}`) : null;
    if (quotient === null || parameters.has(`d${independent}`) || parameters.has(tokens[index]!.text)) {
      result.push(tokens[index++]!);
      continue;
    }
    const { name, order, length } = quotient;
    const { pos, afterNewline } = tokens[index]!;
    const { end } = tokens[index + length - 1]!;
    result.push({ kind: "name", text: name, value: 0, pos, end, afterNewline });
    for (let prime = 0; prime < order; prime++) {
      result.push({ kind: "sign", text: "'", value: 0, pos: end, end, afterNewline: false });
    }
    index += length;
  }
  return result;
}

function quotientAt(tokens: readonly Token[], index: number, below: string) {
  const { text } = tokens[index]!;
  if (text !== "d") {
    const isFirst = text.startsWith("d") && /^\p{L}/u.test(text.slice(1)) &&
      matches(tokens, index + 1, ["/", below]);
    return isFirst ? { name: text.slice(1), order: 1, length: 3 } : null;
  }
  if (matches(tokens, index + 1, ["^", "#", "@", "/", below, "^", "#"])) {
    return higher(tokens[index + 2]!, tokens[index + 3]!, tokens[index + 7]!, 8);
  }
  const [superscript, name, , , again] = tokens.slice(index + 1, index + 6);
  if (superscript?.kind !== "superscript" || again?.kind !== "superscript") return null;
  return matches(tokens, index + 2, ["@", "/", below]) ? higher(superscript, name!, again, 6) : null;
}

function higher(above: Token, name: Token, under: Token, length: number) {
  const order = above.value;
  const isOrder = Number.isInteger(order) && order >= 1 && order <= BOUNDS.states && under.value === order;
  return isOrder ? { name: name.text, order, length } : null;
}
