/** What shim.c wrote down: changes to files, in order, and between them the acknowledgements that the test has seen. */
import { appendFileSync, readFileSync } from "node:fs";

export type Change =
  | { readonly kind: "create"; readonly path: string; readonly file: number }
  | {
    readonly kind: "write";
    readonly path: string;
    readonly file: number;
    readonly offset: number;
    readonly bytes: Uint8Array;
  }
  | { readonly kind: "truncate"; readonly path: string; readonly file: number; readonly size: number }
  /** `sync` pairs the two; only what was written before the first is safe after the second. */
  | {
    readonly kind: "sync-begin" | "sync-end";
    readonly path: string;
    readonly file: number;
    readonly sync: string;
  }
  | { readonly kind: "rename" | "link"; readonly path: string; readonly to: string }
  | { readonly kind: "unlink" | "mkdir" | "rmdir"; readonly path: string };

export type Entry<Word> = Change | { readonly kind: "told"; readonly word: Word };

const HEADER_BYTES = 32;
const TOLD = 100;

/** Notes in a log that the test has been told something. */
export function tell(log: string, word: unknown): void {
  const bytes = new TextEncoder().encode(JSON.stringify(word));
  const record = new Uint8Array(HEADER_BYTES + bytes.length);
  const view = new DataView(record.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, TOLD, true);
  record.set(bytes, HEADER_BYTES);
  appendFileSync(log, record);
}

export function readLog<Word>(log: string): Entry<Word>[] {
  const bytes = new Uint8Array(readFileSync(log));
  const view = new DataView(bytes.buffer);
  const entries: Entry<Word>[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint32(at, true);
    entries.push(entryOf(view, bytes, at, length) as Entry<Word>);
    at += HEADER_BYTES + length;
  }
  return entries;
}

function entryOf(view: DataView, all: Uint8Array, at: number, length: number): Entry<unknown> {
  const type = view.getUint16(at + 4, true);
  const [first, second] = [view.getUint16(at + 6, true), view.getUint16(at + 8, true)];
  const file = Number(view.getBigUint64(at + 16, true));
  const offset = Number(view.getBigUint64(at + 24, true));
  const body = at + HEADER_BYTES;
  const text = (from: number, size: number) => new TextDecoder().decode(all.subarray(from, from + size));
  const path = text(body, first);
  const to = text(body + first, second);
  const bytes = all.subarray(body + first + second, body + length);
  const sync = `${view.getUint32(at + 12, true)} ${offset}`;
  switch (type) {
    case 1:
      return { kind: "create", path, file };
    case 2:
      return { kind: "write", path, file, offset, bytes };
    case 3:
      return { kind: "truncate", path, file, size: offset };
    case 4:
      return { kind: "sync-begin", path, file, sync };
    case 5:
      return { kind: "sync-end", path, file, sync };
    case 6:
      return { kind: "rename", path, to };
    case 7:
      return { kind: "unlink", path };
    case 8:
      return { kind: "link", path, to };
    case 9:
      return { kind: "mkdir", path };
    case 10:
      return { kind: "rmdir", path };
    case TOLD:
      return { kind: "told", word: JSON.parse(text(body, length)) };
    default:
      throw new Error(`Cannot read the log of calls: there is no type ${type}`);
  }
}
