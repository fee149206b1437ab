/** The parts of a WebAssembly module as bytes: what of the binary format is needed, and no more. */

/** Instructions without immediate operands, or whose operands follow. */
export const CODE = {
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  call: 0x10,
  select: 0x1b,
  localGet: 0x20,
  localSet: 0x21,
  load: 0x2b,
  store: 0x39,
  constant: 0x44,
  i32Zero: 0x45,
  eq: 0x61,
  ne: 0x62,
  lt: 0x63,
  le: 0x65,
  i32And: 0x71,
  i32Or: 0x72,
  abs: 0x99,
  neg: 0x9a,
  ceil: 0x9b,
  floor: 0x9c,
  sqrt: 0x9f,
  add: 0xa0,
  sub: 0xa1,
  mul: 0xa2,
  div: 0xa3,
  min: 0xa4,
  max: 0xa5,
  fromI32: 0xb8,
} as const;

export const F64 = 0x7c;
export const I32 = 0x7f;

const SECTION = { type: 1, import: 2, function: 3, export: 7, code: 10 } as const;

/** A growing array of bytes. */
export class ByteWriter {
  #bytes = new Uint8Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  byte(...values: number[]): void {
    for (const value of values) {
      this.#reserve(1);
      this.#bytes[this.#length++] = value;
    }
  }

  /** An unsigned number in LEB128. */
  unsigned(value: number): void {
    for (; value >= 0x80; value = Math.floor(value / 0x80)) this.byte((value & 0x7f) | 0x80);
    this.byte(value);
  }

  double(value: number): void {
    this.#reserve(8);
    new DataView(this.#bytes.buffer).setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.unsigned(bytes.length);
    this.append(bytes);
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  done(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** A function that a module imports: its name, and how many numbers it takes. */
export interface ImportedFunction {
  readonly name: string;
  readonly arity: 1 | 2;
}

/** A module with one function `run(t, y, out)`, whose memory and imports come from the import object `env`. */
export function moduleBytes(
  imports: readonly ImportedFunction[],
  pages: number,
  localCount: number,
  instructions: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  writer.byte(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);
  section(writer, SECTION.type, (part) => {
    part.unsigned(3);
    part.byte(0x60, 1, F64, 1, F64);
    part.byte(0x60, 2, F64, F64, 1, F64);
    part.byte(0x60, 3, F64, I32, I32, 0);
  });
  section(writer, SECTION.import, (part) => {
    part.unsigned(imports.length + 1);
    for (const { name, arity } of imports) {
      importName(part, name);
      part.byte(0x00, arity - 1);
    }
    importName(part, "memory");
    part.byte(0x02, 0x01);
    part.unsigned(pages);
    part.unsigned(pages);
  });
  section(writer, SECTION.function, (part) => part.byte(1, 2));
  section(writer, SECTION.export, (part) => {
    part.unsigned(1);
    part.text("run");
    part.byte(0x00);
    part.unsigned(imports.length);
  });
  section(writer, SECTION.code, (part) => {
    part.unsigned(1);
    const body = new ByteWriter();
    body.unsigned(localCount === 0 ? 0 : 1);
    if (localCount > 0) {
      body.unsigned(localCount);
      body.byte(F64);
    }
    body.append(instructions);
    body.byte(CODE.end);
    part.unsigned(body.length);
    part.append(body.done());
  });
  return writer.done();
}

function section(writer: ByteWriter, id: number, fill: (part: ByteWriter) => void): void {
  const part = new ByteWriter();
  fill(part);
  writer.byte(id);
  writer.unsigned(part.length);
  writer.append(part.done());
}

function importName(part: ByteWriter, name: string): void {
  part.text("env");
  part.text(name);
}
