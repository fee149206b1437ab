import { z } from "zod";
import { isGlassboxError } from "../../core/errors.ts";
import { type CompiledEquations, compileSystem, EquationError, parseSystem } from "./language/mod.ts";
import { PORTRAIT_LIMITS } from "./limits.ts";

const number = z.number({ error: "must be a number" }).refine(Number.isFinite, "must be a finite number");
const numbers = z.record(z.string().max(64), number, { error: "must be an object of numeric values" });

/** A grid of arrows, as the seed tool's clients ask for it; `parameters`, `t`, `fixed` and `axes` are ours. */
export const slopeFieldRequest = z.object({
  equations: z.string({ error: "must be a non-empty string" }).min(1, "must be a non-empty string")
    .max(
      PORTRAIT_LIMITS.equationCharacters,
      `must have at most ${PORTRAIT_LIMITS.equationCharacters} characters`,
    ),
  x_min: number,
  x_max: number,
  y_min: number,
  y_max: number,
  z_min: number.optional(),
  z_max: number.optional(),
  grid_size: z.int({ error: "must be a whole number" }).default(30),
  parameters: numbers.optional(),
  t: number.default(0),
  fixed: numbers.default({}).describe("Values of the states that are not shown"),
  axes: z.array(z.int().min(0).max(PORTRAIT_LIMITS.states - 1), {
    error: "must be an array of state numbers",
  })
    .min(2, "must have 2 or 3 state numbers").max(3, "must have 2 or 3 state numbers").optional(),
}).superRefine((request, context) => {
  for (const axis of ["x", "y", "z"] as const) {
    const low = request[`${axis}_min`], high = request[`${axis}_max`];
    if (low === undefined || high === undefined || low < high) continue;
    context.addIssue({ code: "custom", path: [`${axis}_max`], message: `must be above ${axis}_min` });
  }
});

export type SlopeFieldRequest = z.output<typeof slopeFieldRequest>;

/** Places and directions, flat; null where the field is not finite. */
export interface SlopeField {
  readonly x: number[];
  readonly y: number[];
  readonly z?: number[];
  readonly u: (number | null)[];
  readonly v: (number | null)[];
  readonly w?: (number | null)[];
  readonly warnings?: readonly string[];
}

const UNSUPPORTED = "400: Unsupported number of variables or missing z range for 3D";
const SIDE = { flat: [2, 200], deep: [2, 40] } as const;

/** Why there is no field for this request; the text that the client shows. */
export class SlopeFieldError extends Error {}

/** The field on an even grid: in the plane x runs fastest, in space z. A single state is shown over time. */
export function slopeField(request: SlopeFieldRequest): SlopeField {
  const system = compiled(request);
  const warnings = system.equations.warnings.map(({ message }) => message);
  const extra = warnings.length === 0 ? {} : { warnings };
  if (system.dimension === 1) return { ...overTime(system, request), ...extra };
  const axes = request.axes ?? (system.dimension === 2 ? [0, 1] : [0, 1, 2]);
  if (axes.some((axis) => axis >= system.dimension) || new Set(axes).size !== axes.length) {
    throw new SlopeFieldError(`axes: must be distinct state numbers below ${system.dimension}`);
  }
  const field = axes.length === 2 ? inPlane(system, request, axes) : inSpace(system, request, axes);
  return { ...field, ...extra };
}

/** Old clients cannot send parameters, so without that field unknown names count as 0. */
function compiled(request: SlopeFieldRequest): CompiledEquations {
  try {
    const parameters = request.parameters === undefined ? null : Object.keys(request.parameters);
    const system = compileSystem(parseSystem(request.equations, { parameters }));
    system.setParameters(
      Float64Array.from(system.parameters, (name) => request.parameters?.[name] ?? 0),
    );
    return system;
  } catch (error) {
    if (error instanceof EquationError) throw new SlopeFieldError(error.problem.message);
    if (isGlassboxError(error, "invalid_input")) throw new SlopeFieldError(error.message);
    throw error;
  }
}

function side({ grid_size: size }: SlopeFieldRequest, [least, most]: readonly [number, number]): number {
  if (size >= least && size <= most) return size;
  throw new SlopeFieldError(`grid_size: must be between ${least} and ${most} here: it is ${size}`);
}

function even(low: number, high: number, count: number): number[] {
  return Array.from({ length: count }, (_, k) => low + ((high - low) * k) / (count - 1));
}

function startState(system: CompiledEquations, { fixed }: SlopeFieldRequest): Float64Array {
  const y = system.allocate(system.dimension);
  for (const [i, name] of system.states.entries()) y[i] = Object.hasOwn(fixed, name) ? fixed[name]! : 0;
  return y;
}

function overTime(system: CompiledEquations, request: SlopeFieldRequest): SlopeField {
  const count = side(request, SIDE.flat),
    field = { x: [], y: [], u: [], v: [] } as Required<
      Pick<SlopeField, "x" | "y" | "u" | "v">
    >;
  const y = system.allocate(1), out = system.allocate(1);
  for (const value of even(request.y_min, request.y_max, count)) {
    for (const t of even(request.x_min, request.x_max, count)) {
      y[0] = value;
      system.rhs(t, y, out);
      field.x.push(t);
      field.y.push(value);
      field.u.push(1);
      field.v.push(orNull(out[0]!));
    }
  }
  return field;
}

function inPlane(
  system: CompiledEquations,
  request: SlopeFieldRequest,
  axes: readonly number[],
): SlopeField {
  const [first, second] = axes as [number, number], count = side(request, SIDE.flat);
  const y = startState(system, request), out = system.allocate(system.dimension);
  const field = {
    x: [] as number[],
    y: [] as number[],
    u: [] as (number | null)[],
    v: [] as (number | null)[],
  };
  for (const b of even(request.y_min, request.y_max, count)) {
    for (const a of even(request.x_min, request.x_max, count)) {
      y[first] = a;
      y[second] = b;
      system.rhs(request.t, y, out);
      field.x.push(a);
      field.y.push(b);
      field.u.push(orNull(out[first]!));
      field.v.push(orNull(out[second]!));
    }
  }
  return field;
}

function inSpace(
  system: CompiledEquations,
  request: SlopeFieldRequest,
  axes: readonly number[],
): SlopeField {
  const { z_min: zLow, z_max: zHigh } = request;
  if (zLow === undefined || zHigh === undefined) throw new SlopeFieldError(UNSUPPORTED);
  if (system.dimension > 3 && request.axes === undefined) throw new SlopeFieldError(UNSUPPORTED);
  const [first, second, third] = axes as [number, number, number], count = side(request, SIDE.deep);
  const state = startState(system, request), out = system.allocate(system.dimension);
  const [x, y, z]: [number[], number[], number[]] = [[], [], []];
  const [u, v, w]: [(number | null)[], (number | null)[], (number | null)[]] = [[], [], []];
  for (const a of even(request.x_min, request.x_max, count)) {
    for (const b of even(request.y_min, request.y_max, count)) {
      for (const c of even(zLow, zHigh, count)) {
        state[first] = a;
        state[second] = b;
        state[third] = c;
        system.rhs(request.t, state, out);
        x.push(a);
        y.push(b);
        z.push(c);
        u.push(orNull(out[first]!));
        v.push(orNull(out[second]!));
        w.push(orNull(out[third]!));
      }
    }
  }
  return { x, y, z, u, v, w };
}

function orNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
