import { EMPTY_BYTES } from "../core/bytes.ts";
import type { LineEnd } from "../core/job.ts";

/** Takes one line. Its bytes are good until this returns: whoever keeps them makes a copy. */
export type TakeLine = (bytes: Uint8Array, end: LineEnd) => void;

const NEWLINE = 10;
const FIRST_BYTES = 256;

/**
 * Cuts one stream into lines at LF, whatever the pieces it arrives in; every byte is kept. A line longer than
 * `lineBytesMax` is cut into pieces of exactly that size, so that the pieces never depend on how reads fell.
 */
export class Splitter {
  /** Unfinished text lies in one place that is used again and again: in a flood, garbage outgrows what collects it. */
  #pending: Uint8Array = EMPTY_BYTES;
  #pendingBytes = 0;
  #lineBytesMax: number;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** Takes a piece, of which nothing is kept but a copy, and gives the lines it completes. */
  push(piece: Uint8Array, take: TakeLine): void {
    let start = 0;
    while (start < piece.length) {
      const newline = piece.indexOf(NEWLINE, start);
      const stop = newline === -1 ? piece.length : newline;
      const room = this.#lineBytesMax - this.#pendingBytes;
      // A line of exactly the bound is whole; only a further byte that is not its newline cuts it.
      if (stop - start > room) {
        this.#give(piece.subarray(start, start + room), "cut", take);
        start += room;
        continue;
      }
      const bytes = piece.subarray(start, stop);
      if (newline === -1) return this.#keep(bytes);
      this.#give(bytes, "newline", take);
      start = newline + 1;
    }
  }

  /** A copy of the text after the last newline, as far as it has come. */
  get partial(): Uint8Array {
    return this.#pending.slice(0, this.#pendingBytes);
  }

  get partialBytes(): number {
    return this.#pendingBytes;
  }

  /** Gives the last line, when the stream ended without a newline. */
  end(take: TakeLine): void {
    if (this.#pendingBytes > 0) this.#give(EMPTY_BYTES, "eof", take);
  }

  #give(rest: Uint8Array, end: LineEnd, take: TakeLine): void {
    if (this.#pendingBytes === 0) return take(rest, end);
    this.#keep(rest);
    const whole = this.#pending.subarray(0, this.#pendingBytes);
    this.#pendingBytes = 0;
    take(whole, end);
  }

  #keep(bytes: Uint8Array): void {
    const needed = this.#pendingBytes + bytes.length;
    if (needed > this.#pending.length) this.#grow(needed);
    this.#pending.set(bytes, this.#pendingBytes);
    this.#pendingBytes = needed;
  }

  #grow(needed: number): void {
    const size = Math.max(needed, FIRST_BYTES, 4 * this.#pending.length);
    const grown = new Uint8Array(Math.min(size, this.#lineBytesMax));
    grown.set(this.#pending.subarray(0, this.#pendingBytes));
    this.#pending = grown;
  }
}
