/** Broken and lying databases: whatever is in the file, the process that reads it lives, and says what is wrong. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const LONG = Deno.env.get("GLASSBOX_LONG") === "1";
const MUTANTS = LONG ? 2_000 : 200;

const CHILD = fileURLToPath(new URL("../support/genome_fuzz/child.ts", import.meta.url));

Deno.test(`a dashboard of ${MUTANTS} mutated databases is always an answer or a named error`, async () => {
  const seed = Number(Deno.env.get("GLASSBOX_SEED") ?? 1);
  const directory = await Deno.makeTempDir();
  try {
    const { code, signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", CHILD, directory, String(seed), String(seed + MUTANTS)],
      stdin: "null",
    }).output();
    const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
    const said = `ended by ${signal ?? code} after: ${lines.slice(-2).join(" | ")} ${
      new TextDecoder().decode(stderr).slice(-2_000)
    }`;
    assert.equal(code, 0, said);
    assert.equal(lines.length, 2 * MUTANTS, said);
    assert.deepEqual(lines.filter((line) => /^\d+ WRONG/.test(line)), []);
    const count = (outcome: string) => lines.filter((line) => line.split(" ")[1] === outcome).length;
    console.log(`seed ${seed}: ${count("answer")} answers, ${count("refused")} refused`);
    assert.ok(count("answer") > MUTANTS / 20, "some of them are sound enough for an answer");
    assert.ok(count("refused") > MUTANTS / 20, "some of them must be refused");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
