/**
 * Text of another program as it lies in a file: each character stands for one byte. It is compared and cut as
 * quickly as any string, keeps what is not UTF-8, and is decoded only where somebody will read it.
 */
export type ByteText = string;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

// deno-lint-ignore no-control-regex
const NOT_ASCII = /[^\x00-\x7f]/;

/** The text these bytes stand for as UTF-8; what is none becomes U+FFFD. */
export function textOfBytes(bytes: ByteText): string {
  if (!NOT_ASCII.test(bytes)) return bytes;
  const array = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at++) array[at] = bytes.charCodeAt(at);
  return decoder.decode(array);
}

/** The bytes of a text as UTF-8, to be compared with other ByteText. */
export function bytesOfText(text: string): ByteText {
  if (!NOT_ASCII.test(text)) return text;
  let bytes = "";
  for (const byte of encoder.encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}

/** The order of the bytes, which for UTF-8 is that of the code points. JavaScript's own is that of UTF-16. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (x !== y) return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}
