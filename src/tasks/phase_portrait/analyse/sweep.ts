import type { VectorField } from "../solve/stepper.ts";
import { walk } from "../solve/walk.ts";
import { followCrossings, type Section } from "./returns.ts";

/** One parameter through its range, and what the trajectory does at each value once the transient is over. */
export interface SweepOptions {
  readonly values: Float64Array;
  readonly setParameter: (value: number) => void;
  readonly start: Float64Array;
  readonly transient: number;
  readonly duration: number;
  /** Takes the last state of one value as the start of the next, so that hysteresis shows. */
  readonly carry: boolean;
  /** Which state's local maxima are gathered, or the section whose crossings are. */
  readonly state: number;
  readonly section?: Section;
  readonly pointsPerValue: number;
  readonly stop?: (t: number, steps: number) => "timeout" | "cancelled" | null;
  readonly progress?: (fraction: number) => void;
}

/** The orbit diagram: for each value the gathered values of the state; a resting state gives its one value. */
export interface SweepPoint {
  readonly parameter: number;
  readonly values: readonly number[];
  readonly status: string;
}

/** Gathers an orbit diagram. */
export function orbitDiagram(field: VectorField, options: SweepOptions): SweepPoint[] {
  const n = field.dimension, tolerance = { rtol: 1e-8, atol: new Float64Array(n).fill(1e-10) };
  const stop = options.stop === undefined ? {} : { stop: options.stop };
  const plain = {
    method: "auto" as const,
    tolerance,
    maxStep: null,
    firstStep: null,
    maxSteps: 500_000,
    ...stop,
  };
  const points: SweepPoint[] = [];
  let start = options.start;
  for (const [index, parameter] of options.values.entries()) {
    if (options.stop?.(0, 0) != null) break;
    options.setParameter(parameter);
    const settled = walk(field, { ...plain, t0: 0, tEnd: options.transient, y0: start }, () => true);
    const values = settled.status === "ok" ? gather(field, settled.y, options) : [];
    points.push({ parameter, values, status: settled.status });
    start = options.carry && settled.status === "ok" ? settled.y : options.start;
    options.progress?.((index + 1) / options.values.length);
  }
  return points;
}

function gather(field: VectorField, y: Float64Array, options: SweepOptions): number[] {
  const f = new Float64Array(field.dimension), state = options.state, values: number[] = [];
  const maxima: Section = {
    direction: -1,
    g: (t, point) => {
      field.rhs(t, point, f);
      return f[state]!;
    },
  };
  const returns = {
    tolerance: { rtol: 1e-8, atol: new Float64Array(field.dimension).fill(1e-10) },
    tEnd: options.transient + options.duration,
    ...(options.stop === undefined ? {} : { stop: options.stop }),
  };
  followCrossings(field, options.transient, y, options.section ?? maxima, returns, (crossing) => {
    values.push(crossing.y[state]!);
    return values.length < options.pointsPerValue;
  });
  return values.length > 0 ? values : [y[state]!];
}
