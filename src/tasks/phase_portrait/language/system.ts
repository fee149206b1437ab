import type { ExplicitTableau } from "./explicit_step.ts";

/** What solvers and analyses see of a system of equations, whichever back end evaluates it. */

/** A system y' = f(t, y) ready to be solved; parameters are bound by `setParameters`. */
export interface CompiledSystem {
  readonly dimension: number;
  /** As "x", "x'". */
  readonly states: readonly string[];
  readonly parameters: readonly string[];
  /** True when no right side depends on t. */
  readonly autonomous: boolean;
  /** Binds the parameters, in the order of `parameters`; they are 0 until then. */
  setParameters(values: Float64Array): void;
  /** Writes f(t, y) into `out` (both of length `dimension`; they may be the same array). Never allocates. */
  rhs(t: number, y: Float64Array, out: Float64Array): void;
  /** Writes df_i/dy_j into `out[i * dimension + j]`. */
  jacobian(t: number, y: Float64Array, out: Float64Array): void;
  /** Writes df/dt into `out`. */
  timeDerivative(t: number, y: Float64Array, out: Float64Array): void;
  /**
   * Compiles one whole step of an explicit method: see `explicitStep`. Null where a loop over its stages is as good, as
   * without WebAssembly.
   */
  explicitStep?(
    tableau: ExplicitTableau,
  ): ((t: number, inputs: Float64Array, results: Float64Array) => void) | null;
  /**
   * A zeroed array in the memory the back end works in. Arrays made here are passed without a copy; any other
   * array works too, but is copied on each call. It stays valid as long as the system, and is never given back.
   */
  allocate(length: number): Float64Array;
}
