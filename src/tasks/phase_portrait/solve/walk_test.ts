import assert from "node:assert/strict";
import { compileSystem, parseSystem } from "../language/mod.ts";
import type { EventFunction } from "./events.ts";
import { type GridOptions, solveOnGrid } from "./fixed_grid.ts";
import type { Method } from "./methods.ts";
import { evenTimes, solveTrajectory, type Trajectory } from "./trajectory.ts";
import { walk, type WalkOptions } from "./walk.ts";

interface Asked extends Partial<Omit<WalkOptions, "y0" | "tolerance">> {
  readonly rtol?: number;
  readonly rows?: number;
  readonly events?: readonly EventFunction[];
}

function optionsOf(y0: readonly number[], { rtol = 1e-6, ...asked }: Asked): WalkOptions {
  return {
    method: "RK45",
    t0: 0,
    tEnd: 10,
    maxStep: null,
    firstStep: null,
    maxSteps: 100_000,
    ...asked,
    tolerance: { rtol, atol: new Float64Array(y0.length).fill(rtol * 1e-3) },
    y0: Float64Array.from(y0),
  };
}

function solve(equations: string, y0: readonly number[], asked: Asked = {}): Trajectory {
  const system = compileSystem(parseSystem(equations)), options = optionsOf(y0, asked);
  const times = evenTimes(options.t0, options.tEnd, asked.rows ?? 11);
  return solveTrajectory(system, options, times, asked.events);
}

const EXPLICIT_AND_IMPLICIT = ["RK45", "DOP853", "Rodas5P", "Radau", "auto"] as const;

for (const method of [...EXPLICIT_AND_IMPLICIT, "RK4"] as const) {
  Deno.test(`walk() by ${method} writes no row beyond where it stopped, however far from t = 0 it is`, () => {
    for (const [t0, tEnd] of [[1e15, 1e15 + 1], [1e15, 1e15 - 1], [-1e300, 1e300]] as const) {
      const { status, tStop, rows, values } = solve("{x' == y, y' == -x}", [1, 0], { method, t0, tEnd });
      assert.ok(values.every(Number.isFinite), `${t0}: ${values}`);
      if (status === "ok") assert.deepEqual([tStop, rows], [tEnd, 11]);
      else assert.ok(rows <= 1, `${t0}: ${rows} rows, and it stopped at ${tStop}`);
    }
  });

  Deno.test(`walk() by ${method} gets to its end where it was asked for steps that would not change t`, () => {
    const asked = { method, t0: 1, tEnd: 1 + 1e-12, maxStep: 1e-20 };
    const { status, values } = solve("x' == 1", [0], asked);
    assert.equal(status, "ok");
    assert.ok(Math.abs(values.at(-1)! - (asked.tEnd - 1)) < 1e-24);
  });
}

for (const method of EXPLICIT_AND_IMPLICIT) {
  Deno.test(`walk() by ${method} ends where a right side stops being a number, and names the equation`, () => {
    const { status, tStop, rows, message } = solve("{x' == -1, y' == Sqrt[x]}", [1, 0], { method });
    assert.equal(status, "domain_error");
    assert.ok(tStop > 0.9 && tStop <= 1, `t_stop is ${tStop}`);
    assert.equal(rows, 1);
    assert.match(message, /equation 2 is NaN/);
  });

  Deno.test(`walk() by ${method} tells of growth beyond all bounds with its time`, () => {
    const { status, tStop, message, rows } = solve("x' == x^2", [1], { method, rows: 8 });
    assert.equal(status, "blow_up");
    assert.ok(Math.abs(tStop - 1) < 1e-3, `t_stop is ${tStop}`);
    assert.match(message, /grows without bound/);
    assert.equal(rows, 1);
  });

  Deno.test(`walk() by ${method} refuses a start that is not in the domain before any step`, () => {
    const { status, tStop, rows, message, counts } = solve("{x' == y, y' == Log[x]}", [-1, 0], { method });
    assert.deepEqual({ status, tStop, rows, steps: counts.steps }, {
      status: "domain_error",
      tStop: 0,
      rows: 0,
      steps: 0,
    });
    assert.match(message, /^Cannot start: the right side of equation 2 is NaN at t = 0/);
  });

  Deno.test(`walk() by ${method} goes backwards when its end lies before its start`, () => {
    const { status, values, rows } = solve("x' == x", [1], { method, tEnd: -2, rows: 3 });
    assert.equal(status, "ok");
    assert.equal(rows, 3);
    assert.ok(Math.abs(values[1]! - Math.exp(-1)) < 1e-5 && Math.abs(values[2]! - Math.exp(-2)) < 1e-5);
  });
}

