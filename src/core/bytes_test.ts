import assert from "node:assert/strict";
import { concatBytes, EMPTY_BYTES, fromBase64, sha256Hex, toBase64, toHex } from "./bytes.ts";

Deno.test("concatBytes() joins parts in order, also none, one and views into larger buffers", () => {
  const whole = Uint8Array.from([1, 2, 3, 4, 5]);
  assert.deepEqual(concatBytes([]), EMPTY_BYTES);
  assert.deepEqual(concatBytes([whole.subarray(1, 3)]), Uint8Array.from([2, 3]));
  assert.deepEqual(
    concatBytes([whole.subarray(3), EMPTY_BYTES, whole.subarray(0, 2)]),
    Uint8Array.from([4, 5, 1, 2]),
  );
});

Deno.test("toHex() writes two digits for each byte", () => {
  assert.equal(toHex(Uint8Array.from([0, 1, 15, 16, 255])), "00010f10ff");
  assert.equal(toHex(EMPTY_BYTES), "");
});

Deno.test("sha256Hex() agrees with the vectors of FIPS 180-4, for text and bytes", async () => {
  assert.equal(await sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(await sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert.equal(await sha256Hex(Uint8Array.from([97, 98, 99, 100]).subarray(0, 3)), await sha256Hex("abc"));
  assert.notEqual(await sha256Hex("é"), await sha256Hex("e"));
});

Deno.test("toBase64() and fromBase64() give back every byte, at every length and above one call's arguments", () => {
  for (const length of [0, 1, 2, 3, 255, 0x8000 - 1, 0x8000, 0x8001, 200_000]) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 7) & 0xff);
    assert.deepEqual(fromBase64(toBase64(bytes)), bytes);
  }
  assert.equal(toBase64(Uint8Array.from([255, 239])), "/+8=");
  assert.throws(() => fromBase64("no*base64"));
});
