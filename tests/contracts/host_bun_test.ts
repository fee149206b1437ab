/** The checks of host_checks as one bundle under Bun and under Deno, and both engines on one lock file. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import * as path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { noOptionalAddons } from "../../scripts/bundle_plugins.ts";
import { createHost } from "../../src/platform/host.ts";
import { finish, readUntil, start, textOf } from "./host_checks/check.ts";
import { ALL_CHECKS } from "./host_checks/mod.ts";

const MAIN = fileURLToPath(new URL("./host_checks/main.ts", import.meta.url));
const BANNER =
  `import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);`;
const host = createHost();

/** All checks take half a minute, or a few on a busy machine. */
const HANG_MS = 900_000;

/** Bun's executable as npm installs it beside the package `bun`. */
function findBun(): string {
  const inBun = createRequire(createRequire(import.meta.url).resolve("bun/package.json"));
  const name = `@oven/bun-${process.platform}-${process.arch === "arm64" ? "aarch64" : "x64"}`;
  return path.join(path.dirname(inBun.resolve(`${name}/package.json`)), "bin", "bun");
}

async function bundle(outfile: string): Promise<string> {
  await build({
    entryPoints: [MAIN],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    external: ["bun:*"],
    banner: { js: BANNER },
    // Bun would ask the registry for what it does not find beside the bundle, and wait for its answer.
    plugins: [noOptionalAddons],
    logLevel: "error",
  });
  return outfile;
}

async function inTemporaryDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = fs.mkdtempSync(path.join(tmpdir(), "glassbox-host-bun-"));
  try {
    await use(directory);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs all checks in one process of the given engine and turns each into a step. */
async function runAll(test: Deno.TestContext, command: readonly string[], directory: string): Promise<void> {
  fs.mkdirSync(directory);
  const program = await start(host, [...command, "checks", directory]);
  const giveUp = setTimeout(() => program.signalGroup("SIGKILL"), HANG_MS);
  const { out, err, code } = await finish(program).finally(() => clearTimeout(giveUp));
  const last = out.trimEnd().split("\n").at(-1);
  assert.deepEqual([err, code], ["", 0], `code ${code}, stderr ${err}, last told ${last}`);
  const results = out.trimEnd().split("\n").map((line) =>
    JSON.parse(line) as { name: string; failure: string | null }
  );
  assert.deepEqual(results.map(({ name }) => name), Object.keys(ALL_CHECKS));
  for (const { name, failure } of results) {
    await test.step(name, () => {
      if (failure !== null) assert.fail(failure);
    });
  }
}

Deno.test("createHost() does the same, bundled, under Bun and under Deno", async (test) => {
  await inTemporaryDirectory(async (directory) => {
    const file = await bundle(path.join(directory, "checks.mjs"));
    await test.step("Bun", (step) => runAll(step, [findBun(), file], path.join(directory, "bun")));
    const deno = [process.execPath, "run", "--allow-all", file];
    await test.step("Deno", (step) => runAll(step, deno, path.join(directory, "deno")));
  });
});

Deno.test("locks of Bun and Deno exclude each other on one file", async () => {
  await inTemporaryDirectory(async (directory) => {
    const file = await bundle(path.join(directory, "checks.mjs"));
    const engines = [[findBun(), file], [process.execPath, "run", "--allow-all", file]];
    const [lock, count] = [path.join(directory, "lock"), path.join(directory, "count")];
    fs.writeFileSync(count, "0");
    const counters = [...engines, ...engines].map((engine) =>
      start(host, [...engine, "count", lock, count, "300"])
    );
    for (const counter of await Promise.all(counters)) assert.deepEqual((await finish(counter)).code, 0);
    assert.equal(fs.readFileSync(count, "utf8"), "1200");
    for (const engine of engines) {
      const holder = await start(host, [...engine, "hold", lock]);
      await readUntil(holder.stdout, "held");
      assert.equal(await host.locks.tryAcquire(lock), null);
      const waiting = host.locks.acquire(lock);
      holder.signalGroup("SIGKILL");
      (await waiting).release();
      await Promise.all([textOf(holder.stdout), textOf(holder.stderr), holder.exited]);
    }
  });
});

Deno.test("Bun waits for a lock that Deno holds", async () => {
  await inTemporaryDirectory(async (directory) => {
    const file = await bundle(path.join(directory, "checks.mjs"));
    const lock = path.join(directory, "lock");
    const held = await host.locks.acquire(lock);
    const waiting = await start(host, [findBun(), file, "hold", lock]);
    await readUntil(waiting.stdout, "busy");
    fs.writeFileSync(lock, "let go");
    held.release();
    await readUntil(waiting.stdout, "held let go");
    waiting.signalGroup("SIGKILL");
    waiting.abandonPipes();
    await waiting.exited;
  });
});

Deno.test("about tells of a compiled program when its entry has left the mark of one", async () => {
  await inTemporaryDirectory(async (directory) => {
    const bun = findBun();
    await bundle(path.join(directory, "checks.mjs"));
    const entry = path.join(directory, "entry.mjs");
    fs.writeFileSync(entry, 'globalThis.__glassboxBinary = {};\nawait import("./checks.mjs");\n');
    const { about, selfCommand } = JSON.parse((await finish(await start(host, [bun, entry, "about"]))).out);
    const executable = fs.realpathSync(bun);
    assert.deepEqual(selfCommand, [executable]);
    assert.deepEqual([about.engine, about.compiled, about.binary], ["bun", true, executable]);
  });
});