Deno.test("walk() grows by 12 orders of magnitude without calling it a blow-up when the start was large", () => {
  assert.equal(solve("x' == x", [1e3], { tEnd: 27 }).status, "ok");
  assert.equal(solve("x' == x", [1], { tEnd: 30 }).status, "blow_up");
});

Deno.test("walk() ends with step_too_small where bounded solutions cannot be followed", () => {
  // x' = -1/(2x) has x = sqrt(1 - t): its slope is infinite at t = 1, where nothing grows.
  const { status, tStop } = solve("x' == -1/(2 x)", [1], { tEnd: 2 });
  assert.match(status, /^(step_too_small|domain_error)$/);
  assert.ok(Math.abs(tStop - 1) < 1e-3, `t_stop is ${tStop}`);
});

Deno.test("walk() ends a run at the edge of its escape box", () => {
  const escape = { low: Float64Array.of(-5, -Infinity), high: Float64Array.of(5, Infinity) };
  const { status, tStop, message } = solve("{x' == 1, y' == 0}", [0, 0], { escape, tEnd: 1000, rows: 1001 });
  assert.equal(status, "escaped");
  assert.ok(tStop > 5 && tStop < 1000, `t_stop is ${tStop}`);
  assert.match(message, /left/);
});

const STIFF = "{x' == y, y' == 1000 (1 - x^2) y - x}";

for (const method of ["RK45", "DOP853"] as const) {
  Deno.test(`walk() notices that a system is stiff for ${method} and goes on`, () => {
    const { stiffAt, methodUsed } = solve(STIFF, [2, 0], { method, tEnd: 1, maxSteps: 1_000_000 });
    assert.ok(stiffAt !== null && stiffAt > 0 && stiffAt < 0.2, `stiff at ${stiffAt}`);
    assert.equal(methodUsed, method);
    assert.equal(solve("{x' == y, y' == -x}", [1, 0], { method, tEnd: 100 }).stiffAt, null);
  });
}

Deno.test("walk() by auto changes to Rodas5P where it is stiff, and takes few steps for it", () => {
  const { status, methodUsed, counts, stiffAt } = solve(STIFF, [2, 0], { method: "auto", tEnd: 2000 });
  assert.equal(status, "ok");
  assert.match(methodUsed, /^RK45\+Rodas5P/);
  assert.ok(stiffAt! < 1);
  assert.ok(counts.steps < 3000, `${counts.steps} steps`);
});

Deno.test("walk() by auto comes back to the explicit method when nothing is stiff any more", () => {
  const { values, counts, methodUsed } = solve(
    "{x' == -If[t < 5, 5000, 0.1] (x - Cos[t]), y' == -y}",
    [1, 1],
    {
      method: "auto",
      tEnd: 200,
      rows: 2,
    },
  );
  assert.equal(methodUsed, "RK45+Rodas5P");
  assert.ok(Math.abs(values[3]!) < 1e-6);
  // After its return it needs no matrices: most steps are without.
  assert.ok(counts.jacEvals < counts.steps / 2, `${counts.jacEvals} Jacobians in ${counts.steps} steps`);
});

Deno.test("walk() by auto begins with DOP853 below a relative tolerance of 1e-8", () => {
  assert.equal(solve("x' == -x", [1], { method: "auto", rtol: 1e-8 }).methodUsed, "RK45");
  assert.equal(solve("x' == -x", [1], { method: "auto", rtol: 1e-9 }).methodUsed, "DOP853");
});

for (const method of ["Rodas5P", "Radau"] as const) {
  Deno.test(`walk() by ${method} takes a shorter step where its matrix is singular`, () => {
    // The matrix 1/(h gamma) - 1/s of the first step is exactly zero for one h; a shorter step is not.
    const gamma = method === "Rodas5P" ? 0.21193756319429014 : 1 / 3.6378342527444957;
    const rate = 1 / gamma;
    const { status, values } = solve(`x' == ${rate} x`, [1], { method, tEnd: 2, firstStep: 1, rows: 2 });
    assert.equal(status, "ok");
    assert.ok(Math.abs(values[1]! / Math.exp(2 * rate) - 1) < 1e-3, `${values[1]}`);
  });
}

Deno.test("walk() ends after max_steps, and says so", () => {
  const { status, counts, message } = solve("{x' == y, y' == -x}", [1, 0], { tEnd: 1e6, maxSteps: 100 });
  assert.equal(status, "max_steps");
  assert.equal(counts.steps + counts.rejected, 100);
  assert.match(message, /100 steps/);
});

