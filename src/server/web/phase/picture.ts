import type { Portrait } from "../../../tasks/phase_portrait/draw/portrait.ts";
import type { Theme } from "../../../tasks/phase_portrait/draw/scene.ts";
import { roomyRange } from "../../../tasks/phase_portrait/analyse/view.ts";
import type { CompiledEquations } from "../../../tasks/phase_portrait/language/mod.ts";
import { beginningOf, firstAfter, projected, trajectoryOf } from "./lines.ts";
import { primed } from "./numbers.ts";
import type { Found, Traced } from "./protocol.ts";
import { type Range, RANGE_DEFAULT, type Settings } from "./settings.ts";
import type { SpaceContent, SpaceLine } from "./space.ts";

/** Everything that a picture is made of. */
export interface Known {
  readonly settings: Settings;
  readonly system: CompiledEquations;
  readonly traced: Traced | null;
  readonly found: Partial<Found>;
  /** Ranges of states that the settings leave open. */
  readonly box: readonly Range[];
  readonly times: Range;
  readonly fieldTime: number;
  readonly selected: number | null;
}

/** The axes that are drawn: those asked for as far as the system has them, else the first states. */
export function axesOf({ axes, is3d }: Settings, dimension: number): number[] {
  const count = is3d && dimension > 2 ? 3 : 2;
  if (dimension === 1) return [-1, 0];
  const asked = axes.filter((axis) => axis >= 0 && axis < dimension).slice(0, count);
  // Two axes say nothing about the order of three.
  const chosen = count === 3 && asked.length < 3 && dimension === 3 ? [] : asked;
  for (let axis = 0; chosen.length < count; axis++) if (!chosen.includes(axis)) chosen.push(axis);
  return chosen;
}

export function axisName(axis: number, { settings, system }: Pick<Known, "settings" | "system">): string {
  return axis < 0 ? settings.independent : system.states[axis]!;
}

export function rangeOfAxis(axis: number, { settings, system, box, times }: Known): Range {
  if (axis < 0) return settings.view[settings.independent] ?? times;
  return settings.view[system.states[axis]!] ?? box[axis] ?? RANGE_DEFAULT;
}

/** The portrait in the plane of two axes. */
export function portraitOf(known: Known): Portrait {
  const { settings, system, traced, found } = known, n = system.dimension;
  const axes = axesOf({ ...settings, is3d: false }, n), [u, v] = axes as [number, number];
  const [x, y] = [rangeOfAxis(u, known), rangeOfAxis(v, known)];
  const isPlane = n <= 2 && axes.length === 2, { show } = settings;
  const path = (states: Float64Array) => ({
    states: projected({ times: new Float64Array(states.length / n), states }, n, axes),
  });
  const trajectories = traced === null ? [] : traced.starts.map((_, k) => {
    const one = trajectoryOf(traced, k, n);
    return { states: projected(one, n, axes), startRow: startRowOf(one.times, settings.timespan[0]) };
  });
  return {
    title: settings.name === "" ? settings.equations.replace(/\s+/g, " ") : settings.name,
    states: [axisName(u, known), axisName(v, known)],
    axes: [0, 1],
    low: [x[0], y[0]],
    high: [x[1], y[1]],
    arrows: { perSide: settings.arrows, length: settings.arrowLength },
    ...(show.field && isPlane ? { field: fieldOf(known, u, v) } : {}),
    ...(show.nullclines && n === 2 && isPlane ? { nullclines: nullclinesBy(found, u) } : {}),
    trajectories,
    ...(show.separatrices && n === 2
      ? { separatrices: (found.separatrices ?? []).map(({ states, kind }) => ({ ...path(states), kind })) }
      : {}),
    ...(show.cycles && n === 2
      ? { cycles: (found.cycles ?? []).map(({ curve, stability }) => ({ ...path(curve.states), stability })) }
      : {}),
    ...(show.equilibria ? { equilibria: equilibriaBy(known, axes) } : {}),
    note: noteOf(known),
  };
}

/** The row at t0: between past and future where a trajectory has both. */
function startRowOf(times: Float64Array, t0: number): number {
  return times.length === 0 ? 0 : Math.max(0, firstAfter(times, t0) - 1);
}

/** What a reader of the picture has to know besides. */
function noteOf({ system, fieldTime, settings }: Known): string {
  const time = system.autonomous
    ? []
    : [`field and equilibria at ${settings.independent} = ${Number(fieldTime.toPrecision(4))}`];
  return [...time, `${settings.method}, rtol ${settings.rtol}`].join(" · ");
}

function fieldOf({ system, fieldTime }: Known, u: number, v: number): NonNullable<Portrait["field"]> {
  const n = system.dimension, state = system.allocate(n), out = system.allocate(n);
  return (x, y) => {
    if (u >= 0) state[u] = x;
    state[v] = y;
    system.rhs(u < 0 ? x : fieldTime, state, out);
    const [dx, dy] = [u < 0 ? 1 : out[u]!, out[v]!];
    return Number.isFinite(dx) && Number.isFinite(dy) ? [dx, dy] : null;
  };
}

