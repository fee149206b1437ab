import assert from "node:assert/strict";
import { concatBytes, toBase64 } from "../core/bytes.ts";
import { seal, sealedStream } from "./sealed_secrets.ts";
import { Secrets, type SecretStream } from "./secrets.ts";

const TOKEN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const PASSWORD = 'p"ä+/ w';

const encoder = new TextEncoder();

/** What a stream makes of `text` when it comes in pieces of `size` bytes. */
function throughStream(stream: SecretStream, text: string, size: number): string {
  const bytes = encoder.encode(text);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(stream.push(bytes.subarray(at, at + size)));
  return new TextDecoder().decode(concatBytes([...pieces, stream.end()]));
}

Deno.test("Secrets.text() hides a secret as it is, in JSON, in a URL and in base64, and keeps every length", () => {
  const secrets = Secrets.of([TOKEN, PASSWORD]);
  const forms = [TOKEN, PASSWORD, JSON.stringify(PASSWORD).slice(1, -1), encodeURIComponent(PASSWORD)];
  for (const form of forms) {
    assert.equal(secrets.text(`a ${form} z`), `a ${"*".repeat(form.length)} z`);
  }
  for (const before of ["", "u", "us", "user:"]) {
    const text = toBase64(encoder.encode(`${before}${TOKEN}:more`));
    const safe = secrets.text(text);
    assert.equal(safe.length, text.length);
    // What is left of the secret's own letters is less than one byte at each end.
    assert.match(safe, /\*{41,}/);
  }
  assert.equal(secrets.text("nothing of that kind"), "nothing of that kind");
  assert.equal(secrets.isIn(`x${TOKEN}`), true);
  assert.equal(secrets.isIn(TOKEN.slice(1)), false);
});

Deno.test("Secrets.json() goes into lists, objects and keys, and leaves all else as it is", () => {
  const value = { [TOKEN]: [`${TOKEN}!`, 1, null, { deep: TOKEN }], same: true };
  const stars = "*".repeat(32);
  assert.deepEqual(Secrets.of([TOKEN]).json(value), {
    [stars]: [`${stars}!`, 1, null, { deep: stars }],
    same: true,
  });
  assert.equal(Secrets.none.json(value), value);
});

Deno.test("Secrets.of() takes no word that is too short to be one", () => {
  assert.equal(Secrets.of(["", "a", "abc"]).isEmpty, true);
  assert.equal(Secrets.of(["abcd"]).isEmpty, false);
});

Deno.test("SecretStream hides a secret however the pieces were cut, and loses no byte", () => {
  const text = `AAB ${TOKEN}\n${TOKEN.slice(0, 31)}x ABCD${TOKEN}${TOKEN}ä\nABC`;
  const stars = "*".repeat(32);
  const wanted = `AAB ${stars}\n${TOKEN.slice(0, 31)}x ABCD${stars}${stars}ä\nABC`;
  const secrets = Secrets.of([TOKEN]);
  const salt = Uint8Array.of(1, 2, 3);
  for (let size = 1; size <= text.length; size++) {
    assert.equal(throughStream(secrets.stream(), text, size), wanted, `pieces of ${size}`);
    assert.equal(
      throughStream(sealedStream(seal(secrets.bytes, salt)), text, size),
      wanted,
      `${size}, sealed`,
    );
  }
});

Deno.test("SecretStream holds back only what may become a secret, and changes no piece it was given", () => {
  const stream = Secrets.of([TOKEN]).stream();
  const push = (text: string) => new TextDecoder().decode(stream.push(encoder.encode(text)));
  assert.equal(push("name? "), "name? ");
  assert.equal(push("ABC"), "");
  assert.equal(push("x"), "ABCx");
  const piece = encoder.encode(TOKEN);
  stream.push(piece);
  assert.equal(new TextDecoder().decode(piece), TOKEN);
});

Deno.test("seal() keeps nothing of a secret that could be read, and no two alike", () => {
  const { bytes } = Secrets.of([TOKEN]);
  const sealed = seal(bytes, Uint8Array.of(1));
  assert.equal(sealed.includes(TOKEN.slice(0, 6)), false);
  assert.notEqual(sealed, seal(bytes, Uint8Array.of(2)));
});
