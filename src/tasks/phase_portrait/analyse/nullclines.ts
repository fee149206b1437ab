import type { VectorField } from "../solve/stepper.ts";

/** A plane section of state space: two states vary, the others are held. */
export interface Plane {
  readonly axes: readonly [number, number];
  readonly low: readonly [number, number];
  readonly high: readonly [number, number];
  /** A full state; its values at `axes` don't matter. */
  readonly held: Float64Array;
}

/** A line of points, x and y one after the other. A closed line ends where it began. */
export type Polyline = Float64Array;

/** Grid cells to each side. */
const CELLS = 200;

/** The curves in the plane on which component `index` of the field is zero at time t. */
export function findNullcline(field: VectorField, t: number, plane: Plane, index: number): Polyline[] {
  const state = new Float64Array(field.dimension), out = new Float64Array(field.dimension);
  state.set(plane.held);
  return zeroCurves(plane, (x, y) => {
    state[plane.axes[0]] = x;
    state[plane.axes[1]] = y;
    field.rhs(t, state, out);
    return out[index]!;
  });
}

/**
 * The curves on which g is zero, by marching squares: a root on each edge of the grid where the sign changes, found by
 * a straight line and two more secant steps, unless g does not fall towards it, as at a pole or a jump.
 */
export function zeroCurves(
  { low, high }: Pick<Plane, "low" | "high">,
  g: (x: number, y: number) => number,
  cells = CELLS,
): Polyline[] {
  const side = cells + 1;
  const x = (column: number) => low[0] + ((high[0] - low[0]) * column) / cells;
  const y = (row: number) => low[1] + ((high[1] - low[1]) * row) / cells;
  const values = new Float64Array(side * side);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) values[row * side + column] = g(x(column), y(row));
  }
  const edges = new EdgeRoots(g, x, y, values, side);
  const segments: [number, number][] = [];
  for (let row = 0; row < cells; row++) {
    for (let column = 0; column < cells; column++) segments.push(...cellSegments(edges, g, row, column));
  }
  return joined(segments, edges);
}

/** The roots on the grid's edges, each found once. Edge 2k goes right from node k, edge 2k + 1 up. */
class EdgeRoots {
  readonly #roots = new Map<number, readonly [number, number] | null>();

  constructor(
    private readonly g: (x: number, y: number) => number,
    readonly x: (column: number) => number,
    readonly y: (row: number) => number,
    readonly values: Float64Array,
    readonly side: number,
  ) {}

  at(edge: number): readonly [number, number] | null {
    const known = this.#roots.get(edge);
    if (known !== undefined) return known;
    const root = this.#find(edge);
    this.#roots.set(edge, root);
    return root;
  }

  #find(edge: number): readonly [number, number] | null {
    const node = edge >> 1, up = (edge & 1) === 1;
    const row = Math.floor(node / this.side), column = node % this.side;
    const from = this.values[node]!, to = this.values[up ? node + this.side : node + 1]!;
    if (positive(from) === positive(to) || !Number.isFinite(from) || !Number.isFinite(to)) return null;
    const a = up ? this.y(row) : this.x(column), b = up ? this.y(row + 1) : this.x(column + 1);
    const fixed = up ? this.x(column) : this.y(row);
    const root = edgeRoot((s) => up ? this.g(fixed, s) : this.g(s, fixed), a, from, b, to);
    return root === null ? null : up ? [fixed, root] : [root, fixed];
  }
}

/** Zero counts as positive, so a curve through nodes of the grid is found once and not lost. */
function positive(value: number): boolean {
  return value >= 0;
}

function edgeRoot(
  g: (s: number) => number,
  a: number,
  ga: number,
  b: number,
  gb: number,
): number | null {
  if (ga === 0) return a;
  if (gb === 0) return b;
  const least = Math.min(Math.abs(ga), Math.abs(gb));
  let s = a, gs = ga;
  for (let step = 0; step < 3; step++) {
    s = a - (ga * (b - a)) / (gb - ga);
    gs = g(s);
    if (gs === 0) return s;
    if (positive(gs) === positive(ga)) [a, ga] = [s, gs];
    else [b, gb] = [s, gs];
  }
  // A root between steep ends may need more; at a pole or a jump no halving makes the value fall.
  for (let step = 0; step < 30 && !(Math.abs(gs) < 0.1 * least); step++) {
    s = (a + b) / 2;
    gs = g(s);
    if (positive(gs) === positive(ga)) [a, ga] = [s, gs];
    else [b, gb] = [s, gs];
  }
  return Math.abs(gs) < 0.1 * least ? s : null;
}

/** The pieces of the curve in one cell, as pairs of edges. */
function cellSegments(
  edges: EdgeRoots,
  g: (x: number, y: number) => number,
  row: number,
  column: number,
): [number, number][] {
  const { side, values } = edges, node = row * side + column;
  const bottom = 2 * node, left = 2 * node + 1, right = 2 * (node + 1) + 1, top = 2 * (node + side);
  const corners = [values[node]!, values[node + 1]!, values[node + side + 1]!, values[node + side]!];
  if (corners.every((value) => positive(value) === positive(corners[0]!))) return [];
  const crossed = [bottom, right, top, left].filter((edge) => edges.at(edge) !== null);
  if (crossed.length === 2) return [[crossed[0]!, crossed[1]!]];
  if (crossed.length !== 4) return [];
  // Two pieces cross the cell: the sign in its middle tells which corners belong together.
  const middle = g(
    (edges.x(column) + edges.x(column + 1)) / 2,
    (edges.y(row) + edges.y(row + 1)) / 2,
  );
  return positive(middle) === positive(corners[0]!)
    ? [[bottom, right], [top, left]]
    : [[bottom, left], [top, right]];
}

/** Chains pieces that share an edge into lines as long as they get. */
function joined(segments: readonly [number, number][], edges: EdgeRoots): Polyline[] {
  const byEdge = new Map<number, number[]>();
  segments.forEach((segment, index) => {
    for (const edge of segment) byEdge.set(edge, [...(byEdge.get(edge) ?? []), index]);
  });
  const used = new Uint8Array(segments.length);
  const follow = (edge: number, line: number[]) => {
    for (let at = edge;;) {
      const index = byEdge.get(at)!.find((candidate) => used[candidate] === 0);
      if (index === undefined) return;
      used[index] = 1;
      const [from, to] = segments[index]!;
      at = from === at ? to : from;
      line.push(at);
    }
  };
  const lines: Polyline[] = [];
  segments.forEach((segment, index) => {
    if (used[index] === 1) return;
    used[index] = 1;
    const forward = [segment[1]], backward = [segment[0]];
    follow(segment[1], forward);
    follow(segment[0], backward);
    lines.push(
      Float64Array.from([...backward.reverse(), ...forward].flatMap((edge) => [...edges.at(edge)!])),
    );
  });
  return lines;
}
