/** Bounds of one request: phase portraits of people, not of a computing centre. */
export const PORTRAIT_LIMITS = {
  equationCharacters: 16_384,
  initialConditions: 10_000,
  states: 64,
  parameters: 256,
  times: 100_001,
  /** Rows × states × initial conditions. */
  values: 50_000_000,
  events: 16,
  stepsMax: 100_000_000,
  basinCells: 250_000,
  sweepValues: 2_000,
} as const;

/** This share of a job's progress is solving; the rest is left to the analysis and the pictures. */
export const SOLVING_SHARE = 0.9;

/** Rows from t0 to the end where a request names no times. */
export const ROWS_DEFAULT = 201;
