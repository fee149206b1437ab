import { GlassboxError } from "../../../core/errors.ts";
import { type BackEnd, backEnd, type BackEndName } from "./back_end.ts";
import { BOUNDS } from "./bounds.ts";
import { gradientsOf } from "./derivatives.ts";
import { type EquationSystem, readExpression } from "./equations.ts";
import { GraphFull, type NodeId } from "./graph.ts";
import { type Evaluate, registerProgram } from "./register_program.ts";
import { switchingNodes } from "./switching.ts";
import type { CompiledSystem } from "./system.ts";

/** How equations are made into functions. */
export interface CompileOptions {
  /** `auto` (the default) is WebAssembly where that is allowed, else registers. */
  readonly backEnd?: BackEndName | "auto";
}

/** A compiled system that remembers its equations and its back end. */
export interface CompiledEquations extends CompiledSystem {
  readonly equations: EquationSystem;
  readonly backEnd: BackEndName;
  /** Functions of the states, such as events; they share the system's parameters and memory. */
  expressions(texts: readonly string[]): CompiledExpressions;
  /** Functions that are zero where a right side can jump or bend. */
  switches(): CompiledExpressions;
}

/** Scalar functions g(t, y) of the states of a system. */
export interface CompiledExpressions {
  readonly count: number;
  /** Writes g(t, y) into `out`, of length `count`. */
  evaluate(t: number, y: Float64Array, out: Float64Array): void;
  /** Writes dg_i/dy_j into `out[i * dimension + j]`. */
  gradient(t: number, y: Float64Array, out: Float64Array): void;
  /** Writes the partial derivatives by t into `out`, of length `count`. */
  timeDerivative(t: number, y: Float64Array, out: Float64Array): void;
}

/** Makes functions of equations. Derivatives are made when they are first asked for. */
export function compileSystem(equations: EquationSystem, options: CompileOptions = {}): CompiledEquations {
  return new System(equations, backEnd(options.backEnd ?? "auto"));
}

/**
 * Makes functions of expressions over the states of a compiled system, whose parameters and memory they share. Throws
 * EquationError with the place in the expression that is at fault.
 */
export function compileExpressions(texts: readonly string[], system: CompiledEquations): CompiledExpressions {
  return system.expressions(texts);
}

/** The initial values that the equations give at these parameters, state by state; null where they give none. */
export function initialValuesOf(equations: EquationSystem, parameters: Float64Array): (number | null)[] {
  const { graph, initialValues } = equations;
  const given = initialValues.flatMap((node) => node === null ? [] : [node]);
  const out = new Float64Array(given.length);
  registerProgram(graph, given, parameters)(0, new Float64Array(0), out);
  let next = 0;
  return initialValues.map((node) => node === null ? null : out[next++]!);
}

class System implements CompiledEquations {
  readonly equations: EquationSystem;
  readonly #backEnd: BackEnd;
  readonly #functions: Functions;

  constructor(equations: EquationSystem, end: BackEnd) {
    this.equations = equations;
    this.#backEnd = end;
    this.#functions = new Functions(equations, equations.rightSides, end);
    this.rhs = this.#functions.evaluate;
  }

  readonly rhs: Evaluate;

  get backEnd(): BackEndName {
    return this.#backEnd.name;
  }

  get dimension(): number {
    return this.equations.states.length;
  }

  get states(): readonly string[] {
    return this.equations.states;
  }

  get parameters(): readonly string[] {
    return this.equations.parameters;
  }

  get autonomous(): boolean {
    return this.equations.autonomous;
  }

  setParameters(values: Float64Array): void {
    const { length } = this.parameters;
    if (values.length !== length) {
      const message = `Cannot bind parameters as there must be ${length}: there are ${values.length}`;
      throw new GlassboxError("invalid_input", message);
    }
    this.#backEnd.parameters.set(values);
  }

  jacobian(t: number, y: Float64Array, out: Float64Array): void {
    this.#functions.gradient(t, y, out);
  }

