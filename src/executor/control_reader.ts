import { concatBytes } from "../core/bytes.ts";
import { ControlMessage } from "../core/control.ts";
import { LIMITS } from "../core/limits.ts";

/** A message of the child, or what was wrong with one that could not be used. */
export type ControlItem = { readonly message: ControlMessage } | { readonly refused: string };

const NEWLINE = 10;

/** Reads the control channel, one JSON document per line. Bad lines are given as such; reading goes on. */
export async function* readControl(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<ControlItem> {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const piece of pieces) {
    let start = 0;
    for (let newline = piece.indexOf(NEWLINE); newline !== -1; newline = piece.indexOf(NEWLINE, start)) {
      const length = pendingBytes + newline - start;
      if (length > LIMITS.controlMessageBytesMax) yield tooLong(length);
      else yield parse(concatBytes([...pending, piece.subarray(start, newline)]));
      pending = [];
      pendingBytes = 0;
      start = newline + 1;
    }
    const rest = piece.subarray(start);
    pendingBytes += rest.length;
    // Past the bound only the count goes on, so that an endless line takes no memory.
    if (pendingBytes <= LIMITS.controlMessageBytesMax) pending.push(rest);
    else pending = [];
  }
  if (pendingBytes > 0) yield { refused: `a message of ${pendingBytes} bytes ended without a newline` };
}

function parse(line: Uint8Array): ControlItem {
  const text = new TextDecoder().decode(line);
  if (text.trim() === "") return { refused: "an empty line" };
  try {
    return { message: ControlMessage.parse(JSON.parse(text)) };
  } catch {
    return { refused: `not a control message: ${text.slice(0, 200)}` };
  }
}

function tooLong(length: number): ControlItem {
  return { refused: `a message of ${length} bytes, above the bound of ${LIMITS.controlMessageBytesMax}` };
}
