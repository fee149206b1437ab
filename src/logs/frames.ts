import { EMPTY_BYTES } from "../core/bytes.ts";
import type { LineEnd, LogLine, StreamName } from "../core/job.ts";
import type { LineChunk } from "../store/line_writes.ts";

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
  for (const line of lines) at = writeFrame(frames, view, at, line);
  return frames;
}

/** Writes one line at `at`, where there must be room for it, and gives where the next belongs. */
function writeFrame(frames: Uint8Array, view: DataView, at: number, line: NewLine): number {
  frames[at] = STREAMS.indexOf(line.stream) | (ENDS.indexOf(line.end) << 1);
  view.setUint32(at + 1, line.bytes.length, true);
  view.setFloat64(at + 5, line.atMs, true);
  frames.set(line.bytes, at + HEADER_BYTES);
  return at + framedBytes(line);
}

const FIRST_BYTES = 4 * 1024;
/** Whole chunks of stored lines that are kept to be written again, of the few that a flood has under way. */
const SPARE_MAX = 4;

/**
 * Lines on their way to the store, as the chunks they will be there: a flood of lines kept as objects would take many
 * times the memory of its bytes.
 */
export class FrameBuffer {
  readonly #chunkBytesMax: number;
  #chunks: LineChunk[] = [];
  #frames: Uint8Array = EMPTY_BYTES;
  #view = new DataView(EMPTY_BYTES.buffer);
  #filled = 0;
  #bytes = 0;
  #firstSeq = 0;
  #lastSeq = 0;
  readonly #spare: Uint8Array[] = [];

  /** A chunk holds at most so many bytes, but always one line. */
  constructor(chunkBytesMax: number) {
    this.#chunkBytesMax = chunkBytesMax;
  }

  /** What waits, as it will be stored. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Copies a line; its number must follow that of the one before. */
  add(line: NewLine): void {
    const size = framedBytes(line);
    if (this.#filled > 0 && this.#filled + size > this.#chunkBytesMax) this.#cut();
    this.#makeRoom(size);
    if (this.#filled === 0) this.#firstSeq = line.seq;
    this.#lastSeq = line.seq;
    this.#filled = writeFrame(this.#frames, this.#view, this.#filled, line);
    this.#bytes += size;
  }

  /** Gives all chunks, in order, and begins anew. */
  take(): LineChunk[] {
    this.#cut();
    this.#bytes = 0;
    return this.#chunks.splice(0);
  }

  /** Takes back chunks that nobody will look at again: in a flood, garbage outgrows what collects it. */
  reuse(chunks: readonly LineChunk[]): void {
    for (const { frames } of chunks) {
      const isWhole = frames.buffer.byteLength === this.#chunkBytesMax;
      if (isWhole && this.#spare.length < SPARE_MAX) this.#spare.push(new Uint8Array(frames.buffer));
    }
  }

  #cut(): void {
    if (this.#filled === 0) return;
    const frames = this.#frames.subarray(0, this.#filled);
    this.#chunks.push({ firstSeq: this.#firstSeq, lastSeq: this.#lastSeq, frames });
    this.#frames = EMPTY_BYTES;
    this.#filled = 0;
  }

  #makeRoom(size: number): void {
    const needed = this.#filled + size;
    if (needed <= this.#frames.length) return;
    const grown = this.#roomFor(needed);
    grown.set(this.#frames.subarray(0, this.#filled));
    this.#frames = grown;
    this.#view = new DataView(grown.buffer);
  }

  #roomFor(needed: number): Uint8Array {
    const size = Math.max(needed, FIRST_BYTES, Math.min(4 * this.#frames.length, this.#chunkBytesMax));
    return size === this.#chunkBytesMax && this.#spare.pop() || new Uint8Array(size);
  }
}

/** The lines of a chunk whose first has the number `firstSeq`. */
export function decodeFrames(frames: Uint8Array, firstSeq: number, epoch: number): LogLine[] {
  return [...eachLine(frames, firstSeq, epoch)];
}

/** The same, each line made when it is asked for: a line as an object takes ten times the memory of its bytes. */
export function* eachLine(frames: Uint8Array, firstSeq: number, epoch: number): Generator<LogLine> {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
  let seq = firstSeq;
  for (let at = 0; at < frames.length;) {
    const flags = frames[at]!;
    const length = view.getUint32(at + 1, true);
    yield {
      seq: seq++,
      epoch,
      stream: STREAMS[flags & 1]!,
      end: ENDS[(flags >> 1) & 3]!,
      atMs: view.getFloat64(at + 5, true),
      bytes: frames.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length),
    };
    at += HEADER_BYTES + length;
  }
}

/** A copy of a part of a chunk, after so many lines: at most so many lines and bytes, but always one line. */
export function cutFrames(
  frames: Uint8Array,
  skip: number,
  max: { lines: number; bytes: number },
): Uint8Array {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
  const after = (at: number) => at + HEADER_BYTES + view.getUint32(at + 1, true);
  let start = 0;
  for (let count = 0; count < skip; count++) start = after(start);
  let end = after(start);
  for (let count = 1; count < max.lines && end < frames.length; count++) {
    const next = after(end);
    if (next - start > max.bytes) break;
    end = next;
  }
  return frames.slice(start, end);
}

/** Bytes a line takes in a chunk. */
export function framedBytes(line: Pick<NewLine, "bytes">): number {
  return HEADER_BYTES + line.bytes.length;
}

/** How many bytes of each stream a chunk holds, newlines included. */
export function streamBytes(frames: Uint8Array): Record<StreamName, number> {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
  const bytes = { stdout: 0, stderr: 0 };
  for (let at = 0; at < frames.length;) {
    const flags = frames[at]!;
    const length = view.getUint32(at + 1, true);
    bytes[STREAMS[flags & 1]!] += length + (ENDS[(flags >> 1) & 3] === "newline" ? 1 : 0);
    at += HEADER_BYTES + length;
  }
  return bytes;
}
