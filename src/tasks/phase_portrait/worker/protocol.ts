import type { Analysis } from "../run/analyse.ts";
import type { Basins } from "../analyse/basins.ts";
import type { BlockProgress, SolvedBlock } from "../run/solve_block.ts";
import type { PortraitRequest } from "../request.ts";
import type { View } from "../analyse/view.ts";

/** What a solving worker is asked to do; one thing at a time. */
export type WorkerOrder =
  & {
    readonly id: number;
    /** Without initial conditions in an order to solve, which has them as numbers. */
    readonly request: PortraitRequest;
    /** It stops by itself after so long. */
    readonly budgetMs: number;
    /** Int32: not 0 means to stop. Absent where memory cannot be shared; then the worker is terminated. */
    readonly cancelFlag?: SharedArrayBuffer;
  }
  & (
    | {
      readonly kind: "solve";
      /** All initial conditions, a row after the other. */
      readonly starts: Float64Array<SharedArrayBuffer>;
      /** Where blocks of initial conditions begin and end. */
      readonly bounds: readonly (readonly [from: number, to: number])[];
      /** Int32: the first block that no thread has taken. Whoever is ready takes it, without asking. */
      readonly next: SharedArrayBuffer;
    }
    | { readonly kind: "analyse"; readonly went: View }
    | { readonly kind: "basins"; readonly analysis: Analysis }
  );

/** What a worker says; `progress` is about all blocks of this order that it has taken. */
export type WorkerWord =
  | { readonly id: number; readonly kind: "progress"; readonly progress: BlockProgress }
  | { readonly id: number; readonly kind: "analysing"; readonly what: string }
  | { readonly id: number; readonly kind: "solved"; readonly blocks: readonly SolvedBlock[] }
  | { readonly id: number; readonly kind: "analysed"; readonly analysis: Analysis }
  | { readonly id: number; readonly kind: "coloured"; readonly basins: Basins | null }
  | { readonly id: number; readonly kind: "failed"; readonly message: string };
