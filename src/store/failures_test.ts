import assert from "node:assert/strict";
import { GlassboxError } from "../core/errors.ts";
import { fileError, isBusy, storageError } from "./failures.ts";

const FILE = { display: "/data/glassbox.db", isEmbedded: true };
const SERVER = { display: "https://db.example.org", isEmbedded: false };

function failure(code: string, message = "something"): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}

const CASES: readonly [error: unknown, database: typeof FILE, code: string][] = [
  [failure("SQLITE_BUSY"), FILE, "storage_busy"],
  [failure("SQLITE_LOCKED"), FILE, "storage_busy"],
  [failure("SQLITE_FULL"), FILE, "storage_full"],
  [failure("SQLITE_IOERR", "No space left on device"), FILE, "storage_full"],
  [failure("SQLITE_NOTADB"), FILE, "storage_not_database"],
  [failure("SQLITE_CORRUPT"), FILE, "storage_not_database"],
  [failure("SQLITE_READONLY"), FILE, "storage_readonly"],
  [failure("SQLITE_CANTOPEN"), FILE, "storage_cannot_create"],
  [failure("SQLITE_IOERR"), FILE, "storage_io"],
  [failure("SQLITE_CONSTRAINT"), FILE, "storage_io"],
  [failure("SQLITE_TOOBIG"), FILE, "too_large"],
  [failure("RESPONSE_TOO_LARGE"), SERVER, "too_large"],
  [failure("ARGS_INVALID", "string or blob too big"), SERVER, "too_large"],
  [failure("CLIENT_CLOSED"), FILE, "shutting_down"],
  [new TypeError("fetch failed"), SERVER, "storage_unreachable"],
  [failure("ECONNRESET", "the socket connection was closed"), SERVER, "storage_unreachable"],
  [failure("SERVER_ERROR", "HTTP status 502"), SERVER, "storage_unreachable"],
  [failure("HRANA_WEBSOCKET_ERROR"), SERVER, "storage_unreachable"],
  [new TypeError("undefined cannot be passed as argument"), FILE, "internal"],
  ["thrown text", FILE, "internal"],
];

for (const [error, database, code] of CASES) {
  Deno.test(`storageError() of "${error}" on a ${database.isEmbedded ? "file" : "server"} is ${code}`, () => {
    const translated = storageError(error, database);
    assert.equal(translated.code, code, translated.message);
    assert.ok(translated.message.includes(database.display));
    assert.equal(translated.cause, error);
  });
}

Deno.test("storageError() lets our own errors pass", () => {
  const own = new GlassboxError("fenced", "no");
  assert.equal(storageError(own, FILE), own);
  assert.equal(isBusy(own), false);
});

Deno.test("storageError() keeps to one line and to 200 characters of what the database said", () => {
  const { message } = storageError(failure("SQLITE_ERROR", `${"long ".repeat(100)}\nsecond line`), FILE);
  assert.ok(message.length < 300 && !message.includes("\n"), message);
});

const FILE_CASES: Record<string, [code: string, text: RegExp]> = {
  ENOSPC: ["storage_full", /disk is full/],
  EDQUOT: ["storage_full", /disk is full/],
  EROFS: ["storage_cannot_create", /read-only/],
  EACCES: ["storage_cannot_create", /permission/],
  EPERM: ["storage_cannot_create", /permission/],
  ENOTDIR: ["storage_cannot_create", /not a directory/],
  EISDIR: ["storage_cannot_create", /it is a directory/],
  EMFILE: ["storage_cannot_create", /EMFILE/],
};

for (const [errno, [code, text]] of Object.entries(FILE_CASES)) {
  Deno.test(`fileError() of ${errno} is ${code} and names the path`, () => {
    const error = fileError(failure(errno), "/data/x.db");
    assert.equal(error.code, code);
    assert.match(error.message, text);
    assert.ok(error.message.includes("/data/x.db"));
  });
}
