import type { CompiledEquations } from "../../../tasks/phase_portrait/language/mod.ts";
import type { Problem } from "./protocol.ts";
import { startInText } from "./reading.ts";
import type { Settings } from "./settings.ts";

/** What the solver is asked for: a state that the picture does not bound may go anywhere. */
export function problemOf(settings: Settings, system: CompiledEquations, fieldTime: number): Problem {
  const { equations, independent, timespan, method, rtol, atol, direction, view, rest } = settings;
  const { states, parameters: names } = system;
  const integrator = (rest.integrator ?? {}) as { max_step?: number; first_step?: number };
  const parameters = Object.fromEntries(names.map((name) => [name, settings.parameters[name] ?? 1]));
  return {
    equations,
    parameters,
    independent,
    timespan,
    starts: startsOf(settings, system),
    method,
    rtol,
    atol: Array.isArray(atol) && atol.length !== states.length ? atol[0]! : atol,
    maxStep: integrator.max_step ?? null,
    firstStep: integrator.first_step ?? null,
    direction,
    low: states.map((name) => view[name]?.[0] ?? -Infinity),
    high: states.map((name) => view[name]?.[1] ?? Infinity),
    fieldTime,
  };
}

/** The rows that fit the system; without any, the initial values that the equations give. */
export function startsOf(settings: Settings, system: CompiledEquations): readonly (readonly number[])[] {
  const fitting = settings.starts.filter((row) => row.length === system.dimension);
  if (settings.starts.length > 0) return fitting;
  const values = Float64Array.from(system.parameters, (name) => settings.parameters[name] ?? 1);
  const given = startInText(system, values);
  return given === null ? [] : [given];
}