/** Nullclines are found with the first state to the right; the axes may be the other way round. */
function nullclinesBy({ nullclines = [] }: Partial<Found>, u: number): Found["nullclines"] {
  if (u === 0) return nullclines;
  return nullclines.map(({ name, lines }) => ({
    name,
    lines: lines.map((line) => line.map((_, at) => line[at ^ 1]!)),
  }));
}

function equilibriaBy({ found, times }: Known, axes: readonly number[]): NonNullable<Portrait["equilibria"]> {
  return (found.equilibria ?? []).map(({ point, type, stability }) => ({
    point: Float64Array.from(axes, (axis) => axis < 0 ? times[0] : point[axis]!),
    type,
    stability,
  }));
}

/** All lines in space have so many points at most: without a graphics card each turn of the camera paints them anew. */
const SPACE_ROWS = 30_000;

/** The same in the space of three axes. */
export function spaceOf(known: Known, theme: Theme): SpaceContent {
  const { settings, system, traced, found, selected } = known, n = system.dimension;
  const axes = axesOf(settings, n);
  const rows = Math.ceil(SPACE_ROWS / Math.max(1, traced?.starts.length ?? 0));
  const lines = traced === null ? [] : traced.starts.map((_, k): SpaceLine => ({
    points: projected(beginningOf(trajectoryOf(traced, k, n), n, rows), n, axes),
    color: theme.trajectories[k % theme.trajectories.length]!,
    width: k === selected ? 2.6 : traced.starts.length > 20 ? 1.1 : 1.5,
    opacity: selected === null || k === selected ? 1 : 0.25,
  }));
  const ranges = axes.map((axis) => rangeOfAxis(axis, known));
  const points = settings.show.equilibria
    ? (found.equilibria ?? []).map(({ point, type, stability }) => ({
      at: axes.map((axis) => point[axis]!),
      fill: stability === "stable" ? theme.text : stability === "undecided" ? theme.frame : theme.background,
      title: type,
    }))
    : [];
  return {
    title: settings.name === "" ? settings.equations.replace(/\s+/g, " ") : settings.name,
    names: axes.map((axis) => axisName(axis, known)),
    ranges,
    lines,
    points,
  };
}

/** The smallest box with a margin that holds all that was traced; of an empty one the usual range. */
export function boxOf(traced: Traced | null, n: number): Range[] {
  const low = new Float64Array(n).fill(Infinity), high = new Float64Array(n).fill(-Infinity);
  const values = traced?.states ?? new Float64Array();
  for (let at = 0; at < values.length; at++) {
    const i = at % n, value = values[at]!;
    if (value < low[i]!) low[i] = value;
    if (value > high[i]!) high[i] = value;
  }
  return Array.from({ length: n }, (_, i): Range => {
    if (!(low[i]! <= high[i]!)) return RANGE_DEFAULT;
    const range = roomyRange(low[i]!, high[i]!, 0.08), [from, to] = range;
    // Six digits, and more where the ends would be the same with them.
    const digits = Math.log10(Math.max(Math.abs(from), Math.abs(to)) / (to - from));
    const precision = Math.min(17, 6 + Math.max(0, Math.ceil(digits)));
    return range.map((value) => Number(value.toPrecision(precision))) as [number, number];
  });
}

/** One row of the legend. */
export interface LegendRow {
  readonly look: "plain" | "dashed" | "dotted" | "stable" | "unstable" | "undecided";
  readonly color: string | null;
  readonly words: string;
}

/** What the lines and points of a portrait mean, of those that it has. */
export function legendOf(portrait: Portrait, theme: Theme): LegendRow[] {
  const rows: LegendRow[] = (portrait.nullclines ?? []).map(({ name }, k) => ({
    look: "dashed",
    color: theme.nullclines[k % theme.nullclines.length]!,
    words: `${primed(name)} = 0`,
  }));
  const kinds = new Set((portrait.separatrices ?? []).map(({ kind }) => kind));
  for (const kind of ["stable", "unstable"] as const) {
    if (kinds.has(kind)) rows.push({ look: "plain", color: theme[kind], words: `${kind} separatrix` });
  }
  for (const stability of new Set((portrait.cycles ?? []).map((cycle) => cycle.stability))) {
    rows.push({
      look: stability === "stable" ? "plain" : "dotted",
      color: theme.cycle,
      words: `${stability} limit cycle`,
    });
  }
  for (
    const [type, stability] of new Map((portrait.equilibria ?? []).map((one) => [one.type, one.stability]))
  ) {
    const look = stability === "stable" || stability === "undecided" ? stability : "unstable";
    rows.push({ look, color: null, words: type.replace(" (not decided by linearisation)", "") });
  }
  return rows;
}
