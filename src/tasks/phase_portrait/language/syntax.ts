import type { FunctionRule } from "./functions.ts";
import type { Span } from "./problem.ts";

export type ComparisonSign = "==" | "!=" | "<" | "<=" | ">" | ">=";

/**
 * An expression as it was written. Chains are flat (a sum has all its terms), so that the tree is no deeper than the
 * text is nested.
 */
export type Syntax =
  & Span
  & (
    | { readonly kind: "number"; readonly value: number }
    /** A name that stands alone: a state, a parameter, a constant. */
    | { readonly kind: "name"; readonly name: string }
    /** A function of the independent variable or its derivative: `x[t]`, `x''`, `D[x, t]`. */
    | { readonly kind: "state"; readonly name: string; readonly order: number }
    /** `x'[0]`. */
    | { readonly kind: "initial"; readonly name: string; readonly order: number; readonly at: number }
    | { readonly kind: "call"; readonly rule: FunctionRule; readonly args: readonly Syntax[] }
    | { readonly kind: "list"; readonly items: readonly Syntax[] }
    | { readonly kind: "negation"; readonly operand: Syntax }
    | { readonly kind: "power"; readonly base: Syntax; readonly exponent: Syntax }
    | { readonly kind: "sum"; readonly terms: readonly { readonly minus: boolean; readonly value: Syntax }[] }
    | {
      readonly kind: "product";
      readonly factors: readonly { readonly sign: "*" | "/" | "%"; readonly value: Syntax }[];
    }
    | {
      readonly kind: "relation";
      readonly operands: readonly Syntax[];
      readonly signs: readonly ComparisonSign[];
    }
    | { readonly kind: "and" | "or"; readonly operands: readonly Syntax[] }
    | { readonly kind: "not"; readonly operand: Syntax }
  );

/** One `left == right`, after lists were taken apart. */
export interface Equation {
  readonly left: Syntax;
  readonly right: Syntax;
}

/** Every state that is written with a prime or an argument, in reading order. */
export function statesIn(syntax: Syntax): (Syntax & { kind: "state" })[] {
  return partsOf(syntax).filter((part) => part.kind === "state");
}

/** Everything that has no parts itself, in reading order. */
export function partsOf(syntax: Syntax): Syntax[] {
  switch (syntax.kind) {
    case "call":
      return syntax.args.flatMap(partsOf);
    case "list":
      return syntax.items.flatMap(partsOf);
    case "negation":
    case "not":
      return partsOf(syntax.operand);
    case "power":
      return [...partsOf(syntax.base), ...partsOf(syntax.exponent)];
    case "sum":
      return syntax.terms.flatMap(({ value }) => partsOf(value));
    case "product":
      return syntax.factors.flatMap(({ value }) => partsOf(value));
    case "relation":
    case "and":
    case "or":
      return syntax.operands.flatMap(partsOf);
  }
  return [syntax];
}
