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
