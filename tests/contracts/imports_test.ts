/** The arrows between the rooms of the house point one way: design.md section 4. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { graphFaults, importsOf, readSources, roomOf } from "../support/module_graph.ts";
import { tokensOf } from "../support/tokens.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The faults of one file among others that are well. */
function faultsOf(path: string, source: string): string[] {
  return graphFaults(new Map([["src/core/job.ts", "export const a = 1;"], [path, source]]));
}

Deno.test("the sources keep to the import directions, the libraries and the names of their rooms", () => {
  const sources = readSources(ROOT);
  assert.ok(
    sources.size > 60 && sources.has("main.ts") && sources.has("src/core/host.ts"),
    `${sources.size} files`,
  );
  assert.deepEqual(graphFaults(sources), []);
});

Deno.test("the sources really are read: rooms import each other, libraries and node: as expected", () => {
  const sources = readSources(ROOT);
  const imports = (path: string) => importsOf(tokensOf(sources.get(path) ?? "")).map(({ text }) => text);
  assert.ok(imports("src/store/store.ts").includes("../core/errors.ts"));
  assert.ok(imports("src/store/connection.ts").includes("@libsql/client"), "also by a dynamic import");
  assert.ok(
    [...sources.keys()].some((path) =>
      roomOf(path) === "platform" && imports(path).some((text) => text?.startsWith("node:"))
    ),
  );
});

const ALLOWED: Record<string, [path: string, source: string]> = {
  "core from store": ["src/store/x.ts", 'import { a } from "../core/job.ts";'],
  "its own room": ["src/core/x.ts", 'import type { Job } from "./job.ts";'],
  "the registry from executor": ["src/executor/x.ts", 'import { r } from "../tasks/registry.ts";'],
  "kbase from the genome dashboard": [
    "src/tasks/genome_dashboard/x.ts",
    'import { c } from "../../kbase/client.ts";',
  ],
  "a task from the registry": ["src/tasks/registry.ts", 'import { exec } from "./exec/task.ts";'],
  "anything from main.ts": ["main.ts", 'import "./src/platform/host.ts"; import "left-pad"; Deno.exit();'],
  "anything from edge.ts": ["src/edge.ts", 'import "./platform/edge.ts"; process.env.X;'],
  "node: and Deno in platform": [
    "src/platform/x.ts",
    'import fs from "node:fs"; Deno.args; Bun.hash(process.pid);',
  ],
  "a computed import in platform": ["src/platform/x.ts", 'await import("bun:" + "ffi"); import "bun:ffi";'],
  "zod anywhere": ["src/core/x.ts", 'import { z } from "zod";'],
  "names in comments": ["src/core/x.ts", '// Deno.env\n/* import "../store/store.ts"; Bun.x */ const a = 1;'],
  "names in strings": ["src/core/x.ts", 'const a = "Deno.env" + \'process.env\' + `Bun.x import "x"`;'],
  "names in regular expressions": [
    "src/core/x.ts",
    'const a = /["\'`\\/[/"]Deno.x/.test(b) ? 1 / 2 : /Bun.y/;',
  ],
  "properties of that name": [
    "src/core/x.ts",
    "host.process.kill(); x.Deno.y; const o = { process: 1, Dense: 2 };",
  ],
  "a parameter named process": ["src/core/x.ts", "function f(process: number) { return process + 1; }"],
  "import.meta": ["src/core/x.ts", "const a = import.meta.url;"],
  "Array.from and a method import": [
    "src/core/x.ts",
    'Array.from("node:fs"); a.import("node:os"); a.from `x`;',
  ],
};

for (const [what, [path, source]] of Object.entries(ALLOWED)) {
  Deno.test(`graphFaults() allows ${what}`, () => assert.deepEqual(faultsOf(path, source), []));
}

