/** What textbooks and long computations know of well-known systems, found again. */
import assert from "node:assert/strict";
import { findBasins } from "../../src/tasks/phase_portrait/analyse/basins.ts";
import { continueEquilibrium } from "../../src/tasks/phase_portrait/analyse/continuation.ts";
import { closedOrbitThrough, findCycles } from "../../src/tasks/phase_portrait/analyse/cycles.ts";
import {
  type Equilibrium,
  equilibriumFrom,
  findEquilibria,
} from "../../src/tasks/phase_portrait/analyse/equilibria.ts";
import { lyapunovSpectrum } from "../../src/tasks/phase_portrait/analyse/lyapunov.ts";
import { findSeparatrices } from "../../src/tasks/phase_portrait/analyse/separatrices.ts";
import type { View } from "../../src/tasks/phase_portrait/analyse/view.ts";
import { compiled, odeProblem } from "../support/ode_problems.ts";

const PENDULUM = "x'' == -Sin[x]";
const VAN_DER_POL = odeProblem("vdp1").equations;

/** A view from its ranges. */
function box(...ranges: (readonly [number, number])[]): View {
  return {
    low: Float64Array.from(ranges, ([low]) => low),
    high: Float64Array.from(ranges, ([, high]) => high),
  };
}

function near(seen: number, wanted: number, relative: number, what: string): void {
  const distance = Math.abs(seen - wanted);
  assert.ok(distance <= relative * Math.max(1, Math.abs(wanted)), `${what} is ${seen}, not ${wanted}`);
}

for (
  const [amplitude, period] of [
    [0.1, 6.287114549310480],
    [1, 6.699975664370453],
    [2, 8.349752926918495],
    [3, 16.15553937239337],
    [3.1, 21.03922366795354],
  ] as const
) {
  Deno.test(`closedOrbitThrough() finds the pendulum's period at the amplitude ${amplitude}`, () => {
    const orbit = closedOrbitThrough(compiled(PENDULUM), Float64Array.of(amplitude, 0), {
      view: box([-4, 4], [-3, 3]),
      span: 30,
    });
    assert.equal(orbit?.kind, "closed orbit");
    near(orbit.period, period, 1e-9, "the period");
    near(orbit.extent[0]!.max, amplitude, 1e-9, "the amplitude");
  });
}

for (
  const [mu, period, amplitude, height] of [
    [0.5, 6.380675801773586, 2.002487930447108, 4],
    [1, 6.663286859323130, 2.008619860874843, 4],
    [5, 11.61223066771957, 2.021508061562321, 10],
    [10, 19.07836956693901, 2.014285360926405, 20],
    [1000, 1614.401125808334, 2.000072966002597, 1500],
  ] as const
) {
  Deno.test(`findCycles() finds the one cycle of van der Pol with mu = ${mu}: its period and amplitude`, () => {
    const cycles = findCycles(compiled(VAN_DER_POL, { mu }), {
      view: box([-3, 3], [-height, height]),
      span: Math.max(30, 2 * period),
    });
    assert.equal(cycles.length, 1);
    const [cycle] = cycles;
    assert.equal(cycle!.stability, "stable");
    near(cycle!.period, period, 1e-8, "the period");
    near(cycle!.extent[0]!.max, amplitude, 1e-8, "the amplitude");
    near(cycle!.extent[0]!.min, -amplitude, 1e-8, "the other amplitude");
  });
}

Deno.test("findCycles() finds the Floquet multiplier and the exponent of van der Pol with mu = 1", () => {
  const [cycle] = findCycles(compiled(VAN_DER_POL, { mu: 1 }), { view: box([-3, 3], [-4, 4]), span: 30 });
  const multiplier = 8.596950636038052e-4;
  assert.equal(cycle!.multipliers.length, 1);
  near(cycle!.multipliers[0]!.re / multiplier, 1, 1e-7, "the multiplier over its reference");
  near(cycle!.exponents[0]!, -1.059376994840, 1e-8, "the exponent");
});

interface Expected {
  readonly id: string;
  readonly view: View;
  readonly equilibria: readonly {
    readonly point: readonly number[];
    readonly type: RegExp;
    /** Of real and imaginary parts; of a pair the one with the positive imaginary part. */
    readonly eigenvalues?: readonly (readonly [number, number])[];
  }[];
}

const CENTRE = /^centre of the linearisation/;
const LORENZ_SIDE = 8.485281374238570;
const LORENZ_EIGENVALUES = [[0.093955623964686, 10.19450522092785], [
  0.093955623964686,
  -10.19450522092785,
], [-13.85457791459604, 0]] as const;

