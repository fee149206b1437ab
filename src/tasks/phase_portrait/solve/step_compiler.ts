import type { ExplicitTableau } from "../language/explicit_step.ts";
import type { CompiledStep, VectorField } from "./stepper.ts";

/** Compiles whole steps of one method, for the systems that are worth it. */
export class StepCompiler {
  readonly #known = new WeakMap<VectorField, Compiling>();

  /** A system is worth it after so many attempted steps, on all its trajectories. */
  constructor(readonly tableau: ExplicitTableau, readonly after: number) {}

  of(field: VectorField): Compiling {
    const known = this.#known.get(field);
    if (known !== undefined) return known;
    const compiling = new Compiling(this.tableau, this.after);
    this.#known.set(field, compiling);
    return compiling;
  }
}

/** The steps that were tried with a system, and what was compiled of it. */
export class Compiling {
  #attempts = 0;
  #step: CompiledStep | null = null;
  readonly #tableau: ExplicitTableau;
  readonly #after: number;

  constructor(tableau: ExplicitTableau, after: number) {
    [this.#tableau, this.#after] = [tableau, after];
  }

  /** The compiled step; null while there is none, or when the system has none. */
  attempt(field: VectorField): CompiledStep | null {
    if (this.#step !== null) return this.#step;
    if (++this.#attempts === this.#after) this.#step = field.explicitStep?.(this.#tableau) ?? null;
    return this.#step;
  }
}
