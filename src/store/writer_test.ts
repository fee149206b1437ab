import assert from "node:assert/strict";
import { GlassboxError, isGlassboxError } from "../core/errors.ts";
import type { Clock, ReusableLock } from "../core/host.ts";
import type { Connection, Statement } from "./connection.ts";
import { statement } from "./connection.ts";
import { Writer } from "./writer.ts";

const clock: Clock = {
  nowMs: () => 0,
  monotonicMs: () => 0,
  sleep: () => Promise.resolve(),
  turn: () => Promise.resolve(),
};

/** A connection that answers every statement with its own text, and remembers what it was asked to commit. */
function fakeConnection(fail: (statements: readonly Statement[]) => Error | null = () => null) {
  const commits: string[][] = [];
  const transact = (statements: readonly Statement[]) => {
    commits.push(statements.map(({ sql }) => sql));
    const error = fail(statements);
    if (error !== null) return Promise.reject(error);
    return Promise.resolve(statements.map(({ sql }) => ({ rows: [{ sql }], rowsAffected: 0 })));
  };
  const connection = { transact, display: "test.db", isEmbedded: true } as unknown as Connection;
  return { connection, commits };
}

function write(writer: Writer, ...sqls: string[]): Promise<string[]> {
  const results = writer.write(sqls.map((sql) => statement(sql)));
  return results.then((sets) => sets.map(({ rows }) => String(rows[0]!["sql"])));
}

Deno.test("write() commits what is asked for in one turn together, and gives each its own results", async () => {
  const { connection, commits } = fakeConnection();
  const writer = new Writer(connection, null, clock);
  const answers = await Promise.all([write(writer, "a", "b"), write(writer), write(writer, "c")]);
  assert.deepEqual(answers, [["a", "b"], [], ["c"]]);
  assert.deepEqual(commits, [["a", "b", "c"]]);
});

Deno.test("write() is committed at whatever moment of another's end it begins", async () => {
  for (let delay = 0; delay < 30; delay++) {
    const { connection, commits } = fakeConnection();
    const writer = new Writer(connection, null, clock);
    const first = write(writer, "first");
    for (let turn = 0; turn < delay; turn++) await Promise.resolve();
    const second = write(writer, "second");
    await first;
    for (let turn = 0; turn < 100 && commits.flat().length < 2; turn++) await Promise.resolve();
    assert.deepEqual(commits.flat(), ["first", "second"], `after ${delay} microtasks`);
    await second;
  }
});

Deno.test("drained() resolves when everything asked for is settled", async () => {
  const { connection, commits } = fakeConnection();
  const writer = new Writer(connection, null, clock);
  for (let count = 0; count < 3; count++) void write(writer, ...Array.from({ length: 400 }, () => "x"));
  await writer.drained();
  assert.equal(commits.length, 3);
});

Deno.test("a group holds at most 512 statements and 1 MiB, but always one member", async () => {
  const { connection, commits } = fakeConnection();
  const writer = new Writer(connection, null, clock);
  const many = Array.from({ length: 513 }, () => write(writer, "x"));
  many.push(write(writer, ...Array.from({ length: 600 }, () => "y")));
  await Promise.all(many);
  assert.deepEqual(commits.map(({ length }) => length), [512, 1, 600]);
  commits.length = 0;
  const large = (bytes: number) => writer.write([statement("z", new Uint8Array(bytes), "x".repeat(bytes))]);
  await Promise.all([large(200_000), large(200_000), large(200_000), large(2_000_000)]);
  assert.deepEqual(commits.map(({ length }) => length), [2, 1, 1]);
});

Deno.test("write() of little goes before what asks for much, of which the oldest always has a place", async () => {
  const { connection, commits } = fakeConnection();
  const writer = new Writer(connection, null, clock);
  const flood = (name: string) => writer.write([statement(name, new Uint8Array(900_000))]);
  const asked = [flood("first"), flood("second"), write(writer, "cancel")];
  await asked[0];
  asked.push(write(writer, "heartbeat"), flood("third"));
  await Promise.all(asked);
  assert.deepEqual(commits, [["cancel", "first"], ["heartbeat", "second"], ["third"]]);
});

Deno.test("write() leaves the lock to others for a moment after much was written", async () => {
  const slept: number[] = [];
  const log: string[] = [];
  const { connection } = fakeConnection();
  const lock: ReusableLock = {
    lock: () => Promise.resolve(void log.push("lock")),
    unlock: () => void log.push("unlock"),
    close: () => undefined,
  };
  const sleep = (ms: number) => {
    slept.push(ms);
    log.push("wait");
    return Promise.resolve();
  };
  const writer = new Writer(connection, lock, { ...clock, sleep });
  await writer.write([statement("flood", new Uint8Array(900_000))]);
  await write(writer, "next");
  assert.deepEqual(log, ["lock", "unlock", "wait", "lock", "unlock"]);
  assert.ok(slept[0]! > 0 && slept[0]! < 50);
});

Deno.test("one bad member fails alone, after the group was tried once", async () => {
  const bad = new GlassboxError("storage_io", "constraint");
  const { connection, commits } = fakeConnection((all) => all.some(({ sql }) => sql === "bad") ? bad : null);
  const writer = new Writer(connection, null, clock);
  const answers = await Promise.allSettled([write(writer, "a"), write(writer, "bad"), write(writer, "b")]);
  assert.deepEqual(answers.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  assert.deepEqual(commits, [["a", "bad", "b"], ["a"], ["bad"], ["b"]]);
});

for (const code of ["storage_busy", "storage_unreachable", "shutting_down"] as const) {
  Deno.test(`a group that fails with ${code} is not tried again, as it may be committed or hopeless`, async () => {
    const { connection, commits } = fakeConnection(() => new GlassboxError(code, "no"));
    const writer = new Writer(connection, null, clock);
    const answers = await Promise.allSettled([write(writer, "a"), write(writer, "b")]);
    assert.ok(answers.every((one) => one.status === "rejected" && isGlassboxError(one.reason, code)));
    assert.equal(commits.length, 1);
  });
}

Deno.test("the lock is held for each commit and given back, also after errors", async () => {
  let held = 0;
  let isBroken = false;
  const log: string[] = [];
  const lock: ReusableLock = {
    lock: () => {
      if (isBroken) return Promise.reject(Object.assign(new Error("no locks"), { code: "ENOLCK" }));
      log.push(`lock ${++held}`);
      return Promise.resolve();
    },
    unlock: () => void log.push(`unlock ${held--}`),
    close: () => undefined,
  };
  const { connection, commits } = fakeConnection((all) =>
    all[0]?.sql === "bad" ? new GlassboxError("storage_io", "no") : null
  );
  const writer = new Writer(connection, lock, clock);
  await write(writer, "good");
  await assert.rejects(write(writer, "bad"));
  assert.equal(await writer.exclusively(() => Promise.resolve(held)), 1);
  assert.deepEqual(log, ["lock 1", "unlock 1", "lock 1", "unlock 1", "lock 1", "unlock 1"]);
  isBroken = true;
  const answers = await Promise.allSettled([write(writer, "a"), write(writer, "b")]);
  assert.ok(answers.every((one) => one.status === "rejected" && isGlassboxError(one.reason)));
  assert.equal(commits.length, 2);
  isBroken = false;
  assert.deepEqual(await write(writer, "again"), ["again"]);
});
