import assert from "node:assert/strict";
import { createMemoryHost } from "../../platform/memory.ts";
import { stopNow } from "./worker.ts";

Deno.test("stopNow() also cancels and kills a job that starts late, and nothing more once all has ended", async () => {
  const { clock } = createMemoryHost();
  const ended = new AbortController();
  const running = new Set(["first"]);
  const stopped: string[] = [];
  const worker = {
    cancelRunning: () => Promise.resolve(void stopped.push(...running)),
    insist: () => running.clear(),
  };
  const stopping = stopNow(worker, clock, ended.signal);
  await clock.advance(1);
  running.add("late");
  await clock.advance(1_000);
  assert.deepEqual([stopped, [...running]], [["first", "late"], []]);
  ended.abort();
  await stopping;
});
