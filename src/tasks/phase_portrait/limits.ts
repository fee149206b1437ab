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
