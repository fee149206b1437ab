import { compileExpressions } from "../language/mod.ts";
import type { EventFunction } from "../solve/events.ts";
import { solveOnGrid } from "../solve/fixed_grid.ts";
import { addCounts } from "../solve/walk.ts";
import { newCounts, type StepCounts } from "../solve/stepper.ts";
import { solveTrajectory, type Trajectory } from "../solve/trajectory.ts";
import { allTimes, type Setup } from "./setup.ts";

/** What one initial condition came to; its rows lie in the block's values. */
export interface SolvedStart {
  readonly status: string;
  /** Rows before t0, in ascending time, and how many there are in all. */
  readonly rowsBefore: number;
  readonly rows: number;
  readonly tStop: number;
  readonly message: string;
  readonly methodUsed: string;
  readonly stiffAt: number | null;
  readonly events: readonly { readonly event: number; readonly t: number; readonly y: readonly number[] }[];
  /** The first value of the expression that should stay constant, and the largest distance from it. */
  readonly conserved: { readonly first: number; readonly drift: number } | null;
}

/** The trajectories of some initial conditions, in their order. */
export interface SolvedBlock {
  readonly from: number;
  readonly starts: readonly SolvedStart[];
  /** All rows of the first, then of the second …, each row a state. */
  readonly values: Float64Array;
  /** The smallest and the largest value of each state, infinite when there is no row. */
  readonly low: Float64Array;
  readonly high: Float64Array;
  readonly counts: StepCounts;
}

/** Asked now and then whether to stop. */
export type Stop = () => "timeout" | "cancelled" | null;

/** How far a block is: initial conditions done, with a part of the running one; steps tried so far; where the running one is. */
export interface BlockProgress {
  readonly done: number;
  readonly steps: number;
  readonly t: number;
}

/** Long trajectories tell of themselves; of so many short ones is told once, as a look at the clock costs as much as some steps. */
const TOLD_TOGETHER = 16;

/** Solves the initial conditions from `from` up to `to`. */
export function solveBlock(
  setup: Setup,
  from: number,
  to: number,
  stop: Stop,
  progress: (progress: BlockProgress) => void,
): SolvedBlock {
  const events = eventFunctions(setup), counts = newCounts(), solved: Solved[] = [];
  const rows = setup.forwardTimes.length + setup.backwardTimes.length;
  const all = new Float64Array((to - from) * rows * setup.system.dimension);
  const [t0, tEnd] = setup.request.timespan;
  let length = 0;
  for (let index = from; index < to; index++) {
    const share = (t: number, steps: number) => {
      const part = Math.abs((t - t0) / (tEnd - t0));
      progress({ done: index - from + part, steps: triedIn(counts) + steps, t });
    };
    const parts = solveStart(setup, setup.starts[index]!, events, stop, share, all.subarray(length));
    for (const part of parts) addCounts(counts, part.counts);
    const { start, values: some } = joined(parts, setup);
    solved.push(start);
    for (const part of some) {
      if (part.buffer !== all.buffer) all.set(part, length);
      length += part.length;
    }
    const done = index - from + 1;
    if (done % TOLD_TOGETHER === 0) progress({ done, steps: triedIn(counts), t: solved.at(-1)!.tStop });
  }
  const values = length === all.length ? all : all.slice(0, length);
  const drifts = conservedOf(setup, solved, values);
  const starts = solved.map((start, index) => ({ ...start, conserved: drifts?.[index] ?? null }));
  return { from, starts, values, ...boxOf(values, setup.system.dimension), counts };
}

function triedIn({ steps, rejected }: StepCounts): number {
  return steps + rejected;
}

