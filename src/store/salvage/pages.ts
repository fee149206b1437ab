import { EMPTY_BYTES } from "../../core/bytes.ts";
import type { Files } from "../../core/host.ts";

/** Where a page number leads, and how pages are laid out. */
export interface Pages {
  readonly count: number;
  /** Bytes of a page that hold data. */
  readonly usableBytes: number;
  /** Null for a page that is not there, or that the disk does not give. */
  read(page: number): Promise<Uint8Array | null>;
}

const BLOCK_BYTES = 256 * 1024;
/** The tree of a table leads to and fro in the file; more would not be read less often. */
const BLOCKS_MAX = 64;
const PAGE_BYTES = 4096;

/** Bytes of a file by their place, a block at a time. What cannot be read is missing, and nothing else with it. */
class Blocks {
  readonly #files: Files;
  readonly #path: string;
  readonly #kept = new Map<number, Uint8Array>();
  readonly sizeBytes: number;

  constructor(files: Files, path: string, sizeBytes: number) {
    this.#files = files;
    this.#path = path;
    this.sizeBytes = sizeBytes;
  }

  /** Shorter than asked for at the end of the file, and empty where the disk fails. */
  async bytes(from: number, length: number): Promise<Uint8Array> {
    const number = Math.floor(from / BLOCK_BYTES);
    const start = from - number * BLOCK_BYTES;
    const block = await this.#block(number);
    if (start + length <= BLOCK_BYTES) return block.subarray(start, start + length);
    const rest = await this.bytes((number + 1) * BLOCK_BYTES, length - (BLOCK_BYTES - start));
    const whole = new Uint8Array(BLOCK_BYTES - start + rest.length);
    whole.set(block.subarray(start));
    whole.set(rest, BLOCK_BYTES - start);
    return block.length < BLOCK_BYTES ? EMPTY_BYTES : whole;
  }

  async #block(number: number): Promise<Uint8Array> {
    const known = this.#kept.get(number);
    if (known !== undefined) return known;
    const from = number * BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES, this.sizeBytes - from);
    const block = new Uint8Array(Math.max(0, length));
    // A bad sector takes its own page and not its neighbours.
    if (!await this.#fill(block, from)) {
      for (let at = 0; at < length; at += PAGE_BYTES) {
        const page = block.subarray(at, at + PAGE_BYTES);
        if (!await this.#fill(page, from + at)) page.fill(0);
      }
    }
    if (this.#kept.size >= BLOCKS_MAX) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(number, block);
    return block;
  }

  async #fill(into: Uint8Array, from: number): Promise<boolean> {
    if (into.length === 0) return true;
    let at = 0;
    try {
      for await (const piece of this.#files.readPieces(this.#path, into.length, from)) {
        const taken = piece.subarray(0, into.length - at);
        into.set(taken, at);
        at += taken.length;
        if (at === into.length) break;
      }
      return true;
    } catch {
      return false;
    }
  }
}

/** The pages of the database at `path` as its last commit left them: those of its write-ahead log go before. */
export async function openPages(files: Files, path: string): Promise<Pages> {
  const file = new Blocks(files, path, (await files.info(path))?.sizeBytes ?? 0);
  const logBytes = (await files.info(`${path}-wal`).catch(() => null))?.sizeBytes ?? 0;
  const log = await readLog(new Blocks(files, `${path}-wal`, logBytes));
  const head = log.places.has(1) ? await log.blocks.bytes(log.places.get(1)!, 100) : await file.bytes(0, 100);
  const pageBytes = log.pageBytes ?? pageBytesOf(head) ?? PAGE_BYTES;
  const reserved = pageBytesOf(head) === pageBytes ? head[20]! : 0;
  return {
    count: log.pages || Math.ceil(file.sizeBytes / pageBytes),
    // SQLite refuses less than this, and so it is damage.
    usableBytes: pageBytes - reserved < 480 ? pageBytes : pageBytes - reserved,
    async read(page) {
      const place = log.places.get(page);
      const bytes = place === undefined
        ? await file.bytes((page - 1) * pageBytes, pageBytes)
        : await log.blocks.bytes(place, pageBytes);
      return bytes.length === pageBytes ? bytes : null;
    },
  };
}

function pageBytesOf(head: Uint8Array): number | null {
  if (head.length < 100) return null;
  const told = head[16]! * 256 + head[17]!;
  const bytes = told === 1 ? 65_536 : told;
  return bytes >= 512 && (bytes & (bytes - 1)) === 0 ? bytes : null;
}

interface Log {
  readonly blocks: Blocks;
  readonly pageBytes: number | null;
  /** Where in the log the newest committed bytes of a page are. */
  readonly places: ReadonlyMap<number, number>;
  /** How many pages the database has after the last commit in it. */
  readonly pages: number;
}

const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/** As SQLite does: frames count up to the last commit before the first that is not sound or of an older log. */
async function readLog(blocks: Blocks): Promise<Log> {
  const places = new Map<number, number>();
  const header = (await blocks.bytes(0, LOG_HEADER_BYTES)).slice();
  const view = new DataView(header.buffer);
  const magic = header.length === LOG_HEADER_BYTES ? view.getUint32(0) : 0;
  const isLittle = magic === 0x377f0682;
  const sums = { a: 0, b: 0, isLittle };
  const pageBytes = magic === 0 ? 0 : view.getUint32(8);
  addSums(sums, header.subarray(0, 24));
  const isSound = (isLittle || magic === 0x377f0683) && pageBytes >= 512 && pageBytes <= 65_536 &&
    sums.a === view.getUint32(24) && sums.b === view.getUint32(28);
  if (!isSound) return { blocks, pageBytes: null, places, pages: 0 };
  let pages = 0;
  const pending = new Map<number, number>();
  for (let at = LOG_HEADER_BYTES;; at += FRAME_HEADER_BYTES + pageBytes) {
    const bytes = await blocks.bytes(at, FRAME_HEADER_BYTES + pageBytes);
    if (bytes.length < FRAME_HEADER_BYTES + pageBytes) break;
    const frame = new DataView(bytes.buffer, bytes.byteOffset);
    if (frame.getUint32(8) !== view.getUint32(16) || frame.getUint32(12) !== view.getUint32(20)) break;
    addSums(sums, bytes.subarray(0, 8));
    addSums(sums, bytes.subarray(FRAME_HEADER_BYTES));
    if (frame.getUint32(16) !== sums.a || frame.getUint32(20) !== sums.b) break;
    pending.set(frame.getUint32(0), at + FRAME_HEADER_BYTES);
    if (frame.getUint32(4) === 0) continue;
    pages = frame.getUint32(4);
    for (const [page, place] of pending) places.set(page, place);
    pending.clear();
  }
  return { blocks, pageBytes: places.size === 0 ? null : pageBytes, places, pages };
}

function addSums(sums: { a: number; b: number; isLittle: boolean }, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    sums.a = (sums.a + view.getUint32(at, sums.isLittle) + sums.b) >>> 0;
    sums.b = (sums.b + view.getUint32(at + 4, sums.isLittle) + sums.a) >>> 0;
  }
}
