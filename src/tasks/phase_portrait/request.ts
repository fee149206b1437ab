import { z } from "zod";
import { compileExpressions, compileSystem, EquationError, parseSystem } from "./language/mod.ts";
import { PORTRAIT_LIMITS } from "./limits.ts";
import { METHODS } from "./solve/methods.ts";

/** The names under which methods are asked for: ours, and those of the tool whose requests keep working. */
const METHOD_NAMES = [...METHODS, "BDF"] as const;

const number = z.number().refine(Number.isFinite, "must be a finite number");
const positive = number.refine((value) => value > 0, "must be positive");
const text = (limit: number) => z.string().max(limit);
const range = z.tuple([number, number]).refine(([low, high]) => low < high, "must have its low end first");

const integrator = z.strictObject({
  method: z.string().default("RK45").describe(`One of ${METHOD_NAMES.join(", ")}`),
  rtol: positive.max(1).default(1e-6).describe("Relative tolerance"),
  atol: z.union([positive, z.array(positive).min(1).max(PORTRAIT_LIMITS.states)]).default(1e-9)
    .describe("Absolute tolerance: one number, or one for each state"),
  max_step: positive.nullable().default(null).describe("The longest step; null for none"),
  first_step: positive.nullable().default(null).describe("The first step; null to choose it"),
  max_steps: z.int().min(1).max(PORTRAIT_LIMITS.stepsMax).default(1_000_000)
    .describe("Steps for each initial condition"),
  t_eval: z.array(number).min(2).max(PORTRAIT_LIMITS.times).nullable().default(null)
    .describe("The times of the rows, ascending within the time span; null for 201 even ones"),
  direction: z.enum(["forward", "backward", "both"]).default("forward"),
  backend: z.string().nullable().optional().describe(
    "Of old clients: numba… means RK4 on the times of the rows",
  ),
  backend_hint: z.string().nullable().optional(),
});

const event = z.strictObject({
  expr: text(4096).min(1).describe("An expression over the states; its zeros are found"),
  direction: z.union([z.literal(-1), z.literal(0), z.literal(1)]).default(0),
  terminal: z.boolean().default(false),
  name: text(200).default(""),
});

const section = z.strictObject({
  expr: text(4096).min(1).optional().describe("The surface where this is zero; or give a period"),
  period: positive.optional().describe("Stroboscopic: a point at every multiple of this time"),
  direction: z.union([z.literal(-1), z.literal(0), z.literal(1)]).default(1),
  points: z.int().min(1).max(100_000).default(500),
  transient: number.min(0).default(0),
  duration: positive.default(10_000).describe("The time after which it ends although there are fewer points"),
}).refine(({ expr, period }) => (expr === undefined) !== (period === undefined), {
  message: "needs either expr or period",
});

const analysis = z.strictObject({
  equilibria: z.boolean().optional().describe("All equilibria in the view, with type and eigenvalues"),
  nullclines: z.boolean().optional().describe("Of the two states drawn"),
  separatrices: z.boolean().optional().describe("The lines through saddles"),
  cycles: z.boolean().optional().describe("Limit cycles with period and multipliers"),
  periods: z.boolean().default(false).describe("The closed orbit through each initial condition, if any"),
  section: section.optional(),
  lyapunov: z.strictObject({
    duration: positive.max(1e6).default(1000),
    transient: number.min(0).max(1e6).default(100),
    every: positive.default(0.5),
  }).optional().describe("All Lyapunov exponents along the first initial condition's trajectory"),
  sweep: z.strictObject({
    parameter: text(64),
    from: number,
    to: number,
    steps: z.int().min(2).max(PORTRAIT_LIMITS.sweepValues).default(200),
    state: z.int().min(0).max(PORTRAIT_LIMITS.states - 1).default(0),
    transient: number.min(0).default(200),
    duration: positive.default(200),
    points: z.int().min(1).max(1000).default(100),
    carry: z.boolean().default(true),
  }).optional().describe("Orbit diagram: local maxima of a state over one parameter"),
  basins: z.strictObject({
    columns: z.int().min(2).max(1000).default(100),
    rows: z.int().min(2).max(1000).default(100),
    span: positive.default(200),
  }).refine(({ columns, rows }) => columns * rows <= PORTRAIT_LIMITS.basinCells, {
    message: `must have at most ${PORTRAIT_LIMITS.basinCells} cells`,
  }).optional().describe("Which attractor each start of a grid reaches"),
  continuation: z.strictObject({ parameter: text(64), from: number, to: number })
    .refine(({ from, to }) => from < to, "must have from below to").optional()
    .describe("Follow the equilibria over one parameter; find folds and Hopf points"),
  conserved: text(4096).min(1).optional().describe("An expression that should stay constant: its drift"),
});

