/** One stream of a child, read piece by piece. A piece is good until the next one is asked for. */
export interface Source extends AsyncIterable<Uint8Array> {
  /** Ends the iteration, even one that waits, and gives the descriptor back. */
  abandon(): void;
}