const EXPECTED: readonly Expected[] = [
  {
    id: "lotka_volterra",
    view: box([-1, 8], [-1, 6]),
    equilibria: [
      { point: [0, 0], type: /^saddle$/, eigenvalues: [[1.5, 0], [-3, 0]] },
      { point: [3, 1.5], type: CENTRE, eigenvalues: [[0, 2.121320343559643], [0, -2.121320343559643]] },
    ],
  },
  {
    id: "vdp1",
    view: box([-3, 3], [-4, 4]),
    equilibria: [{
      point: [0, 0],
      type: /^unstable focus$/,
      eigenvalues: [[0.5, 0.866025403784439], [0.5, -0.866025403784439]],
    }],
  },
  {
    id: "brusselator",
    view: box([0, 4], [0, 6]),
    equilibria: [{
      point: [1, 3],
      type: /^unstable focus$/,
      eigenvalues: [[0.5, 0.866025403784439], [0.5, -0.866025403784439]],
    }],
  },
  {
    id: "fitzhugh_nagumo",
    view: box([-3, 3], [-2, 3]),
    equilibria: [{
      point: [-0.804847747008334, -0.131059683760418],
      type: /^unstable focus$/,
      eigenvalues: [[0.144110052067804, 0.191546877365140], [0.144110052067804, -0.191546877365140]],
    }],
  },
  {
    id: "selkov",
    view: box([0, 3], [0, 4]),
    equilibria: [{
      point: [0.6, 1.363636363636364],
      type: /^unstable focus$/,
      eigenvalues: [[0.098181818181818, 0.656018544386142], [0.098181818181818, -0.656018544386142]],
    }],
  },
  {
    id: "lorenz",
    view: box([-20, 20], [-25, 25], [-5, 50]),
    equilibria: [
      {
        point: [-LORENZ_SIDE, -LORENZ_SIDE, 27],
        type: /^saddle-focus with 2 unstable directions$/,
        eigenvalues: LORENZ_EIGENVALUES,
      },
      {
        point: [0, 0, 0],
        type: /^saddle with 1 unstable direction$/,
        eigenvalues: [[11.82772345116346, 0], [-8 / 3, 0], [-22.82772345116346, 0]],
      },
      {
        point: [LORENZ_SIDE, LORENZ_SIDE, 27],
        type: /^saddle-focus with 2 unstable directions$/,
        eigenvalues: LORENZ_EIGENVALUES,
      },
    ],
  },
  {
    id: "rossler",
    view: box([-15, 15], [-40, 15], [-1, 40]),
    equilibria: [
      { point: [0.00702620483410013, -0.0351310241705006, 0.0351310241705006], type: /^saddle-focus/ },
      { point: [5.69297379516590, -28.4648689758295, 28.4648689758295], type: /^saddle-focus/ },
    ],
  },
];

for (const { id, view, equilibria } of EXPECTED) {
  Deno.test(`findEquilibria() finds all of ${id} with their types and eigenvalues`, () => {
    const { equations, parameters } = odeProblem(id);
    const found = findEquilibria(compiled(equations, parameters), 0, view);
    assert.equal(found.more, false);
    assert.equal(found.equilibria.length, equilibria.length);
    equilibria.forEach(({ point, type, eigenvalues }, index) => {
      const seen = found.equilibria[index]!;
      point.forEach((value, i) => near(seen.point[i]!, value, 1e-12, `state ${i} of equilibrium ${index}`));
      assert.match(seen.type, type);
      eigenvalues?.forEach(([re, im], i) => {
        near(seen.eigenvalues[i]!.re, re, 1e-11, `real part ${i} of equilibrium ${index}`);
        near(seen.eigenvalues[i]!.im, im, 1e-11, `imaginary part ${i} of equilibrium ${index}`);
      });
    });
  });
}

Deno.test("findEquilibria() finds all 49 of x' = sin y, y' = sin x, and which are saddles", () => {
  const { equilibria, more } = findEquilibria(
    compiled("{x'[t], y'[t]} == {Sin[y], Sin[x]}"),
    0,
    box([-10, 10], [-10, 10]),
  );
  assert.equal(more, false);
  assert.equal(equilibria.length, 49);
  for (const { point, type } of equilibria) {
    const [m, n] = [...point].map((value) => value / Math.PI) as [number, number];
    near(m, Math.round(m), 1e-12, "x / pi");
    near(n, Math.round(n), 1e-12, "y / pi");
    assert.match(type, (Math.round(m) + Math.round(n)) % 2 === 0 ? /^saddle$/ : CENTRE);
  }
  assert.equal(equilibria.filter(({ stability }) => stability === "saddle").length, 25);
});

