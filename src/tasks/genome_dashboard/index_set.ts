/** A set of small whole numbers as bits. */
export class IndexSet {
  #words = new Uint32Array(8);
  size = 0;

  get words(): Uint32Array {
    return this.#words;
  }

  add(index: number): boolean {
    const at = index >>> 5;
    if (at >= this.#words.length) {
      const grown = new Uint32Array(Math.max(at + 1, this.#words.length * 2));
      grown.set(this.#words);
      this.#words = grown;
    }
    const bit = 1 << (index & 31);
    if ((this.#words[at]! & bit) !== 0) return false;
    this.#words[at]! |= bit;
    this.size++;
    return true;
  }

  has(index: number): boolean {
    return ((this.#words[index >>> 5] ?? 0) & (1 << (index & 31))) !== 0;
  }

  *indices(): Generator<number> {
    for (let at = 0; at < this.#words.length; at++) {
      for (let word = this.#words[at]!; word !== 0; word &= word - 1) {
        yield at * 32 + 31 - Math.clz32(word & -word);
      }
    }
  }

  shared(other: IndexSet): number {
    const length = Math.min(this.#words.length, other.words.length);
    let count = 0;
    for (let at = 0; at < length; at++) count += bits(this.#words[at]! & other.words[at]!);
    return count;
  }
}

/** How many bits of a word are set. */
function bits(word: number): number {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
