/** One stream of a child, read piece by piece. */
export interface Source extends AsyncIterable<Uint8Array> {
  /** Ends the iteration, even one that waits, and gives the descriptor back. */
  abandon(): void;
}
