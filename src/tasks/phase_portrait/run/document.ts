import type { Branch } from "../analyse/continuation.ts";
import type { Cycle } from "../analyse/cycles.ts";
import type { Equilibrium } from "../analyse/equilibria.ts";
import { newCounts } from "../solve/stepper.ts";
import { addCounts } from "../solve/walk.ts";
import type { Analysis } from "./analyse.ts";
import type { Setup } from "./setup.ts";
import type { SolvedBlock, SolvedStart } from "./solve_block.ts";

/** The rows of every initial condition: `trajectories[ic][row][state]`. */
export function trajectoriesOf({ system }: Setup, blocks: readonly SolvedBlock[]): number[][][] {
  const n = system.dimension;
  return blocks.flatMap(({ starts, values }) => {
    let at = 0;
    return starts.map(({ rows }) =>
      Array.from({ length: rows }, () => {
        const row = Array.from(values.subarray(at, at + n));
        at += n;
        return row;
      })
    );
  });
}

/** Everything about a solution besides its rows, in the words that the seed tool's clients know. */
export function metaOf(setup: Setup, blocks: readonly SolvedBlock[], wallMs: number) {
  const { request, system, warnings } = setup, starts = blocks.flatMap(({ starts: some }) => some);
  const counts = newCounts();
  for (const block of blocks) addCounts(counts, block.counts);
  const used = [...new Set(starts.map(({ methodUsed }) => methodUsed))].join(", ");
  return {
    equations: request.equations,
    name: request.name,
    initial_conditions: setup.starts.map((start) => [...start]),
    state_names: system.states,
    parameters: Object.fromEntries(system.parameters.map((name, index) => [name, setup.parameters[index]!])),
    method_used: setup.methodNote ?? used,
    rtol: setup.rtol,
    atol: [...setup.atol],
    projection: request.projection,
    animate: request.animate,
    engine: navigator.userAgent,
    back_end: system.backEnd,
    warnings: [...warnings, ...stiffWarnings(setup, starts), ...stoppedWarnings(starts)],
    stats: {
      steps: counts.steps,
      rejected: counts.rejected,
      rhs_evals: counts.rhsEvals,
      jac_evals: counts.jacEvals,
      lu: counts.lu,
      wall_ms: Math.round(wallMs * 1000) / 1000,
    },
    events: starts.map(({ events }) =>
      events.map(({ event, t, y }) => ({ event, name: request.events[event]!.name, t, y }))
    ),
    ic_status: starts.map((start) => ({
      status: start.status,
      rows: start.rows,
      first_row: Math.max(0, setup.backwardTimes.length - 1) - start.rowsBefore,
      t_stop: start.tStop,
      message: start.message,
      ...(start.conserved === null ? {} : { conserved: start.conserved }),
    })),
  };
}

/** True when it got to its end, or to a terminal event. */
export function succeeded({ status }: SolvedStart): boolean {
  return status === "ok" || status === "event";
}

function stiffWarnings({ request }: Setup, starts: readonly SolvedStart[]): string[] {
  const at = starts.find(({ stiffAt }) => stiffAt !== null)?.stiffAt;
  if (at == null || request.integrator.method === "auto") return [];
  return [`The equations are stiff at t = ${at}: auto, Rodas5P or Radau take fewer steps`];
}

function stoppedWarnings(starts: readonly SolvedStart[]): string[] {
  const stopped = starts.map((start, index) => ({ start, index })).filter(({ start }) => !succeeded(start));
  if (stopped.length === 0) return [];
  const [{ start, index }] = stopped as [(typeof stopped)[number]];
  return [
    `${stopped.length} of ${starts.length} trajectories stopped early; initial condition ${index} at t = ` +
    `${start.tStop} (${start.status}): ${start.message}`,
  ];
}

/** So many points of all separatrices together are told, and so many of all nullclines; the pictures have all. */
const LINE_POINTS = 4_096;
/** More of one line say no more. */
const POINTS_OF_ONE = 200;

