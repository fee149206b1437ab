import assert from "node:assert/strict";
import type { LineEnd } from "../core/job.ts";
import { createMemoryHost } from "../platform/memory.ts";
import { KbaseOutput } from "./kbase_output.ts";

function line(bytes: Uint8Array, end: LineEnd) {
  return { seq: 1, epoch: 1, stream: "stdout" as const, atMs: 0, end, bytes };
}

Deno.test("KbaseOutput.show() writes each line once and whole, and joins a character that a cut went through", async () => {
  const host = createMemoryHost();
  const bytes = new TextEncoder().encode("aé");
  const lines = [
    line(bytes.subarray(0, 2), "cut"),
    line(bytes.subarray(2), "newline"),
    line(Uint8Array.of(0xff), "newline"),
    line(Uint8Array.of(0x62, 0xc3), "eof"),
  ];
  await new KbaseOutput(host).show({ state: "running", lines, partials: null, events: [] });
  const { writes } = host.terminal.stdout;
  assert.deepEqual(writes.map((write) => new TextDecoder("utf-8", { fatal: true }).decode(write)), [
    "a",
    "é\n",
    "\ufffd\n",
    "b\ufffd\n",
  ]);
});

Deno.test("KbaseOutput.show() goes on when nobody takes what it writes", async () => {
  const host = createMemoryHost();
  host.terminal.stdout.failure = new Error("EPIPE");
  const lines = [line(Uint8Array.of(0x61), "newline")];
  await new KbaseOutput(host).show({ state: "running", lines, partials: null, events: [] });
  assert.equal(host.terminal.stdout.text, "");
});
