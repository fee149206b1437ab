import assert from "node:assert/strict";
import { firstLine, type LaunchFacts } from "./first_line.ts";

const FACTS: LaunchFacts = {
  version: "0.1.0",
  mode: "run",
  why: 'argument "run"',
  database: "file:/home/u/.local/state/glassbox/glassbox.db",
  databaseId: "7f3a1c2e9b0d4455",
  schema: 3,
  about: {
    engine: "bun",
    engineVersion: "1.4.5",
    platform: "linux-x64",
    compiled: true,
    binary: "/usr/bin/glassbox",
    bootId: "b",
  },
  pid: 4711,
};

const TEXTS: readonly [string, Partial<LaunchFacts>, string][] = [
  [
    "the database is open",
    {},
    'glassbox 0.1.0 · run (argument "run") · database file:/home/u/.local/state/glassbox/glassbox.db ' +
    "(id 7f3a1c2e…, schema 3) · bun 1.4.5 linux-x64 · pid 4711",
  ],
  [
    "the database is not opened",
    { mode: "help", why: "no arguments", database: "file:/d.db", databaseId: null, schema: null },
    "glassbox 0.1.0 · help (no arguments) · database file:/d.db (not opened) · bun 1.4.5 linux-x64 · pid 4711",
  ],
  [
    "no database could be named",
    { database: null, databaseId: null, schema: null },
    'glassbox 0.1.0 · run (argument "run") · database unknown · bun 1.4.5 linux-x64 · pid 4711',
  ],
  [
    "the id is short and the schema unknown",
    { database: "http://127.0.0.1:8080", databaseId: "7f3a1c2e", schema: null },
    'glassbox 0.1.0 · run (argument "run") · database http://127.0.0.1:8080 (id 7f3a1c2e, schema unknown) ' +
    "· bun 1.4.5 linux-x64 · pid 4711",
  ],
  [
    "path and reason hold characters that act on a terminal",
    { database: "file:/a\x1b[2J\n\x9b\u202e.db", why: 'argument "\x07\u2028"' },
    'glassbox 0.1.0 · run (argument "\\x07\\u2028") · database file:/a\\x1b[2J\\x0a\\x9b\\u202e.db ' +
    "(id 7f3a1c2e…, schema 3) · bun 1.4.5 linux-x64 · pid 4711",
  ],
  [
    "the URL holds a password and a token",
    { database: "libsql://u:hidden@db.example.org?authToken=hidden" },
    'glassbox 0.1.0 · run (argument "run") · database libsql://***@db.example.org?*** (id 7f3a1c2e…, schema 3) ' +
    "· bun 1.4.5 linux-x64 · pid 4711",
  ],
];

for (const [when, facts, text] of TEXTS) {
  Deno.test(`firstLine() is one line of text when ${when}`, () => {
    assert.equal(firstLine({ ...FACTS, ...facts }), text);
  });
}

Deno.test("firstLine() gives every fact and the whole id when the format is json", () => {
  const line = firstLine(FACTS, "json");
  assert.deepEqual(JSON.parse(line), {
    event: "launch",
    version: "0.1.0",
    mode: "run",
    why: 'argument "run"',
    database: "file:/home/u/.local/state/glassbox/glassbox.db",
    databaseId: "7f3a1c2e9b0d4455",
    schema: 3,
    engine: "bun 1.4.5",
    platform: "linux-x64",
    compiled: true,
    binary: "/usr/bin/glassbox",
    pid: 4711,
  });
});

Deno.test("firstLine() keeps names exact and the line single when json holds acting characters", () => {
  const database = "file:/a\x1b\n\x7f\x9b\u2028\u202e\u2066.db";
  const line = firstLine({ ...FACTS, database, databaseId: null, schema: null }, "json");
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(line, /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/);
  const read = JSON.parse(line);
  assert.deepEqual([read.database, read.databaseId, read.schema], [database, null, null]);
});

Deno.test("firstLine() hides what may be secret when the format is json", () => {
  const line = firstLine({ ...FACTS, database: "https://u:hidden@h?authToken=hidden" }, "json");
  assert.equal(JSON.parse(line).database, "https://***@h?***");
});