/** Some points of a line, evenly by number, its two ends among them. */
function somePoints(states: Float64Array, n: number, lines: number): number[][] {
  const most = Math.max(2, Math.min(POINTS_OF_ONE, Math.floor(LINE_POINTS / lines)));
  const last = states.length / n - 1, kept = Math.min(last, most - 1);
  return Array.from({ length: kept + 1 }, (_, k) => {
    const row = kept === 0 ? 0 : Math.round((k * last) / kept);
    return Array.from(states.subarray(row * n, (row + 1) * n));
  });
}

/** The analysis as JSON; of long lines some points. */
export function analysisDocument(setup: Setup, analysis: Analysis) {
  const { system } = setup;
  const named = (point: ArrayLike<number>) =>
    Object.fromEntries(system.states.map((name, i) => [name, point[i]!]));
  return {
    view: Object.fromEntries(
      system.states.map((name, i) => [name, [analysis.view.low[i]!, analysis.view.high[i]!]]),
    ),
    equilibria: analysis.equilibria.map((one) => equilibriumDocument(one, named)),
    more_equilibria: analysis.moreEquilibria,
    separatrices: analysis.separatrices.map(({ equilibrium, kind, times, status, states }) => ({
      equilibrium,
      kind,
      points: times.length,
      line: somePoints(states, system.dimension, analysis.separatrices.length),
      end: named(states.subarray(states.length - system.dimension)),
      status,
    })),
    nullclines: analysis.nullclines.map(({ name, lines }) => ({
      of: name,
      lines: lines.map((line) => somePoints(line, 2, analysis.nullclines.length * lines.length)),
    })),
    cycles: analysis.cycles.map((cycle) => cycleDocument(cycle, named, system.states)),
    ...(analysis.periods === null ? {} : {
      periods: analysis.periods.map((cycle) =>
        cycle === null ? null : cycleDocument(cycle, named, system.states)
      ),
    }),
    ...(analysis.section === null ? {} : { section: analysis.section.map(({ t, y }) => ({ t, y: [...y] })) }),
    ...(analysis.lyapunov === null ? {} : { lyapunov: analysis.lyapunov }),
    ...(analysis.sweep === null ? {} : { sweep: analysis.sweep }),
    ...(analysis.basins === null ? {} : {
      basins: { ...analysis.basins, cells: [...analysis.basins.cells] },
    }),
    ...(analysis.continuation === null
      ? {}
      : { continuation: analysis.continuation.map((branch) => branchDocument(branch, named)) }),
    notes: analysis.notes,
  };
}

type Named = (point: ArrayLike<number>) => Record<string, number>;

function equilibriumDocument(
  { point, type, stability, eigenvalues, unstableDirections }: Equilibrium,
  named: Named,
) {
  return {
    point: [...point],
    at: named(point),
    type,
    stability,
    unstable_directions: unstableDirections,
    eigenvalues: eigenvalues.map(({ re, im, vector }) => ({
      re,
      im,
      ...(vector === null ? {} : { vector }),
    })),
  };
}

function cycleDocument(cycle: Cycle, named: Named, states: readonly string[]) {
  return {
    kind: cycle.kind,
    stability: cycle.stability,
    period: cycle.period,
    point: [...cycle.point],
    at: named(cycle.point),
    extent: Object.fromEntries(states.map((name, i) => [name, cycle.extent[i]!])),
    multipliers: cycle.multipliers,
    exponents: cycle.exponents,
  };
}

function branchDocument({ points, bifurcations }: Branch, named: Named) {
  return {
    points: points.map(({ parameter, point, stable }) => ({ parameter, point: [...point], stable })),
    bifurcations: bifurcations.map(({ kind, parameter, point, angularFrequency }) => ({
      kind,
      parameter,
      at: named(point),
      ...(angularFrequency === undefined ? {} : { angular_frequency: angularFrequency }),
    })),
  };
}