/** A request as people and programs write it; field names are those of the tool whose clients keep working. */
export const portraitRequest = z.strictObject({
  equations: z.string({ error: "must be a non-empty string" }).min(1, "must be a non-empty string")
    .max(PORTRAIT_LIMITS.equationCharacters)
    .describe("As {x'[t], y'[t]} == {y[t], -x[t]}, x'' == -x, or one equation to a line"),
  name: text(200).default("").describe("The plot's title"),
  parameters: z.record(text(64), number).default({}),
  independent: text(64).min(1).optional().describe("The independent variable, t by default"),
  timespan: z.tuple([number, number], { error: "must be an array of two numbers" })
    .refine(([t0, tEnd]) => t0 < tEnd, "must satisfy t0 < tf"),
  initial_conditions: z.array(
    z.array(number, { error: "must be a non-empty array of numbers" }).min(
      1,
      "must be a non-empty array of numbers",
    ),
    { error: "must be a non-empty array" },
  ).min(1, "must be a non-empty array").max(PORTRAIT_LIMITS.initialConditions).optional()
    .describe("A row of states each; may be left out when the equations give initial values"),
  integrator: integrator.prefault({}),
  events: z.array(event).max(PORTRAIT_LIMITS.events).default([]),
  projection: z.array(z.int().min(0).max(PORTRAIT_LIMITS.states - 1)).max(3).default([])
    .describe("Which two or three states are drawn"),
  animate: z.boolean().default(false),
  view: z.record(text(64), range).default({}).describe("State to [low, high]: what is drawn and searched"),
  analysis: analysis.prefault({}),
  theme: z.enum(["light", "dark"]).default("light"),
});

export type PortraitRequest = z.output<typeof portraitRequest>;

/** One thing that is wrong with a request's meaning. */
export interface RequestFault {
  /** As `equations`, `initial_conditions[2]` or `parameters.k`. */
  readonly field: string;
  readonly message: string;
  readonly code?: string;
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

/** What is wrong with the meaning of a request whose shape is right: all of it, in the order of the fields. */
export function faultsOf(request: PortraitRequest): RequestFault[] {
  const faults: RequestFault[] = [...methodFaults(request), ...timeFaults(request)];
  try {
    const equations = parseSystem(request.equations, {
      parameters: Object.keys(request.parameters),
      ...(request.independent === undefined ? {} : { independent: request.independent }),
    });
    return [...conditionFaults(request, equations), ...faults, ...expressionFaults(request, equations)];
  } catch (error) {
    if (!(error instanceof EquationError)) throw error;
    return [equationFault("equations", "Failed to parse equations: ", error), ...faults];
  }
}

function equationFault(field: string, prefix: string, { problem }: EquationError): RequestFault {
  const { code, message, pos, line, column } = problem;
  return { field, message: prefix + message, code, pos, line, column };
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
    });
  }
  conditions?.forEach((row, index) => {
    if (row.length === n || faults.length >= 20) return;
    faults.push({
      field: `initial_conditions[${index}]`,
      message: `length (${row.length}) does not match number of state variables (${n})`,
    });
  });
  if (Array.isArray(atol) && atol.length !== n) {
    faults.push({ field: "integrator.atol", message: `must be one number or ${n}, one for each state` });
  }
  for (const state of Object.keys(view)) {
    if (equations.states.includes(state)) continue;
    faults.push({ field: `view.${state}`, message: `must name a state: ${equations.states.join(", ")}` });
  }
  const distinct = new Set(projection).size === projection.length && projection.length !== 1;
  if (!distinct || projection.some((state) => state >= n)) {
    faults.push({ field: "projection", message: `must be 2 or 3 distinct state numbers from 0 to ${n - 1}` });
  }
  return faults;
}

function methodFaults({ integrator: { method } }: PortraitRequest): RequestFault[] {
  if ((METHOD_NAMES as readonly string[]).includes(method) || method.startsWith("numba")) return [];
  return [{
    field: "integrator.method",
    message: `unsupported method ${JSON.stringify(method.slice(0, 40))}: use one of ${
      METHOD_NAMES.join(", ")
    }`,
  }];
}

function timeFaults(
  { integrator: { t_eval: times }, timespan: [t0, tEnd] }: PortraitRequest,
): RequestFault[] {
  if (times === null) return [];
  const field = "integrator.t_eval";
  const at = times.findIndex((time, index) => index > 0 && time <= times[index - 1]!);
  if (at >= 0) {
    return [{ field, message: `must ascend: number ${at} is ${times[at]} after ${times[at - 1]}` }];
  }
  if (times[0]! < t0 || times.at(-1)! > tEnd) return [{ field, message: "must lie within timespan" }];
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
      if (!(error instanceof EquationError)) throw error;
      faults.push(equationFault(field, "", error));
    }
  };
  const parameter = (field: string, name: string | undefined) => {
    if (name === undefined || equations.parameters.includes(name)) return;
    faults.push({
      field,
      message: `must name a parameter: ${equations.parameters.join(", ") || "there is none"}`,
    });
  };
  request.events.forEach(({ expr }, index) => read(`events[${index}].expr`, expr));
  const { analysis } = request;
  read("analysis.section.expr", analysis.section?.expr);
  read("analysis.conserved", analysis.conserved);
  parameter("analysis.sweep.parameter", analysis.sweep?.parameter);
  parameter("analysis.continuation.parameter", analysis.continuation?.parameter);
  if (analysis.sweep !== undefined && analysis.sweep.state >= equations.states.length) {
    faults.push({ field: "analysis.sweep.state", message: `must be below ${equations.states.length}` });
  }
  return faults;
}
