/** Opening a database: made once, known by its id, refused when it is not ours; on a file and on a server alike. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { SCHEMA_VERSION } from "../../src/store/schema.ts";
import { newJob, storeHost } from "../support/store_fixture.ts";
import { onEach, refusedAs } from "../support/store_suite.ts";

onEach(
  "Store.open() makes a database with a random id, and gives the same id when opened again",
  async (db) => {
    const first = await db.open();
    assert.match(first.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
    assert.equal(first.schema, SCHEMA_VERSION);
    assert.equal(first.isEmbedded, db.backend === "file");
    await first.close();
    const second = await db.open();
    assert.equal(second.id, first.id);
    const raw = await db.raw().execute("SELECT value FROM meta WHERE name = 'created_at_ms'");
    assert.ok(Number(raw.rows[0]?.value) > 1_600_000_000_000);
  },
);

onEach("Store.open() makes sure of the directories of a file before anything is in it, once", async (db) => {
  const synced: string[] = [];
  const { files } = storeHost();
  const syncDirectories = (path: string) => (synced.push(path), files.syncDirectories(path));
  const host = storeHost({ files: { ...files, syncDirectories } });
  await (await db.open(host)).close();
  await db.open(host);
  assert.deepEqual(synced, db.backend === "file" ? [dirname(await Deno.realPath(db.path))] : []);
});

onEach("Store.open() accepts the expected id and refuses another with storage_other_database", async (db) => {
  const { id } = await db.open();
  assert.equal((await db.open(undefined, { expectId: id.slice(0, 4) })).id, id);
  const other = id.startsWith("0") ? "1" : "0";
  await assert.rejects(db.open(undefined, { expectId: other }), refusedAs("storage_other_database"));
});

onEach(
  "Store.open() sixteen times at once agrees on one id, one schema and one set of tables",
  async (db) => {
    const stores = await Promise.all(Array.from({ length: 16 }, () => db.open()));
    assert.equal(new Set(stores.map(({ id }) => id)).size, 1);
    assert.deepEqual(new Set(stores.map(({ schema }) => schema)), new Set([SCHEMA_VERSION]));
    const meta = await db.raw().execute("SELECT count(*) AS rows FROM meta");
    assert.equal(Number(meta.rows[0]?.rows), 3);
    await stores[0]!.jobs.submit(newJob());
    assert.equal((await stores[15]!.jobs.count()).queued, 1);
  },
);

onEach("Store.open() refuses a newer schema with storage_newer_schema and leaves it as it is", async (db) => {
  await (await db.open()).close();
  const raw = db.raw();
  await raw.execute(`UPDATE meta SET value = '${SCHEMA_VERSION + 1}' WHERE name = 'schema'`);
  await assert.rejects(db.open(), refusedAs("storage_newer_schema"));
  const rows = (await raw.execute("SELECT value FROM meta WHERE name = 'schema'")).rows;
  assert.equal(rows[0]?.value, String(SCHEMA_VERSION + 1));
});

for (const columns of ["a, b", "name, value", "name TEXT, other TEXT"]) {
  onEach(
    `Store.open() refuses another program's database whose meta has the columns ${columns}`,
    async (db) => {
      if (db.backend === "file") await Deno.mkdir(db.path.replace(/\/[^/]*$/, ""), { recursive: true });
      const raw = db.raw();
      await raw.batch([`CREATE TABLE meta (${columns})`, "CREATE TABLE theirs (x)"], "write");
      await assert.rejects(db.open(), refusedAs("storage_foreign"));
      const tables = await raw.execute("SELECT count(*) AS n FROM sqlite_master WHERE type = 'table'");
      assert.equal(Number(tables.rows[0]?.n), 2);
    },
  );
}
