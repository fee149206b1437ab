import type { Analysis } from "../run/analyse.ts";
import type { Basins } from "../analyse/basins.ts";
import type { SolvedBlock } from "../run/solve_block.ts";
import type { PortraitRequest } from "../request.ts";
import type { View } from "../analyse/view.ts";

/** What a solving worker is asked to do; one thing at a time. */
export type WorkerOrder =
  & {
    readonly id: number;
    readonly request: PortraitRequest;
    /** It stops by itself after so long. */
    readonly budgetMs: number;
    /** Int32: not 0 means to stop. Absent where memory cannot be shared; then the worker is terminated. */
    readonly cancelFlag?: SharedArrayBuffer;
  }
  & (
    | { readonly kind: "solve"; readonly from: number; readonly to: number }
    | { readonly kind: "analyse"; readonly went: View }
    | { readonly kind: "basins"; readonly analysis: Analysis }
  );

/** What a worker says. */
export type WorkerWord =
  | { readonly id: number; readonly kind: "progress"; readonly done: number; readonly message?: string }
  | { readonly id: number; readonly kind: "solved"; readonly block: SolvedBlock }
  | { readonly id: number; readonly kind: "analysed"; readonly analysis: Analysis }
  | { readonly id: number; readonly kind: "coloured"; readonly basins: Basins | null }
  | { readonly id: number; readonly kind: "failed"; readonly message: string };
