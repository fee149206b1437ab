import { GlassboxError } from "../../../core/errors.ts";
import { BOUNDS } from "./bounds.ts";
import { CONSTANTS, LOWER_FUNCTIONS, RESERVED } from "./functions.ts";
import type { Names } from "./parser.ts";
import { EquationError } from "./problem.ts";
import { quotedPiece, tokensOf } from "./tokens.ts";

/** Refuses names that were given with equations and mean something else, all of them at once. */
export function checkNames({ independent }: Names, parameters: readonly string[]): void {
  if (!isFreeName(independent)) {
    const message = `must be a name that has no other meaning: it is ${quotedPiece(independent)}`;
    const fields = [{ field: "independent", message }];
    throw new GlassboxError("invalid_input", `Cannot use the independent variable: it ${message}`, {
      fields,
    });
  }
  const faults = parameters.flatMap((name) => {
    const fault = RESERVED.has(name)
      ? "is the name of a function"
      : name === independent
      ? "is the independent variable"
      : null;
    return fault === null ? [] : [parameterFault(name, fault)];
  });
  if (parameters.length > BOUNDS.parameters) {
    const message = `${parameters.length} parameters are too many: there may be ${BOUNDS.parameters}`;
    faults.push({ field: "parameters", message });
  }
  refuse(faults);
}

/** True for one word that the language reads as it stands. */
function isFreeName(name: string): boolean {
  if (RESERVED.has(name) || LOWER_FUNCTIONS.has(name) || CONSTANTS.has(name)) return false;
  try {
    const [only, end] = tokensOf(name);
    return only!.kind === "name" && only!.text === name && end!.kind === "end";
  } catch (error) {
    if (error instanceof EquationError) return false;
    throw error;
  }
}

/** One name of a parameter that cannot be used, and why. */
export function parameterFault(name: string, fault: string) {
  const shown = quotedPiece(name).slice(1, -1);
  return { field: `parameters.${shown}`, message: `${quotedPiece(name)} ${fault}: choose another name` };
}

/** Throws when there are any. */
export function refuse(fields: readonly { field: string; message: string }[]): void {
  if (fields.length === 0) return;
  const message = `Cannot use the parameters: ${fields.map((fault) => fault.message).join("; ")}`;
  throw new GlassboxError("invalid_input", message, { fields });
}