for (const reason of ["timeout", "cancelled"] as const) {
  Deno.test(`walk() asks every 256 steps whether to stop, and ends as ${reason}`, () => {
    const asked: number[] = [];
    const stop = (_t: number, steps: number) => {
      asked.push(steps);
      return asked.length === 3 ? reason : null;
    };
    const { status, tStop } = solve("{x' == y, y' == -x}", [1, 0], { tEnd: 1e6, stop });
    assert.equal(status, reason);
    assert.deepEqual(asked, [256, 512, 768]);
    assert.ok(tStop > 0 && tStop < 1e6);
  });
}

for (const method of EXPLICIT_AND_IMPLICIT) {
  Deno.test(`walk() by ${method} keeps to max_step and to the first step`, () => {
    const system = compileSystem(parseSystem("x' == -x"));
    const steps: number[] = [];
    const end = walk(
      system,
      optionsOf([1], { method, maxStep: 0.25, firstStep: 0.01, tEnd: 3 }),
      (stepper) => steps.push(stepper.t - stepper.tOld) > 0,
    );
    assert.equal(end.status, "ok");
    assert.ok(Math.abs(steps[0]! - 0.01) < 1e-15);
    assert.ok(steps.every((h) => h <= 0.25 * 1.011), `the longest is ${Math.max(...steps)}`);
    assert.equal(end.t, 3);
  });
}

for (const method of [...EXPLICIT_AND_IMPLICIT, "RK4"] as const) {
  Deno.test(`solveTrajectory() by ${method} gives rows at exact times, the last one the end bit for bit`, () => {
    const system = compileSystem(parseSystem("{x' == y, y' == -x + Sin[3 t]}"));
    const options = optionsOf([1, 0], { method: method as Method, tEnd: 7, firstStep: 0.05 });
    const ends: number[][] = [];
    walk(system, options, (stepper) => {
      ends.push([stepper.t, ...stepper.y]);
      return true;
    });
    const times = Float64Array.from(ends, ([t]) => t!), all = solveTrajectory(system, options, times);
    assert.equal(all.rows, ends.length);
    ends.forEach(([, ...y], row) => assert.deepEqual([...all.values.subarray(2 * row, 2 * row + 2)], y));
    const few = solveTrajectory(system, options, Float64Array.of(0, 3.3, 7));
    assert.deepEqual([...few.values.subarray(4)], ends.at(-1)!.slice(1));
    assert.deepEqual([...few.values.subarray(0, 2)], [1, 0]);
    assert.equal(few.counts.steps, ends.length);
  });
}

Deno.test("solveTrajectory() has fewer rows when it stops early, and none is made up", () => {
  const { rows, values, status } = solve("x' == 1 + x^2", [0], { tEnd: 3, rows: 31 });
  assert.equal(status, "blow_up");
  assert.equal(rows, 16);
  assert.equal(values.length, 16);
  assert.ok(values.every(Number.isFinite));
});

Deno.test("solveTrajectory() gives the start alone for times that end there", () => {
  const system = compileSystem(parseSystem("x' == -x"));
  const { rows, values, status } = solveTrajectory(system, optionsOf([2], { tEnd: 0 }), Float64Array.of(0));
  assert.deepEqual({ rows, values: [...values], status }, { rows: 1, values: [2], status: "ok" });
});

Deno.test("solveTrajectory() follows jumps of the right side", () => {
  const { values, status } = solve("x' == Sign[Sin[Pi t]]", [0], { rtol: 1e-9, tEnd: 4.5, rows: 2 });
  assert.equal(status, "ok");
  assert.ok(Math.abs(values[1]! - 0.5) < 1e-6, `${values[1]}`);
});

Deno.test("solveOnGrid() takes one step of RK4 from each time to the next, and one to the first", () => {
  const system = compileSystem(parseSystem("x' == x"));
  const { values, counts, rows } = solveOnGrid(system, {
    t0: -1,
    y0: Float64Array.of(1),
    times: Float64Array.of(0, 0.5, 0.75),
  });
  assert.equal(counts.steps, 3);
  assert.equal(rows, 3);
  const step = (h: number) => 1 + h + h ** 2 / 2 + h ** 3 / 6 + h ** 4 / 24;
  const wanted = [step(1), step(1) * step(0.5), step(1) * step(0.5) * step(0.25)];
  wanted.forEach((value, row) => assert.ok(Math.abs(values[row]! - value) < 1e-14, `row ${row}`));
});

