/** The language of equations: from text to functions that solvers call. */
export type { BackEndName } from "./back_end.ts";
export { BOUNDS } from "./bounds.ts";
export {
  type CompiledEquations,
  type CompiledExpressions,
  compileExpressions,
  type CompileOptions,
  compileSystem,
  initialValuesOf,
} from "./compile.ts";
export { type EquationOptions, type EquationSystem, parseSystem } from "./equations.ts";
export { EquationError, type Problem, type ProblemCode, type Warning, type WarningCode } from "./problem.ts";
export type { CompiledSystem } from "./system.ts";
export { copyAs } from "./copy_as.ts";
export type { DialectName } from "./dialects.ts";
export { type PastedSolve, unwrapSolve } from "./paste.ts";
