import assert from "node:assert/strict";
import { compileSystem, parseSystem } from "../language/mod.ts";
import { newStepper } from "./methods.ts";
import { ATTEMPT, type VectorField } from "./stepper.ts";
import { WorkSpace } from "./work_space.ts";

const SYSTEMS = [
  { equations: "{x' == 10 (y - x), y' == x (28 - z) - y, z' == x y - 8/3 z}", start: [1, 1, 1] },
  { equations: "{x' == y, y' == (1 - x^2) y - x + 0.4 Cos[1.3 t]}", start: [2, 0] },
  { equations: "{x' == If[y > 0 && t < 5, -y, Sin[x] - y/2], y' == x - Abs[y]^1.3}", start: [1, 0.5] },
  { equations: "x' == Piecewise[{{1, x < 0.5}, {-x, 0.5 <= x < 2}}, 0] + t/9", start: [0] },
  { equations: "{x' == Mod[x, 2] - y, y' == Floor[3 x] - 3 Min[y, 1]}", start: [0.3, 0.1] },
] as const;

type Explicit = "RK45" | "DOP853";

/** The states after each of many attempts, rejected ones too. */
function walked(
  method: Explicit,
  field: VectorField,
  start: readonly number[],
  attempts: number,
): number[][] {
  const n = start.length, out = new Float64Array(n), states: number[][] = [];
  const tolerance = { rtol: 1e-7, atol: new Float64Array(n).fill(1e-9) };
  const stepper = newStepper(method, field, tolerance, new WorkSpace(field));
  stepper.begin(0, Float64Array.from(start), 1e-3);
  for (let attempt = 0; attempt < attempts; attempt++) {
    const how = stepper.attempt(1e9, Infinity);
    if (how === ATTEMPT.accepted) stepper.interpolate((stepper.t + 2 * stepper.tOld) / 3, out);
    states.push([how, stepper.t, stepper.h, ...stepper.y, ...out, stepper.stiffness()]);
  }
  return states;
}

const CASES = SYSTEMS.flatMap((one) => (["RK45", "DOP853"] as const).map((method) => ({ ...one, method })));

for (const { equations, start, method } of CASES) {
  Deno.test(`A compiled ${method} step of ${equations} comes to the same bits as the loops`, () => {
    const field = compileSystem(parseSystem(equations), { backEnd: "wasm" });
    let compiled = 0;
    const plain: VectorField = {
      dimension: field.dimension,
      allocate: (length) => field.allocate(length),
      rhs: (t, y, out) => field.rhs(t, y, out),
      jacobian: (t, y, out) => field.jacobian(t, y, out),
      timeDerivative: (t, y, out) => field.timeDerivative(t, y, out),
    };
    const compiling: VectorField = {
      ...plain,
      explicitStep(tableau) {
        compiled++;
        return field.explicitStep!(tableau);
      },
    };
    const loops = walked(method, plain, start, 4000), steps = walked(method, compiling, start, 4000);
    assert.equal(compiled, 1);
    assert.deepEqual(steps, loops);
  });
}

Deno.test("A system without WebAssembly, or with many operations, has no compiled step", () => {
  const tableau = { nodes: [1], rows: [[1]], errors: [[1, -1]], errorsTimesStep: true };
  const registers = compileSystem(parseSystem("x' == -x"), { backEnd: "registers" });
  assert.equal(registers.explicitStep!(tableau), null);
  const long = Array.from({ length: 400 }, (_, k) => `Sin[${k + 1} x]`).join(" + ");
  assert.equal(compileSystem(parseSystem(`x' == ${long}`), { backEnd: "wasm" }).explicitStep!(tableau), null);
});
