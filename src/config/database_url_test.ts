import assert from "node:assert/strict";
import { databasePath, databaseUrl, fileUrl, redactUrl } from "./database_url.ts";

/** The value as given in /home/u/here, its URL, and the path of its file. */
const ACCEPTED: readonly [string, string, string | null][] = [
  ["/var/a.db", "file:/var/a.db", "/var/a.db"],
  ["a.db", "file:/home/u/here/a.db", "/home/u/here/a.db"],
  ["./x/../a.db", "file:/home/u/here/a.db", "/home/u/here/a.db"],
  ["../a.db", "file:/home/u/a.db", "/home/u/a.db"],
  ["//var///a.db", "file:/var/a.db", "/var/a.db"],
  ["./a:b.db", "file:/home/u/here/a:b.db", "/home/u/here/a:b.db"],
  ["/my data/50% #1?.db", "file:/my%20data/50%25%20%231%3F.db", "/my data/50% #1?.db"],
  ["/x/%20.db", "file:/x/%2520.db", "/x/%20.db"],
  ["/x/a\nb\x1b.db", "file:/x/a%0Ab%1B.db", "/x/a\nb\x1b.db"],
  ["/größe/日本.db", "file:/größe/日本.db", "/größe/日本.db"],
  ["file:/var/a.db", "file:/var/a.db", "/var/a.db"],
  ["FILE:///var/a.db", "file:/var/a.db", "/var/a.db"],
  ["file://localhost/var/a.db", "file:/var/a.db", "/var/a.db"],
  ["file:a.db", "file:/home/u/here/a.db", "/home/u/here/a.db"],
  ["file:/with space.db", "file:/with%20space.db", "/with space.db"],
  ["file:/with%20space.db", "file:/with%20space.db", "/with space.db"],
  ["http://127.0.0.1:8080", "http://127.0.0.1:8080", null],
  ["HTTPS://db.example.org/x", "https://db.example.org/x", null],
  ["ws://[::1]:8080", "ws://[::1]:8080", null],
  ["wss://db.example.org", "wss://db.example.org", null],
  ["libsql://db.example.org:8080?tls=0", "libsql://db.example.org:8080?tls=0", null],
];

for (const [value, url, path] of ACCEPTED) {
  Deno.test(`databaseUrl() gives ${url} when the value is ${JSON.stringify(value)}`, () => {
    assert.deepEqual(databaseUrl(value, "/home/u/here"), { url });
    assert.equal(databasePath(url), path);
    assert.deepEqual(databaseUrl(url, "/elsewhere"), { url }, "a URL does not depend on the directory");
  });
}

const MEMORY = "must be a file or a server, as a database in memory is lost with the process that opened it";
const SCHEMES =
  "must be a path or begin with file:, http:, https:, ws:, wss: or libsql: (write a path with a colon as ./a:b)";
const QUERY = "must have no query and no fragment (write ? as %3F and # as %23, or give a path, not a URL)";
const USER = "must hold no user name and no password (put the token in GLASSBOX_DB_TOKEN)";
const TILDE = "must be a whole path, as ~ is not expanded here";

const REFUSED: readonly [string, string][] = [
  ["", "must not be empty"],
  ["file:", "must not be empty"],
  ["/a\0b", "must not hold a NUL character"],
  ["file:/a%00b", "must not hold a NUL character"],
  ["~/a.db", TILDE],
  ["file:~/a.db", TILDE],
  [":memory:", MEMORY],
  ["file::memory:", MEMORY],
  ["postgres://h/db", SCHEMES],
  ["a:b.db", SCHEMES],
  ["file://server/a.db", "must name a file of this machine, as in file:/absolute/path"],
  ["file:/a.db?mode=ro", QUERY],
  ["file:/a#1.db", QUERY],
  ["file:/a%zz.db", "must have a valid percent-encoding"],
  ["http:example.org", "must be a valid URL, as in http://example.org:8080"],
  ["libsql://", "must be a valid URL, as in libsql://example.org:8080"],
  ["https://a b.org", "must be a valid URL, as in https://example.org:8080"],
  ["https://example.org:99999", "must be a valid URL, as in https://example.org:8080"],
  ["https://user:secret@example.org", USER],
  ["libsql://secret@example.org", USER],
  ["https://@example.org", USER],
  ["https://example.org?authToken=secret", "must hold no authToken (put the token in GLASSBOX_DB_TOKEN)"],
  ["https://example.org?jwt=secret", "must have no query other than tls=0 or tls=1"],
  ["https://example.org/#x", "must have no fragment"],
];

for (const [value, problem] of REFUSED) {
  Deno.test(`databaseUrl() says "${problem}" when the value is ${JSON.stringify(value)}`, () => {
    assert.deepEqual(databaseUrl(value, "/home/u/here"), { problem });
  });
}

Deno.test("databasePath() gives back every path when fileUrl() made the URL of it", () => {
  for (let code = 1; code < 0x3000; code++) {
    const path = `/d ir/${String.fromCharCode(code)}%41.db`;
    const url = fileUrl(path);
    assert.equal(databasePath(url), path);
    assert.doesNotMatch(url, /[\s?#]/, "the URL is one word without query and fragment");
  }
});

const REDACTED: readonly [string, string][] = [
  ["file:/home/u@h/a%3Fb.db", "file:/home/u@h/a%3Fb.db"],
  ["/plain/u@h?x#y.db", "/plain/u@h?x#y.db"],
  ["https://example.org:8080/x", "https://example.org:8080/x"],
  ["libsql://example.org:80?tls=0", "libsql://example.org:80?tls=0"],
  ["https://user:secret@example.org/x", "https://***@example.org/x"],
  ["https://user:se/c@ret@example.org", "https://***@example.org"],
  ["libsql://example.org?authToken=secret&x=1", "libsql://example.org?***"],
  ["libsql://example.org?tls=0&authToken=secret", "libsql://example.org?***"],
  ["libsql://example.org#secret", "libsql://example.org#***"],
  ["postgres:user:secret@h/db", "postgres:***@h/db"],
  ["https://u:secret\n@h", "https://***@h"],
];

for (const [value, shown] of REDACTED) {
  Deno.test(`redactUrl() gives ${shown} when the value is ${JSON.stringify(value)}`, () => {
    assert.equal(redactUrl(value), shown);
  });
}