for (
  const [equations, view] of [
    ["{S' == -0.3 S J, J' == 0.3 S J - 0.1 J}", box([-1, 3], [-1, 3])],
    ["{x' == 0, y' == 0}", box([-1, 1], [-1, 1])],
    ["{x' == y, y' == 0}", box([-1, 1], [-1, 1])],
    ["x' == 0", box([-1, 1])],
  ] as const
) {
  Deno.test(`findEquilibria() tells a few of the line of equilibria of ${equations}, and that there are more`, () => {
    const { equilibria, more } = findEquilibria(compiled(equations), 0, view);
    assert.ok(equilibria.length > 0 && equilibria.length <= 12, `${equilibria.length}`);
    assert.equal(more, true);
  });
}

for (
  const { id, parameter, from, to, view, hopf } of [
    { id: "brusselator", parameter: "B", from: 0.5, to: 4, view: box([0, 4], [0, 6]), hopf: [2] },
    {
      id: "fitzhugh_nagumo",
      parameter: "I",
      from: 0,
      to: 2,
      view: box([-3, 3], [-2, 3]),
      hopf: [0.331281337454746, 1.418718662545254],
    },
    {
      id: "selkov",
      parameter: "b",
      from: 0.1,
      to: 1.2,
      view: box([0, 3], [0, 4]),
      hopf: [0.346410161513775, 0.848528137423857],
    },
    {
      id: "lorenz",
      parameter: "r",
      from: 2,
      to: 40,
      view: box([-20, 20], [-25, 25], [-5, 50]),
      hopf: [470 / 19],
    },
  ]
) {
  Deno.test(`continueEquilibrium() finds the Hopf points of ${id} over ${parameter}`, () => {
    const { equations, parameters } = odeProblem(id), system = compiled(equations, parameters);
    const { equilibria } = findEquilibria(system, 0, view);
    const start = equilibria.findLast(({ eigenvalues }) => eigenvalues.some(({ im }) => im > 0))!;
    const at = system.parameters.indexOf(parameter);
    const values = Float64Array.from(system.parameters, (name) => parameters[name]!);
    const { bifurcations } = continueEquilibrium(system, {
      low: from,
      high: to,
      setParameter: (value) => system.setParameters(values.with(at, value)),
      start: { parameter: parameters[parameter]!, point: start.point },
      scales: view.low.map((low, i) => view.high[i]! - low),
    });
    const found = bifurcations.filter(({ kind }) => kind === "Hopf");
    assert.equal(found.length, hopf.length);
    hopf.forEach((value, index) => near(found[index]!.parameter, value, 1e-9, `Hopf point ${index}`));
  });
}

for (
  const { id, exponents, slack } of [
    { id: "lorenz", exponents: [0.9056, 0, -14.572], slack: [0.03, 0.01, 0.03] },
    { id: "rossler", exponents: [0.0714, 0, -5.394], slack: [0.015, 0.005, 0.02] },
  ]
) {
  Deno.test(`lyapunovSpectrum() comes near the spectrum of ${id} in a short run, and adds up to the divergence`, () => {
    const { equations, parameters, initial_conditions: [start] } = odeProblem(id);
    const spectrum = lyapunovSpectrum(compiled(equations, parameters), {
      start: Float64Array.from(start!),
      t0: 0,
      transient: 50,
      duration: 1000,
    });
    assert.equal(spectrum.stopped, null);
    exponents.forEach((value, index) => {
      const seen = spectrum.exponents[index]!;
      assert.ok(Math.abs(seen - value) < slack[index]!, `exponent ${index} is ${seen}, not ${value}`);
    });
    const sum = spectrum.exponents.reduce((total, value) => total + value, 0);
    near(sum, spectrum.meanDivergence, 1e-5, "the sum");
    if (id === "lorenz") near(sum, -41 / 3, 1e-5, "the sum");
  });
}

