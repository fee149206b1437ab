import assert from "node:assert/strict";
import type { ProcessLook } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { createMemoryHost } from "../platform/memory.ts";
import { diagnose, QuietWatch } from "./quiet.ts";

const SLEEPER: ProcessLook = { pid: 7, name: "sh", state: "S", cpuMs: 0, waitsFor: null };
const reading = (descriptor: number): ProcessLook => ({
  ...SLEEPER,
  pid: 8,
  name: "cat",
  waitsFor: { call: "read", descriptor, on: "pipe" },
});

Deno.test("diagnose() names what tells most, whatever else the group does", () => {
  const writer: ProcessLook = { ...SLEEPER, waitsFor: { call: "write", descriptor: 1, on: "pipe" } };
  const runner: ProcessLook = { ...SLEEPER, state: "R" };
  assert.equal(diagnose([SLEEPER, reading(0), runner, writer], 0).why, "output_unread");
  assert.equal(diagnose([SLEEPER, reading(0), runner], 0).why, "running");
  assert.equal(diagnose([SLEEPER], 30).why, "running");
  assert.deepEqual(diagnose([SLEEPER, reading(0)], 0), {
    why: "waiting_to_read",
    message: "cat (pid 8) waits to read from its standard input, a pipe",
  });
  assert.match(diagnose([reading(5)], 0).message, /descriptor 5, a pipe/);
  assert.equal(diagnose([{ ...SLEEPER, state: "D" }], 0).why, "waiting_for_disk");
  assert.equal(diagnose([{ ...SLEEPER, state: "T" }], 0).why, "stopped");
  assert.equal(diagnose([SLEEPER], 0).why, "sleeping");
  assert.equal(diagnose([], 0).why, "unknown");
});

Deno.test("QuietWatch tells of silence after growing pauses, a few times, and not while the program writes", async () => {
  const host = createMemoryHost();
  const watch = new QuietWatch(host.clock);
  const told: number[] = [];
  const ended = new AbortController();
  const running = watch.run(() => [SLEEPER], ({ forMs }) => told.push(forMs), ended.signal);
  await host.clock.advance(LIMITS.silentAfterMs - 1);
  watch.heard();
  await host.clock.advance(LIMITS.silentAfterMs - 1);
  assert.deepEqual(told, []);
  await host.clock.advance(LIMITS.silentAfterMs * 100);
  const first = LIMITS.silentAfterMs;
  assert.deepEqual(told, [1, 2, 4, 8, 16, 32].map((times) => times * first));
  await running;
});
