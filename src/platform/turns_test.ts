import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { isTurnOver, ownTurn, spend } from "./turns.ts";

/** Works for so long without giving way. */
function work(ms: number): void {
  const startedMs = performance.now();
  while (performance.now() - startedMs < ms);
  spend(performance.now() - startedMs);
}

Deno.test("ownTurn() lets streams go on one after another, in the order in which they asked", async () => {
  const log: string[] = [];
  const stream = async (name: string) => {
    await ownTurn();
    log.push(name);
    await ownTurn();
    log.push(name);
  };
  await Promise.all([stream("a"), stream("b")]);
  assert.deepEqual(log, ["a", "b", "a", "b"]);
});

Deno.test("isTurnOver() is true once streams have worked long enough, until the next turn", async () => {
  await ownTurn();
  assert.equal(isTurnOver(), false);
  work(6);
  assert.equal(isTurnOver(), true);
  await ownTurn();
  assert.equal(isTurnOver(), false);
});

Deno.test("requests are answered between the turns of streams that never end", async () => {
  const server = createServer((_, response) => response.end("here"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  let turns = 0;
  let isAnswered = false;
  const flood = async () => {
    while (!isAnswered) {
      work(5);
      turns++;
      await ownTurn();
    }
  };
  const floods = [flood(), flood()];
  for (let count = 0; count < 3; count++) {
    assert.equal(await (await fetch(`http://127.0.0.1:${port}`)).text(), "here");
  }
  isAnswered = true;
  await Promise.all(floods);
  await new Promise((resolve) => server.close(resolve));
  // A loop that asks the kernel at every 61st turn would need 61 for each step of each request.
  assert.ok(turns < 90, `three requests took ${turns} turns`);
});
