import { type CompiledEquations, compileSystem, initialValuesOf, parseSystem } from "../language/mod.ts";
import { ROWS_DEFAULT } from "../limits.ts";
import type { PortraitRequest } from "../request.ts";
import type { Method } from "../solve/methods.ts";
import { evenTimes } from "../solve/trajectory.ts";

/** A request made ready to be solved. */
export interface Setup {
  readonly request: PortraitRequest;
  readonly system: CompiledEquations;
  /** In the order of `system.parameters`. */
  readonly parameters: Float64Array;
  readonly starts: readonly Float64Array[];
  /** The rows' times from t0 onwards, in the direction of each walk; empty for a direction not asked for. */
  readonly forwardTimes: Float64Array;
  readonly backwardTimes: Float64Array;
  readonly method: Method;
  /** RK4 with one step from row to row. */
  readonly onGrid: boolean;
  /** What the answer calls the method when it is not the one asked for. */
  readonly methodNote: string | null;
  readonly rtol: number;
  readonly atol: Float64Array;
  readonly warnings: string[];
}

const RTOL_LEAST = 1e-13;

/** Compiles the equations and settles every default; the request was checked before. */
export function setUp(request: PortraitRequest): Setup {
  const names = Object.keys(request.parameters);
  const equations = parseSystem(request.equations, {
    parameters: names,
    ...(request.independent === undefined ? {} : { independent: request.independent }),
  });
  const system = compileSystem(equations);
  const parameters = Float64Array.from(system.parameters, (name) => request.parameters[name] ?? 0);
  system.setParameters(parameters);
  const warnings = equations.warnings.map(({ message }) => message);
  if (equations.switching) {
    warnings.push(
      "The equations have jumps or bends (If, Abs, Sign, Floor, Mod …): steps become short there",
    );
  }
  const { integrator } = request;
  if (integrator.rtol < RTOL_LEAST) warnings.push(`rtol was raised from ${integrator.rtol} to ${RTOL_LEAST}`);
  const chosen = chooseMethod(request, warnings);
  const n = system.dimension;
  const atol = Array.isArray(integrator.atol)
    ? Float64Array.from(integrator.atol)
    : new Float64Array(n).fill(integrator.atol);
  const given = request.initial_conditions;
  const own = () => [Float64Array.from(initialValuesOf(equations, parameters), (value) => value ?? 0)];
  return {
    request,
    system,
    parameters,
    starts: given === undefined ? own() : startsOf(given),
    ...rowTimes(request),
    ...chosen,
    rtol: Math.max(RTOL_LEAST, integrator.rtol),
    atol,
    warnings,
  };
}

/** All rows' times, ascending: those before t0, t0, and those after. */
export function allTimes({ forwardTimes, backwardTimes }: Setup): Float64Array {
  const before = backwardTimes.toReversed();
  const shared = before.length > 0 && forwardTimes.length > 0 && before.at(-1) === forwardTimes[0];
  return Float64Array.from([...(shared ? before.subarray(0, -1) : before), ...forwardTimes]);
}

/** Initial conditions as solvers take them. */
export function startsOf(rows: readonly (readonly number[])[]): Float64Array[] {
  return rows.map((row) => Float64Array.from(row));
}

/** How many numbers the rows of this request make. */
export function valueCount({ starts, forwardTimes, backwardTimes, system }: Setup): number {
  return starts.length * system.dimension * (forwardTimes.length + backwardTimes.length);
}

function chooseMethod(
  { integrator }: PortraitRequest,
  warnings: string[],
): Pick<Setup, "method" | "onGrid" | "methodNote"> {
  const names = [integrator.method, integrator.backend, integrator.backend_hint];
  if (names.some((name) => name?.startsWith("numba"))) {
    warnings.push("A numba back end means RK4 with one step from row to row: the error is not controlled");
    return { method: "RK4", onGrid: true, methodNote: "RK4 on the times of the rows" };
  }
  if (integrator.method === "BDF") {
    return { method: "Rodas5P", onGrid: false, methodNote: "Rodas5P (for BDF)" };
  }
  const method = integrator.method as Method;
  return { method, onGrid: method === "RK4" && integrator.first_step === null, methodNote: null };
}

function rowTimes(
  { integrator: { t_eval: given, direction }, timespan: [t0, tEnd] }: PortraitRequest,
): Pick<Setup, "forwardTimes" | "backwardTimes"> {
  const forward = given === null ? evenTimes(t0, tEnd, ROWS_DEFAULT) : Float64Array.from(given);
  const backward = forward.map((time) => 2 * t0 - time);
  const none = new Float64Array();
  return {
    forwardTimes: direction === "backward" ? none : forward,
    backwardTimes: direction === "forward" ? none : backward,
  };
}