const FORBIDDEN: Record<string, [path: string, source: string, fault: RegExp]> = {
  "store from core": [
    "src/core/x.ts",
    'import { s } from "../store/store.ts";',
    /x\.ts:1: room core imports/,
  ],
  "a type of store from core": [
    "src/core/x.ts",
    '\nimport type { S } from "../store/store.ts";',
    /x\.ts:2: room core/,
  ],
  "an import of a type in passing": ["src/core/x.ts", 'let s: import("../store/store.ts").S;', /room core/],
  "a re-export": ["src/core/x.ts", 'export * from "../store/store.ts";', /room core/],
  "a named re-export": ["src/core/x.ts", 'export { a,\n b as c } from "../logs/x.ts";', /room core/],
  "an import for its effect": ["src/core/x.ts", 'import "../store/store.ts";', /room core/],
  "a dynamic import": ["src/core/x.ts", 'await import("../store/store.ts");', /room core/],
  "a dynamic import in a template": [
    "src/core/x.ts",
    '`a ${b({})} ${await import("../store/x.ts")}`',
    /room core/,
  ],
  "an import after a regular expression": [
    "src/core/x.ts",
    'a = /[/"`]/; import "../store/x.ts";',
    /room core/,
  ],
  "an import after a division": [
    "src/core/x.ts",
    'a = b / c; import "../store/x.ts"; d = e / f',
    /room core/,
  ],
  "a computed dynamic import": ["src/core/x.ts", "await import(name);", /only the run will tell/],
  "a dynamic import put together": [
    "src/core/x.ts",
    'await import("../store/" + x);',
    /only the run will tell/,
  ],
  "a dynamic import of a template": [
    "src/core/x.ts",
    "await import(`../store/${x}.ts`);",
    /only the run will tell/,
  ],
  "platform from cli": [
    "src/cli/x.ts",
    'import { createHost } from "../platform/host.ts";',
    /of room platform/,
  ],
  "server from executor": ["src/executor/x.ts", 'import "../server/app.ts";', /of room server/],
  "one task from another": [
    "src/tasks/exec/x.ts",
    'import "../selftest/task.ts";',
    /of room tasks\/selftest/,
  ],
  "the registry from a task": ["src/tasks/exec/x.ts", 'import "../registry.ts";', /of room tasks$/],
  "a task past the registry": ["src/executor/x.ts", 'import "../tasks/exec/task.ts";', /of room tasks\/exec/],
  "store from kbase": ["src/kbase/x.ts", 'import "../store/store.ts";', /of room store/],
  "an entry": ["src/cli/x.ts", 'import "../../main.ts";', /of room entry/],
  "tests from a room": ["src/core/x.ts", 'import "../../tests/support/random.ts";', /in no room/],
  "a file in no room": ["src/helpers/x.ts", "", /in no room/],
  "a file beside the rooms": ["src/x.ts", "", /in no room/],
  "a task that design.md does not name": ["src/tasks/more/task.ts", "", /in no room/],
  "node: outside platform": [
    "src/store/x.ts",
    'import { readFile } from "node:fs/promises";',
    /imports node:fs\/promises/,
  ],
  "bun: outside platform": ["src/store/x.ts", 'import "bun:ffi";', /imports bun:ffi/],
  "Deno outside platform": ["src/store/x.ts", "\n\nDeno.env.get('X');", /x\.ts:3: names Deno/],
  "Bun outside platform": ["src/cli/x.ts", "const b = Bun;", /names Bun/],
  "process outside platform": ["src/cli/x.ts", "const b = process.env.HOME;", /names process/],
  "process by an optional chain": ["src/cli/x.ts", "const b = process?.env;", /names process/],
  "a name by globalThis": ["src/cli/x.ts", "globalThis.Deno.exit(); ", /names Deno/],
  "a name in a template": ["src/cli/x.ts", "const b = `pid ${process.pid}`;", /names process/],
  "a name after a spread": ["src/cli/x.ts", "const b = [...Deno.args];", /names Deno/],
  "hono outside server": [
    "src/cli/x.ts",
    'import { Hono } from "hono/streaming";',
    /imports hono in room cli/,
  ],
  "@hono/node-server in server": [
    "src/server/x.ts",
    'import "@hono/node-server";',
    /@hono\/node-server in room server/,
  ],
  "ws in server": ["src/server/x.ts", 'import "ws";', /imports ws in room server/],
  "@libsql/client outside store": [
    "src/logs/x.ts",
    'import "@libsql/client/web";',
    /@libsql\/client in room logs/,
  ],
  "commander outside cli": ["src/server/x.ts", 'import "commander";', /commander in room server/],
  "jsonc-parser outside config": ["src/cli/x.ts", 'import "jsonc-parser";', /jsonc-parser in room cli/],
  "ulid outside executor": ["src/store/x.ts", 'import "ulid";', /ulid in room store/],
  "@noble/hashes outside executor and logs": [
    "src/core/x.ts",
    'import "@noble/hashes/sha2.js";',
    /in room core/,
  ],
  "a library nobody chose": ["src/core/x.ts", 'import "left-pad";', /left-pad, a library/],
  "a library by its npm: name": ["src/core/x.ts", 'import "npm:zod@4";', /npm:zod@4, a library/],
};

for (const [what, [path, source, fault]] of Object.entries(FORBIDDEN)) {
  Deno.test(`graphFaults() finds ${what}`, () => {
    const faults = faultsOf(path, source);
    assert.equal(faults.length, 1, faults.join("; "));
    assert.match(faults[0]!, fault);
  });
}

Deno.test("graphFaults() finds rooms that import each other in a circle", () => {
  const faults = graphFaults(
    new Map([
      ["src/core/a.ts", 'import "../store/b.ts";'],
      ["src/store/b.ts", 'import "../logs/c.ts";'],
      ["src/logs/c.ts", 'import "../core/a.ts";'],
    ]),
  );
  assert.deepEqual(faults.slice(-1), ["rooms import each other: core → store → logs → core"]);
  assert.equal(faults.length, 3, faults.join("; "));
});

Deno.test("tokensOf() tells code from comments, strings, templates and regular expressions", () => {
  const source = 'a/*b*/ "c\\"d" // e\n`f ${g({ h: `i` })} j` / 2; return /k[/]"/u; \'l\' }';
  const tokens = tokensOf(source).map(({ kind, text, line }) => `${kind[0]}${line} ${text}`);
  assert.deepEqual(tokens, [
    "w1 a",
    's1 c\\"d',
    "s2 f ",
    "w2 g",
    "p2 (",
    "p2 {",
    "w2 h",
    "p2 :",
    "s2 i",
    "p2 }",
    "p2 )",
    "s2  j",
    "p2 /",
    "w2 2",
    "p2 ;",
    "w2 return",
    "w2 u",
    "p2 ;",
    "s2 l",
    "p2 }",
  ]);
});
