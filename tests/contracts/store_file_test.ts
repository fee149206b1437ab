/** What files can be: links, copies, foreign, broken or on a full disk. */
import { createClient } from "@libsql/client";
import assert from "node:assert/strict";
import { SCHEMA_VERSION } from "../../src/store/schema.ts";
import type { ErrorCode } from "../../src/core/errors.ts";
import { Store } from "../../src/store/store.ts";
import { startStoreChild } from "../support/children.ts";
import { fileOptions, newJob, storeHost, testDatabase } from "../support/store_fixture.ts";
import { refusedAs } from "../support/store_suite.ts";

Deno.test("a link to the database meets the same write lock", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const link = `${db.directory}/link.db`;
  await Deno.symlink(db.path, link);
  const other = await Store.open(fileOptions(link), storeHost());
  assert.equal(other.id, store.id);
  await other.jobs.submit(newJob());
  await other.close();
  assert.equal(await Deno.stat(`${link}.lock`).catch(() => null), null);
});

Deno.test("Store.open() brings back write-ahead logging to a copy that lost it", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const copy = `${db.directory}/copy.db`;
  const raw = db.raw();
  await raw.execute({ sql: "VACUUM INTO ?", args: [copy] });
  const mode = async () => {
    const client = createClient({ url: `file:${copy}` });
    const [row] = (await client.execute("PRAGMA journal_mode")).rows;
    client.close();
    return row?.[0];
  };
  assert.equal(await mode(), "delete");
  const opened = await Store.open(fileOptions(copy), storeHost());
  assert.equal(opened.id, store.id);
  await opened.close();
  assert.equal(await mode(), "wal");
});

const BAD_FILES: Record<string, [make: (path: string) => Promise<unknown>, code: ErrorCode]> = {
  "text": [(path) => Deno.writeTextFile(path, "hello, I am a letter\n".repeat(500)), "storage_not_database"],
  "a short text": [(path) => Deno.writeTextFile(path, "hello"), "storage_not_database"],
  "random bytes": [(path) => Deno.writeFile(path, new Uint8Array(8192).fill(0xa5)), "storage_not_database"],
  "a truncated database": [truncated, "storage_not_database"],
  "only a header": [(path) => madeBy(path, (bytes) => bytes.subarray(0, 100)), "storage_not_database"],
  "a page of 0xff": [(path) => madeBy(path, (bytes) => bytes.fill(0xff, 200, 4096)), "storage_not_database"],
  "another program's database": [foreign, "storage_foreign"],
  "a directory": [(path) => Deno.mkdir(path), "storage_cannot_create"],
};

async function madeBy(path: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  const source = `${path}.source`;
  const store = await Store.open(fileOptions(source), storeHost());
  for (let count = 0; count < 50; count++) await store.jobs.submit(newJob());
  await store.close();
  const client = createClient({ url: `file:${source}` });
  await client.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  client.close();
  await Deno.writeFile(path, change(await Deno.readFile(source)));
}

function truncated(path: string): Promise<void> {
  return madeBy(path, (bytes) => bytes.subarray(0, Math.floor(bytes.length / 8192) * 4096));
}

async function foreign(path: string): Promise<void> {
  const client = createClient({ url: `file:${path}` });
  await client.execute("CREATE TABLE theirs (x)");
  client.close();
}

for (const [what, [make, wanted]] of Object.entries(BAD_FILES)) {
  Deno.test(`Store.open() refuses ${what} with ${wanted} and leaves it as it is`, async () => {
    await using db = await testDatabase("file");
    const path = `${db.directory}/bad.db`;
    await make(path);
    const bytes = () => Deno.readFile(path).catch(() => null);
    const before = await bytes();
    await assert.rejects(Store.open(fileOptions(path), storeHost()), (error) => {
      assert.ok(String((error as Error).message).includes(path), "the message names the file");
      return refusedAs(wanted)(error);
    });
    assert.deepEqual(await bytes(), before);
  });
}

Deno.test("Store.open() takes an empty file as a new database", async () => {
  await using db = await testDatabase("file");
  const path = `${db.directory}/empty.db`;
  await Deno.writeFile(path, new Uint8Array(0));
  const store = await Store.open(fileOptions(path), storeHost());
  assert.equal(store.schema, SCHEMA_VERSION);
  await store.close();
});

Deno.test("Store.open() names a parent that is a file with storage_cannot_create", async () => {
  await using db = await testDatabase("file");
  await Deno.writeTextFile(`${db.directory}/file`, "");
  const path = `${db.directory}/file/glassbox.db`;
  await assert.rejects(Store.open(fileOptions(path), storeHost()), refusedAs("storage_cannot_create"));
});

Deno.test("close() may be called twice, and what is asked for after it is refused as shutting_down", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const late = store.jobs.submit(newJob());
  await store.close();
  await store.close();
  assert.equal((await late).created, true, "what was asked for before is settled first");
  await assert.rejects(store.jobs.count(), refusedAs("shutting_down"));
  await assert.rejects(store.jobs.submit(newJob()), refusedAs("shutting_down"));
});

interface Filled {
  readonly codes: string[];
  readonly acknowledgedWhenFull: number;
  readonly readableWhenFull: number;
  readonly refusedAfterSpace: number;
  readonly acknowledged: string[];
  readonly refused: string[];
  readonly there: string[];
  readonly check: string;
}

/** A command that runs what follows it with a 2 MiB file system of its own at `directory`, or null. */
async function onSmallDisk(directory: string): Promise<string[] | null> {
  const mount = `mount -t tmpfs -o size=2m glassbox-test '${directory}' && exec "$@"`;
  for (const unshare of [["unshare", "-m"], ["unshare", "-rm"]]) {
    const prefix = [...unshare, "sh", "-c", mount, "sh"];
    const args = [...prefix.slice(1), "true"];
    const tried = await new Deno.Command(prefix[0]!, { args, stdin: "null", stdout: "null", stderr: "null" })
      .output().catch(() => null);
    if (tried?.success) return prefix;
  }
  return null;
}

Deno.test("a full disk refuses writes as storage_full, loses nothing, and is forgotten when space returns", async () => {
  await using db = await testDatabase("file");
  const prefix = await onSmallDisk(db.directory);
  if (prefix === null) {
    const why = "NOT TESTED: a full disk, as neither unshare -m nor unshare -rm can mount a tmpfs here";
    console.error(`\n*** ${why} ***\n`);
    assert.notEqual(Deno.env.get("CI"), "true", why);
    return;
  }
  await using child = startStoreChild(["fill", db.directory], prefix);
  const filled = await child.hear<Filled>();
  assert.ok(filled.acknowledgedWhenFull > 10, `${filled.acknowledgedWhenFull}`);
  assert.equal(filled.codes.length, 6);
  assert.deepEqual(new Set(filled.codes), new Set(["storage_full"]));
  assert.equal(filled.readableWhenFull, filled.acknowledgedWhenFull, "reading goes on");
  assert.equal(filled.refusedAfterSpace, 0, "writing goes on without opening anew");
  assert.deepEqual(
    new Set(filled.there),
    new Set(filled.acknowledged),
    "what was acknowledged, and nothing else",
  );
  assert.equal(filled.check, "ok");
});
