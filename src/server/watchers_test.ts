import assert from "node:assert/strict";
import { isGlassboxError } from "../core/errors.ts";
import { LIMITS } from "../core/limits.ts";
import { systemClock } from "../platform/clock.ts";
import { Watchers } from "./watchers.ts";

Deno.test("Watchers has as many places as the limit says, and a place left is free again", () => {
  const watchers = new Watchers(systemClock);
  const places = Array.from({ length: LIMITS.watchersMax }, () => watchers.enter());
  assert.throws(() => watchers.enter(), (error) => isGlassboxError(error, "too_many_watchers"));
  places[3]!.leave();
  places[3]!.leave();
  assert.equal(watchers.count, LIMITS.watchersMax - 1);
  watchers.enter();
  assert.throws(() => watchers.checkRoom(), (error) => isGlassboxError(error, "too_many_watchers"));
});

Deno.test("Watchers tells one that left from one that was stopped", () => {
  const watchers = new Watchers(systemClock);
  const [left, stays] = [watchers.enter(), watchers.enter()];
  left.leave();
  watchers.stop();
  assert.deepEqual([left.signal.aborted, left.isStopped], [true, false]);
  assert.deepEqual([stays.signal.aborted, stays.isStopped], [true, true]);
  assert.throws(() => watchers.enter(), (error) => isGlassboxError(error, "shutting_down"));
});
