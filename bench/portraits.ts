/** Solving typed equations, beside SciPy solving the same at the same tolerances. The errors say what the times are worth. */
import { compileSystem, parseSystem } from "../src/tasks/phase_portrait/language/mod.ts";
import { portraitRequest } from "../src/tasks/phase_portrait/request.ts";
import { solveAll } from "../src/tasks/phase_portrait/run/portrait.ts";
import type { Method } from "../src/tasks/phase_portrait/solve/methods.ts";
import { evenTimes, solveTrajectory, type Trajectory } from "../src/tasks/phase_portrait/solve/trajectory.ts";
import { SolverPool } from "../src/tasks/phase_portrait/worker/pool.ts";
import type { Room } from "./room.ts";
import { type Scipy, startScipy } from "./scipy.ts";
import { type Contestant, goal, interleave, type Sample, type Table } from "./table.ts";

/** Typed equations with their parameters, from t = 0. */
export interface Problem {
  readonly equations: string;
  readonly parameters: Readonly<Record<string, number>>;
  readonly tEnd: number;
}

export const LORENZ: Problem = {
  equations: "{x'[t], y'[t], z'[t]} == {s (y - x), x (r - z) - y, x y - b z}",
  parameters: { s: 10, r: 28, b: 8 / 3 },
  tEnd: 100,
};
export const LOTKA_VOLTERRA: Problem = {
  equations: "{x'[t], y'[t]} == {a x[t] - b x[t] y[t], d x[t] y[t] - c y[t]}",
  parameters: { a: 1.5, b: 1, c: 3, d: 1 },
  tEnd: 20,
};
export const VAN_DER_POL: Problem = {
  equations: "{x'[t], y'[t]} == {y[t], mu (1 - x[t]^2) y[t] - x[t]}",
  parameters: { mu: 1000 },
  tEnd: 2000,
};

interface Accuracy {
  readonly method: Method;
  readonly rtol: number;
  readonly atol: number;
}

const ROWS = 201;

/** From the text to all rows, as a job does it; `each` sees every trajectory. In milliseconds. */
export function solve(
  { equations, parameters, tEnd }: Problem,
  starts: readonly (readonly number[])[],
  { method, rtol, atol }: Accuracy,
  each: (trajectory: Trajectory) => void,
): number {
  const begun = performance.now();
  const system = compileSystem(parseSystem(equations, { parameters: Object.keys(parameters) }));
  system.setParameters(Float64Array.from(system.parameters, (name) => parameters[name]!));
  const times = evenTimes(0, tEnd, ROWS), n = system.dimension;
  const common = { t0: 0, tEnd, maxStep: null, firstStep: null, maxSteps: 1_000_000 };
  const tolerance = { rtol, atol: new Float64Array(n).fill(atol) };
  for (const start of starts) {
    const options = { ...common, method, tolerance, y0: Float64Array.from(start) };
    each(solveTrajectory(system, options, times));
  }
  return performance.now() - begun;
}

function relative(seen: ArrayLike<number>, wanted: readonly number[]): number {
  return Math.max(...wanted.map((value, i) => Math.abs(seen[i]! - value) / Math.abs(value)));
}

/** The second of two in a row: what another contestant's turn has cooled down is not measured. */
function warm(run: () => Sample): () => Promise<Sample> {
  return () => {
    run();
    return Promise.resolve(run());
  };
}

/** (a) A chaotic orbit at a tight tolerance; its error is measured at t = 20, while digits still mean something. */
export async function measureOrbit(room: Room): Promise<Table> {
  const scipy = await startScipy(room), rounds = room.quick ? 5 : 15;
  const ours = (["RK45", "DOP853"] as const).map((method): Contestant => ({
    name: `glassbox ${method}`,
    run: warm(() => {
      let error = NaN;
      const ms = solve(LORENZ, [[1, 1, 1]], { method, rtol: 1e-9, atol: 1e-12 }, ({ values }) => {
        error = relative(values.subarray(120, 123), [
          13.79319959512861883,
          12.95180393618989854,
          34.90160868113514291,
        ]);
      });
      return { ms, error };
    }),
  }));
  const theirs = scipyRows(scipy, ["RK45", "DOP853"], (method) => ({ case: "lorenz", method }));
  const rows = await interleave([...theirs, ...ours], rounds, 2);
  return {
    name: "portrait-orbit",
    about: "Lorenz to t = 100, rtol 1e-9, atol 1e-12, 201 rows; the relative error at t = 20",
    columns: ["ms", "error"],
    rows,
    compare: { column: "ms", with: theirs.map(({ name }) => name) },
    rounds,
    goals: [
      ...goal(rows, "ms", "glassbox RK45", "SciPy RK45", { factor: 1 / 60 }),
      ...goal(rows, "ms", "glassbox DOP853", "SciPy DOP853", { factor: 1 / 35 }),
    ],
  };
}

