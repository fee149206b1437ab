import assert from "node:assert/strict";
import { thinned } from "./thin.ts";

/** How far a point is from the nearest piece of a line. */
function distance(points: Float64Array, x: number, y: number): number {
  let least = Infinity;
  for (let at = 0; at + 3 < points.length; at += 2) {
    const [ax, ay, bx, by] = points.subarray(at, at + 4) as unknown as [number, number, number, number];
    const [dx, dy] = [bx - ax, by - ay];
    const share = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)));
    least = Math.min(least, Math.hypot(x - ax - share * dx, y - ay - share * dy));
  }
  return least;
}

Deno.test("thinned() keeps a spiral within an eighth of a pixel by a seventh of its points", () => {
  const points = new Float64Array(2 * 5_000);
  for (let k = 0; k < 5_000; k++) {
    const angle = k / 100, radius = 300 * Math.exp(-angle / 15);
    points.set([radius * Math.cos(angle), radius * Math.sin(angle)], 2 * k);
  }
  const thin = thinned(points);
  assert.ok(thin.length < points.length / 7, `${thin.length}`);
  for (let k = 0; k < 5_000; k += 7) assert.ok(distance(thin, points[2 * k]!, points[2 * k + 1]!) < 0.125);
  assert.deepEqual([...thin.subarray(-2)], [...points.subarray(-2)]);
});

Deno.test("thinned() leaves the ends of a straight line, corners, and a line that goes there and back", () => {
  assert.deepEqual([...thinned(Float64Array.of(0, 0, 1, 1, 2, 2, 9, 9))], [0, 0, 9, 9]);
  assert.deepEqual([...thinned(Float64Array.of(0, 0, 5, 0, 5, 5))], [0, 0, 5, 0, 5, 5]);
  assert.deepEqual([...thinned(Float64Array.of(0, 0, 9, 0, 0, 0))], [0, 0, 9, 0, 0, 0]);
});

Deno.test("thinned() takes a line that goes round and round a piece at a time", () => {
  const points = new Float64Array(2 * 200_000);
  for (let k = 0; k < 200_000; k++) points.set([300 * Math.cos(k / 200), 300 * Math.sin(k / 200)], 2 * k);
  const thin = thinned(points);
  assert.ok(thin.length < points.length && thin.length > points.length / 40, `${thin.length}`);
  assert.deepEqual([...thin.subarray(-2)], [...points.subarray(-2)]);
});
