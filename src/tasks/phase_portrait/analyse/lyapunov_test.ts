import assert from "node:assert/strict";
import { compileSystem, parseSystem } from "../language/mod.ts";
import { lyapunovSpectrum } from "./lyapunov.ts";

function spectrumOf(equations: string, start: readonly number[], duration: number) {
  const options = { start: Float64Array.from(start), t0: 0, transient: 50, duration };
  return lyapunovSpectrum(compileSystem(parseSystem(equations)), options);
}

function near(seen: number, wanted: number, slack: number): void {
  assert.ok(Math.abs(seen - wanted) <= slack, `${seen} is not ${wanted} within ${slack}`);
}

/** Contraction that leaves nothing of a vector within one stretch; what is known of the exponents, and how well. */
const STRONG: readonly (readonly [string, readonly number[], readonly number[], number])[] = [
  ["{x' == -x, y' == -1000000 y}", [1, 1], [-1, -1e6], 1e-6],
  ["{x' == -1000000 x, y' == -y}", [1, 1], [-1, -1e6], 1e-6],
  ["{x' == y, y' == 1000 (1 - x^2) y - x}", [2, 0], [0], 0.01],
];

for (const [equations, start, exponents, slack] of STRONG) {
  Deno.test(`lyapunovSpectrum() of ${equations} adds up to the divergence, largest first`, () => {
    const { exponents: seen, meanDivergence, stopped } = spectrumOf(equations, start, 100);
    assert.equal(stopped, null);
    exponents.forEach((value, index) => near(seen[index]!, value, slack * Math.max(1, Math.abs(value))));
    near(seen[0]! + seen[1]!, meanDivergence, 1e-6 * Math.abs(meanDivergence));
  });
}

Deno.test("lyapunovSpectrum() finds two positive exponents of Rössler's hyperchaos, and they add up to the divergence", () => {
  const equations = "{x' == -y - z, y' == x + 0.25 y + w, z' == 3 + x z, w' == -0.5 z + 0.05 w}";
  const { exponents, meanDivergence } = spectrumOf(equations, [-10, -6, 0, 10.1], 1000);
  near(exponents[0]!, 0.112, 0.04);
  near(exponents[1]!, 0.021, 0.015);
  near(exponents[2]!, 0, 0.015);
  near(exponents.reduce((sum, value) => sum + value, 0), meanDivergence, 1e-5 * Math.abs(meanDivergence));
});
