import assert from "node:assert/strict";
import { createMemoryHost } from "../platform/memory.ts";
import { EarlySignals } from "./early_signals.ts";

Deno.test("EarlySignals hands over the signal that came early, tells of it once, and of all later ones until it is closed", () => {
  const host = createMemoryHost();
  const seen: string[] = [];
  const early = new EarlySignals(host.signals, (signal) => seen.push(`told ${signal}`));
  host.raise("SIGTERM");
  // Nobody listens now: the operating system would end the process.
  host.raise("SIGINT");
  early.handle((signal) => seen.push(`first ${signal}`));
  host.raise("SIGINT");
  early.handle((signal) => seen.push(`second ${signal}`));
  host.raise("SIGHUP");
  early.close();
  host.raise("SIGINT");
  assert.deepEqual(seen, ["told SIGTERM", "first SIGTERM", "first SIGINT", "second SIGHUP"]);
});
