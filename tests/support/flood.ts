/** The child of the line faults, and what it must have left: tests/fixtures/faults/flood.py makes the same streams. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, type Sandbox } from "./glassbox.ts";
import { eventually } from "./processes.ts";

export type Stream = "stdout" | "stderr";

const NAMES: Readonly<Record<Stream, string>> = { stdout: "out", stderr: "err" };
const SCRIPT = join(ROOT, "tests/fixtures/faults/flood.py");
/** A write that the kernel took may not be counted yet when the child is killed: one piece at most. */
const PIECE_BYTES_MAX = 4000;

export interface Flood {
  /** To be run as a job. */
  readonly command: readonly [string, ...string[]];
  /** How many bytes of each stream write(2) has taken so far. */
  written(): Record<Stream, number>;
  /** Resolves when so many bytes of both streams together are written. */
  reaches(bytes: number): Promise<void>;
}

/** A child that writes `bytes` of each stream as fast as it can. */
export function newFlood(sandbox: Sandbox, name: string, bytes: number): Flood {
  const record = join(sandbox.directory, `${name}.record`);
  const written = () => {
    try {
      const view = new DataView(readFileSync(record).buffer);
      return { stdout: Number(view.getBigUint64(0, true)), stderr: Number(view.getBigUint64(8, true)) };
    } catch {
      return { stdout: 0, stderr: 0 };
    }
  };
  return {
    command: ["python3", SCRIPT, record, String(bytes)],
    written,
    reaches: async (bytes) => {
      // However slow the machine is, a child is stuck only when it writes nothing more.
      for (let before = 0; before < bytes;) {
        before = await eventually(`the child has written more than ${before} of ${bytes} bytes`, () => {
          const { stdout, stderr } = written();
          return stdout + stderr > before ? stdout + stderr : null;
        });
      }
    },
  };
}

/** The first `length` bytes that the child writes to a stream. */
export function floodBytes(stream: Stream, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const encoder = new TextEncoder();
  for (let at = 0, start = 1; at < length; start += 1000) {
    const lines = Array.from({ length: 1000 }, (_, index) => {
      const number = start + index;
      return `${NAMES[stream]} ${number} ${"x".repeat(number * 7919 % 97)}\n`;
    });
    const block = encoder.encode(lines.join(""));
    bytes.set(block.subarray(0, length - at), at);
    at += block.length;
  }
  return bytes;
}

/** The bytes of one stream as they are stored. */
export async function storedStream(sandbox: Sandbox, jobId: string, stream: Stream): Promise<Uint8Array> {
  const { code, stdout, err } = await sandbox.run(["jobs", "logs", jobId, "--raw", "--stream", stream]);
  assert.equal(code, 0, err);
  return stdout;
}

/** Holds the stored streams of a job against what its child wrote: every byte, once, in order. */
export async function assertNothingLost(sandbox: Sandbox, jobId: string, flood: Flood): Promise<number> {
  const written = flood.written();
  for (const stream of ["stdout", "stderr"] as const) {
    const stored = await storedStream(sandbox, jobId, stream);
    const count = written[stream];
    assert.ok(stored.length >= count, `${stream}: ${count - stored.length} of ${count} bytes are lost`);
    assert.ok(stored.length <= count + PIECE_BYTES_MAX, `${stream}: ${stored.length - count} bytes too many`);
    assert.ok(
      sameBytes(stored, floodBytes(stream, stored.length)),
      `${stream}: other bytes than were written`,
    );
  }
  return written.stdout + written.stderr;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
