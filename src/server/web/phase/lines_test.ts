import assert from "node:assert/strict";
import { overTime } from "./lines.ts";

const points = (times: number[], states: number[], n = 1, state = 0) => [...overTime(
  { times: Float64Array.from(times), states: Float64Array.from(states) },
  n,
  state,
  (t) => 10 * t,
  (value) => -value,
)];

Deno.test("overTime() gives every point where each has a column of pixels to itself", () => {
  assert.deepEqual(points([0, 1, 2], [5, 6, 7]), [0, -5, 10, -6, 20, -7]);
  assert.deepEqual(points([0, 1], [5, 50, 6, 60], 2, 1), [0, -50, 10, -60]);
  assert.deepEqual(points([], []), []);
});

Deno.test("overTime() keeps first, lowest, highest and last of a column, in their order", () => {
  const [times, values] = [[0, 0.01, 0.02, 0.03, 0.04, 0.05], [1, 3, 9, -4, 2, 5]];
  assert.deepEqual(points(times, values), [0, -1, 0.2, -9, 0.3, 4, 0.5, -5]);
  const many = Array.from({ length: 100_000 }, (_, k) => k);
  const short = points(many.map((k) => k / 10_000), many.map((k) => Math.sin(k)));
  assert.ok(short.length <= 2 * 4 * 101, `${short.length}`);
});
