/** Every problem of known solution: its error, its steps, what holds on the way, and where it cannot go on. */
import assert from "node:assert/strict";
import { compileExpressions } from "../../src/tasks/phase_portrait/language/mod.ts";
import {
  compiled,
  FURTHER_PROBLEMS,
  ODE_PROBLEMS,
  odeProblem,
  scaledError,
  solveProblem,
} from "../support/ode_problems.ts";

/** An implementation of the method may take so many times the steps that a plain one takes. */
const STEPS_MOST = 1.3;

const SOLVED = ODE_PROBLEMS.filter(({ expect }) => expect === undefined);

Deno.test("The problems are all there", () => {
  assert.equal(ODE_PROBLEMS.length, 26);
  assert.equal(SOLVED.length, 25);
  assert.equal(FURTHER_PROBLEMS.length, 4);
});

for (const problem of [...SOLVED, ...FURTHER_PROBLEMS]) {
  Deno.test(`solveTrajectory() solves ${problem.id} within its limit and its steps`, () => {
    const { status, values, counts, rows, methodUsed } = solveProblem(problem);
    assert.equal(status, "ok");
    assert.equal(rows, 1);
    assert.equal(methodUsed, problem.solve!.method);
    const error = scaledError(values, problem.reference.y, problem.scale_floor);
    assert.ok(error <= problem.max_scaled_error!, `${error} is above ${problem.max_scaled_error}`);
    const most = STEPS_MOST * problem.guide!.accepted_steps;
    assert.ok(counts.steps <= most, `${counts.steps} steps are more than ${most}`);
  });
}

for (const problem of ODE_PROBLEMS.filter(({ checkpoints }) => checkpoints !== undefined)) {
  for (const { t, y, max_scaled_error: limit } of problem.checkpoints!) {
    Deno.test(`solveTrajectory() passes the checkpoint of ${problem.id} at t = ${t}`, () => {
      const floor = problem.id === "robertson" ? 0 : undefined;
      const { values, rows } = solveProblem({ ...problem, timespan: [problem.timespan[0], t] });
      assert.equal(rows, 1);
      const error = scaledError(values, y, floor);
      assert.ok(error <= limit, `${error} is above ${limit}`);
    });
  }
}

const INVARIANT_DRIFT: Readonly<Record<string, number>> = {
  lotka_volterra: 1e-9,
  kepler06: 1e-8,
  robertson: 1e-11,
};

for (const problem of ODE_PROBLEMS.filter(({ invariant }) => invariant !== undefined)) {
  Deno.test(`solveTrajectory() keeps the invariant of ${problem.id}`, () => {
    const { expr, value } = problem.invariant!, wanted = Number(value), limit = INVARIANT_DRIFT[problem.id]!;
    const system = compiled(problem.equations, problem.parameters), n = system.dimension;
    const expression = compileExpressions([expr], system), out = new Float64Array(1);
    const [t0, tEnd] = problem.timespan;
    const times = Array.from({ length: 101 }, (_, row) => t0 + (tEnd - t0) * row / 100);
    const { values, rows } = solveProblem(problem, { times });
    assert.equal(rows, times.length);
    for (let row = 0; row < rows; row++) {
      expression.evaluate(times[row]!, values.subarray(row * n, row * n + n), out);
      assert.ok(
        Math.abs(out[0]! - wanted) <= limit,
        `row ${row}: ${out[0]} is not ${wanted} within ${limit}`,
      );
    }
  });
}

Deno.test("solveTrajectory() finds the first event of the pendulum where its closed form has it", () => {
  const problem = odeProblem("pendulum"), { expr, first_time: first, state_at_event: state } = problem.event!;
  const { events } = solveProblem(problem, { event: expr });
  const [hit] = events;
  assert.ok(Math.abs(hit!.t - Number(first)) < 1e-9, `${hit!.t}`);
  assert.ok(Math.abs(hit!.y[0]!) < 1e-14, `x is ${hit!.y[0]}`);
  assert.ok(Math.abs(hit!.y[1]! - Number(state[1])) < 1e-9, `x' is ${hit!.y[1]}`);
  const half = events[1]!.t - hit!.t;
  assert.ok(Math.abs(2 * half - Number(problem.event!.period)) < 1e-8, `the period is ${2 * half}`);
});

for (const method of ["RK45", "DOP853", "Rodas5P", "Radau", "auto"] as const) {
  Deno.test(`solveTrajectory() tells of the blow-up by ${method} where it is, and is right before`, () => {
    const problem = odeProblem("blowup"), expected = problem.expect!;
    const before = expected.prefix_max_scaled_error_before_t;
    const times = [0.5, 1, before, 3];
    const { status, tStop, rows, values, message } = solveProblem(problem, { method, rtol: 1e-8, times });
    assert.equal(status, expected.status);
    assert.ok(Math.abs(tStop - Number(expected.t_star)) <= expected.t_star_tolerance, `t_stop is ${tStop}`);
    assert.equal(rows, 3);
    assert.match(message, /grows/);
    times.slice(0, 3).forEach((t, row) =>
      assert.ok(Math.abs(values[row]! / Math.tan(t) - 1) < 1e-5, `row ${row}`)
    );
  });
}
