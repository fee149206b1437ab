const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

const EMPTY = -1;

/** Where short texts become bytes, so that none of them needs an array of its own. */
const scratch = new Uint8Array(4096);
const scratchView = viewOf(scratch);

/** Numbers texts from 0 in the order in which they come. It works on bytes, as most are only seen to be known. */
export class ByteIndex {
  #count = 0;
  /** All texts one behind the other; number n lies from ends[n - 1] to ends[n]. */
  #bytes = new Uint8Array(1024);
  #view = viewOf(this.#bytes);
  #ends = new Int32Array(64);
  #hashes = new Int32Array(64);
  /** Open addressing: a number, or EMPTY. */
  #slots = new Int32Array(128).fill(EMPTY);

  get size(): number {
    return this.#count;
  }

  /** The number of the text at these bytes, which is new when it was not known. */
  add(bytes: DataView, start: number, end: number): number {
    const known = this.find(bytes, start, end);
    return known === -1 ? this.#append(bytes, start, end) : known;
  }

  addText(text: string): number {
    if (text.length * 3 > scratch.length) {
      const bytes = viewOf(encoder.encode(text));
      return this.add(bytes, 0, bytes.byteLength);
    }
    return this.add(scratchView, 0, encoder.encodeInto(text, scratch).written);
  }

  /** -1 when it is not known. */
  find(bytes: DataView, start: number, end: number): number {
    const hash = hashOf(bytes, start, end);
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const index = slots[slot]!;
      if (index === EMPTY || (this.#hashes[index] === hash && this.is(index, bytes, start, end))) {
        return index;
      }
    }
  }

  /** Whether text `index` is the one at these bytes. */
  is(index: number, bytes: DataView, start: number, end: number): boolean {
    const from = index === 0 ? 0 : this.#ends[index - 1]!;
    const length = end - start;
    if (this.#ends[index]! - from !== length) return false;
    const own = this.#view;
    let at = 0;
    for (; at + 4 <= length; at += 4) {
      if (own.getInt32(from + at) !== bytes.getInt32(start + at)) return false;
    }
    for (; at < length; at++) if (own.getUint8(from + at) !== bytes.getUint8(start + at)) return false;
    return true;
  }

  text(index: number): string {
    return decoder.decode(this.#bytes.subarray(index === 0 ? 0 : this.#ends[index - 1]!, this.#ends[index]!));
  }

  /** All of them by number. */
  texts(): string[] {
    return Array.from({ length: this.#count }, (_, index) => this.text(index));
  }

  #append(bytes: DataView, start: number, end: number): number {
    const index = this.#count++;
    const from = index === 0 ? 0 : this.#ends[index - 1]!;
    if (index === this.#ends.length) this.#widen();
    if (from + end - start > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(from + end - start, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = viewOf(grown);
    }
    this.#bytes.set(new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start), from);
    this.#ends[index] = from + end - start;
    this.#hashes[index] = hashOf(bytes, start, end);
    this.#place(index);
    return index;
  }

  #widen(): void {
    const [ends, hashes] = [new Int32Array(this.#ends.length * 2), new Int32Array(this.#ends.length * 2)];
    ends.set(this.#ends);
    hashes.set(this.#hashes);
    [this.#ends, this.#hashes] = [ends, hashes];
    this.#slots = new Int32Array(this.#slots.length * 2).fill(EMPTY);
    for (let index = 0; index < this.#count - 1; index++) this.#place(index);
  }

  #place(index: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#hashes[index]! & mask;
    while (this.#slots[slot] !== EMPTY) slot = (slot + 1) & mask;
    this.#slots[slot] = index;
  }
}

/** Four bytes at a time, as most of the time of a long table is spent here and in comparing. */
function hashOf(bytes: DataView, start: number, end: number): number {
  let hash = end - start;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(hash ^ bytes.getInt32(at), 0x01000193);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ bytes.getUint8(at), 0x01000193);
  return hash ^ (hash >>> 15);
}

/** The same bytes as a view. */
function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
