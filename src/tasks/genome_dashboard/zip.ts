import { concatBytes } from "../../core/bytes.ts";

/** The first day a zip file can name, as such files write it: the same bytes in every time zone. */
const DOS_DATE = 0x0021;

const [LOCAL, CENTRAL, END] = [0x04034b50, 0x02014b50, 0x06054b50];
const [VERSION, UTF8_NAME, DEFLATED] = [20, 0x0800, 8];
const ENTRIES_MAX = 0xfffe;
const BYTES_MAX = 0xfffffffe;

interface Entry {
  readonly name: Uint8Array;
  readonly crc: number;
  readonly size: number;
  readonly packed: Uint8Array;
}

/** Packs files while others are being made; the same files in the same order give the same bytes. */
export class ZipPacker {
  readonly #entries: Promise<Entry>[] = [];
  readonly #names = new Set<string>();

  /** Adds a file; `name` is relative, with forward slashes, and not there yet in any spelling. */
  add(name: string, content: Uint8Array): void {
    const folded = name.toLowerCase();
    if (this.#names.has(folded)) throw new Error(`Cannot pack ${name} twice`);
    if (this.#names.size === ENTRIES_MAX) throw new Error(`Cannot pack more than ${ENTRIES_MAX} files`);
    this.#names.add(folded);
    const entry = pack(name, content);
    // Waited for by finish(), which may be later than it fails.
    entry.catch(() => {});
    this.#entries.push(entry);
  }

  async finish(): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    const directory: Uint8Array[] = [];
    let at = 0;
    for (const one of this.#entries) {
      const entry = await one;
      directory.push(header(CENTRAL, entry, at), entry.name);
      const local = header(LOCAL, entry, 0);
      pieces.push(local, entry.name, entry.packed);
      at += local.length + entry.name.length + entry.packed.length;
    }
    const directoryBytes = directory.reduce((sum, { length }) => sum + length, 0);
    if (at + directoryBytes > BYTES_MAX) {
      throw new Error(`Cannot pack more than ${BYTES_MAX} bytes: there are ${at}`);
    }
    return concatBytes([...pieces, ...directory, endOf(this.#entries.length, directoryBytes, at)]);
  }
}

async function pack(name: string, content: Uint8Array): Promise<Entry> {
  const stream = new Blob([content as Uint8Array<ArrayBuffer>]).stream();
  const packed = new Response(stream.pipeThrough(new CompressionStream("deflate-raw"))).arrayBuffer();
  return {
    name: new TextEncoder().encode(name),
    crc: crc32(content),
    size: content.length,
    packed: new Uint8Array(await packed),
  };
}

/** Both kinds of header have the same middle; the one of the directory says where the file lies. */
function header(signature: number, { name, crc, size, packed }: Entry, at: number): Uint8Array {
  const isCentral = signature === CENTRAL;
  const view = new DataView(new ArrayBuffer(isCentral ? 46 : 30));
  view.setUint32(0, signature, true);
  if (isCentral) view.setUint16(4, VERSION, true);
  const from = isCentral ? 6 : 4;
  [VERSION, UTF8_NAME, DEFLATED, 0, DOS_DATE].forEach((value, index) =>
    view.setUint16(from + 2 * index, value, true)
  );
  [crc, packed.length, size].forEach((value, index) => view.setUint32(from + 10 + 4 * index, value, true));
  view.setUint16(from + 22, name.length, true);
  if (isCentral) view.setUint32(42, at, true);
  return new Uint8Array(view.buffer);
}

function endOf(entries: number, directoryBytes: number, at: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(22));
  view.setUint32(0, END, true);
  view.setUint16(8, entries, true);
  view.setUint16(10, entries, true);
  view.setUint32(12, directoryBytes, true);
  view.setUint32(16, at, true);
  return new Uint8Array(view.buffer);
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) * 0xedb88320);
  return crc;
});

function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (let at = 0; at < bytes.length; at++) crc = CRC_TABLE[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
