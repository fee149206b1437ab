/**
 * The help of every command, word for word as in golden/. After a wanted change:
 * GLASSBOX_UPDATE_GOLDEN=1 deno test -A tests/cli/help_test.ts
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { newSandbox, programs, type Sandbox } from "../support/glassbox.ts";

const GOLDEN = fileURLToPath(new URL("golden", import.meta.url));
const IS_UPDATE = Deno.env.get("GLASSBOX_UPDATE_GOLDEN") === "1";

/** Each command's words, found by walking the help texts, so that a new command cannot be forgotten. */
async function commandsOf(sandbox: Sandbox, words: readonly string[] = []): Promise<string[][]> {
  const { out } = await sandbox.run([...words, "--help"]);
  const listed = /^Commands:\n((?: .*\n)+)/m.exec(out)?.[1] ?? "";
  const names = [...listed.matchAll(/^ {2}([a-z]+)/gm)].map((match) => match[1]!).filter((name) =>
    name !== "help"
  );
  const inner = await Promise.all(names.map((name) => commandsOf(sandbox, [...words, name])));
  return [[...words], ...inner.flat()];
}

function goldenName(words: readonly string[]): string {
  return `${["glassbox", ...words].join("_")}.txt`;
}

for (const program of programs()) {
  Deno.test(`--help (${program.name}) of every command is as it was agreed`, async (t) => {
    await using sandbox = await newSandbox(program);
    const commands = await commandsOf(sandbox);
    for (const words of commands) {
      await t.step(["glassbox", ...words].join(" "), async () => {
        const { code, out, err } = await sandbox.run([...words, "--help"]);
        assert.deepEqual([code, err], [0, ""]);
        const file = join(GOLDEN, goldenName(words));
        if (IS_UPDATE) await writeFile(file, out);
        assert.equal(out, await readFile(file, "utf8"));
        const asked = [...words.slice(0, -1), "help", ...words.slice(-1)];
        assert.equal((await sandbox.run(asked)).out, out);
        assert.ok(out.split("\n").every((line) => line.length <= 120), "a line is too long for a terminal");
      });
    }
    const known = commands.map(goldenName).sort();
    assert.deepEqual(
      readdirSync(GOLDEN).sort(),
      known,
      "golden/ holds the help of a command that is no more",
    );
    assert.deepEqual(
      readdirSync(sandbox.directory).sort(),
      ["here", "home", "tmp"],
      "help must touch nothing",
    );
  });
}
