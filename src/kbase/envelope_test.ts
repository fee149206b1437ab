import assert from "node:assert/strict";
import { errorDocument, readRequest, replyTo, successDocument } from "./envelope.ts";
import { RPC, RpcError } from "./rpc_error.ts";

const BASE = { id: "1", method: "M.f", params: [1] };

function codeOf(document: unknown): number {
  try {
    readRequest(document);
  } catch (error) {
    assert.ok(error instanceof RpcError);
    return error.code;
  }
  return 0;
}

Deno.test("readRequest() takes 1.1, 2.0 and 1.0, and no params for none", () => {
  assert.equal(readRequest({ ...BASE, version: "1.1" }).version, "1.1");
  assert.equal(readRequest({ ...BASE, jsonrpc: "2.0" }).version, "2.0");
  for (const version of [undefined, "1.0", "7"]) {
    assert.equal(readRequest({ ...BASE, version }).version, "1.0");
  }
  for (const params of [undefined, null, []]) assert.deepEqual(readRequest({ ...BASE, params }).params, []);
  assert.equal(readRequest({ ...BASE, id: null }).id, null);
  assert.equal(readRequest({ jsonrpc: "2.0", method: "M.f" }).id, undefined);
});

Deno.test("readRequest() refuses what is no request of one method with positional params", () => {
  for (const document of [null, 1, "text", [], [BASE]]) assert.equal(codeOf(document), -32600);
  for (const method of [undefined, 1, "", "f", "M.", ".f", "M.a.b"]) {
    assert.equal(codeOf({ ...BASE, method }), -32600);
  }
  for (const id of [{}, [], true, undefined]) assert.equal(codeOf({ ...BASE, id }), -32600);
  assert.equal(codeOf({ ...BASE, jsonrpc: "1.1" }), -32600);
  assert.equal(codeOf({ ...BASE, params: {} }), -32602);
  assert.equal(codeOf({ ...BASE, params: "text" }), -32600);
});

Deno.test("successDocument() and errorDocument() say version and trace where each version wants them", () => {
  const error = new RpcError(RPC.server, "m", { trace: "t" });
  const reply = (document: object) => replyTo({ ...BASE, ...document });
  const fields = { name: "Server error", code: -32000, message: "m" };
  assert.deepEqual(successDocument(reply({ version: "1.1" }), [2]), { version: "1.1", result: [2], id: "1" });
  assert.deepEqual(successDocument(reply({ jsonrpc: "2.0" }), [2]), { jsonrpc: "2.0", result: [2], id: "1" });
  assert.deepEqual(successDocument(reply({}), [2]), { result: [2], id: "1" });
  assert.deepEqual(errorDocument(reply({ version: "1.1" }), error), {
    version: "1.1",
    id: "1",
    error: { ...fields, error: "t" },
  });
  assert.deepEqual(errorDocument(reply({ jsonrpc: "2.0" }), error), {
    jsonrpc: "2.0",
    id: "1",
    error: { ...fields, data: "t" },
  });
  assert.deepEqual(errorDocument(reply({}), error), {
    version: "1.0",
    id: "1",
    error: { ...fields, error: "t" },
  });
});

Deno.test("replyTo() finds version and id of what is no sound request", () => {
  assert.deepEqual(replyTo("text"), { version: "1.1", id: undefined });
  assert.deepEqual(replyTo({ id: {}, version: "1.1" }), { version: "1.1", id: undefined });
  assert.deepEqual(replyTo({ id: 0, jsonrpc: "x" }), { version: "2.0", id: 0 });
});
