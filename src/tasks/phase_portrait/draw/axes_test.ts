import assert from "node:assert/strict";
import { tickValues } from "./axes.ts";

const labels = (low: number, high: number) =>
  tickValues({ low, high, from: 0, to: 300 }, 60).map(({ label }) => label);

Deno.test("tickValues() gives round values with the digits that tell them apart", () => {
  assert.deepEqual(labels(-1, 1), ["−1.0", "−0.5", "0", "0.5", "1.0"]);
  assert.deepEqual(labels(1e9, 1e9 + 4), [
    "1.000000000e9",
    "1.000000001e9",
    "1.000000002e9",
    "1.000000003e9",
    "1.000000004e9",
  ]);
});

Deno.test("tickValues() gives none where doubles cannot tell them apart", () => {
  const ranges = [[1e300, 1e300], [-1.7e308, 1.7e308], [-1e308, 1e308], [1e-320, 2e-320], [1, 0], [
    0,
    Infinity,
  ]];
  for (const [low, high] of ranges) assert.deepEqual(labels(low!, high!), [], `${low} to ${high}`);
});
