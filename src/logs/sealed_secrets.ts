import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, EMPTY_BYTES, toHex } from "../core/bytes.ts";
import { SecretStream } from "./secrets.ts";

/**
 * How to know a secret without having it. It lies beside an attempt's output, so that whoever records that after a
 * crash can clean it of secrets that died with their owner. A short fingerprint says where to look, and a salted
 * hash whether it is one.
 */
interface Seal {
  readonly length: number;
  readonly fingerprint: number;
  readonly sha256: string;
}

interface Sealed {
  readonly salt: string;
  readonly seals: readonly Seal[];
}

/** Any odd number does that is not small. */
const BASE = 0x01000193;

const STAR = 42;

/** The text to keep; `salt` makes equal secrets look different. */
export function seal(forms: readonly Uint8Array[], salt: Uint8Array): string {
  const text = toHex(salt);
  const seals = forms.map((form) => ({
    length: form.length,
    fingerprint: fingerprintOf(form),
    sha256: saltedHash(text, form),
  }));
  return JSON.stringify({ salt: text, seals } satisfies Sealed);
}

/** A cleaner of one stream made from what `seal` kept. */
export function sealedStream(text: string): SealedStream {
  return new SealedStream(JSON.parse(text));
}

export class SealedStream extends SecretStream {
  readonly #sealed: Sealed;
  readonly #lengthMax: number;
  #raw: Uint8Array = EMPTY_BYTES;
  /** The same bytes, as far as they are known to be secret already. */
  #safe: Uint8Array = EMPTY_BYTES;

  constructor(sealed: Sealed) {
    super([]);
    this.#sealed = sealed;
    this.#lengthMax = Math.max(1, ...sealed.seals.map(({ length }) => length));
  }

  override push(piece: Uint8Array): Uint8Array {
    const raw = concatBytes([this.#raw, piece]);
    const safe = concatBytes([this.#safe, piece]).slice();
    for (const one of this.#sealed.seals) this.#mask(raw, safe, one);
    // A secret that ends in the next piece begins in these bytes at the earliest.
    const done = Math.max(0, raw.length - this.#lengthMax + 1);
    this.#raw = raw.slice(done);
    this.#safe = safe.slice(done);
    return safe.subarray(0, done);
  }

  override end(): Uint8Array {
    const rest = this.#safe;
    this.#raw = this.#safe = EMPTY_BYTES;
    return rest;
  }

  #mask(raw: Uint8Array, safe: Uint8Array, { length, fingerprint, sha256: wanted }: Seal): void {
    const leaving = power(length - 1);
    let rolling = 0;
    for (let at = 0; at < raw.length; at++) {
      if (at >= length) rolling = (rolling - Math.imul(raw[at - length]!, leaving)) | 0;
      rolling = (Math.imul(rolling, BASE) + raw[at]!) | 0;
      if (rolling !== fingerprint || at < length - 1) continue;
      const window = raw.subarray(at - length + 1, at + 1);
      if (saltedHash(this.#sealed.salt, window) === wanted) safe.fill(STAR, at - length + 1, at + 1);
    }
  }
}

function fingerprintOf(bytes: Uint8Array): number {
  let rolling = 0;
  for (const byte of bytes) rolling = (Math.imul(rolling, BASE) + byte) | 0;
  return rolling;
}

function power(exponent: number): number {
  let value = 1;
  for (let count = 0; count < exponent; count++) value = Math.imul(value, BASE);
  return value;
}

function saltedHash(salt: string, bytes: Uint8Array): string {
  return toHex(sha256(concatBytes([new TextEncoder().encode(salt), bytes])));
}
