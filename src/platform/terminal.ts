/** The three standard streams. */

import process from "node:process";
import { isatty } from "node:tty";
import type { Output, Terminal } from "../core/host.ts";
import { codeOf } from "./node_error.ts";
import { type DescriptorWrite, descriptorWriter } from "./runtime.ts";

/** Another holder of the same terminal or pipe may have made it non-blocking; then we ask again after this. */
const FULL_PAUSE_MS = 5;
const COLUMNS_DEFAULT = 80;

export function createTerminal(): Terminal {
  return {
    stdin: {
      isTerminal: isatty(0),
      read: readStdin,
    },
    stdout: createOutput(1),
    stderr: createOutput(2),
    descriptor: createOutput,
  };
}

/** `process.stdin` is touched only here, as an open stdin keeps the process alive. */
async function* readStdin(): AsyncGenerator<Uint8Array> {
  for await (const piece of process.stdin) {
    yield typeof piece === "string" ? new TextEncoder().encode(piece) : piece as Uint8Array;
  }
}

function createOutput(descriptor: number): Output {
  const write = descriptorWriter(descriptor);
  let last: Promise<void> = Promise.resolve();
  return {
    isTerminal: isatty(descriptor),
    get columns() {
      return columnsOf(descriptor) || COLUMNS_DEFAULT;
    },
    write(data) {
      const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
      const written = last.then(() => writeAll(write, bytes));
      last = written.catch(() => {});
      return written;
    },
  };
}

function columnsOf(descriptor: number): number | undefined {
  if (!isatty(descriptor)) return undefined;
  return (descriptor === 2 ? process.stderr : process.stdout).columns;
}

async function writeAll(write: DescriptorWrite, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) {
    try {
      rest = rest.subarray(await write(rest));
    } catch (error) {
      if (codeOf(error) !== "EAGAIN") throw error;
      await new Promise((resolve) => setTimeout(resolve, FULL_PAUSE_MS));
    }
  }
}
