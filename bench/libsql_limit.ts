/** What libSQL itself can do, without anything of glassbox: prepared statements of the bare package, WAL, FULL. */
import { rm } from "node:fs/promises";
import Database from "libsql";

export interface Bare {
  /** Rows a second, each its own acknowledged commit. */
  rowsPerSecond(count: number, text: string): number;
  /** Seconds to store these blobs, so many to a commit. */
  storeBlobs(blobs: readonly Uint8Array[], perCommit: number): number;
  close(): Promise<void>;
}

export async function openBare(path: string): Promise<Bare> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  const database = new Database(path);
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("PRAGMA synchronous = FULL");
  database.exec("CREATE TABLE rows (id INTEGER PRIMARY KEY, at_ms INTEGER, body TEXT)");
  database.exec("CREATE TABLE blobs (id INTEGER PRIMARY KEY, body BLOB)");
  const insertRow = database.prepare("INSERT INTO rows (at_ms, body) VALUES (?, ?)");
  const insertBlob = database.prepare("INSERT INTO blobs (body) VALUES (?)");
  return {
    rowsPerSecond(count, text) {
      const started = performance.now();
      for (let row = 0; row < count; row++) insertRow.run(Date.now(), text);
      return count / (performance.now() - started) * 1000;
    },
    storeBlobs(blobs, perCommit) {
      const started = performance.now();
      for (let at = 0; at < blobs.length; at += perCommit) {
        database.exec("BEGIN IMMEDIATE");
        for (const blob of blobs.slice(at, at + perCommit)) insertBlob.run([blob]);
        database.exec("COMMIT");
      }
      return (performance.now() - started) / 1000;
    },
    async close() {
      database.close();
      for (const suffix of ["", "-wal", "-shm"]) await rm(`${path}${suffix}`, { force: true });
    },
  };
}
