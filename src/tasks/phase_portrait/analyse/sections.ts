import type { VectorField } from "../solve/stepper.ts";
import { walk } from "../solve/walk.ts";
import { type Crossing, followCrossings, type Section } from "./returns.ts";

/** How the points of a section are gathered. */
export interface SectionOptions {
  readonly start: Float64Array;
  readonly t0: number;
  readonly transient: number;
  readonly points: number;
  /** The time at which it ends although there are fewer points. */
  readonly tEnd: number;
  readonly rtol?: number;
  readonly stop?: (t: number, steps: number) => "timeout" | "cancelled" | null;
}

/** The states at which a trajectory crosses a surface, after a transient. */
export function poincareSection(field: VectorField, section: Section, options: SectionOptions): Crossing[] {
  const { rtol = 1e-9, start, t0, transient, points, tEnd, stop } = options;
  const tolerance = { rtol, atol: new Float64Array(field.dimension).fill(rtol * 1e-3) };
  const found: Crossing[] = [];
  const returns = { tolerance, tEnd, ...(stop === undefined ? {} : { stop }) };
  followCrossings(field, t0, start, section, returns, (crossing) => {
    if (crossing.t >= t0 + transient) found.push(crossing);
    return found.length < points;
  });
  return found;
}

/** The states at t0 + k × period, after a transient: for a field that is driven with this period. */
export function stroboscopicSection(field: VectorField, period: number, options: SectionOptions): Crossing[] {
  const { rtol = 1e-9, start, t0, transient, points, stop } = options;
  const tolerance = { rtol, atol: new Float64Array(field.dimension).fill(rtol * 1e-3) };
  const found: Crossing[] = [];
  const first = Math.ceil(transient / period);
  let y0 = start, t = t0;
  for (let k = 1; found.length < points; k++) {
    const tEnd = t0 + k * period;
    if (tEnd > options.tEnd) break;
    const plain = { method: "auto" as const, tolerance, maxStep: null, firstStep: null, maxSteps: 1_000_000 };
    const end = walk(
      field,
      { ...plain, t0: t, tEnd, y0, ...(stop === undefined ? {} : { stop }) },
      () => true,
    );
    if (end.status !== "ok") break;
    y0 = end.y;
    t = tEnd;
    if (k >= first) found.push({ t, y: end.y });
  }
  return found;
}
