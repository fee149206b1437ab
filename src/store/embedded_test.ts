import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Driver, type Row, statement } from "./driver.ts";
import { openEmbedded } from "./embedded.ts";

/** Drivers on one new file, closed and removed with it. */
async function onFile(body: (open: () => Promise<Driver>) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "glassbox-embedded-test-"));
  const opened: Driver[] = [];
  try {
    await body(async () => {
      const driver = await openEmbedded(join(directory, "test.db"), "test.db");
      opened.push(driver);
      return driver;
    });
  } finally {
    for (const driver of opened) driver.close();
    await rm(directory, { recursive: true });
  }
}

async function rows(driver: Driver, sql: string, ...args: (string | number)[]): Promise<readonly Row[]> {
  return (await driver.execute(statement(sql, ...args))).rows;
}

const value = (sql: string) => async (driver: Driver) => Object.values((await rows(driver, sql))[0] ?? {})[0];
const journal = value("PRAGMA journal_mode = WAL");

Deno.test("batch() takes back all of itself when one statement fails, and goes on working", async () => {
  await onFile(async (open) => {
    const driver = await open();
    await journal(driver);
    await driver.execute(statement("CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT"));
    const insert = (...numbers: number[]) =>
      driver.batch(numbers.map((number) => statement("INSERT INTO t VALUES (?)", number)), "write");
    await insert(1, 2);
    for (let count = 0; count < 50; count++) {
      await assert.rejects(insert(10 + count, 1), /UNIQUE/);
      await assert.rejects(driver.batch([statement("nonsense")], "write"), /syntax/);
      await insert(100 + count);
    }
    assert.equal(await value("SELECT count(*) FROM t")(driver), 52);
    assert.equal(driver.connections, 1);
    const other = await open();
    await other.batch([statement("INSERT INTO t VALUES (1000)")], "write");
  });
});

Deno.test("batch() for reading gives each statement's rows and leaves no transaction behind", async () => {
  await onFile(async (open) => {
    const [driver, other] = [await open(), await open()];
    await journal(driver);
    await driver.execute(statement("CREATE TABLE t (a)"));
    const both = [statement("SELECT 1 AS a"), statement("SELECT count(*) AS n FROM t")];
    const read = async () => (await driver.batch(both, "read")).map((result) => result.rows);
    assert.deepEqual(await read(), [[{ a: 1 }], [{ n: 0 }]]);
    await assert.rejects(driver.batch([both[0]!, statement("SELECT nonsense")], "read"));
    await other.execute(statement("INSERT INTO t VALUES (1)"));
    assert.deepEqual(await read(), [[{ a: 1 }], [{ n: 1 }]]);
  });
});

Deno.test("execute() gives rows, or how many rows changed, for more texts than it keeps prepared", async () => {
  await onFile(async (open) => {
    const driver = await open();
    await driver.execute(statement("CREATE TABLE t (a INTEGER, b BLOB) STRICT"));
    for (let round = 0; round < 2; round++) {
      for (let count = 0; count < 250; count++) {
        assert.deepEqual(await rows(driver, `SELECT ${count} AS n, ? AS s`, "x"), [{ n: count, s: "x" }]);
      }
    }
    const bytes = new Uint8Array([0, 255]);
    const inserted = await driver.execute(statement("INSERT INTO t VALUES (?, ?)", 2 ** 53 - 1, bytes));
    assert.deepEqual([inserted.rowsAffected, inserted.rows], [1, []]);
    const none = await driver.execute(statement("UPDATE t SET a = 1 WHERE a = 5"));
    assert.equal(none.rowsAffected, 0);
    const returned = await driver.execute(statement("UPDATE t SET b = b RETURNING a, b"));
    assert.equal(returned.rows[0]!.a, 2 ** 53 - 1);
    assert.deepEqual([...new Uint8Array(returned.rows[0]!.b as ArrayBuffer)], [0, 255]);
    const empty = await driver.execute(statement("SELECT ? AS b", new Uint8Array(0)));
    assert.equal(new Uint8Array(empty.rows[0]!.b as ArrayBuffer).length, 0);
  });
});

Deno.test("a prepared statement follows when another connection changes the table", async () => {
  await onFile(async (open) => {
    const [driver, other] = [await open(), await open()];
    await journal(driver);
    await driver.execute(statement("CREATE TABLE t (a)"));
    await driver.execute(statement("INSERT INTO t VALUES (1)"));
    assert.deepEqual(await rows(driver, "SELECT * FROM t"), [{ a: 1 }]);
    await other.execute(statement("ALTER TABLE t ADD COLUMN b DEFAULT 2"));
    assert.deepEqual(await rows(driver, "SELECT * FROM t"), [{ a: 1, b: 2 }]);
    await other.execute(statement("ALTER TABLE t DROP COLUMN a"));
    assert.deepEqual(await rows(driver, "SELECT * FROM t"), [{ b: 2 }]);
  });
});

Deno.test("after disconnect() there is a new connection with all its pragmas", async () => {
  await onFile(async (open) => {
    const driver = await open();
    const wanted = {
      synchronous: 2,
      foreign_keys: 1,
      trusted_schema: 0,
      cell_size_check: 1,
      busy_timeout: 20,
    };
    for (const connections of [1, 2, 3]) {
      for (const [name, wants] of Object.entries(wanted)) {
        assert.equal(await value(`PRAGMA ${name}`)(driver), wants, name);
      }
      assert.equal(driver.connections, connections);
      driver.disconnect();
      driver.disconnect();
    }
  });
});

Deno.test("after close() every call is refused as closed, also a second close()", async () => {
  await onFile(async (open) => {
    const driver = await open();
    driver.close();
    driver.close();
    for (const call of [() => driver.execute(statement("SELECT 1")), () => driver.batch([], "read")]) {
      await assert.rejects(call(), (error) => (error as { code?: string }).code === "CLIENT_CLOSED");
    }
  });
});
