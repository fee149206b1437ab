import type { LineEnd, LogLine, StreamName } from "../core/job.ts";

/**
 * How a chunk of lines is stored. For each line, little-endian: one byte of flags (bit 0 the stream, bits 1 and 2
 * how the line ended), the length of its bytes (32 bits), when it was completed (64-bit float, milliseconds since
 * 1970), then the bytes as written, without the newline.
 */

const HEADER_BYTES = 13;
const STREAMS: readonly StreamName[] = ["stdout", "stderr"];
const ENDS: readonly LineEnd[] = ["newline", "cut", "eof"];

export type NewLine = Omit<LogLine, "epoch">;

export function encodeFrames(lines: readonly NewLine[]): Uint8Array {
  let length = 0;
  for (const line of lines) length += HEADER_BYTES + line.bytes.length;
  const frames = new Uint8Array(length);
  const view = new DataView(frames.buffer);
  let at = 0;
  for (const line of lines) {
    frames[at] = STREAMS.indexOf(line.stream) | (ENDS.indexOf(line.end) << 1);
    view.setUint32(at + 1, line.bytes.length, true);
    view.setFloat64(at + 5, line.atMs, true);
    frames.set(line.bytes, at + HEADER_BYTES);
    at += HEADER_BYTES + line.bytes.length;
  }
  return frames;
}

/** The lines of a chunk whose first has the number `firstSeq`. */
export function decodeFrames(frames: Uint8Array, firstSeq: number, epoch: number): LogLine[] {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
  const lines: LogLine[] = [];
  let seq = firstSeq;
  for (let at = 0; at < frames.length;) {
    const flags = frames[at]!;
    const length = view.getUint32(at + 1, true);
    lines.push({
      seq: seq++,
      epoch,
      stream: STREAMS[flags & 1]!,
      end: ENDS[(flags >> 1) & 3]!,
      atMs: view.getFloat64(at + 5, true),
      bytes: frames.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length),
    });
    at += HEADER_BYTES + length;
  }
  return lines;
}

/** Bytes a line takes in a chunk. */
export function framedBytes(line: Pick<NewLine, "bytes">): number {
  return HEADER_BYTES + line.bytes.length;
}
