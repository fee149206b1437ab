/** Submissions that the portrait API refuses: what is changed in a good one, and what the errors say then. */

export interface Refusal {
  readonly about: string;
  readonly change: Record<string, unknown>;
  /** Each error's field, code and message; `pos` where the equations have it. */
  readonly errors: readonly { field: string; code: string; message: RegExp; pos?: number }[];
}

export const REFUSED: readonly Refusal[] = [
  {
    about: "empty equations",
    change: { equations: "" },
    errors: [{ field: "equations", code: "E_VALUE", message: /^must be a non-empty string$/ }],
  },
  {
    about: "equations with an unknown name",
    change: { equations: "{x' == q x, y' == x}" },
    errors: [{
      field: "equations",
      code: "E_UNKNOWN_NAME",
      pos: 7,
      message: /^Failed to parse equations: line 1, column 8: /,
    }],
  },
  {
    about: "an unknown function, with what may be meant",
    change: { equations: "x' == y\ny' == Sine[x]" },
    errors: [{
      field: "equations",
      code: "E_UNKNOWN_FUNCTION",
      pos: 14,
      message: /line 2, column 7: unknown function "Sine"; did you mean Sin\?$/,
    }],
  },
  {
    about: "equations of another number",
    change: { equations: "{x'[t], y'[t]} == {x[t]}" },
    errors: [{ field: "equations", code: "E_COUNT", pos: 15, message: /2.*1/ }],
  },
  ...[
    "x'[t] == x[t].constructor",
    "x'[t] == __proto__",
    "x'[t] == eval(1)",
    "x'[t] == this[1]",
    "x => 1",
    "`",
  ]
    .map((equations): Refusal => ({
      about: `the text ${equations}`,
      change: { equations },
      errors: [{
        field: "equations",
        code: "E_",
        message: /^Failed to parse equations: line 1, column \d+: /,
      }],
    })),
  {
    about: "a time span that goes nowhere",
    change: { timespan: [1, 1] },
    errors: [{ field: "timespan", code: "E_VALUE", message: /^must satisfy t0 < tf$/ }],
  },
  {
    about: "a time span of one number",
    change: { timespan: [1] },
    errors: [{ field: "timespan", code: "E_VALUE", message: /^must be an array of two numbers$/ }],
  },
  {
    about: "a time span that is no array",
    change: { timespan: "0..10" },
    errors: [{ field: "timespan", code: "E_TYPE", message: /^must be an array of two numbers$/ }],
  },
  {
    about: "a time span of texts",
    change: { timespan: [0, "10"] },
    errors: [{ field: "timespan[1]", code: "E_TYPE", message: /^must be numbers$/ }],
  },
  {
    about: "no initial conditions",
    change: { initial_conditions: [] },
    errors: [{ field: "initial_conditions", code: "E_VALUE", message: /^must be a non-empty array$/ }],
  },
  {
    about: "an empty initial condition",
    change: { initial_conditions: [[1, 2], []] },
    errors: [{
      field: "initial_conditions[1]",
      code: "E_VALUE",
      message: /^must be a non-empty array of numbers$/,
    }],
  },
  {
    about: "initial conditions of another length",
    change: { initial_conditions: [[1, 2], [1], [1, 2, 3]] },
    errors: [
      {
        field: "initial_conditions[1]",
        code: "E_LENGTH",
        message: /^length \(1\) does not match number of state variables \(2\)$/,
      },
      { field: "initial_conditions[2]", code: "E_LENGTH", message: /^length \(3\)/ },
    ],
  },
  {
    about: "an initial condition that is no number",
    change: { initial_conditions: [[1, "two"]] },
    errors: [{ field: "initial_conditions[0][1]", code: "E_TYPE", message: /^must be a number$/ }],
  },
  {
    about: "an unknown method",
    change: { integrator: { method: "Euler" } },
    errors: [{
      field: "integrator.method",
      code: "E_METHOD",
      message: /^unsupported method "Euler".*RK45, DOP853, Rodas5P, Radau, RK4, BDF/,
    }],
  },
  ...["rtol", "atol", "max_step", "first_step"].map((field): Refusal => ({
    about: `${field} that is not positive`,
    change: { integrator: { [field]: 0 } },
    errors: [{ field: `integrator.${field}`, code: "E_VALUE", message: /^must be positive$/ }],
  })),
  {
    about: "max_step that is a text",
    change: { integrator: { max_step: "small" } },
    errors: [{ field: "integrator.max_step", code: "E_TYPE", message: /^must be a number or null$/ }],
  },
  {
    about: "times beyond the span",
    change: { integrator: { t_eval: [0, 11] } },
    errors: [{ field: "integrator.t_eval", code: "E_VALUE", message: /^must lie within timespan$/ }],
  },
  {
    about: "times that do not ascend",
    change: { integrator: { t_eval: [0, 2, 1] } },
    errors: [{ field: "integrator.t_eval", code: "E_VALUE", message: /^must ascend/ }],
  },
  {
    about: "parameters that are a list",
    change: { parameters: [1] },
    errors: [{ field: "parameters", code: "E_TYPE", message: /^must be an object/ }],
  },
  {
    about: "a parameter that is no number",
    change: { parameters: { a: "0.1" } },
    errors: [{ field: "parameters.a", code: "E_TYPE", message: /^must be numeric$/ }],
  },
  {
    about: "parameters named as a state, the time or a function",
    change: { parameters: { a: 1, t: 2, Sin: 3 } },
    errors: [
      { field: "parameters.t", code: "E_NAME", message: /independent variable/ },
      { field: "parameters.Sin", code: "E_NAME", message: /function/ },
    ],
  },
  {
    about: "a parameter named as a state",
    change: { parameters: { a: 1, x: 2 } },
    errors: [{ field: "parameters.x", code: "E_NAME", message: /state/ }],
  },
  {
    about: "more rows than can be kept",
    change: {
      initial_conditions: Array.from({ length: 500 }, () => [1, 0]),
      integrator: { t_eval: Array.from({ length: 60_000 }, (_, k) => k / 6_000) },
    },
    errors: [{
      field: "initial_conditions",
      code: "E_VALUE",
      message: /at most 50000000: they are 60000000/,
    }],
  },
  {
    about: "a name that is too long",
    change: { name: "n".repeat(201) },
    errors: [{ field: "name", code: "E_VALUE", message: /at most 200/ }],
  },
  {
    about: "an event that cannot be read",
    change: { events: [{ expr: "x" }, { expr: "x +" }] },
    errors: [{ field: "events[1].expr", code: "E_EXPECTED", pos: 3, message: /^line 1, column 4: / }],
  },
  {
    about: "a projection on one state twice",
    change: { projection: [1, 1] },
    errors: [{ field: "projection", code: "E_VALUE", message: /distinct state numbers from 0 to 1/ }],
  },
  {
    about: "all that is wrong at once",
    change: {
      equations: "{x' == q x, y' == x}",
      timespan: [1, 0],
      initial_conditions: [["a", 1]],
      integrator: { method: "Euler", rtol: -1, max_step: "x" },
    },
    errors: [
      { field: "timespan", code: "E_VALUE", message: /t0 < tf/ },
      { field: "initial_conditions[0][0]", code: "E_TYPE", message: /number/ },
      { field: "integrator.rtol", code: "E_VALUE", message: /positive/ },
      { field: "integrator.max_step", code: "E_TYPE", message: /number or null/ },
      { field: "equations", code: "E_UNKNOWN_NAME", pos: 7, message: /Failed to parse/ },
      { field: "integrator.method", code: "E_METHOD", message: /Euler/ },
    ],
  },
];
