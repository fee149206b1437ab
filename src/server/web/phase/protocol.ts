import type { Cycle } from "../../../tasks/phase_portrait/analyse/cycles.ts";
import type { Equilibrium } from "../../../tasks/phase_portrait/analyse/equilibria.ts";
import type { Separatrix } from "../../../tasks/phase_portrait/analyse/separatrices.ts";
import type { PortraitRequest } from "../../../tasks/phase_portrait/request.ts";
import type { Method } from "../../../tasks/phase_portrait/solve/methods.ts";

/** A system with everything that a picture of it depends on. */
export interface Problem {
  readonly equations: string;
  readonly parameters: Readonly<Record<string, number>>;
  readonly independent: string;
  readonly timespan: readonly [number, number];
  readonly starts: readonly (readonly number[])[];
  readonly method: Method;
  readonly rtol: number;
  readonly atol: number | readonly number[];
  readonly maxStep: number | null;
  readonly firstStep: number | null;
  readonly direction: "forward" | "backward" | "both";
  /** By state; infinite where the picture does not bound it. */
  readonly low: readonly number[];
  readonly high: readonly number[];
  /** The time at which field, nullclines and equilibria are looked at. */
  readonly fieldTime: number;
}

/** What can be found about a system besides its trajectories, cheapest first. */
export const PARTS = ["nullclines", "equilibria", "separatrices", "cycles"] as const;

export type Part = (typeof PARTS)[number];

/** What is asked of a worker. Each answer carries the order's number. */
export type Order =
  & { readonly id: number }
  & (
    | {
      readonly kind: "trace";
      readonly problem: Problem;
      /** The picture's diagonal, by which points are set as densely as can be seen. */
      readonly pixels: number;
      /** Quick and coarse, for a picture that is about to change again. */
      readonly draft: boolean;
      /** Each way ends when it is so long on the screen, in pixels; null for no end. */
      readonly lengthMost: number | null;
    }
    | {
      readonly kind: "look";
      readonly problem: Problem;
      readonly parts: readonly Part[];
      readonly draft: boolean;
    }
    | { readonly kind: "file"; readonly request: PortraitRequest; readonly format: "csv" | "json" }
  );

/** How one trajectory went; its points lie between two of `Traced.offsets`. */
export interface TracedStart {
  readonly status: string;
  readonly message: string;
  readonly tStop: number;
  readonly methodUsed: string;
  readonly stiffAt: number | null;
  readonly steps: number;
}

/** Trajectories as they are drawn: points as dense as the picture needs, in ascending time. */
export interface Traced {
  readonly times: Float64Array;
  /** A state after the other. */
  readonly states: Float64Array;
  /** Trajectory k has the points from offsets[k] up to offsets[k + 1]. */
  readonly offsets: Int32Array;
  readonly starts: readonly TracedStart[];
  readonly tookMs: number;
}

/** What was found so far. */
export interface Found {
  readonly nullclines: readonly { readonly name: string; readonly lines: readonly Float64Array[] }[];
  readonly equilibria: readonly Equilibrium[];
  readonly moreEquilibria: boolean;
  readonly separatrices: readonly Separatrix[];
  readonly cycles: readonly Cycle[];
}

/** What a worker says. */
export type Word =
  & { readonly id: number }
  & (
    | { readonly kind: "traced"; readonly traced: Traced }
    | { readonly kind: "found"; readonly found: Partial<Found>; readonly isLast: boolean }
    | { readonly kind: "file"; readonly text: string }
    | { readonly kind: "failed"; readonly message: string }
  );
