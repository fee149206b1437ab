import { concatBytes, EMPTY_BYTES } from "../core/bytes.ts";
import type { LineEnd } from "../core/job.ts";

export interface SplitLine {
  readonly bytes: Uint8Array;
  readonly end: LineEnd;
}

const NEWLINE = 10;

/**
 * Cuts one stream into lines at LF, whatever the pieces it arrives in; every byte is kept. A line longer than
 * `lineBytesMax` is cut into pieces of exactly that size, so that the pieces never depend on how reads fell.
 */
export class Splitter {
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #lineBytesMax: number;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** Takes a piece and gives the lines it completes. The piece is kept by reference until its line is complete. */
  push(piece: Uint8Array): SplitLine[] {
    const lines: SplitLine[] = [];
    let start = 0;
    while (start < piece.length) {
      const newline = piece.indexOf(NEWLINE, start);
      const stop = newline === -1 ? piece.length : newline;
      const room = this.#lineBytesMax - this.#pendingBytes;
      // A line of exactly the bound is whole; only a further byte that is not its newline cuts it.
      if (stop - start > room) {
        this.#keep(piece.subarray(start, start + room));
        lines.push({ bytes: this.#take(), end: "cut" });
        start += room;
        continue;
      }
      this.#keep(piece.subarray(start, stop));
      if (newline === -1) break;
      lines.push({ bytes: this.#take(), end: "newline" });
      start = newline + 1;
    }
    return lines;
  }

  /** The text after the last newline, as far as it has come. */
  get partial(): Uint8Array {
    if (this.#pending.length > 1) this.#pending = [concatBytes(this.#pending)];
    return this.#pending[0] ?? EMPTY_BYTES;
  }

  get partialBytes(): number {
    return this.#pendingBytes;
  }

  /** The last line, when the stream ended without a newline. */
  end(): SplitLine | null {
    return this.#pendingBytes === 0 ? null : { bytes: this.#take(), end: "eof" };
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
  }

  #take(): Uint8Array {
    const whole = this.#pending.length === 0 ? EMPTY_BYTES : concatBytes(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    return whole;
  }
}
