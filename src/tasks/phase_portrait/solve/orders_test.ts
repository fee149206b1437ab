import assert from "node:assert/strict";
import { compileSystem, parseSystem } from "../language/mod.ts";
import { type Method, newStepper } from "./methods.ts";
import { ATTEMPT, type Tolerance } from "./stepper.ts";
import { evenTimes, solveTrajectory } from "./trajectory.ts";
import { WorkSpace } from "./work_space.ts";

/** Depends on time, is not linear and has the solution 1 / (2 + sin 2t): every condition of order counts. */
const system = compileSystem(parseSystem("x'[t] == -2 x[t]^2 Cos[2 t]"));
const exact = (t: number) => 1 / (2 + Math.sin(2 * t));
const START = Float64Array.of(0.5);
const T_END = 4;

/** The largest error at the ends of `count` even steps, whatever the method thinks of them, and the largest between. */
function errorsOf(method: Exclude<Method, "auto">, count: number, tolerance: Tolerance): [number, number] {
  const stepper = newStepper(method, system, tolerance, new WorkSpace(system)), h = T_END / count;
  const out = new Float64Array(1);
  let atEnds = 0, between = 0;
  stepper.begin(0, START, h);
  for (let step = 1; step <= count; step++) {
    stepper.h = h;
    assert.equal(stepper.attempt(step === count ? T_END : Infinity, h), ATTEMPT.accepted);
    atEnds = Math.max(atEnds, Math.abs(stepper.y[0]! - exact(stepper.t)));
    for (const share of [0.1, 0.3, 0.5, 0.7, 0.9]) {
      const t = stepper.tOld + share * (stepper.t - stepper.tOld);
      stepper.interpolate(t, out);
      between = Math.max(between, Math.abs(out[0]! - exact(t)));
    }
  }
  return [atEnds, between];
}

/** With so much tolerance every step is accepted. */
const ANY: Tolerance = { rtol: 1e6, atol: Float64Array.of(1e6) };

for (
  const { method, wanted, between, steps, tolerance } of [
    { method: "RK4", wanted: 4, between: 4, steps: 64, tolerance: ANY },
    { method: "RK45", wanted: 5, between: 5, steps: 128, tolerance: ANY },
    { method: "DOP853", wanted: 8, between: 8, steps: 32, tolerance: ANY },
    { method: "Rodas5P", wanted: 5, between: 5, steps: 64, tolerance: ANY },
  ] as const
) {
  Deno.test(`${method} has order ${wanted}, and its error between the steps falls with order ${between}`, () => {
    const coarse = errorsOf(method, steps, tolerance), fine = errorsOf(method, 2 * steps, tolerance);
    [wanted, between].forEach((order, index) => {
      const seen = Math.log2(coarse[index]! / fine[index]!);
      assert.ok(Math.abs(seen - order) < 0.7, `${seen}, not ${order}: errors ${coarse} and ${fine}`);
    });
  });
}

Deno.test("Radau has order 5, and its error between the steps falls with order 4", () => {
  // Of a linear system the iteration is exact, so that its own tolerance is not what is measured.
  const linear = compileSystem(parseSystem("{x' == y, y' == -x}")), out = new Float64Array(2);
  const tolerance = { rtol: 1e-3, atol: new Float64Array(2).fill(1e-3) };
  const errors = [16, 32].map((count) => {
    const h = T_END / count, stepper = newStepper("Radau", linear, tolerance, new WorkSpace(linear));
    stepper.begin(0, Float64Array.of(0, 1), h);
    let between = 0;
    for (let step = 1; step <= count; step++) {
      stepper.h = h;
      assert.equal(stepper.attempt(step === count ? T_END : Infinity, h), ATTEMPT.accepted);
      stepper.interpolate((stepper.t + stepper.tOld) / 2, out);
      between = Math.max(between, Math.abs(out[0]! - Math.sin((stepper.t + stepper.tOld) / 2)));
    }
    return [Math.abs(stepper.y[0]! - Math.sin(T_END)), between] as const;
  });
  const orders = [0, 1].map((index) => Math.log2(errors[0]![index]! / errors[1]![index]!));
  assert.ok(Math.abs(orders[0]! - 5) < 0.5 && Math.abs(orders[1]! - 4) < 0.5, `${orders} from ${errors}`);
});

for (const method of ["RK45", "DOP853", "Rodas5P", "Radau", "auto"] as const) {
  Deno.test(`${method} keeps its error, at the rows too, in proportion to the tolerance`, () => {
    for (const rtol of [1e-4, 1e-6, 1e-8, 1e-10]) {
      const times = evenTimes(0, 20, 101);
      const { values, status } = solveTrajectory(system, {
        method,
        tolerance: { rtol, atol: Float64Array.of(rtol) },
        t0: 0,
        tEnd: 20,
        y0: START,
        maxStep: null,
        firstStep: null,
        maxSteps: 100_000,
      }, times);
      assert.equal(status, "ok");
      const error = Math.max(...values.map((value, row) => Math.abs(value - exact(times[row]!))));
      assert.ok(error < 1000 * rtol, `rtol ${rtol}: ${error}`);
    }
  });
}
