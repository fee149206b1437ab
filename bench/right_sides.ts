/** What one evaluation of typed equations costs, beside the same right sides written by hand. */
import { type BackEndName, compileSystem, parseSystem } from "../src/tasks/phase_portrait/language/mod.ts";
import type { Room } from "./room.ts";
import { type Contestant, interleave, type Table } from "./table.ts";

type RightSide = (t: number, y: Float64Array, out: Float64Array) => void;

interface Case {
  readonly name: string;
  readonly text: string;
  readonly parameters: Readonly<Record<string, number>>;
  readonly start: readonly number[];
  /** The same by hand; parameters come in the same order. */
  readonly byHand: (p: Float64Array) => RightSide;
}

const LORENZ: Case = {
  name: "rhs-lorenz",
  text: "{x'[t], y'[t], z'[t]} == {s (y - x), x (r - z) - y, x y - b z}",
  parameters: { s: 10, r: 28, b: 8 / 3 },
  start: [1, 1, 1],
  byHand: (p) => (_t, y, out) => {
    const [a, b, c] = [y[0]!, y[1]!, y[2]!];
    out[0] = p[0]! * (b - a);
    out[1] = a * (p[1]! - c) - b;
    out[2] = a * b - p[2]! * c;
  },
};

const LOTKA_VOLTERRA: Case = {
  name: "rhs-lotka-volterra",
  text: "{x'[t], y'[t]} == {a x - b x y, -c y + d x y}",
  parameters: { a: 1.5, b: 1, c: 3, d: 1 },
  start: [10, 5],
  byHand: (p) => (_t, y, out) => {
    const [a, b] = [y[0]!, y[1]!];
    out[0] = p[0]! * a - p[1]! * a * b;
    out[1] = -p[2]! * b + p[3]! * a * b;
  },
};

export function measureLorenz(room: Room): Promise<Table> {
  return measure(room, LORENZ);
}

export function measureLotkaVolterra(room: Room): Promise<Table> {
  return measure(room, LOTKA_VOLTERRA);
}

async function measure(room: Room, one: Case): Promise<Table> {
  const rounds = room.quick ? 5 : 25;
  const rows = await interleave(contestants(one), rounds, 3);
  return {
    name: one.name,
    about: "one evaluation of f(t, y), in arrays of the system's own memory; then of its Jacobian",
    columns: ["rhsNs", "jacobianNs"],
    rows,
    compare: { column: "rhsNs", with: [BY_HAND] },
    rounds,
  };
}

const BY_HAND = "JavaScript by hand";

function contestants(one: Case): Contestant[] {
  const n = one.start.length;
  const values = Float64Array.from(Object.values(one.parameters));
  const compiled = (backEnd: BackEndName): Contestant => {
    const equations = parseSystem(one.text, { parameters: Object.keys(one.parameters) });
    const system = compileSystem(equations, { backEnd });
    system.setParameters(values);
    const [y, out, jacobian] = [system.allocate(n), system.allocate(n), system.allocate(n * n)];
    return {
      name: backEnd,
      run: () =>
        Promise.resolve({
          rhsNs: nanoseconds(one.start, y, out, (t, y, out) => system.rhs(t, y, out)),
          jacobianNs: nanoseconds(one.start, y, jacobian, (t, y, out) => system.jacobian(t, y, out)),
        }),
    };
  };
  const [y, out, byHand] = [new Float64Array(n), new Float64Array(n), one.byHand(values)];
  const reference: Contestant = {
    name: BY_HAND,
    run: () => Promise.resolve({ rhsNs: nanoseconds(one.start, y, out, byHand), jacobianNs: null }),
  };
  return [reference, compiled("wasm"), compiled("registers")];
}

const CALLS = 1_000_000;

/** All go through this one loop, so that the engine inlines none of them, as in a solver that has seen several systems. */
function nanoseconds(start: readonly number[], y: Float64Array, out: Float64Array, f: RightSide): number {
  y.set(start);
  const started = performance.now();
  for (let call = 0; call < CALLS; call++) {
    f(0, y, out);
    // The next call depends on this one, so that none is left out.
    y[0] = start[0]! + 1e-9 * out[0]!;
  }
  return (performance.now() - started) * 1e6 / CALLS;
}