Deno.test("findSeparatrices() follows the pendulum's: y = 2 cos(x/2) within a millionth", () => {
  const system = compiled(PENDULUM), view = box([-Math.PI, Math.PI], [-3, 3]);
  const { equilibria } = findEquilibria(system, 0, view);
  const saddles = equilibria.filter(({ stability }) => stability === "saddle");
  assert.equal(saddles.length, 2);
  const lines = findSeparatrices(system, 0, view, equilibria);
  assert.equal(lines.length, 8);
  let inside = 0;
  for (const { states } of lines) {
    for (let at = 0; at < states.length; at += 2) {
      const [x, y] = [states[at]!, states[at + 1]!];
      // Beyond the next saddle the line goes on with the error with which it came there, multiplied.
      if (Math.abs(x) > Math.PI || y === 0) continue;
      inside++;
      near(Math.abs(y), 2 * Math.cos(x / 2), 1e-6, `the separatrix at x = ${x}`);
    }
  }
  assert.ok(inside > 200, `${inside} points`);
});

Deno.test("findBasins() splits a centred rectangle of Duffing's plane exactly in half", () => {
  const system = compiled("x'' + x'/2 - x + x^3 == 0"), view = box([-2, 2], [-2, 2]);
  const { equilibria } = findEquilibria(system, 0, view);
  const { cells, attractors } = findBasins(system, equilibria, [], {
    plane: { axes: [0, 1], low: [-2, -2], high: [2, 2], held: new Float64Array(2) },
    view,
    columns: 40,
    rows: 40,
    span: 200,
  });
  const count = (index: number) => cells.filter((cell) => cell === index).length;
  assert.deepEqual(attractors.map(({ index }) => [...equilibria[index]!.point]), [[-1, 0], [1, 0]]);
  assert.deepEqual([count(0), count(1)], [800, 800]);
});

/** Lines that come to a saddle outside of the view, or back to their own: what holds along them. */
const CONNECTED: readonly (readonly [string, number, (x: number, y: number) => number])[] = [
  ["x'' == -Sin[x]", 7, (x, y) => Math.abs(y) - 2 * Math.abs(Math.cos(x / 2))],
  ["x'' == -Sin[x]", 3.5, (x, y) => Math.abs(y) - 2 * Math.abs(Math.cos(x / 2))],
  ["x'' == x - x^3", 2, (x, y) => y ** 2 / 2 - x ** 2 / 2 + x ** 4 / 4],
];

for (const [equations, side, zero] of CONNECTED) {
  Deno.test(`findSeparatrices() of ${equations} within ${side} end at the saddle that they come to`, () => {
    const system = compiled(equations),
      view = { low: Float64Array.of(-side, -3), high: Float64Array.of(side, 3) };
    const lines = findSeparatrices(system, 0, view, findEquilibria(system, 0, view).equilibria);
    assert.ok(lines.length >= 4);
    for (const { states, status } of lines) {
      assert.equal(status, "event");
      for (let at = 0; at < states.length; at += 2) {
        assert.ok(Math.abs(zero(states[at]!, states[at + 1]!)) < 1e-7, `(${states[at]}, ${states[at + 1]})`);
      }
    }
  });
}

/** One system of each type: a matrix, and what the point at the origin is called. */
const TYPES: readonly (readonly [string, string])[] = [
  ["{x' == 2 x, y' == -y}", "saddle"],
  ["{x' == -x, y' == -3 y}", "stable node"],
  ["{x' == x, y' == 3 y}", "unstable node"],
  ["{x' == -x, y' == -y}", "stable star"],
  ["{x' == -x + y, y' == -y}", "stable degenerate node"],
  ["{x' == x + y, y' == y}", "unstable degenerate node"],
  ["{x' == -x - 2 y, y' == 2 x - y}", "stable focus"],
  ["{x' == x - 2 y, y' == 2 x + y}", "unstable focus"],
  ["{x' == y, y' == -x}", "centre of the linearisation (not decided by linearisation)"],
  ["{x' == x^2, y' == -y}", "non-hyperbolic (a zero eigenvalue, line or fold candidate)"],
  ["{x' == x^3, y' == y^3}", "degenerate: all eigenvalues are zero"],
  ["{x' == -x - 2 y, y' == 2 x - y, z' == -3 z}", "stable focus-node"],
  ["{x' == -x, y' == -2 y, z' == 3 z}", "saddle with 1 unstable direction"],
  ["{x' == x - 2 y, y' == 2 x + y, z' == -z}", "saddle-focus with 2 unstable directions"],
];

for (const [equations, type] of TYPES) {
  Deno.test(`equilibriumFrom() calls the origin of ${equations} ${type}`, () => {
    const system = compiled(equations), n = system.dimension;
    const view = { low: new Float64Array(n).fill(-2), high: new Float64Array(n).fill(2) };
    const found: Equilibrium | null = equilibriumFrom(system, 0, new Float64Array(n), view);
    assert.equal(found?.type, type);
  });
}
