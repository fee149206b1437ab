/** Reads the rows that the SQL of `packed_sql.ts` gives. */

import { Buffer } from "node:buffer";
import { textOfBytes } from "../core/byte_text.ts";
import type { ForeignColumn, ForeignRow, PackedRows } from "../core/host.ts";

// deno-lint-ignore no-control-regex
const NOT_ASCII = /[^\x00-\x7f]/;

/** The row is overwritten by the next: of most rows only a word or two is kept. */
export function unpack(
  bytes: Uint8Array,
  columns: readonly ForeignColumn[],
  visit: (row: ForeignRow) => void,
): void {
  const packed = latin1(bytes);
  const isText = columns.map(({ as }) => as === "text");
  const isPlain = !NOT_ASCII.test(packed);
  const row: (string | number | null)[] = columns.map(() => null);
  for (let at = 0; at < packed.length;) {
    for (let column = 0; column < isText.length; column++) {
      const text = isText[column]!;
      const end = packed.indexOf(text ? ":" : ";", at);
      const isNull = end === at;
      const number = isNull ? 0 : numberOf(packed.slice(at, end));
      at = end + 1;
      if (isNull || !text) {
        row[column] = isNull ? null : number;
        continue;
      }
      const value = packed.slice(at, at + number);
      row[column] = isPlain ? value : textOfBytes(value);
      at += number;
    }
    visit(row);
  }
}

function latin1({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("latin1");
}

const [ZERO, NINE, COLON, SEMICOLON] = [48, 57, 58, 59];

/** Finds the values of packed rows without making anything of them. */
export class PackedReader {
  readonly #isText: readonly boolean[];
  #starts = new Int32Array(0);
  #ends = new Int32Array(0);
  #numbers = new Float64Array(0);

  constructor(columns: readonly ForeignColumn[]) {
    this.#isText = columns.map(({ as }) => as === "text");
  }

  read(bytes: Uint8Array): PackedRows {
    const width = this.#isText.length;
    let count = 0;
    for (let at = 0; at < bytes.length; count++) {
      if ((count + 1) * width > this.#starts.length) this.#grow();
      for (let column = 0; column < width; column++) {
        at = this.#isText[column]
          ? this.#text(bytes, at, count * width + column)
          : this.#number(bytes, at, count * width + column);
      }
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return { count, bytes: view, starts: this.#starts, ends: this.#ends, numbers: this.#numbers };
  }

  #text(bytes: Uint8Array, from: number, place: number): number {
    let length = 0;
    let at = from;
    for (; bytes[at] !== COLON; at++) length = length * 10 + bytes[at]! - ZERO;
    const isNull = at === from;
    this.#starts[place] = at + 1;
    this.#ends[place] = isNull ? -1 : at + 1 + length;
    return at + 1 + length;
  }

  #number(bytes: Uint8Array, from: number, place: number): number {
    let at = from;
    let whole = 0;
    let isWhole = true;
    for (; bytes[at] !== SEMICOLON; at++) {
      const byte = bytes[at]!;
      isWhole &&= byte >= ZERO && byte <= NINE && at - from < 15;
      if (isWhole) whole = whole * 10 + byte - ZERO;
    }
    this.#numbers[place] = at === from ? NaN : isWhole ? whole : numberOf(latin1(bytes.subarray(from, at)));
    return at + 1;
  }

  #grow(): void {
    const size = Math.max(1024, this.#starts.length * 2);
    const grown = <Kind extends Int32Array | Float64Array>(to: Kind, from: Kind): Kind => (to.set(from), to);
    this.#starts = grown(new Int32Array(size), this.#starts);
    this.#ends = grown(new Int32Array(size), this.#ends);
    this.#numbers = grown(new Float64Array(size), this.#numbers);
  }
}

/** SQLite writes infinity as `Inf`. */
function numberOf(text: string): number {
  const number = Number(text);
  return Number.isNaN(number) ? Number(text.replace("Inf", "Infinity")) : number;
}
