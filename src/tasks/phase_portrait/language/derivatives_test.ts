import assert from "node:assert/strict";
import { BOUNDS, compileSystem, parseSystem } from "./mod.ts";

/** Right sides of x with a second state y, smooth at the points below. */
const SMOOTH = [
  "x y - y^2 + 3",
  "x/(1 + y^2) - y/x",
  "Sin[x y] + Cos[x - y] + Tan[0.3 x]",
  "Cot[x] + Sec[0.2 y] + Csc[x + 3]",
  "ArcSin[0.2 x] + ArcCos[0.1 y] + ArcTan[x y]",
  "Sinh[x] + Cosh[y] + Tanh[x - y]",
  "ArcSinh[x] + ArcCosh[x + 3] + ArcTanh[0.2 y]",
  "Exp[-x^2] + E^y + 2^x + x^y",
  "Log[x] + Log[2, y] + Log10[x y] + Log2[x + 1] + Log[x, y + 3]",
  "Sqrt[x + y] + CubeRoot[x] + x^0.5 + x^1.5 + x^-2 + x^4",
  "Abs[x - 5] + Sign[y] x + Floor[x] y + Ceiling[y] x",
  "ArcTan[x, y] + Mod[x, y] + Mod[7.3, x]",
  "Min[x, y, 3] + Max[x y, 0.1]",
  "If[x > y, x^2, y^3] + Which[x < 0, Sqrt[x], True, Sqrt[y]]",
  "Piecewise[{{x y, x < 0.4}, {x^3, x < 2}}, y] + UnitStep[x] y + Boole[x > 0] y",
  "Clip[x] + Clip[x y, {-2, 0.9}] + t x Sin[t y]",
];

const POINTS = [[0.7, 1.6], [1.3, 0.4], [1.9, 2.2]] as const;

for (const backEnd of ["wasm", "registers"] as const) {
  for (const right of SMOOTH) {
    Deno.test(`jacobian() on ${backEnd} agrees with differences for ${right}`, () => {
      const system = compileSystem(parseSystem(`x'[t] == ${right}, y'[t] == x`), { backEnd });
      const [jacobian, byTime] = [new Float64Array(4), new Float64Array(2)];
      for (const point of POINTS) {
        const y = Float64Array.from(point);
        system.jacobian(0.6, y, jacobian);
        system.timeDerivative(0.6, y, byTime);
        const at = (t: number, x0: number, y0: number) => {
          const out = new Float64Array(2);
          system.rhs(t, Float64Array.of(x0, y0), out);
          return out[0]!;
        };
        near(jacobian[0]!, slope((h) => at(0.6, point[0] + h, point[1])), `d/dx at ${point}`);
        near(jacobian[1]!, slope((h) => at(0.6, point[0], point[1] + h)), `d/dy at ${point}`);
        near(byTime[0]!, slope((h) => at(0.6 + h, point[0], point[1])), `d/dt at ${point}`);
        assert.deepEqual([...jacobian.subarray(2)], [1, 0]);
      }
    });
  }
}

/** The derivative at 0 by central differences of fourth order. */
function slope(f: (h: number) => number): number {
  const h = 1e-3;
  return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
}

function near(value: number, wanted: number, what: string): void {
  assert.ok(
    Math.abs(value - wanted) <= 1e-7 * (1 + Math.abs(wanted)),
    `${what}: ${value} instead of ${wanted}`,
  );
}

Deno.test("jacobian() does not let a branch that is not taken through", () => {
  const system = compileSystem(parseSystem("x'[t] == If[x > 0, Sqrt[x], 0] + If[x > 1, 1/x, Log[x + 2]]"));
  const out = new Float64Array(1);
  system.jacobian(0, Float64Array.of(-1.5), out);
  assert.deepEqual([...out], [2]);
});

Deno.test("jacobian() is 0 at jumps and corners", () => {
  const system = compileSystem(parseSystem("x'[t] == Abs[x] + Sign[x] + Floor[x] + UnitStep[x]"));
  const out = new Float64Array(1);
  system.jacobian(0, Float64Array.of(0), out);
  assert.deepEqual([...out], [0]);
});

Deno.test("jacobian() of 0^x is a number", () => {
  const system = compileSystem(parseSystem("x'[t] == x^y, y'[t] == 0"));
  const out = new Float64Array(4);
  system.jacobian(0, Float64Array.of(0, 2), out);
  assert.deepEqual([...out], [0, 0, 0, 0]);
});

Deno.test("jacobian() uses differences when the derivatives would be too large", () => {
  const names = Array.from({ length: 60 }, (_, index) => `x${index}`);
  const product = names.map((name) => `(2+${name})/2`).join("*");
  const text = names.map((name) => `${name}' == ${name === "x0" ? Array(20).fill(product).join("*") : "1"}`)
    .join(",");
  const system = compileSystem(parseSystem(text));
  const before = system.equations.graph.nodes.length;
  const out = new Float64Array(names.length ** 2);
  system.jacobian(0, new Float64Array(names.length), out);
  assert.ok(Math.abs(out[0]! / 10 - 1) < 1e-6, `the derivative of ((2 + x)/2)^20 at 0: ${out[0]}`);
  // The derivatives that were begun filled all the room there is.
  assert.ok(system.equations.graph.nodes.length >= before + BOUNDS.derivativeNodes);
});
