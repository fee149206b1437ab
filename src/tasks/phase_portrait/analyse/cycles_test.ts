import assert from "node:assert/strict";
import { compileSystem, parseSystem } from "../language/mod.ts";
import type { VectorField } from "../solve/stepper.ts";
import { findCycles } from "./cycles.ts";

/** The same field, and how often it was asked for. */
function counted(text: string): { field: VectorField; evaluations: () => number } {
  const system = compileSystem(parseSystem(text));
  let evaluations = 0;
  const field: VectorField = {
    dimension: system.dimension,
    allocate: (length) => system.allocate(length),
    rhs(t, y, out) {
      evaluations++;
      system.rhs(t, y, out);
    },
    jacobian: (t, y, out) => system.jacobian(t, y, out),
    timeDerivative: (t, y, out) => system.timeDerivative(t, y, out),
  };
  return { field, evaluations: () => evaluations };
}

function square(size: number) {
  return { low: Float64Array.of(-size, -size), high: Float64Array.of(size, size) };
}

Deno.test("findCycles() knows the closed orbits of a first integral after one turn of each", () => {
  const { field, evaluations } = counted("x''[t] == -Sin[x[t]]");
  assert.deepEqual(findCycles(field, { view: square(4), span: 30 }), []);
  assert.ok(evaluations() < 150_000, `${evaluations()} evaluations`);
});

Deno.test("findCycles() tells a weakly attracting cycle once, from wherever it was found", () => {
  const { field } = counted("{x'[t], y'[t]} == {y, 0.01 (1 - x^2) y - x}");
  const found = findCycles(field, { view: square(3), span: 30 });
  assert.deepEqual(found.map(({ stability }) => stability), ["stable"]);
  assert.ok(Math.abs(found[0]!.extent[0]!.max - 2) < 1e-3);
});

Deno.test("findCycles() follows a strongly repelling cycle the way in which it attracts", () => {
  const ring = "(1 - x^2 - y^2) (4 - x^2 - y^2)";
  const { field } = counted(`{x'[t], y'[t]} == {-y + x ${ring}, x + y ${ring}}`);
  const found = findCycles(field, { view: square(3), span: 30 });
  assert.deepEqual(found.map(({ stability }) => stability).sort(), ["stable", "unstable"]);
  const { extent, curve, period } = found.find(({ stability }) => stability === "unstable")!;
  for (const { min, max } of extent) {
    assert.ok(Math.abs(min + 2) < 1e-9 && Math.abs(max - 2) < 1e-9, `${min} to ${max}`);
  }
  assert.equal(curve.times[0], 0);
  assert.ok(Math.abs(curve.times.at(-1)! - period) < 1e-12);
  // Anticlockwise, as the flow goes.
  const [x0, y0, x1, y1] = curve.states as unknown as [number, number, number, number];
  assert.ok(x0 * y1 - y0 * x1 > 0);
});
