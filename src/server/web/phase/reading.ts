import {
  type CompiledEquations,
  compileSystem,
  EquationError,
  initialValuesOf,
  parseSystem,
  type Problem,
  type Warning,
} from "../../../tasks/phase_portrait/language/mod.ts";

/** What the parser makes of the text in the editor. */
export type Reading =
  | {
    readonly system: CompiledEquations;
    /** The parameters that the equations need, in the order in which they occur. */
    readonly parameters: readonly string[];
    readonly warnings: readonly Warning[];
    readonly problem: null;
  }
  | { readonly system: null; readonly problem: Problem };

const NAMES_MOST = 256;

/**
 * Reads equations. Names that nothing else explains become parameters; of `known` ones, those in the text are bound from
 * the start, so that one may be called `I` or `E`.
 */
export function readEquations(text: string, known: readonly string[], independent: string): Reading {
  const bound = known.filter((name) => text.includes(name));
  for (let added = 0;; added++) {
    const read = attempt(text, bound, independent);
    if (read.problem === null) return withoutUnused(text, read, bound, independent);
    const { code, pos, end } = read.problem;
    const name = text.slice(pos, end).normalize("NFC");
    if (code !== "E_UNKNOWN_NAME" || added >= NAMES_MOST || bound.includes(name)) return read;
    bound.push(name);
  }
}

function attempt(text: string, parameters: readonly string[], independent: string): Reading {
  try {
    const equations = parseSystem(text, { parameters, independent });
    const system = compileSystem(equations);
    return { system, parameters: equations.parameters, warnings: equations.warnings, problem: null };
  } catch (error) {
    if (error instanceof EquationError) return { system: null, problem: error.problem };
    const message = error instanceof Error ? error.message : String(error);
    return {
      system: null,
      problem: { code: "E_NAME_CLASH", message, pos: 0, end: text.length, line: 1, column: 1 },
    };
  }
}

/** A known name may lie in the text only as a part of another: `a` in `Tanh`. Those that are not missed go. */
function withoutUnused(
  text: string,
  read: Extract<Reading, { problem: null }>,
  bound: readonly string[],
  independent: string,
): Reading {
  const used = bound.filter((name) => isWordIn(name, text));
  return used.length === bound.length ? read : attempt(text, used, independent);
}

function isWordIn(name: string, text: string): boolean {
  const word = /[\p{L}\p{M}0-9_₀-₉]/u;
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    const before = text[at - 1] ?? " ", after = text[at + name.length] ?? " ";
    // `2a` is a product: a digit before a name is no part of it.
    if (!(word.test(before) && !/[0-9]/.test(before)) && !word.test(after)) return true;
  }
  return false;
}

/** The initial values that the equations themselves give, or null. */
export function startInText(system: CompiledEquations, parameters: Float64Array): number[] | null {
  const values = initialValuesOf(system.equations, parameters);
  return values.every((value) => value !== null) ? values : null;
}
