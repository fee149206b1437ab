/** Faults that are put in on purpose are only of use while the text that they replace is there. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { DeliberateFault } from "../support/rig.ts";

const ROOT = new URL("../../", import.meta.url);
const LISTS = new URL("tests/faults/deliberate/", ROOT);

Deno.test("every deliberate fault replaces a text that stands once in its file, for a rig that exists", async () => {
  const guarded = new Set<string>();
  for (const { name } of Deno.readDirSync(LISTS)) {
    const { FAULTS } = await import(new URL(name, LISTS).href) as { FAULTS: readonly DeliberateFault[] };
    for (const fault of FAULTS) {
      const source = readFileSync(new URL(fault.file, ROOT), "utf8");
      assert.equal(source.split(fault.find).length - 1, 1, `${name}: ${fault.name}, in ${fault.file}`);
      assert.notEqual(fault.find, fault.replace, fault.name);
      readFileSync(new URL(fault.rig, ROOT));
      guarded.add(fault.guards);
    }
  }
  // At least twelve promises are guarded by a rig that was shown to notice when they are broken.
  assert.ok(guarded.size >= 12, [...guarded].sort().join(" "));
});