  timeDerivative(t: number, y: Float64Array, out: Float64Array): void {
    this.#functions.timeDerivative(t, y, out);
  }

  allocate(length: number): Float64Array {
    return this.#backEnd.allocate(length);
  }

  expressions(texts: readonly string[]): CompiledExpressions {
    return new Functions(
      this.equations,
      texts.map((text) => readExpression(this.equations, text)),
      this.#backEnd,
    );
  }

  switches(): CompiledExpressions {
    return new Functions(this.equations, switchingNodes(this.equations), this.#backEnd);
  }
}

/** Functions of time and states with their derivatives, which are made when first asked for. */
class Functions implements CompiledExpressions {
  readonly evaluate: Evaluate;
  readonly #equations: EquationSystem;
  readonly #roots: readonly NodeId[];
  readonly #backEnd: BackEnd;
  #gradient: Evaluate | null = null;
  #timeDerivative: Evaluate | null = null;

  constructor(equations: EquationSystem, roots: readonly NodeId[], end: BackEnd) {
    this.#equations = equations;
    this.#roots = roots;
    this.#backEnd = end;
    this.evaluate = end.compile(equations.graph, roots);
  }

  get count(): number {
    return this.#roots.length;
  }

  gradient(t: number, y: Float64Array, out: Float64Array): void {
    this.#gradient ??= this.#derived(
      this.#equations.states.map((_, index) => this.#equations.graph.state(index)),
      () => this.#stateDifferences(),
    );
    this.#gradient(t, y, out);
  }

  timeDerivative(t: number, y: Float64Array, out: Float64Array): void {
    this.#timeDerivative ??= this.#derived([this.#equations.graph.time()], () => this.#timeDifferences());
    this.#timeDerivative(t, y, out);
  }

  /** Derivatives that would need more nodes than there may be are made of differences instead. */
  #derived(variables: readonly NodeId[], differences: () => Evaluate): Evaluate {
    const { graph } = this.#equations;
    const zero = graph.constant(0);
    try {
      const gradients = graph.withRoom(
        BOUNDS.derivativeNodes,
        () => gradientsOf(graph, this.#roots, variables),
      );
      const nodes = gradients.flatMap((gradient) =>
        variables.map((_, number) => gradient.get(number) ?? zero)
      );
      return this.#backEnd.compile(graph, nodes);
    } catch (error) {
      if (!(error instanceof GraphFull)) throw error;
      return differences();
    }
  }

  #stateDifferences(): Evaluate {
    const dimension = this.#equations.states.length;
    const [base, moved, point] = [this.count, this.count, dimension].map((length) =>
      this.#backEnd.allocate(length)
    ) as [Float64Array, Float64Array, Float64Array];
    return (t, y, out) => {
      this.evaluate(t, y, base);
      point.set(y);
      for (let column = 0; column < dimension; column++) {
        const step = stepAt(y[column]!);
        point[column] = y[column]! + step;
        this.evaluate(t, point, moved);
        point[column] = y[column]!;
        for (let row = 0; row < base.length; row++) {
          out[row * dimension + column] = (moved[row]! - base[row]!) / step;
        }
      }
    };
  }

  #timeDifferences(): Evaluate {
    const [base, moved] = [this.count, this.count].map((length) => this.#backEnd.allocate(length)) as [
      Float64Array,
      Float64Array,
    ];
    return (t, y, out) => {
      const step = stepAt(t);
      this.evaluate(t, y, base);
      this.evaluate(t + step, y, moved);
      for (let row = 0; row < base.length; row++) out[row] = (moved[row]! - base[row]!) / step;
    };
  }
}

/** A power of 2 near the best step for a one-sided difference, so that adding it is exact. */
function stepAt(value: number): number {
  return 2 ** Math.round(Math.log2(Math.sqrt(Number.EPSILON) * Math.max(Math.abs(value), 1e-3)));
}
