import assert from "node:assert/strict";
import { roomyRange } from "./view.ts";

Deno.test("roomyRange() leaves room about a range, about one value, and at the end of all numbers", () => {
  assert.deepEqual(roomyRange(0, 10, 0.1), [-1, 11]);
  assert.deepEqual(roomyRange(3, 3, 0.1), [2, 4]);
  for (const value of [1e9, -1e18, 1e300, 1e-320, 0]) {
    const [low, high] = roomyRange(value, value, 0.08);
    assert.ok(low < value && value < high, `${value}: ${low} to ${high}`);
  }
  const [low, high] = roomyRange(-1.7e308, 1.7e308, 0.1);
  assert.ok(low < high && Number.isFinite(high - low), `${low} to ${high}`);
});
