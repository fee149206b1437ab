import assert from "node:assert/strict";
import { close } from "./network.ts";

Deno.test("close() ends although the engine never says that all connections are closed, which are cut off first", async () => {
  const calls: string[] = [];
  const call = (name: string) => () => void calls.push(name);
  const server = {
    close: call("close") as never,
    closeIdleConnections: call("closeIdleConnections"),
    closeAllConnections: call("closeAllConnections"),
  };
  const sockets = {
    close: () => new Promise<never>(() => {}),
    cutOff: () => Promise.resolve(void calls.push("cutOff")),
  };
  await close(server, sockets, 1);
  assert.deepEqual(calls, ["close", "closeIdleConnections", "closeAllConnections", "cutOff"]);
});
