/** JSON-RPC as KBase speaks it, over HTTP. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newSandbox, type Program, programs, type Sandbox, type Server } from "../support/glassbox.ts";
import { eventually } from "../support/processes.ts";
import { listJobs } from "../support/jobs.ts";
import { authService, filesWith, makeWork, TOKEN } from "../support/kbase.ts";

const MODULE = `
module-name: Mine
module-version: "1.2.3"
glassbox:
  methods:
    open: { command: [echo, hello], authentication: none, parameters: [] }
    either: { command: [sh, -c, 'echo "{\\"version\\":\\"1.1\\",\\"result\\":[\\"\${KB_AUTH_TOKEN:+known}\\"]}" > "$1"', sh, "{output}"], authentication: optional, parameters: [] }
    closed: { command: [sh, -c, 'echo "{\\"version\\":\\"1.1\\",\\"result\\":[\\"$KB_AUTH_TOKEN\\"]}" > "$1"', sh, "{output}"], parameters: [] }
    fails: { command: [sh, -c, 'echo last words >&2; exit 3'], authentication: none, parameters: [] }
`;

/** A dynamic service in a sandbox, on a free port. */
async function serveModule(sandbox: Sandbox, environment: Record<string, string> = {}): Promise<Server> {
  await writeFile(join(sandbox.cwd, "kbase.yml"), MODULE);
  const running = sandbox.start(["kbase", "serve", "--port", "0"], { env: environment });
  const [, url] = await running.said(/answering JSON-RPC on (http:\/\/\S+) /);
  return Object.assign(running, { url: url! });
}

interface Answer {
  readonly status: number;
  readonly type: string | null;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
  readonly headers: Headers;
}

async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(url, { method: "POST", body: text, headers });
  const answer = await response.text();
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    body: answer === "" ? null : JSON.parse(answer),
    headers: response.headers,
  };
}

function rpc(method: string, params: unknown = []): Record<string, unknown> {
  return { version: "1.1", id: "42", method, params };
}

async function withService(
  program: Program,
  work: (url: string, sandbox: Sandbox, auth: { asked: () => number }) => Promise<void>,
): Promise<void> {
  await using sandbox = await newSandbox(program);
  await using auth = authService({ [TOKEN]: "somebody", ["OTHERTOKENOTHERTOKENOTHERTOKEN22"]: "another" });
  const environment = {
    KBASE_ENDPOINT: "http://127.0.0.1:1",
    AUTH_SERVICE_URL: auth.url,
    // Whoever started the service lends its token to nobody.
    KB_AUTH_TOKEN: "TOKENOFTHESTARTERTOKENOFTHESTART",
  };
  await using server = await serveModule(sandbox, environment);
  await work(server.url, sandbox, auth);
}

