import { GlassboxError } from "../../../core/errors.ts";

/** Stable codes of what can be wrong with equations. */
export type ProblemCode =
  | "E_ARITY"
  | "E_BRACKET"
  | "E_CHAINED"
  | "E_CHAR"
  | "E_COMMENT"
  | "E_COMPLEX"
  | "E_COUNT"
  | "E_COUPLED"
  | "E_DELAY"
  | "E_DEPTH"
  | "E_DUPLICATE"
  | "E_EMPTY"
  | "E_EXPECTED"
  | "E_FUNC_ARGS"
  | "E_IC_PLACE"
  | "E_IC_VALUE"
  | "E_INDEP"
  | "E_LHS"
  | "E_LIMIT"
  | "E_NAME_CLASH"
  | "E_NAME_RESERVED"
  | "E_NOT_AFFINE"
  | "E_NO_EQUALS"
  | "E_NO_EQUATION"
  | "E_NUMBER"
  | "E_OPERATOR"
  | "E_SINGLE_EQUALS"
  | "E_TYPE"
  | "E_UNKNOWN_FUNCTION"
  | "E_UNKNOWN_NAME";

/** Stable codes of what was understood, but perhaps not as it was meant. */
export type WarningCode =
  | "W_BOOL_COERCED"
  | "W_IMPLICIT_AFTER_SLASH"
  | "W_LHS_PRIME_ASSUMED"
  | "W_SOLVED_FOR_DERIVATIVE"
  | "W_UNBOUND_ZERO";

/** A stretch of text by UTF-16 offsets from 0; `end` is exclusive. */
export interface Span {
  readonly pos: number;
  readonly end: number;
}

interface Remark<Code> extends Span {
  readonly code: Code;
  /** Begins with line and column, and says all of it, the hint included. */
  readonly message: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
}

/** What is wrong with a text, and where. */
export interface Problem extends Remark<ProblemCode> {
  /** What to write instead, where that can be said. */
  readonly hint?: string;
}

/** How a text was understood, where that may surprise. */
export type Warning = Remark<WarningCode>;

/** Equations that cannot be used. */
export class EquationError extends GlassboxError {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super("invalid_input", `Cannot use the equations: ${problem.message}`, {
      fields: [{ field: "equations", message: problem.message }],
    });
    this.name = "EquationError";
    this.problem = problem;
  }
}

/** Throws the problem found at this place of this text. */
export function fail(text: string, code: ProblemCode, span: Span, what: string, hint?: string): never {
  const place = placeOf(text, span);
  const said = hint === undefined ? what : `${what}; ${hint}`;
  const message = `line ${place.line}, column ${place.column}: ${said}`;
  throw new EquationError({ code, message, ...place, ...(hint === undefined ? {} : { hint }) });
}

/** Makes a warning about this place of this text. */
export function warningAt(text: string, code: WarningCode, span: Span, what: string): Warning {
  const place = placeOf(text, span);
  return { code, message: `line ${place.line}, column ${place.column}: ${what}`, ...place };
}

function placeOf(text: string, { pos, end }: Span): Span & { line: number; column: number } {
  const before = text.slice(0, pos).split(/\r\n|[\n\r\u2028\u2029]/);
  return { pos, end, line: before.length, column: before.at(-1)!.length + 1 };
}