Deno.test("solveOnGrid() tells of all that can end a walk", () => {
  const grid = (equations: string, y0: number[], more: Partial<GridOptions> = {}) =>
    solveOnGrid(compileSystem(parseSystem(equations)), {
      t0: 0,
      y0: Float64Array.from(y0),
      times: evenTimes(0, 2, 9),
      ...more,
    });
  const domain = grid("{x' == -1, y' == Sqrt[x]}", [1, 0]);
  assert.deepEqual([domain.status, domain.rows, domain.tStop], ["domain_error", 5, 1]);
  assert.equal(grid("x' == x^2", [3], { times: evenTimes(0, 9, 99) }).status, "blow_up");
  const half = grid("{x' == 1}", [0], { events: [event((_t, y) => y[0]! - 0.6, 0, true)] });
  assert.equal(half.status, "event");
  assert.equal(half.rows, 3);
  assert.ok(Math.abs(half.tStop - 0.6) < 1e-12 && half.events.length === 1);
  const times = evenTimes(0, 2, 1000);
  const stopped = grid("x' == 1", [0], { times, stop: (_t, steps) => steps > 500 ? "cancelled" : null });
  assert.deepEqual([stopped.status, stopped.rows], ["cancelled", 512]);
});

function event(
  evaluate: EventFunction["evaluate"],
  direction: -1 | 0 | 1 = 0,
  terminal = false,
): EventFunction {
  return { evaluate, direction, terminal };
}

const CIRCLE = "{x' == y, y' == -x}";

Deno.test("Events are found on both ways through zero, or on the one asked for", () => {
  const at = (direction: -1 | 0 | 1) =>
    solve(CIRCLE, [0, 1], { rtol: 1e-10, events: [event((_t, y) => y[0]!, direction)] }).events.map(({ t }) =>
      t
    );
  const wanted = (times: number[], seen: number[]) => {
    assert.equal(seen.length, times.length);
    times.forEach((time, index) => assert.ok(Math.abs(seen[index]! - time) < 1e-8, `${seen}`));
  };
  // The start is a zero itself and does not count.
  wanted([Math.PI, 2 * Math.PI, 3 * Math.PI], at(0));
  wanted([Math.PI, 3 * Math.PI], at(-1));
  wanted([2 * Math.PI], at(1));
});

Deno.test("A terminal event ends the trajectory at its time, and rows and events after it are left out", () => {
  const { status, tStop, rows, events, message } = solve(CIRCLE, [0, 1], {
    rtol: 1e-10,
    events: [event((_t, y) => y[0]! + 0.5, 0, true), event((_t, y) => y[1]!)],
  });
  assert.equal(status, "event");
  assert.equal(message, "");
  assert.ok(Math.abs(tStop - (Math.PI + Math.PI / 6)) < 1e-8, `t_stop is ${tStop}`);
  assert.equal(rows, 4);
  assert.deepEqual(events.map(({ event }) => event), [1, 0]);
  assert.equal(events.at(-1)!.t, tStop);
});

Deno.test("Two zeros within one step are both found", () => {
  // One step of the straight line goes past both; the function comes back to its sign.
  const { events, counts } = solve("x' == 1", [0], {
    tEnd: 10,
    firstStep: 10,
    events: [event((_t, y) => (y[0]! - 4.9) * (y[0]! - 7.1))],
  });
  assert.equal(counts.steps, 1);
  assert.equal(events.length, 2);
  assert.ok(Math.abs(events[0]!.t - 4.9) < 1e-14 && Math.abs(events[1]!.t - 7.1) < 1e-14);
});

Deno.test("An event on a walk backwards is found, in the order of the walk", () => {
  const { events } = solve(CIRCLE, [0, 1], {
    rtol: 1e-10,
    tEnd: -7,
    events: [event((_t, y) => y[0]!)],
  });
  assert.equal(events.length, 2);
  assert.ok(Math.abs(events[0]!.t + Math.PI) < 1e-8 && Math.abs(events[1]!.t + 2 * Math.PI) < 1e-8);
});

Deno.test("An event of time alone is found to the last digits", () => {
  const { events } = solve("x' == -x", [1], { events: [event((t) => t - 0.1)] });
  assert.ok(Math.abs(events[0]!.t - 0.1) <= 4 * Number.EPSILON * 0.1, `${events[0]!.t}`);
});

Deno.test("A function that is zero all along has no events", () => {
  assert.equal(solve(CIRCLE, [0, 1], { events: [event(() => 0)] }).events.length, 0);
});

Deno.test("The events of the methods lie within what their interpolants can do", () => {
  for (
    const [method, limit] of [["RK45", 1e-7], ["DOP853", 1e-9], ["Rodas5P", 1e-7], ["Radau", 1e-5]] as const
  ) {
    const { events } = solve(CIRCLE, [0, 1], { method, rtol: 1e-9, events: [event((_t, y) => y[0]!)] });
    events.forEach(({ t }, index) => {
      const off = Math.abs(t - (index + 1) * Math.PI);
      assert.ok(off < limit, `${method}: ${off}`);
    });
  }
});