/** The smallest box that holds all rows. */
function boxOf(values: Float64Array, n: number): { low: Float64Array; high: Float64Array } {
  const low = new Float64Array(n).fill(Infinity), high = new Float64Array(n).fill(-Infinity);
  for (let i = 0; i < n; i++) {
    let least = Infinity, most = -Infinity;
    for (let at = i; at < values.length; at += n) {
      const value = values[at]!;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    [low[i], high[i]] = [least, most];
  }
  return { low, high };
}

/** Null when the request names no expression. */
function conservedOf(
  setup: Setup,
  starts: readonly Solved[],
  values: Float64Array,
): { first: number; drift: number }[] | null {
  const { request, system, backwardTimes } = setup, text = request.analysis.conserved;
  if (text === undefined) return null;
  const h = compileExpressions([text], system), out = new Float64Array(1), n = system.dimension;
  const times = allTimes(setup);
  let at = 0;
  return starts.map(({ rows, rowsBefore }) => {
    const firstRow = Math.max(0, backwardTimes.length - 1) - rowsBefore;
    let first = NaN, drift = 0;
    for (let row = 0; row < rows; row++, at += n) {
      h.evaluate(times[firstRow + row]!, values.subarray(at, at + n), out);
      if (row === 0) first = out[0]!;
      drift = Math.max(drift, Math.abs(out[0]! - first));
    }
    return { first, drift };
  });
}

type Solved = Omit<SolvedStart, "conserved">;
type Direction = "backward" | "forward";
type Part = Trajectory & { readonly direction: Direction };

/** One trajectory for each direction asked for, backwards first; a single one in `into`, as nothing is put before it. */
function solveStart(
  setup: Setup,
  y0: Float64Array,
  events: readonly EventFunction[],
  stop: Stop,
  share: (t: number, steps: number) => void,
  into: Float64Array,
): Part[] {
  const walks: [Direction, Float64Array][] = [["backward", setup.backwardTimes], [
    "forward",
    setup.forwardTimes,
  ]];
  const [t0, tEnd] = setup.request.timespan;
  return walks.filter(([, times]) => times.length > 0).map(([direction, times]) => {
    if (setup.onGrid) {
      return { ...solveOnGrid(setup.system, { t0, y0, times, events, stop }), direction };
    }
    const last = direction === "forward" ? tEnd : 2 * t0 - tEnd;
    const options = {
      method: setup.method,
      tolerance: { rtol: setup.rtol, atol: setup.atol },
      t0,
      tEnd: last,
      y0,
      maxStep: setup.request.integrator.max_step,
      firstStep: setup.request.integrator.first_step,
      maxSteps: setup.request.integrator.max_steps,
      stop: (t: number, steps: number) => {
        share(t, steps);
        return stop();
      },
    };
    const target = setup.backwardTimes.length === 0 ? into : undefined;
    return { ...solveTrajectory(setup.system, options, times, events, target), direction };
  });
}

const NO_ROWS = new Float64Array();

/** One trajectory in ascending time; the row at t0 is in it once. */
function joined(parts: readonly Part[], setup: Setup): { start: Solved; values: Float64Array[] } {
  const n = setup.system.dimension;
  const forward = parts.find(({ direction }) => direction === "forward");
  const backward = parts.find(({ direction }) => direction === "backward");
  const before = backward === undefined ? NO_ROWS : reversed(backward.values, n);
  // Both begin with the row at t0.
  const shared = forward !== undefined && backward !== undefined && forward.rows > 0 && backward.rows > 0;
  const kept = shared ? before.subarray(0, before.length - n) : before;
  const main = parts.find(({ status }) => status !== "ok") ?? forward ?? backward!;
  const rowsBefore = kept.length / n;
  const start: Solved = {
    status: main.status,
    rowsBefore,
    rows: rowsBefore + (forward?.rows ?? 0),
    tStop: main.tStop,
    message: main.message,
    methodUsed: main.methodUsed,
    stiffAt: main.stiffAt,
    events: setup.request.events.length === 0
      ? []
      : parts.flatMap((part) => part.events.map(({ event, t, y }) => ({ event, t, y: [...y] }))),
  };
  return { start, values: forward === undefined ? [kept] : [kept, forward.values] };
}

function reversed(values: Float64Array, n: number): Float64Array {
  const rows = values.length / n, out = new Float64Array(values.length);
  for (let row = 0; row < rows; row++) out.set(values.subarray(row * n, (row + 1) * n), (rows - 1 - row) * n);
  return out;
}

function eventFunctions({ request, system }: Setup): EventFunction[] {
  // Compiling nothing is a module all the same.
  if (request.events.length === 0) return [];
  const functions = compileExpressions(request.events.map(({ expr }) => expr), system);
  const out = system.allocate(request.events.length);
  return request.events.map(({ direction, terminal }, index) => ({
    direction,
    terminal,
    evaluate: (t, y) => {
      functions.evaluate(t, y, out);
      return out[index]!;
    },
  }));
}
