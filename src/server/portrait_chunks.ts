/** A stored result in pieces, for clients that draw while they receive. */

/** Rows of one initial condition. `from` counts its rows from 0. */
export interface Chunk {
  readonly ic: number;
  readonly from: number;
  readonly times: readonly number[];
  readonly rows: readonly (readonly number[])[];
}

/** What of a result the pieces are made of; `trajectories` is null where there are too many rows for a message. */
export interface ChunkedResult {
  readonly times: readonly number[] | null;
  readonly trajectories: readonly (readonly (readonly number[])[])[] | null;
  readonly meta?: { readonly ic_status: readonly { readonly first_row: number }[] };
}

const ROWS = 500;

/** One initial condition after the other, each from its first row to its last. */
export function* chunksOf({ times, trajectories, meta }: ChunkedResult): Generator<Chunk> {
  if (times === null || trajectories === null) return;
  for (const [ic, all] of trajectories.entries()) {
    // A trajectory that stopped early on its way back begins at a later time than the others.
    const first = meta?.ic_status[ic]?.first_row ?? 0;
    for (let from = 0; from < all.length; from += ROWS) {
      const rows = all.slice(from, from + ROWS);
      yield { ic, from, times: times.slice(first + from, first + from + rows.length), rows };
    }
  }
}
