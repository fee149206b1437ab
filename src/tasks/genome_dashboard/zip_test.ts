import assert from "node:assert/strict";
import { unzipSync } from "fflate";
import { ZipPacker } from "./zip.ts";

Deno.test("ZipPacker packs what another program unpacks, the same bytes each time", async () => {
  const files: [string, Uint8Array][] = [
    ["a/é.json", new TextEncoder().encode("[1,2]".repeat(1000))],
    ["empty", new Uint8Array(0)],
    ["random", crypto.getRandomValues(new Uint8Array(60_000))],
  ];
  const zips = [new ZipPacker(), new ZipPacker()].map((zip) => {
    for (const [name, content] of files) zip.add(name, content);
    return zip.finish();
  });
  const [first, second] = await Promise.all(zips);
  assert.deepEqual(first, second);
  assert.deepEqual(Object.entries(unzipSync(first!)), files);
});

Deno.test("ZipPacker refuses a name that differs from another in case only", () => {
  const zip = new ZipPacker();
  zip.add("A", new Uint8Array(1));
  assert.throws(() => zip.add("a", new Uint8Array(1)), /Cannot pack a twice/);
});
