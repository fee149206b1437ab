import { z } from "zod";
import { PORTRAIT_LIMITS } from "./limits.ts";
import { METHODS } from "./solve/methods.ts";

/** The names under which methods are asked for: ours, and those of the tool whose requests keep working. */
export const METHOD_NAMES = [...METHODS, "BDF"] as const;

const number = z.number({ error: "must be a number" }).refine(Number.isFinite, "must be a finite number");
const positive = number.refine((value) => value > 0, "must be positive");
const positiveOrNull = z.number({ error: "must be a number or null" })
  .refine((value) => value > 0 && value < Infinity, "must be positive").nullable().default(null);
const whole = (least: number, most: number) => {
  const message = `must be a whole number from ${least} to ${most}`;
  return z.int({ error: message }).min(least, message).max(most, message);
};
const text = (limit: number) =>
  z.string({ error: "must be a string" }).max(limit, `must have at most ${limit} characters`);
const range = z.tuple([number, number], { error: "must be an array of two numbers" }).refine(
  ([low, high]) => low < high,
  "must have its low end first",
);

/** Told of another JSON type only: fields of an object tell of themselves. */
const anObject = {
  error: ({ code }: { readonly code?: string }) => code === "invalid_type" ? "must be an object" : undefined,
};

const TIMES = `must have 1 to ${PORTRAIT_LIMITS.times} times`;

const integrator = z.strictObject({
  method: z.string({ error: `must be one of ${METHOD_NAMES.join(", ")}` }).default("RK45").describe(
    `One of ${METHOD_NAMES.join(", ")}`,
  ),
  rtol: positive.max(1, "must be at most 1").default(1e-6).describe("Relative tolerance"),
  atol: z.union([positive, z.array(positive).min(1).max(PORTRAIT_LIMITS.states)], {
    error: "must be a positive number, or one for each state",
  }).default(1e-9)
    .describe("Absolute tolerance: one number, or one for each state"),
  max_step: positiveOrNull.describe("The longest step; null for none"),
  first_step: positiveOrNull.describe("The first step; null to choose it"),
  max_steps: whole(1, PORTRAIT_LIMITS.stepsMax).default(1_000_000)
    .describe("Steps for each initial condition"),
  t_eval: z.array(number, { error: "must be an array of times, or null" }).min(1, TIMES).max(
    PORTRAIT_LIMITS.times,
    TIMES,
  )
    .nullable().default(null)
    .describe("The times of the rows, ascending within the time span; null for 201 even ones"),
  direction: z.enum(["forward", "backward", "both"], { error: "must be forward, backward or both" })
    .default("forward"),
  backend: text(200).nullable().optional().describe(
    "Of old clients: numba… means RK4 on the times of the rows",
  ),
  backend_hint: text(200).nullable().optional(),
}, anObject);

const crossing = z.union([z.literal(-1), z.literal(0), z.literal(1)], { error: "must be -1, 0 or 1" });

const event = z.strictObject({
  expr: text(4096).min(1).describe("An expression over the states; its zeros are found"),
  direction: crossing.default(0),
  terminal: z.boolean().default(false),
  name: text(200).default(""),
}, anObject);

const section = z.strictObject({
  expr: text(4096).min(1).optional().describe("The surface where this is zero; or give a period"),
  period: positive.optional().describe("Stroboscopic: a point at every multiple of this time"),
  direction: crossing.default(1),
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
}, anObject);

/** A request as people and programs write it; field names are those of the tool whose clients keep working. */
export const portraitRequest = z.strictObject({
  equations: z.string({ error: "must be a non-empty string" }).min(1, "must be a non-empty string")
    .max(
      PORTRAIT_LIMITS.equationCharacters,
      `must have at most ${PORTRAIT_LIMITS.equationCharacters} characters`,
    )
    .describe("As {x'[t], y'[t]} == {y[t], -x[t]}, x'' == -x, or one equation to a line"),
  name: text(200).default("").describe("The plot's title"),
  parameters: z.record(
    text(64),
    z.number({ error: "must be numeric" }).refine(Number.isFinite, "must be finite"),
    {
      error: "must be an object of numeric values",
    },
  ).default({}),
  independent: text(64).min(1).optional().describe("The independent variable, t by default"),
  timespan: z.tuple([z.number({ error: "must be numbers" }), z.number({ error: "must be numbers" })], {
    error: "must be an array of two numbers",
  })
    .refine(([t0, tEnd]) => t0 < tEnd, "must satisfy t0 < tf"),
  initial_conditions: z.array(
    z.array(z.number({ error: "must be a number" }).refine(Number.isFinite, "must be finite"), {
      error: "must be a non-empty array of numbers",
    }).min(
      1,
      "must be a non-empty array of numbers",
    ),
    { error: "must be a non-empty array" },
  ).min(1, "must be a non-empty array")
    .max(PORTRAIT_LIMITS.initialConditions, `must have at most ${PORTRAIT_LIMITS.initialConditions} rows`)
    .optional()
    .describe("A row of states each; may be left out when the equations give initial values"),
  integrator: integrator.prefault({}),
  events: z.array(event, { error: "must be an array of events" })
    .max(PORTRAIT_LIMITS.events, `must have at most ${PORTRAIT_LIMITS.events} events`).default([]),
  projection: z.array(whole(0, PORTRAIT_LIMITS.states - 1), { error: "must be an array of state numbers" })
    .max(3, "must be 2 or 3 distinct state numbers")
    .default([])
    .describe("Which two or three states are drawn"),
  animate: z.boolean({ error: "must be true or false" }).default(false),
  view: z.record(text(64), range).default({}).describe("State to [low, high]: what is drawn and searched"),
  analysis: analysis.prefault({}),
  theme: z.enum(["light", "dark"]).default("light"),
});

export type PortraitRequest = z.output<typeof portraitRequest>;
