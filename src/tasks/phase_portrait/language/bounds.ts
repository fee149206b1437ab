/** Bounds on equations. Each is checked before the work it bounds, so that no text can make a parser run long. */
export const BOUNDS = {
  characters: 16_384,
  tokens: 20_000,
  /** Brackets, unary signs, powers and `!` together: each of them makes the parser recurse. */
  nesting: 200,
  nameCharacters: 64,
  /** Nodes of the checked graph. */
  nodes: 50_000,
  states: 64,
  parameters: 256,
  /** Nodes that derivatives may add; beyond them a Jacobian is made of differences. */
  derivativeNodes: 50_000,
} as const;
