import type { Pages } from "./pages.ts";

/** What a record holds: text stays bytes until it is known to be UTF-8. */
export type Value =
  | { readonly type: "null" }
  | { readonly type: "number"; readonly number: number }
  | { readonly type: "text" | "blob"; readonly bytes: Uint8Array };

/** A page of a tree, as far as it is sound. */
export interface TreePage {
  readonly isLeaf: boolean;
  /** True for the tree of a table with row ids, false for one in the order of its key. */
  readonly isTable: boolean;
  readonly children: readonly number[];
  /** Where records begin; null for a cell that lies outside the page. */
  readonly records: readonly (Place | null)[];
}

interface Place {
  readonly at: number;
  readonly length: number;
}

const INNER_KEYS = 2;
const INNER_TABLE = 5;
const LEAF_KEYS = 10;
const LEAF_TABLE = 13;
const NULL: Value = { type: "null" };

/** Null for a page that is no page of a tree. The first page of a file begins with the file's own header. */
export function treePage(bytes: Uint8Array, number: number, usableBytes: number): TreePage | null {
  const at = number === 1 ? 100 : 0;
  const kind = bytes[at]!;
  if (![INNER_KEYS, INNER_TABLE, LEAF_KEYS, LEAF_TABLE].includes(kind)) return null;
  const isLeaf = kind >= LEAF_KEYS;
  const isTable = kind === INNER_TABLE || kind === LEAF_TABLE;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint16(at + 3);
  const first = at + (isLeaf ? 8 : 12);
  if (first + 2 * count > usableBytes) return null;
  const children: number[] = [];
  const records: (Place | null)[] = [];
  for (let cell = 0; cell < count; cell++) {
    let from = view.getUint16(first + 2 * cell);
    if (from < first + 2 * count || from + 4 > usableBytes) {
      records.push(null);
      continue;
    }
    if (!isLeaf) children.push(view.getUint32(from));
    if (!isLeaf) from += 4;
    if (!isLeaf && isTable) continue;
    const length = varint(bytes, from);
    const begin = isTable ? varint(bytes, length.end).end : length.end;
    records.push({ at: begin, length: length.value });
  }
  if (!isLeaf) children.push(view.getUint32(at + 8));
  return { isLeaf, isTable, children, records };
}

function varint(bytes: Uint8Array, at: number): { value: number; end: number } {
  let value = 0;
  for (let place = 0; place < 9; place++) {
    const byte = bytes[at + place] ?? 0;
    if (place === 8) return { value: value * 256 + byte, end: at + 9 };
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return { value, end: at + place + 1 };
  }
  return { value, end: at + 9 };
}

/** Nothing that glassbox stores in one row comes near it. */
const RECORD_BYTES_MAX = 64 * 1024 * 1024;

/** The bytes of a record, of which a long one continues on pages of its own; null when any of them is missing. */
export async function recordBytes(
  pages: Pages,
  page: Uint8Array,
  isTable: boolean,
  { at, length }: Place,
): Promise<Uint8Array | null> {
  const { usableBytes } = pages;
  const mostHere = isTable ? usableBytes - 35 : Math.floor((usableBytes - 12) * 64 / 255) - 23;
  if (length <= mostHere) return at + length > usableBytes ? null : page.subarray(at, at + length);
  const leastHere = Math.floor((usableBytes - 12) * 32 / 255) - 23;
  const fitting = leastHere + (length - leastHere) % (usableBytes - 4);
  const here = fitting <= mostHere ? fitting : leastHere;
  // A length that the file cannot hold is damage, and must not be made room for.
  if (length > Math.min(RECORD_BYTES_MAX, pages.count * usableBytes) || at + here + 4 > usableBytes) {
    return null;
  }
  const bytes = new Uint8Array(length);
  bytes.set(page.subarray(at, at + here));
  let next = numberAt(page, at + here);
  for (let filled = here; filled < length;) {
    const more = next > 1 && next <= pages.count ? await pages.read(next) : null;
    if (more === null) return null;
    const piece = more.subarray(4, Math.min(usableBytes, 4 + length - filled));
    bytes.set(piece, filled);
    filled += piece.length;
    next = numberAt(more, 0);
  }
  return bytes;
}

function numberAt(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at);
}

const WHOLE_BYTES = [0, 1, 2, 3, 4, 6, 8];

/** The values of a record, or null when its bytes cannot be one. */
export function valuesOf(record: Uint8Array): Value[] | null {
  const head = varint(record, 0);
  const values: Value[] = [];
  let at = head.value;
  let kindAt = head.end;
  while (kindAt < head.value) {
    const kind = varint(record, kindAt);
    const length = bytesOfKind(kind.value);
    if (length === null || at + length > record.length) return null;
    values.push(valueOf(kind.value, record.subarray(at, at + length)));
    at += length;
    kindAt = kind.end;
  }
  return kindAt === head.value && at === record.length ? values : null;
}

function bytesOfKind(kind: number): number | null {
  if (kind >= 12) return Math.floor((kind - 12) / 2);
  if (kind === 7) return 8;
  if (kind === 8 || kind === 9) return 0;
  return WHOLE_BYTES[kind] ?? null;
}

function valueOf(kind: number, bytes: Uint8Array): Value {
  if (kind === 0) return NULL;
  if (kind >= 12) return { type: kind % 2 === 0 ? "blob" : "text", bytes };
  if (kind === 8 || kind === 9) return { type: "number", number: kind - 8 };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (kind === 7) return { type: "number", number: view.getFloat64(0) };
  const isNegative = bytes[0]! >= 0x80;
  let number = isNegative ? -1 : 0;
  for (const byte of bytes) number = number * 256 + byte;
  return { type: "number", number };
}
