/** The problems of known solution that the solvers are held against, and what it takes to solve one. */
import { readFileSync } from "node:fs";
import {
  type CompiledEquations,
  compileExpressions,
  compileSystem,
  parseSystem,
} from "../../src/tasks/phase_portrait/language/mod.ts";
import type { EventFunction } from "../../src/tasks/phase_portrait/solve/events.ts";
import type { Method } from "../../src/tasks/phase_portrait/solve/methods.ts";
import { solveTrajectory, type Trajectory } from "../../src/tasks/phase_portrait/solve/trajectory.ts";

/** Reference numbers are decimal texts of some 22 digits. */
export interface OdeProblem {
  readonly id: string;
  readonly equations: string;
  readonly parameters: Readonly<Record<string, number>>;
  readonly timespan: readonly [number, number];
  readonly initial_conditions: readonly (readonly number[])[];
  readonly states?: readonly string[];
  readonly reference: { readonly t: number; readonly y: readonly string[] };
  readonly scale_floor?: number;
  readonly solve?: { readonly method: Method; readonly rtol: number; readonly atol: number };
  readonly max_scaled_error?: number;
  readonly guide?: { readonly scaled_error: number; readonly accepted_steps: number };
  readonly checkpoints?: readonly {
    readonly t: number;
    readonly y: readonly string[];
    readonly max_scaled_error: number;
  }[];
  readonly invariant?: { readonly expr: string; readonly value: string };
  readonly event?: {
    readonly expr: string;
    readonly first_time: string;
    readonly state_at_event: readonly string[];
    readonly period: string;
  };
  readonly expect?: {
    readonly status: string;
    readonly t_star: string;
    readonly t_star_tolerance: number;
    readonly prefix_max_scaled_error_before_t: number;
  };
}

/** All problems of the fixture, in its order. */
export const ODE_PROBLEMS: readonly OdeProblem[] = problemsOf("verification.json");

/** Problems of kinds that are not among those: large ones, stiff oscillations, many jumps. */
export const FURTHER_PROBLEMS: readonly OdeProblem[] = problemsOf("further_problems.json");

function problemsOf(file: string): readonly OdeProblem[] {
  return JSON.parse(readFileSync(new URL(`../fixtures/ode/${file}`, import.meta.url), "utf8")).problems;
}

/** The problem of this name. */
export function odeProblem(id: string): OdeProblem {
  const found = ODE_PROBLEMS.find((problem) => problem.id === id);
  if (found === undefined) throw new Error(`There is no problem ${id}`);
  return found;
}

/** A problem's equations with its parameters bound, or others of the same names. */
export function compiled(
  equations: string,
  parameters: Readonly<Record<string, number>> = {},
): CompiledEquations {
  const system = compileSystem(parseSystem(equations, { parameters: Object.keys(parameters) }));
  system.setParameters(Float64Array.from(system.parameters, (name) => parameters[name]!));
  return system;
}

export interface SolveChoice {
  readonly method?: Method;
  readonly rtol?: number;
  readonly atol?: number;
  readonly times?: readonly number[];
  /** An expression whose zeros are looked for. */
  readonly event?: string;
}

/** Solves a problem from its first start as it asks, or otherwise where `choice` says so. */
export function solveProblem(problem: OdeProblem, choice: SolveChoice = {}): Trajectory {
  const system = compiled(problem.equations, problem.parameters);
  const { method, rtol, atol } = {
    method: "auto" as Method,
    rtol: 1e-8,
    atol: 1e-10,
    ...problem.solve,
    ...choice,
  };
  const [t0, tEnd] = problem.timespan;
  const times = Float64Array.from(choice.times ?? [tEnd]);
  const options = {
    method,
    tolerance: { rtol, atol: new Float64Array(system.dimension).fill(atol) },
    t0,
    tEnd: Math.max(tEnd, times.at(-1)!),
    y0: Float64Array.from(problem.initial_conditions[0]!),
    maxStep: null,
    firstStep: null,
    maxSteps: 1_000_000,
  };
  const events = choice.event === undefined ? [] : [eventOf(system, choice.event)];
  return solveTrajectory(system, options, times, events);
}

function eventOf(system: CompiledEquations, text: string): EventFunction {
  const expression = compileExpressions([text], system), out = new Float64Array(1);
  return {
    direction: 0,
    terminal: false,
    evaluate: (t, y) => {
      expression.evaluate(t, y, out);
      return out[0]!;
    },
  };
}

/** The fixture's measure: the largest |y - reference| over |reference|, or over the floor where that is larger. */
export function scaledError(y: ArrayLike<number>, reference: readonly string[], floor?: number): number {
  const wanted = reference.map(Number);
  const least = floor ?? 1e-3 * Math.max(...wanted.map(Math.abs));
  return Math.max(
    ...wanted.map((value, i) => {
      const distance = Math.abs(y[i]! - value);
      return distance === 0 ? 0 : distance / Math.max(Math.abs(value), least);
    }),
  );
}
