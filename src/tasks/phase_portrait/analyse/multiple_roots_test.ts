import assert from "node:assert/strict";
import { compileSystem, parseSystem } from "../language/mod.ts";
import { findEquilibria } from "./equilibria.ts";

/** Roots at which f is flat, so that rounding hides where they are: none may pass for a node, a saddle or a focus. */
const FLAT: readonly (readonly [string, readonly number[], string])[] = [
  ["x' == x^2", [0], "degenerate: all eigenvalues are zero"],
  ["x' == x^2 - 2 x + 1", [1], "degenerate: all eigenvalues are zero"],
  ["{x' == x^2 - y^2, y' == -2 x y}", [0, 0], "degenerate: all eigenvalues are zero"],
  ["{x' == x^2 - y^2, y' == 2 x y}", [0, 0], "degenerate: all eigenvalues are zero"],
  ["{x' == y, y' == x^2}", [0, 0], "degenerate: all eigenvalues are zero"],
  [
    "{x' == x^2 - 1.4 x + 0.49, y' == -y}",
    [0.7, 0],
    "non-hyperbolic (a zero eigenvalue, line or fold candidate)",
  ],
  ["{x' == (x - 0.5) (x - 0.5001), y' == -y}", [0.5, 0], "stable node"],
  ["{x' == -10^-7 x, y' == -y}", [0, 0], "stable node"],
];

for (const [equations, place, type] of FLAT) {
  Deno.test(`findEquilibria() calls (${place}) of ${equations} ${type}`, () => {
    const system = compileSystem(parseSystem(equations)), n = system.dimension;
    const view = { low: new Float64Array(n).fill(-2), high: new Float64Array(n).fill(2) };
    const [first] = findEquilibria(system, 0, view).equilibria;
    assert.equal(first?.type, type);
    first.point.forEach((value, i) => assert.ok(Math.abs(value - place[i]!) < 1e-7, `${first.point}`));
  });
}
