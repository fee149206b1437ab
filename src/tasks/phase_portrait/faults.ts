import type { z } from "zod";
import { isGlassboxError } from "../../core/errors.ts";
import { compileExpressions, compileSystem, EquationError, parseSystem } from "./language/mod.ts";
import { PORTRAIT_LIMITS, ROWS_DEFAULT } from "./limits.ts";
import { METHOD_NAMES, type PortraitRequest, portraitRequest } from "./request.ts";

/** One thing that is wrong with a request. */
export interface RequestFault {
  /** As `equations`, `initial_conditions[2]` or `parameters.k`. */
  readonly field: string;
  readonly message: string;
  /** Of the equations' own problems; else E_MISSING, E_TYPE, E_VALUE, E_LENGTH, E_METHOD, E_NAME or E_UNKNOWN_FIELD. */
  readonly code: string;
  readonly pos?: number;
  readonly line?: number;
  readonly column?: number;
}

/** The request with everything that its fields say of one another checked; faults are zod issues with a place. */
export const checkedPortraitRequest = portraitRequest.superRefine((request, context) => {
  for (const { field, message, ...place } of faultsOf(request)) {
    context.addIssue({ code: "custom", path: pathOf(field), message, params: { field, ...place } });
  }
});

function pathOf(field: string): (string | number)[] {
  return field.split(/[.[\]]+/).filter((part) => part !== "").map((part) =>
    /^\d+$/.test(part) ? Number(part) : part
  );
}

/** All that is wrong with a request at once: a field of the wrong shape hides nothing that is wrong with another. */
export function allFaultsOf(body: Readonly<Record<string, unknown>>): RequestFault[] {
  const parsed = portraitRequest.safeParse(body);
  if (parsed.success) return faultsOf(parsed.data);
  const { issues } = parsed.error, shape = issues.flatMap((issue) => shapeFaults(issue, body));
  const { stand, without } = mended(body, issues), again = portraitRequest.safeParse(stand);
  if (!again.success) return shape;
  const fields = new Set(shape.map(({ field }) => field));
  return [
    ...shape,
    ...faultsOf(again.data).filter(({ field, code }) =>
      !fields.has(field) && !without.has(field) && !without.has(field.split(/[.[]/, 1)[0]!) &&
      !(code === "E_UNKNOWN_NAME" && without.has("parameters"))
    ),
  ];
}

type Issue = z.core.$ZodIssue;

/** What one issue says of a request's shape. */
export function shapeFaults(issue: Issue, body: Readonly<Record<string, unknown>>): RequestFault[] {
  const field = fieldOf(issue.path);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      field: fieldOf([...issue.path, key]),
      message: "is not a known field",
      code: "E_UNKNOWN_FIELD",
    }));
  }
  if (issue.code === "invalid_type" && issue.path.length === 1 && !Object.hasOwn(body, field)) {
    return [{ field, message: issue.message, code: "E_MISSING" }];
  }
  const isType = issue.code === "invalid_type" || issue.code === "invalid_union";
  return [{ field, message: issue.message, code: isType ? "E_TYPE" : "E_VALUE" }];
}

function fieldOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`,
    "",
  );
}

/** The request with stand-ins where its shape is wrong, so that the rest can be looked at, and what it is now without. */
function mended(
  body: Readonly<Record<string, unknown>>,
  issues: readonly Issue[],
): { readonly stand: Record<string, unknown>; readonly without: ReadonlySet<string> } {
  const stand = structuredClone(body) as Record<string, unknown>, without = new Set<string>();
  for (const { path } of issues) {
    const [name, first, second] = path as [string, PropertyKey?, PropertyKey?];
    if (name === "equations") stand.equations = "x' == 0";
    else if (name === "timespan") stand.timespan = [-Number.MAX_VALUE, Number.MAX_VALUE];
    else if (name === "parameters" && first !== undefined) replaceIn(stand.parameters, first, 0);
    else if (name === "integrator" && first !== undefined) replaceIn(stand.integrator, first, undefined);
    else if (name === "initial_conditions" && second !== undefined) {
      replaceIn((stand.initial_conditions as unknown[])[first as number], second, 0);
    } else {
      delete stand[name];
      without.add(name);
    }
    // Of equations that cannot be read nothing is known that other fields could be held against.
    if (name === "equations") { for (const other of DEPENDENT) without.add(other); }
  }
  return { stand, without };
}

/** Fields that are checked against the states of the equations. */
const DEPENDENT = [
  "parameters",
  "initial_conditions",
  "integrator.atol",
  "events",
  "projection",
  "view",
  "analysis",
];

function replaceIn(holder: unknown, key: PropertyKey, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

/** What is wrong with the meaning of a request whose shape is right: all of it, equations first. */
export function faultsOf(request: PortraitRequest): RequestFault[] {
  const faults: RequestFault[] = [...methodFaults(request), ...timeFaults(request)];
  try {
    const equations = parseSystem(request.equations, {
      parameters: Object.keys(request.parameters),
      ...(request.independent === undefined ? {} : { independent: request.independent }),
    });
    return [
      ...conditionFaults(request, equations),
      ...sizeFaults(request, equations.states.length),
      ...faults,
      ...expressionFaults(request, equations),
    ];
  } catch (error) {
    return [...equationFaults("equations", "Failed to parse equations: ", error), ...faults];
  }
}

/** Throws again what is no fault of the request. */
function equationFaults(field: string, prefix: string, error: unknown): RequestFault[] {
  if (error instanceof EquationError) {
    const { code, message, pos, line, column } = error.problem;
    return [{ field, message: prefix + message, code, pos, line, column }];
  }
  if (!isGlassboxError(error, "invalid_input")) throw error;
  return error.fields.map((fault) => ({ ...fault, code: "E_NAME" }));
}

type Equations = ReturnType<typeof parseSystem>;

function conditionFaults(
  { initial_conditions: conditions, integrator: { atol }, view, projection }: PortraitRequest,
  equations: Equations,
): RequestFault[] {
  const n = equations.states.length, faults: RequestFault[] = [];
  if (conditions === undefined && equations.initialValues.some((value) => value === null)) {
    faults.push({
      field: "initial_conditions",
      message: "must be a non-empty array, as the equations do not give all initial values",
      code: "E_VALUE",
    });
  }
  conditions?.forEach((row, index) => {
    if (row.length === n || faults.length >= 20) return;
    faults.push({
      field: `initial_conditions[${index}]`,
      message: `length (${row.length}) does not match number of state variables (${n})`,
      code: "E_LENGTH",
    });
  });
  if (Array.isArray(atol) && atol.length !== n) {
    faults.push({
      field: "integrator.atol",
      message: `must be one number or ${n}, one for each state`,
      code: "E_LENGTH",
    });
  }
  for (const state of Object.keys(view)) {
    if (equations.states.includes(state)) continue;
    faults.push({
      field: `view.${state}`,
      message: `must name a state: ${equations.states.join(", ")}`,
      code: "E_NAME",
    });
  }
  const distinct = new Set(projection).size === projection.length && projection.length !== 1;
  if (!distinct || projection.some((state) => state >= n)) {
    faults.push({
      field: "projection",
      message: `must be 2 or 3 distinct state numbers from 0 to ${n - 1}`,
      code: "E_VALUE",
    });
  }
  return faults;
}

function sizeFaults(
  { initial_conditions: conditions, integrator: { t_eval: times, direction } }: PortraitRequest,
  n: number,
): RequestFault[] {
  const rows = (times?.length ?? ROWS_DEFAULT) * (direction === "both" ? 2 : 1),
    starts = conditions?.length ?? 1;
  const count = rows * n * starts;
  if (count <= PORTRAIT_LIMITS.values) return [];
  const message =
    `rows × states × initial conditions must be at most ${PORTRAIT_LIMITS.values}: they are ${count}`;
  return [{ field: "initial_conditions", message, code: "E_VALUE" }];
}

function methodFaults({ integrator: { method } }: PortraitRequest): RequestFault[] {
  if ((METHOD_NAMES as readonly string[]).includes(method) || method.startsWith("numba")) return [];
  return [{
    field: "integrator.method",
    message: `unsupported method ${JSON.stringify(method.slice(0, 40))}: use one of ${
      METHOD_NAMES.join(", ")
    }`,
    code: "E_METHOD",
  }];
}

function timeFaults(
  { integrator: { t_eval: times }, timespan: [t0, tEnd] }: PortraitRequest,
): RequestFault[] {
  if (times === null) return [];
  const field = "integrator.t_eval";
  const at = times.findIndex((time, index) => index > 0 && time <= times[index - 1]!);
  if (at >= 0) {
    return [{
      field,
      message: `must ascend: number ${at} is ${times[at]} after ${times[at - 1]}`,
      code: "E_VALUE",
    }];
  }
  if (times[0]! < t0 || times.at(-1)! > tEnd) {
    return [{ field, message: "must lie within timespan", code: "E_VALUE" }];
  }
  return [];
}

/** Expressions over the states, and names of parameters, that other fields hold. */
function expressionFaults(request: PortraitRequest, equations: Equations): RequestFault[] {
  const faults: RequestFault[] = [], system = compileSystem(equations, { backEnd: "registers" });
  const read = (field: string, expression: string | undefined) => {
    if (expression === undefined) return;
    try {
      compileExpressions([expression], system);
    } catch (error) {
      faults.push(...equationFaults(field, "", error));
    }
  };
  const parameter = (field: string, name: string | undefined) => {
    if (name === undefined || equations.parameters.includes(name)) return;
    faults.push({
      field,
      message: `must name a parameter: ${equations.parameters.join(", ") || "there is none"}`,
      code: "E_NAME",
    });
  };
  request.events.forEach(({ expr }, index) => read(`events[${index}].expr`, expr));
  const { analysis } = request;
  read("analysis.section.expr", analysis.section?.expr);
  read("analysis.conserved", analysis.conserved);
  parameter("analysis.sweep.parameter", analysis.sweep?.parameter);
  parameter("analysis.continuation.parameter", analysis.continuation?.parameter);
  if (analysis.sweep !== undefined && analysis.sweep.state >= equations.states.length) {
    faults.push({
      field: "analysis.sweep.state",
      message: `must be below ${equations.states.length}`,
      code: "E_VALUE",
    });
  }
  return faults;
}
