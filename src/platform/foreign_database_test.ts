import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { LIMITS } from "../core/limits.ts";
import { openForeign } from "./foreign_database.ts";
import type { ForeignColumn, ForeignDatabase, ForeignQuery, ForeignRow } from "../core/host.ts";

async function rowsOf(database: ForeignDatabase, query: ForeignQuery): Promise<ForeignRow[]> {
  const rows: ForeignRow[] = [];
  await database.each(query, (row) => rows.push([...row]));
  return rows;
}

async function withFile(sql: string, work: (path: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/a ?#%.db`;
    const database = new DatabaseSync(path);
    database.exec(sql);
    database.close();
    await work(path);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const text = (name: string): ForeignColumn => ({ name, as: "text" });
const number = (name: string): ForeignColumn => ({ name, as: "number" });

Deno.test("openForeign() reads text that is no UTF-8 or holds a NUL, and numbers to their last bit", async () => {
  const sql = `CREATE TABLE t (a TEXT, n REAL);
    INSERT INTO t VALUES (CAST(x'61ff62' AS TEXT), 0.1), ('a' || char(0) || 'b', 9e999), ('é', 5e-324), ('', -1.5), (NULL, NULL);
    INSERT INTO t VALUES ('x;y:1', 9007199254740993), ('', 1.7976931348623157e308)`;
  await withFile(sql, async (path) => {
    const database = await openForeign(path, "it");
    for (const order of ["natural", "inserted"] as const) {
      const rows = await rowsOf(database, { table: "t", columns: [text("a"), number("n")], order });
      assert.deepEqual(rows, [
        ["a\ufffdb", 0.1],
        ["a\0b", Infinity],
        ["é", 5e-324],
        ["", -1.5],
        [null, null],
        ["x;y:1", 9007199254740992],
        ["", Number.MAX_VALUE],
      ]);
    }
    await database.close();
  });
});

Deno.test("openForeign() reads many rows in pieces, whatever their row ids are", async () => {
  const sql = `CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT);
    INSERT INTO t VALUES (-9223372036854775808, 'first'), (9223372036854775807, 'last');
    WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2500) INSERT INTO t SELECT x * 4000000000000, x FROM c`;
  await withFile(sql, async (path) => {
    const database = await openForeign(path, "it");
    const rows = (await rowsOf(database, { table: "t", columns: [text("b")], order: "inserted" })).flat();
    assert.equal(rows.length, 2502);
    assert.deepEqual([rows[0], rows[1], rows.at(-1)], ["first", "1", "last"]);
    await database.close();
  });
});

Deno.test("openForeign() names column and row of a value of the wrong type", async () => {
  await withFile(
    `CREATE TABLE t (a TEXT, n INTEGER); INSERT INTO t VALUES ('a', 1), ('b', ''), (x'00', 'seven')`,
    async (path) => {
      const database = await openForeign(path, "it");
      const read = (
        column: ForeignColumn,
      ) => rowsOf(database, { table: "t", columns: [column], order: "natural" });
      await assert.rejects(read(text("a")), /Cannot read database it .*text in t\.a: .*blob there in row 3/);
      await assert.rejects(read(number("n")), /numbers in t\.n: .*text there in row 3/);
      assert.deepEqual(await read({ name: "n", as: "numberOrNull" }), [[1], [null], [null]]);
      await database.close();
    },
  );
});

Deno.test("openForeign() knows no view, virtual table or generated column as a table's own", async () => {
  const sql =
    `CREATE TABLE "a""; drop" ("b""c" TEXT, g AS ("b""c" || 'x')); INSERT INTO "a""; drop" VALUES ('v');
    CREATE VIEW v AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c`;
  await withFile(sql, async (path) => {
    const database = await openForeign(path, "it");
    assert.deepEqual(database.columns('a"; drop'), ['b"c']);
    assert.deepEqual(
      await rowsOf(database, { table: 'a"; drop', columns: [text('b"c')], order: "inserted" }),
      [[
        "v",
      ]],
    );
    assert.throws(() => database.columns("v"), /plain table v: it is one where v is a view or virtual/);
    assert.equal(database.columns("missing"), null);
    await database.close();
  });
});

Deno.test("openForeign() refuses what is no whole database, and says what it is", async () => {
  await withFile("CREATE TABLE t (a TEXT); INSERT INTO t SELECT hex(randomblob(5000))", async (path) => {
    const bytes = await Deno.readFile(path);
    const cases: [Uint8Array, RegExp][] = [
      [new Uint8Array(0), /it is 0 bytes of something else \(SQLITE_NOTADB\)/],
      [new TextEncoder().encode("PK not a database at all"), /24 bytes of something else/],
      [bytes.slice(0, bytes.length - 5000), /Cannot read database it of \d+ bytes.*SQLITE_/],
      [bytes.map((byte, at) => at > 4096 ? byte ^ 0xa5 : byte), /Cannot read database it of \d+ bytes/],
    ];
    for (const [content, wanted] of cases) {
      await Deno.writeFile(path, content);
      const read = async () => {
        const database = await openForeign(path, "it");
        await database.sound().finally(() => database.close());
      };
      await assert.rejects(read, wanted);
    }
    await assert.rejects(openForeign(`${path}.not`, "it"), /there is no such file/);
  });
});

Deno.test("openForeign() leaves nothing beside the file, and reads what is only in its log", async () => {
  await withFile("PRAGMA journal_mode = WAL; CREATE TABLE t (a TEXT)", async (path) => {
    const writer = new DatabaseSync(path);
    writer.exec("INSERT INTO t VALUES ('in the log')");
    const database = await openForeign(path, "it");
    assert.deepEqual(await rowsOf(database, { table: "t", columns: [text("a")], order: "natural" }), [[
      "in the log",
    ]]);
    await database.close();
    writer.close();
    await (await openForeign(path, "it")).close();
    assert.deepEqual([...Deno.readDirSync(path.replace(/[^/]*$/, ""))].length, 1);
  });
});

Deno.test("openForeign() reads a table without row ids, and one whose columns took their names", async () => {
  const sql = `CREATE TABLE t (a TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO t VALUES ('z'), ('b');
    CREATE TABLE u (a TEXT, rowid TEXT, oid TEXT, _rowid_ TEXT); INSERT INTO u (a) VALUES ('z'), ('b')`;
  await withFile(sql, async (path) => {
    const database = await openForeign(path, "it");
    const read = (table: string) => rowsOf(database, { table, columns: [text("a")], order: "inserted" });
    assert.deepEqual(await read("t"), [["b"], ["z"]]);
    assert.deepEqual(await read("u"), [["z"], ["b"]]);
    await database.close();
  });
});

Deno.test("openForeign() gives up after its time, with an error that names it", async () => {
  const sql =
    `CREATE TABLE t (a TEXT); WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1000000)
    INSERT INTO t SELECT x FROM c`;
  await withFile(sql, async (path) => {
    const database = await openForeign(path, "it", 1);
    const read = rowsOf(database, { table: "t", columns: [text("a")], order: "inserted" });
    await assert.rejects(read, /Cannot read database it of \d+ bytes as that must take at most 0\.001 s/);
    await assert.rejects(database.sound(), /must take at most 0\.001 s/);
    await database.close();
  });
});

Deno.test("openForeign() lets SQLite take no more memory than its limit, whatever is asked of it", async () => {
  await withFile("CREATE TABLE t (a TEXT)", async (path) => {
    const database = await openForeign(path, "it");
    const { default: Library } = await import("libsql");
    const other = new Library(":memory:");
    const ask = (sql: string) => other.prepare(sql).raw().all([]) as unknown[][];
    assert.deepEqual(ask("PRAGMA hard_heap_limit"), [[LIMITS.foreignHeapBytesMax]]);
    const tooMuch =
      `SELECT length(group_concat(zeroblob(200000000) || 'x')) FROM (VALUES (1), (2), (3), (4))`;
    assert.throws(() => ask(tooMuch), { code: /SQLITE_(NOMEM|TOOBIG)/ });
    assert.deepEqual(await rowsOf(database, { table: "t", columns: [text("a")], order: "natural" }), []);
    other.close();
    await database.close();
  });
});
