/** How the store's suites are written: each case on a database of its own, and errors by their code. */
import assert from "node:assert/strict";
import { type ErrorCode, isGlassboxError } from "../../src/core/errors.ts";
import { BACKENDS, type TestDatabase, testDatabase } from "./store_fixture.ts";

/** A test that must pass on an embedded file and on a libSQL server. */
export function onEach(name: string, body: (db: TestDatabase) => Promise<void>): void {
  for (const backend of BACKENDS) {
    Deno.test(`${name} (${backend})`, async () => {
      await using db = await testDatabase(backend);
      await body(db);
    });
  }
}

/** For `assert.rejects`: an error of ours with this code. */
export function refusedAs(code: ErrorCode): (error: unknown) => true {
  return (error) => {
    assert.ok(isGlassboxError(error), `not a GlassboxError: ${error}`);
    assert.equal(error.code, code, error.message);
    return true;
  };
}