/** The largest drift of the invariant from the start to the end. */
function driftOf(values: ArrayLike<number>, from: number, to: number): number {
  const invariant = (at: number) =>
    values[at]! - 3 * Math.log(values[at]!) + values[at + 1]! - 1.5 * Math.log(values[at + 1]!);
  return Math.abs(invariant(to) - invariant(from));
}

/** 1,000 starts in [1, 10] × [1, 5]. */
const STARTS = Array.from(
  { length: 1000 },
  (_, k) => [1 + (9 * (k % 40)) / 39, 1 + (4 * Math.floor(k / 40)) / 24],
);
const THREADS = 4;
const LOOSE = { method: "RK45", rtol: 1e-6, atol: 1e-9 } as const;

/** (b) Many starts of one system: on one thread, and on four. */
export async function measureStarts(room: Room): Promise<Table> {
  const scipy = await startScipy(room), rounds = room.quick ? 3 : 9;
  const pool = new SolverPool(THREADS);
  room.defer(() => pool.close());
  const alone: Contestant = {
    name: "glassbox, 1 thread",
    run: warm(() => {
      let error = 0;
      const ms = solve(LOTKA_VOLTERRA, STARTS, LOOSE, ({ values }) => {
        error = Math.max(error, driftOf(values, 0, values.length - 2));
      });
      return { ms, error };
    }),
  };
  const four: Contestant = {
    name: "glassbox, 4 threads",
    run: async () => {
      // Each of four does a quarter: so each has solved as much before as the one alone has.
      for (let turn = 0; turn < THREADS; turn++) await onThreads(pool);
      return await onThreads(pool);
    },
  };
  // A loop takes so long that a tenth of it has to do: every tenth start, and ten times the time.
  const some = STARTS.filter((_, k) => k % 10 === 0);
  const loop = scipyRows(scipy, ["RK45"], (method) => ({ case: "starts", method, starts: some }), 10);
  const stacked = scipyRows(scipy, ["RK45"], (method) => ({ case: "stacked", method, starts: STARTS }));
  const theirs = [
    ...loop.map((one) => ({ ...one, name: "SciPy RK45, a loop over them" })),
    ...stacked.map((one) => ({ ...one, name: "SciPy RK45, stacked into one system" })),
  ];
  const rows = await interleave([...theirs, alone, four], rounds, 1);
  const [looped, together] = theirs.map(({ name }) => name);
  return {
    name: "portrait-starts",
    about:
      "Lotka-Volterra from 1,000 starts to t = 20, rtol 1e-6, atol 1e-9, 201 rows each; the invariant's drift",
    columns: ["ms", "error"],
    rows,
    compare: { column: "ms", with: theirs.map(({ name }) => name) },
    rounds,
    goals: looped === undefined || together === undefined ? [] : [
      ...goal(rows, "ms", alone.name, looped, { factor: 1 / 150 }),
      ...goal(rows, "ms", four.name, together, { factor: 1 / 2 }),
    ],
  };
}

async function onThreads(pool: SolverPool): Promise<Sample> {
  const request = portraitRequest.parse({
    equations: LOTKA_VOLTERRA.equations,
    parameters: LOTKA_VOLTERRA.parameters,
    timespan: [0, LOTKA_VOLTERRA.tEnd],
    initial_conditions: STARTS,
    integrator: LOOSE,
  });
  const begun = performance.now();
  const blocks = await solveAll(pool, request, STARTS, { budgetMs: 300_000, onProgress: () => {} });
  const ms = performance.now() - begun;
  const drifts = blocks.flatMap(({ values, starts }) =>
    starts.map((_, k) => driftOf(values, 2 * ROWS * k, 2 * ROWS * (k + 1) - 2))
  );
  return { ms, error: Math.max(...drifts) };
}

