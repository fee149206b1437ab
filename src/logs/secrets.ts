import { concatBytes, EMPTY_BYTES, toBase64 } from "../core/bytes.ts";

/** Shorter ones would hide half of every text. */
const LENGTH_MIN = 4;

const STAR = 42;

/**
 * Words that must never be shown or stored, in the forms in which programs print them: as they are, in a URL, in
 * JSON, in base64. Each is replaced by as many stars: so what is stored keeps the length of what was written, and
 * a place in the one is the same place in the other.
 */
export class Secrets {
  static readonly none: Secrets = new Secrets([]);

  readonly #forms: readonly string[];
  #bytes: readonly Uint8Array[] | null = null;

  private constructor(forms: readonly string[]) {
    this.#forms = forms;
  }

  static of(words: readonly string[]): Secrets {
    const forms = words.filter((word) => word.length >= LENGTH_MIN).flatMap(formsOf);
    // Longer ones first: a short one inside a long one must not spoil it.
    return new Secrets([...new Set(forms)].sort((a, b) => b.length - a.length));
  }

  /** These and those of another. */
  and(other: Secrets): Secrets {
    if (other.isEmpty) return this;
    return new Secrets(
      [...new Set([...this.#forms, ...other.#forms])].sort((a, b) => b.length - a.length),
    );
  }

  get isEmpty(): boolean {
    return this.#forms.length === 0;
  }

  isIn(text: string): boolean {
    return this.#forms.some((form) => text.includes(form));
  }

  text(text: string): string {
    let safe = text;
    for (const form of this.#forms) {
      if (safe.includes(form)) safe = safe.replaceAll(form, "*".repeat(form.length));
    }
    return safe;
  }

  /** The same value with every text in it, keys too, made safe. */
  json<T>(value: T): T {
    return this.isEmpty ? value : this.#json(value) as T;
  }

  /** For bytes that come in pieces; one for each stream. */
  stream(): SecretStream {
    return new SecretStream(this.bytes);
  }

  /** Every form as it stands in a stream. */
  get bytes(): readonly Uint8Array[] {
    return this.#bytes ??= this.#forms.map((form) => new TextEncoder().encode(form));
  }

  #json(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.#json(item));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [this.text(key), this.#json(item)]));
  }
}

/** Makes one stream safe, however its pieces were cut: what may be the beginning of a secret waits for what follows. */
export class SecretStream {
  readonly #forms: readonly Uint8Array[];
  #held: Uint8Array = EMPTY_BYTES;

  constructor(forms: readonly Uint8Array[]) {
    this.#forms = forms;
  }

  /** Gives what is safe to pass on; the piece itself is never changed. */
  push(piece: Uint8Array): Uint8Array {
    if (this.#forms.length === 0) return piece;
    const whole = masked(this.#held.length === 0 ? piece : concatBytes([this.#held, piece]), this.#forms);
    const held = heldBack(whole, this.#forms);
    this.#held = whole.slice(whole.length - held);
    return whole.subarray(0, whole.length - held);
  }

  /** Gives what was held back, when nothing more will come. */
  end(): Uint8Array {
    const rest = this.#held;
    this.#held = EMPTY_BYTES;
    return rest;
  }
}

function masked(bytes: Uint8Array, forms: readonly Uint8Array[]): Uint8Array {
  let safe = bytes;
  for (const form of forms) {
    for (let at = find(safe, form, 0); at !== -1; at = find(safe, form, at + form.length)) {
      if (safe === bytes) safe = bytes.slice();
      safe.fill(STAR, at, at + form.length);
    }
  }
  return safe;
}

function find(bytes: Uint8Array, form: Uint8Array, from: number): number {
  const last = bytes.length - form.length;
  for (
    let at = bytes.indexOf(form[0]!, from);
    at !== -1 && at <= last;
    at = bytes.indexOf(form[0]!, at + 1)
  ) {
    if (startsWith(bytes, at, form, form.length)) return at;
  }
  return -1;
}

/** How many of the last bytes could be the beginning of a form. */
function heldBack(bytes: Uint8Array, forms: readonly Uint8Array[]): number {
  let held = 0;
  for (const form of forms) {
    for (let length = Math.min(form.length - 1, bytes.length); length > held; length--) {
      if (startsWith(bytes, bytes.length - length, form, length)) held = length;
    }
  }
  return held;
}

function startsWith(bytes: Uint8Array, at: number, form: Uint8Array, length: number): boolean {
  for (let index = 0; index < length; index++) if (bytes[at + index] !== form[index]) return false;
  return true;
}

function formsOf(word: string): string[] {
  const json = JSON.stringify(word).slice(1, -1);
  return [word, json, encodeURIComponent(word), ...base64Forms(new TextEncoder().encode(word))];
}

/** How the bytes look inside any longer base64: that depends on where between three bytes they begin. */
function base64Forms(bytes: Uint8Array): string[] {
  return [0, 1, 2].flatMap((before) => {
    const text = toBase64(concatBytes([new Uint8Array(before), bytes]));
    const sure = text.slice(Math.ceil(before * 8 / 6), Math.floor((before + bytes.length) * 8 / 6));
    return [sure, sure.replaceAll("+", "-").replaceAll("/", "_")];
  }).filter((form) => form.length >= LENGTH_MIN);
}