for (const program of programs()) {
  const name = `(${program.name})`;

  Deno.test(`kbase serve ${name} answers each version of JSON-RPC in its own form`, async () => {
    await withService(program, async (url) => {
      const result = [{ exitCode: 0 }];
      const base = { id: "42", method: "Mine.open", params: [] };
      const answers = [
        [{ ...base, version: "1.1" }, { version: "1.1", result, id: "42" }],
        [{ ...base, jsonrpc: "2.0" }, { jsonrpc: "2.0", result, id: "42" }],
        [base, { result, id: "42" }],
        [{ ...base, params: null }, { result, id: "42" }],
      ] as const;
      for (const [request, wanted] of answers) {
        const { status, type, body } = await post(url, request);
        assert.deepEqual([status, type, body], [200, "application/json", wanted]);
      }
      assert.deepEqual(await silent(url, { ...base, version: "1.1", id: null }), [200, ""]);
      const { id: _, ...withoutId } = base;
      assert.deepEqual(await silent(url, { ...withoutId, jsonrpc: "2.0" }), [204, ""]);
    });
  });

  Deno.test(`kbase serve ${name} answers every bad request with 500 and an error without a result`, async () => {
    await withService(program, async (url) => {
      const cases = [
        ["not JSON", { version: "1.1" }, -32700, "Parse error"],
        ["", { version: "1.1" }, -32700, "Parse error"],
        [[], { version: "1.1" }, -32600, "Invalid request"],
        [{ ...rpc("Mine.open"), id: [1] }, { version: "1.1" }, -32600, "Invalid request"],
        [{ version: "1.1", method: "Mine.open", params: [] }, { version: "1.1" }, -32600, "Invalid request"],
        [{ ...rpc("Mine.open"), jsonrpc: "3" }, { jsonrpc: "2.0", id: "42" }, -32600, "Invalid request"],
        [rpc("noDot"), { version: "1.1", id: "42" }, -32600, "Invalid request"],
        [rpc("Mine.open", "text"), { version: "1.1", id: "42" }, -32600, "Invalid request"],
        [rpc("Mine.absent"), { version: "1.1", id: "42" }, -32601, "Method not found"],
        [rpc("Mine.open", { a: 1 }), { version: "1.1", id: "42" }, -32602, "Invalid params"],
        [rpc("Mine.open", [1]), { version: "1.1", id: "42" }, -32602, "Invalid params"],
        [rpc("Mine.closed"), { version: "1.1", id: "42" }, -32000, "Server error"],
        [rpc("Mine.fails"), { version: "1.1", id: "42" }, -32000, "Server error"],
        [{ id: 1, method: "Mine.absent" }, { version: "1.0", id: 1 }, -32601, "Method not found"],
      ] as const;
      for (const [request, reply, code, errorName] of cases) {
        const { status, type, body } = await post(url, request);
        const { error, ...rest } = body;
        assert.equal(status, 500, JSON.stringify(request));
        assert.equal(type, "application/json");
        assert.deepEqual(rest, reply, JSON.stringify(request));
        assert.deepEqual([error.code, error.name], [code, errorName]);
      }
      const failed = (await post(url, rpc("Mine.fails"))).body.error;
      assert.deepEqual([failed.message, failed.error], ["The program ended with exit code 3", "last words"]);
      const second = await post(url, { jsonrpc: "2.0", id: 1, method: "Mine.fails", params: [] });
      assert.deepEqual([second.body.error.data, "error" in second.body.error], ["last words", false]);
      assert.equal((await fetch(url)).status, 500);
    });
  });

  Deno.test(`kbase serve ${name} takes its settings from the work directory, as every mode of a module does`, async () => {
    await using sandbox = await newSandbox(program);
    await using auth = authService({ [TOKEN]: "somebody" });
    const config = { auth_service_url: auth.url, auth_service_url_allow_insecure: "true" };
    await makeWork(sandbox, { input: null, token: null, config });
    await using server = await serveModule(sandbox);
    assert.match(server.text("stderr"), /settings from \S+\/work\/config\.properties/);
    const { status, body } = await post(server.url, rpc("Mine.closed"), { authorization: TOKEN });
    assert.deepEqual([status, "result" in body, auth.asked()], [200, true, 1]);
  });

  Deno.test(`kbase serve ${name} says of each answer how long it is, also of an empty one`, async () => {
    await withService(program, async (url) => {
      const notification = { ...rpc("Mine.open"), id: null };
      for (const request of [{ method: "OPTIONS" }, { method: "POST", body: JSON.stringify(notification) }]) {
        const response = await fetch(url, request);
        assert.deepEqual([response.status, response.headers.get("content-length")], [200, "0"]);
        assert.equal(await response.text(), "");
      }
    });
  });

  Deno.test(`kbase serve ${name} lets pages of any origin call it`, async () => {
    await withService(program, async (url) => {
      const headers = {
        "access-control-request-headers": "authorization,content-type",
        origin: "https://x.y",
      };
      const response = await fetch(url, { method: "OPTIONS", headers });
      assert.equal(response.status, 200);
      assert.equal(await response.text(), "");
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      assert.equal(response.headers.get("access-control-allow-headers"), "authorization,content-type");
      const { headers: others } = await post(url, "not JSON");
      assert.equal(others.get("access-control-allow-origin"), "*");
      assert.equal(others.get("access-control-allow-headers"), "authorization");
    });
  });

  Deno.test(`kbase serve ${name} answers status without a token`, async () => {
    await withService(program, async (url) => {
      const { status, body } = await post(url, rpc("Mine.status"));
      assert.equal(status, 200);
      assert.equal(body.result.length, 1);
      assert.equal(body.result[0].state, "OK");
      assert.equal(body.result[0].version, "1.2.3");
    });
  });

  Deno.test(`kbase serve ${name} asks who calls as each method wants it, and remembers the answer`, async () => {
    await withService(program, async (url, sandbox, auth) => {
      const missing = (await post(url, rpc("Mine.closed"))).body.error;
      assert.equal(
        missing.message,
        "Authentication required for Mine but no authentication header was passed",
      );
      const bad = (await post(url, rpc("Mine.closed"), { authorization: "BAD" })).body.error;
      assert.match(bad.message, /^Token validation failed: /);
      const before = auth.asked();
      for (const scheme of ["", "OAuth ", "Bearer "]) {
        const { status, body } = await post(url, rpc("Mine.closed"), { authorization: `${scheme}${TOKEN}` });
        // The method did get the token, and nobody hears it back.
        assert.deepEqual([status, body.result], [200, ["*".repeat(TOKEN.length)]]);
      }
      assert.equal(auth.asked(), before + 1);
      const known = async (authorization?: string) =>
        (await post(url, rpc("Mine.either"), authorization === undefined ? {} : { authorization })).body
          .result;
      assert.deepEqual([await known(TOKEN), await known("BAD"), await known()], [["known"], [""], [""]]);
      assert.equal((await post(url, rpc("Mine.open"), { authorization: "BAD" })).status, 200);
      assert.deepEqual(await filesWith(sandbox.directory, TOKEN), []);
    });
  });

  Deno.test(`kbase serve ${name} takes a call to be asked about later, by its owner alone`, async () => {
    await withService(program, async (url) => {
      const submitted = await post(url, rpc("Mine._closed_submit"), { authorization: TOKEN });
      const [id] = submitted.body.result;
      const check = (authorization: string) =>
        post(url, rpc("Mine._check_job", [id]), authorization === "" ? {} : { authorization });
      const done = await eventually("the call has ended", async () => {
        const { body } = await check(TOKEN);
        return body.result[0].finished === 1 ? body.result[0] : null;
      });
      assert.deepEqual(done, { version: "1.1", id: "42", result: ["*".repeat(32)], finished: 1 });
      for (const other of ["", "OTHERTOKENOTHERTOKENOTHERTOKEN22"]) {
        const { status, body } = await check(other);
        assert.deepEqual([status, body.error.message], [500, `No such job ID: ${id}`]);
      }
      const failing = (await post(url, rpc("Mine._fails_submit"))).body.result[0];
      const answer = await eventually("the failing call has ended", async () => {
        const answer = await post(url, rpc("any._check_job", [failing]));
        return answer.status === 500 ? answer : null;
      });
      assert.deepEqual([answer.body.finished, answer.body.error.code], [1, -32000]);
      assert.equal("result" in answer.body, false);
    });
  });

  Deno.test(`kbase serve ${name} refuses to be asked about what is no job of it`, async () => {
    await withService(program, async (url) => {
      const message = async (params: unknown) =>
        (await post(url, rpc("Mine._check_job", params))).body.error.message;
      assert.equal(await message([]), "method params must be a list containing exactly one job ID string");
      assert.equal(await message(["what"]), "Invalid job ID: what");
      const unknown = "01m81fcen3nr49nh5dnq43tbqd";
      assert.equal(await message([unknown]), `No such job ID: ${unknown}`);
    });
  });

  Deno.test(`no argument ${name} with KBASE_ENDPOINT and no work directory is a dynamic service`, async () => {
    await using sandbox = await newSandbox(program);
    await writeFile(join(sandbox.cwd, "kbase.yml"), MODULE);
    const env = { KBASE_ENDPOINT: "http://127.0.0.1:1", GLASSBOX_PORT: "0", GLASSBOX_HOST: "127.0.0.1" };
    await using running = sandbox.start([], { env });
    const [, url] = await running.said(/answering JSON-RPC on (http:\/\/\S+) /);
    assert.equal((await post(url!, rpc("Mine.status"))).status, 200);
    assert.equal((await fetch(`${url}/api/v1/jobs`)).status, 500);
    assert.deepEqual(await (await fetch(`${url}/health`)).json(), { status: "ok" });
    running.signal("SIGTERM");
    assert.equal((await running.ended).code, 0);
  });

  Deno.test(`serve ${name} answers JSON-RPC beside the rest, as jobs like any other, to no other origin`, async () => {
    await using sandbox = await newSandbox(program);
    await using server = await sandbox.serve();
    const { status, body } = await post(server.url, rpc("Glassbox.selftest", [{ steps: 2 }]));
    assert.deepEqual([status, body.result], [200, [{ steps: 2, cancelled: false }]]);
    assert.deepEqual((await listJobs(sandbox)).map(({ task, state }) => [task, state]), [[
      "selftest",
      "completed",
    ]]);
    const foreign = await post(server.url, rpc("Glassbox.selftest", [{}]), { origin: "https://x.y" });
    assert.equal(foreign.status, 403);
  });
}

async function silent(url: string, request: unknown): Promise<[number, string]> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(request) });
  return [response.status, await response.text()];
}
