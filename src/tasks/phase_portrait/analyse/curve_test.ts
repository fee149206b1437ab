import assert from "node:assert/strict";
import { type Curve, wholeCurve } from "./curve.ts";

const curve = (times: number[], states: number[]): Curve => ({
  times: Float64Array.from(times),
  states: Float64Array.from(states),
  status: "ok",
});

Deno.test("wholeCurve() joins past and future of a start in ascending time", () => {
  const whole = wholeCurve(curve([0, -1, -2], [1, 2, 3, 4, 5, 6]), curve([0, 4], [1, 2, 7, 8]), 2)!;
  assert.deepEqual([...whole.times], [-2, -1, 0, 4]);
  assert.deepEqual([...whole.states], [5, 6, 3, 4, 1, 2, 7, 8]);
  assert.equal(whole.startRow, 2);
});

Deno.test("wholeCurve() turns a past without a future round, and gives null for neither", () => {
  const past = wholeCurve(curve([0, -1], [1, 2]), null, 1)!;
  assert.deepEqual([[...past.times], [...past.states], past.startRow], [[-1, 0], [2, 1], 1]);
  assert.equal(wholeCurve(null, null, 1), null);
});