/** (c) A stiff relaxation oscillation. */
export async function measureStiff(room: Room): Promise<Table> {
  const scipy = await startScipy(room), rounds = room.quick ? 5 : 15;
  const ours = ([["Rodas5P", 1e-6], ["Rodas5P", 1e-8], ["Radau", 1e-6]] as const).map(
    ([method, rtol]): Contestant => ({
      name: `glassbox ${method}, rtol ${rtol}`,
      run: warm(() => {
        let error = NaN;
        const ms = solve(VAN_DER_POL, [[2, 0]], { method, rtol, atol: rtol / 1000 }, ({ values }) => {
          error = relative(values.subarray(-2), [1.706167732170465008, -0.0008928097010248164778]);
        });
        return { ms, error };
      }),
    }),
  );
  const theirs = scipyRows(scipy, ["Radau", "LSODA"], (method) => ({ case: "stiff", method, rtol: 1e-6 }));
  const rows = await interleave([...theirs, ...ours], rounds, 2);
  return {
    name: "portrait-stiff",
    about: "van der Pol with mu = 1000 to t = 2000, atol rtol/1000, 201 rows; the relative error at the end",
    columns: ["ms", "error"],
    rows,
    compare: { column: "ms", with: theirs.map(({ name }) => name) },
    rounds,
    // Radau is what tight accuracy is asked of; the other method must be the quicker one at ordinary accuracy.
    goals: [
      ...goal(rows, "ms", "glassbox Radau, rtol 0.000001", "SciPy Radau", { factor: 1 / 60 }),
      ...goal(rows, "error", "glassbox Radau, rtol 0.000001", "SciPy Radau", { factor: 2 }),
      ...goal(rows, "ms", "glassbox Rodas5P, rtol 0.000001", "SciPy LSODA", {}),
      ...goal(rows, "error", "glassbox Rodas5P, rtol 0.000001", "SciPy LSODA", {}),
    ],
  };
}

function scipyRows(
  scipy: Scipy | null,
  methods: readonly string[],
  order: (method: string) => Record<string, unknown>,
  times = 1,
): Contestant[] {
  if (scipy === null) return [];
  return methods.map((method) => ({
    name: `SciPy ${method}`,
    run: async () => {
      const { ms, error } = await scipy.ask(order(method));
      return { ms: ms * times, error };
    },
  }));
}

const FIRST = new URL("first_solve.ts", import.meta.url).pathname;

/** The first solution of a new process beside the tenth, with all its modules loaded. */
export async function measureFirst(room: Room): Promise<Table> {
  const rounds = room.quick ? 3 : 9;
  const contestants = ["orbit RK45", "orbit DOP853", "stiff Rodas5P", "stiff Radau", "starts RK45"].map((
    name,
  ): Contestant => ({
    name,
    run: async () => {
      const { firstMs, warmMs } = JSON.parse(
        await room.output([Deno.execPath(), "run", "-A", FIRST, ...name.split(" ")]),
      );
      return { firstMs, warmMs, allowedMs: 3 * warmMs + 20 };
    },
  }));
  const rows = await interleave(contestants, rounds, 0);
  return {
    name: "portrait-first",
    about:
      "the first solution of a process, from the text of the equations, beside the tenth, and 3 × that + 20 ms",
    columns: ["firstMs", "warmMs", "allowedMs"],
    rows,
    compare: { column: "firstMs", with: [] },
    rounds,
    goals: rows.flatMap(({ name }) => goal(rows, "firstMs", name, name, { column: "allowedMs" })),
  };
}

const PYTHON = `
import json, sys
from scipy.integrate import solve_ivp
import numpy as np
def f(t, s):
    x, y, z = s
    return [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z]
r = solve_ivp(f, (0, 100), [1, 1, 1], method="DOP853", rtol=1e-9, atol=1e-12, t_eval=np.linspace(0, 100, 201))
json.dump({"times": r.t.tolist(), "rows": r.y.T.tolist()}, sys.stdout)
`;

/** From the shell to the end: a stored job with its files, beside a bare script that solves the same and prints it. */
export async function measureCommand(room: Room): Promise<Table> {
  const scipy = await startScipy(room), rounds = room.quick ? 3 : 9;
  const file = `${room.directory}/orbit.json`;
  const none = { equilibria: false, nullclines: false, separatrices: false, cycles: false };
  await Deno.writeTextFile(
    file,
    JSON.stringify({
      equations: LORENZ.equations,
      parameters: LORENZ.parameters,
      timespan: [0, 100],
      initial_conditions: [[1, 1, 1]],
      integrator: { method: "DOP853", rtol: 1e-9, atol: 1e-12 },
      analysis: none,
    }),
  );
  const env = { GLASSBOX_DB: room.newDatabase() };
  const ours = room.programs.map(({ name, argv }): Contestant => ({
    name: `${name} run phase-portrait`,
    run: () => room.spawn([...argv, "run", "-q", "phase-portrait", "--input", file, "--json"], env),
  }));
  const theirs = scipy === null
    ? []
    : [{ name: "python3 -c, SciPy", run: () => room.spawn([scipy.python, "-c", PYTHON]) }];
  return {
    name: "portrait-command",
    about:
      "the orbit from the shell, with DOP853: to the exit of the process; the processor's time; peak memory",
    columns: ["exitMs", "cpuMs", "peakMb"],
    rows: await interleave([...theirs, ...ours], rounds, 1),
    compare: { column: "exitMs", with: theirs.map(({ name }) => name) },
    rounds,
  };
}
