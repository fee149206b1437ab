import assert from "node:assert/strict";
import { createMemoryHost } from "../platform/memory.ts";
import { StopSignal } from "./stop_signal.ts";

Deno.test("StopSignal hears the first signal, tells those who ask late, and then refuses to begin", () => {
  const host = createMemoryHost();
  const stop = new StopSignal(host);
  const told: string[] = [];
  stop.refuseIfAsked();
  stop.onAsked((signal) => told.push(`early ${signal}`));
  host.raise("SIGTERM");
  host.raise("SIGINT");
  stop.onAsked((signal) => told.push(`late ${signal}`));
  assert.deepEqual(told, ["early SIGTERM", "late SIGTERM"]);
  assert.equal(stop.exitCode, 143);
  assert.throws(() => stop.refuseIfAsked(), /cancelled: SIGTERM/);
});

Deno.test("StopSignal.overdue() rejects when the time to stop is over, and not before it was asked", async () => {
  const host = createMemoryHost();
  const stop = new StopSignal(host);
  let late: unknown = null;
  const overdue = stop.overdue(7_000).catch((error) => late = error);
  await host.clock.advance(60_000);
  assert.equal(late, null);
  host.raise("SIGINT");
  await host.clock.advance(6_999);
  assert.equal(late, null);
  await host.clock.advance(1);
  await overdue;
  assert.match(String(late), /cancelled: SIGINT/);
});

Deno.test("StopSignal.uncaught rejects with what nobody caught, until it is closed", async () => {
  const host = createMemoryHost();
  const stop = new StopSignal(host);
  const caught = stop.uncaught.catch((error) => error);
  host.leaveUncaught(new Error("lost"));
  assert.match(String(await caught), /lost/);
  const closed = new StopSignal(host);
  closed.close();
  host.raise("SIGTERM");
  assert.equal(closed.exitCode, null);
});
