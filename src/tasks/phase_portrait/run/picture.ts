import { drawPortrait, type Path, type Portrait } from "../draw/portrait.ts";
import { DARK, LIGHT, type Scene } from "../draw/scene.ts";
import type { Analysis } from "./analyse.ts";
import { allTimes, type Setup } from "./setup.ts";
import type { SolvedBlock } from "./solve_block.ts";

/** More trajectories than this make no picture better. */
const DRAWN_LIMIT = 500;

/** The portrait of a solved and analysed request. */
export function pictureOf(setup: Setup, blocks: readonly SolvedBlock[], analysis: Analysis): Scene {
  const theme = setup.request.theme === "dark" ? DARK : LIGHT;
  return drawPortrait(
    setup.system.dimension === 1 ? overTime(setup, blocks, analysis) : inPlane(setup, blocks, analysis),
    theme,
  );
}

function inPlane(setup: Setup, blocks: readonly SolvedBlock[], analysis: Analysis): Portrait {
  const { system } = setup, plane = analysis.plane!, [first, second] = plane.axes;
  const flat = system.dimension === 2;
  return {
    title: titleOf(setup),
    states: system.states,
    axes: plane.axes,
    low: plane.low,
    high: plane.high,
    ...(flat ? { field: fieldOf(setup, first, second) } : {}),
    nullclines: analysis.nullclines,
    trajectories: analysis.curves.length > 0 ? analysis.curves : pathsOf(blocks, system.dimension),
    separatrices: analysis.separatrices,
    cycles: [...analysis.cycles, ...(analysis.periods ?? []).filter((cycle) => cycle !== null)]
      .map(({ curve, stability }) => ({ states: curve.states, stability })),
    equilibria: analysis.equilibria,
    note: [
      ...analysis.notes,
      ...(flat ? [] : [`projected on ${system.states[first]} and ${system.states[second]}`]),
      methodNote(setup, blocks),
    ].join(" · "),
  };
}

/** A single state is drawn over time, with its direction field. */
function overTime(
  setup: Setup,
  blocks: readonly SolvedBlock[],
  { view, equilibria, notes }: Analysis,
): Portrait {
  const { system } = setup, times = allTimes(setup);
  const y = system.allocate(1), out = system.allocate(1);
  return {
    title: titleOf(setup),
    states: [setup.request.independent ?? "t", system.states[0]!],
    axes: [0, 1],
    low: [times[0]!, view.low[0]!],
    high: [times.at(-1)!, view.high[0]!],
    field: (t, x) => {
      y[0] = x;
      system.rhs(t, y, out);
      return Number.isFinite(out[0]!) ? [1, out[0]!] : null;
    },
    trajectories: pathsOf(blocks, 1).map(({ states }) => {
      const path = new Float64Array(2 * states.length);
      states.forEach((value, row) => path.set([times[row]!, value], 2 * row));
      return { states: path };
    }),
    equilibria: system.autonomous
      ? equilibria.map((one) => ({ ...one, point: Float64Array.of(times[0]!, one.point[0]!) }))
      : [],
    note: [...notes, methodNote(setup, blocks)].join(" · "),
  };
}

function titleOf({ request }: Setup): string {
  return request.name === "" ? request.equations.replace(/\s+/g, " ") : request.name;
}

function methodNote(setup: Setup, blocks: readonly SolvedBlock[]): string {
  const used = blocks[0]?.starts[0]?.methodUsed ?? setup.method;
  return `${used}, rtol ${setup.rtol}`;
}

function pathsOf(blocks: readonly SolvedBlock[], n: number): Path[] {
  const paths: Path[] = [];
  for (const { starts, values } of blocks) {
    let at = 0;
    for (const { rows } of starts) {
      if (rows > 1 && paths.length < DRAWN_LIMIT) paths.push({ states: values.subarray(at, at + rows * n) });
      at += rows * n;
    }
  }
  return paths;
}

function fieldOf(
  { system, starts, request }: Setup,
  first: number,
  second: number,
): Portrait["field"] & object {
  const y = system.allocate(system.dimension), out = system.allocate(system.dimension);
  y.set(starts[0]!);
  return (u, v) => {
    y[first] = u;
    y[second] = v;
    system.rhs(request.timespan[0], y, out);
    const [du, dv] = [out[first]!, out[second]!];
    return Number.isFinite(du) && Number.isFinite(dv) ? [du, dv] : null;
  };
}
