import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createClient } from "@libsql/client";
import { LIMITS } from "../../src/core/limits.ts";
import { createApp } from "../../src/server/app.ts";
import { ROUTES } from "../../src/server/routes/table.ts";
import { builtInTasks } from "../../src/tasks/registry.ts";
import { answer, exchange, post, problem, script, settled, startRig, submit } from "./http_support.ts";

const UNKNOWN_ID = "01m8000000000000000000000x";

/** Paths of the interface with every name filled in. */
function pathOf(route: { path: string }, id: string): string {
  return route.path.replace(":id", id).replace(/:name(\{\.\+\})?/, "exec");
}

Deno.test("GET /jobs lists by state, task and page, newest first", async () => {
  await using rig = await startRig({ concurrency: 1 });
  const ids: string[] = [];
  for (const code of [0, 1, 0, 1, 0]) {
    ids.push(await submit(rig, script(`exit ${code}`)));
    await settled(rig, ids.at(-1)!);
  }
  const list = async (query: string) =>
    await answer("listJobs", await fetch(`${rig.url}/api/v1/jobs?${query}`));
  const idsOf = ({ jobs }: { jobs: { id: string }[] }) => jobs.map(({ id }) => id);
  const newest = ids.toReversed();
  assert.deepEqual(idsOf(await list("")), newest);
  assert.deepEqual(idsOf(await list("state=failed")), [newest[1], newest[3]]);
  assert.deepEqual(idsOf(await list("state=failed,completed")), newest);
  assert.deepEqual(idsOf(await list("state=failed&state=running")), [newest[1], newest[3]]);
  assert.deepEqual(idsOf(await list("task=selftest")), []);
  const page = await list("limit=2");
  assert.deepEqual(idsOf(page), newest.slice(0, 2));
  const next = await list(`limit=3&before=${page.next}`);
  assert.deepEqual(idsOf(next), newest.slice(2));
  assert.equal(next.next, null);
  assert.equal((await list("limit=1e9")).jobs.length, 5);
});

Deno.test("a query is held to its schema", async () => {
  await using rig = await startRig();
  const id = await submit(rig, script("echo a; echo b"));
  await settled(rig, id);
  const rows: [path: string, field: string][] = [
    ["/api/v1/jobs?limit=0", "query.limit"],
    ["/api/v1/jobs?limit=-1", "query.limit"],
    ["/api/v1/jobs?limit=abc", "query.limit"],
    ["/api/v1/jobs?limit=", "query.limit"],
    ["/api/v1/jobs?limit=1.5", "query.limit"],
    ["/api/v1/jobs?limit=NaN", "query.limit"],
    ["/api/v1/jobs?limit=1&limit=2", "query.limit"],
    ["/api/v1/jobs?state=done", "query.state[0]"],
    ["/api/v1/jobs?before=x", "query.before"],
    ["/api/v1/jobs?colour=red", "query.colour"],
    ["/api/v1/jobs?__proto__=1", "query.__proto__"],
    [`/api/v1/jobs/${id}/events?after=-1`, "query.after"],
    [`/api/v1/jobs/${id}/logs?after=-1`, "query.after"],
    [`/api/v1/jobs/${id}/logs?format=xml`, "query.format"],
    [`/api/v1/jobs/${id}?x=1`, "query.x"],
    ["/health?x=1", "query.x"],
  ];
  for (const [path, field] of rows) {
    const { errors } = await problem(await fetch(rig.url + path), 422, "invalid_input");
    assert.deepEqual(errors.map((error) => error.field), [field], path);
  }
  const beyond = await answer("listEvents", await fetch(`${rig.url}/api/v1/jobs/${id}/events?after=9e99`));
  assert.deepEqual([beyond.events, beyond.more], [[], false]);
  const lines = await answer("listLines", await fetch(`${rig.url}/api/v1/jobs/${id}/logs?after=9e99`));
  assert.deepEqual([lines.lines, lines.more], [[], false]);
});

Deno.test("GET /jobs/:id/events gives the facts of a job in pages", async () => {
  await using rig = await startRig();
  const id = await submit(
    rig,
    script(`printf '{"type":"progress","fraction":0.5,"message":"half"}\\n' >&3; exit 4`),
  );
  await settled(rig, id);
  const page = async (query: string) =>
    await answer("listEvents", await fetch(`${rig.url}/api/v1/jobs/${id}/events?${query}`));
  const all = await page("");
  assert.deepEqual(all.events.map((event: { seq: number }) => event.seq), [1, 2, 3, 4, 5]);
  assert.equal(all.events[0].kind, "submitted");
  assert.equal(all.events[4].kind, "finished");
  assert.ok(all.events.some((event: { kind: string }) => event.kind === "progress"));
  assert.deepEqual([all.after, all.more], [5, false]);
  const first = await page("limit=2");
  assert.deepEqual([first.events.length, first.after, first.more], [2, 2, true]);
  const rest = await page("after=2");
  assert.deepEqual(rest.events, all.events.slice(2));
});

Deno.test("GET /jobs/:id/logs gives lines as JSON, text, bytes and a document per line", async () => {
  await using rig = await startRig();
  const written = "plain\\n\\303\\244\\r\\nbad \\377 byte\\nnul \\000 here\\n\\033[31mred\\nlast";
  const id = await submit(rig, script(`printf '${written}'`));
  await settled(rig, id);
  const url = `${rig.url}/api/v1/jobs/${id}/logs`;
  const { lines, partials, more } = await answer("listLines", await fetch(url));
  assert.deepEqual([partials, more], [[], false]);
  const shown = lines.map(({ seq, stream, end, text, base64 }: Record<string, unknown>) => [
    seq,
    stream,
    end,
    text,
    base64,
  ]);
  assert.deepEqual(shown, [
    [1, "stdout", "newline", "plain", undefined],
    [2, "stdout", "newline", "ä\r", undefined],
    [3, "stdout", "newline", "bad \ufffd byte", btoa("bad \xff byte")],
    [4, "stdout", "newline", "nul \0 here", btoa("nul \0 here")],
    [5, "stdout", "newline", "\x1b[31mred", undefined],
    [6, "stdout", "eof", "last", undefined],
  ]);

  const text = await fetch(url, { headers: { accept: "text/plain" } });
  assert.equal(text.headers.get("content-type"), "text/plain; charset=utf-8");
  assert.equal(await text.text(), "plain\nä\nbad \ufffd byte\nnul \\x00 here\n\\x1b[31mred\nlast\n");
  assert.equal(await (await fetch(`${url}?format=text&after=4&limit=1`)).text(), "\\x1b[31mred\n");

  const raw = await fetch(`${url}?format=raw`);
  assert.equal(raw.headers.get("content-type"), "application/octet-stream");
  const expected = "plain\n\xc3\xa4\r\nbad \xff byte\nnul \0 here\n\x1b[31mred\nlast";
  const bytes = new Uint8Array(await raw.arrayBuffer());
  assert.equal(String.fromCharCode(...bytes), expected);

  const ndjson = await fetch(url, { headers: { accept: "application/x-ndjson" } });
  assert.deepEqual((await ndjson.text()).trimEnd().split("\n").map((line) => JSON.parse(line)), lines);
  await problem(await fetch(url, { headers: { accept: "image/png" } }), 406, "not_acceptable");
});

Deno.test("GET /jobs/:id/logs gives every byte of much output, and pages of it that fit together", async () => {
  await using rig = await startRig();
  const id = await submit(rig, script("seq 1 30000; head -c 300000 /dev/zero | tr '\\0' x"));
  await settled(rig, id);
  const url = `${rig.url}/api/v1/jobs/${id}/logs`;
  const bytes = new Uint8Array(await (await fetch(`${url}?format=raw`)).arrayBuffer());
  const expected = Array.from({ length: 30000 }, (_, at) => `${at + 1}\n`).join("") + "x".repeat(300_000);
  const digest = (data: Uint8Array | string) => createHash("sha256").update(data).digest("hex");
  assert.equal(digest(bytes), digest(expected));

  const seqs: number[] = [];
  for (let after = 0, more = true; more;) {
    const page = await answer("listLines", await fetch(`${url}?after=${after}&limit=1000000`));
    assert.ok(page.lines.length <= LIMITS.listLimitMax);
    seqs.push(...page.lines.map((line: { seq: number }) => line.seq));
    ({ after, more } = page);
  }
  assert.deepEqual(seqs, Array.from({ length: seqs.length }, (_, at) => at + 1));
  assert.equal(seqs.length, 30000 + Math.ceil(300_000 / LIMITS.lineBytesMax));
});

Deno.test("GET /jobs/:id/artifacts gives names, and bytes that no browser will run", async () => {
  await using rig = await startRig();
  const id = await submit(rig, {
    task: "exec",
    input: {
      program: "sh",
      args: ["-c", "printf '<script>1</script>' > a.html; head -c 3000000 /dev/zero > big; : > empty"],
      outputs: [
        { path: "a.html", name: "sub/ä \"q\" '1'.html" },
        { path: "big", mediaType: "no type; set-cookie: a=b" },
        { path: "empty" },
      ],
    },
  });
  await settled(rig, id);
  const { artifacts } = await answer("listArtifacts", await fetch(`${rig.url}/api/v1/jobs/${id}/artifacts`));
  const [big, empty, page] = artifacts;
  assert.deepEqual([big.name, empty.name, page.name], ["big", "empty", "sub/ä \"q\" '1'.html"]);

  const response = await fetch(rig.url + page.url);
  assert.equal(await response.text(), "<script>1</script>");
  assert.equal(response.headers.get("content-type"), "text/html");
  assert.match(response.headers.get("content-security-policy") ?? "", /^sandbox;/);
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  assert.equal(response.headers.get("content-length"), "18");
  assert.match(
    response.headers.get("content-disposition") ?? "",
    /^attachment; filename="[\w.-]+"; filename\*=UTF-8''%C3%A4%20%22q%22%20%271%27\.html$/,
  );

  const large = await fetch(rig.url + big.url);
  assert.equal(large.headers.get("content-type"), "application/octet-stream");
  assert.equal(large.headers.get("set-cookie"), null);
  const sha256 = createHash("sha256").update(new Uint8Array(await large.arrayBuffer())).digest("hex");
  assert.equal(sha256, big.sha256);
  assert.equal(large.headers.get("etag"), `"${sha256}"`);
  const known = await fetch(rig.url + big.url, { headers: { "if-none-match": `W/"x", "${sha256}"` } });
  assert.deepEqual([known.status, await known.text()], [304, ""]);
  const head = await fetch(rig.url + big.url, { method: "HEAD" });
  assert.deepEqual([head.headers.get("content-length"), await head.text()], ["3000000", ""]);
  assert.equal(await (await fetch(rig.url + empty.url)).text(), "");
});

Deno.test("an artifact's name is a name and never a path", async () => {
  await using rig = await startRig();
  const id = await submit(rig, {
    task: "exec",
    input: { program: "sh", args: ["-c", "echo hi > r.txt"], outputs: [{ path: "r.txt" }] },
  });
  await settled(rig, id);
  const base = `/api/v1/jobs/${id}/artifacts`;
  const names = [
    "../r.txt",
    "..%2fr.txt",
    "%2e%2e/r.txt",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/r.txt",
    "//r.txt",
    "/etc/passwd",
    "../artifacts//r.txt",
    "r.txt%00",
    "r.txt/",
    "%5c..%5cr.txt",
    "r%E0%A4%A.txt",
    "x".repeat(300),
  ];
  for (const name of names) {
    const request =
      `GET ${base}/${name} HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\nConnection: close\r\n\r\n`;
    assert.match(await exchange(rig.port, request), /^HTTP\/1.1 404 /, name);
  }
  assert.equal(await (await fetch(`${rig.url}${base}/r.txt`)).text(), "hi\n");
});

Deno.test("POST /jobs/:id/cancel stops a job, once or twice, and not one that is final", async () => {
  await using rig = await startRig();
  const id = await submit(rig, { ...script("sleep 60"), graceMs: 1000 });
  const cancel = (body?: unknown) =>
    body === undefined
      ? fetch(`${rig.url}/api/v1/jobs/${id}/cancel`, { method: "POST" })
      : post(`${rig.url}/api/v1/jobs/${id}/cancel`, body);
  await problem(await cancel({ reason: "a\0b" }), 422, "invalid_input");
  await problem(await cancel({ because: "x" }), 422, "invalid_input");
  const first = await answer("cancelJob", await cancel({ reason: "no longer wanted" }));
  assert.equal(first.cancel.reason, "no longer wanted");
  const second = await answer("cancelJob", await cancel());
  assert.equal(second.cancel.reason, "no longer wanted");
  await settled(rig, id);
  assert.equal((await answer("cancelJob", await cancel({}))).state, "cancelled");
  const done = await submit(rig, script("true"));
  await settled(rig, done);
  const response = await fetch(`${rig.url}/api/v1/jobs/${done}/cancel`, { method: "POST" });
  assert.match((await problem(response, 409, "job_final")).detail, /already completed/);
});

Deno.test("POST /jobs/:id/retry submits the same request as a new job", async () => {
  await using rig = await startRig();
  const id = await submit(rig, { ...script("exit 9"), key: "first", priority: 3, graceMs: 7 });
  await settled(rig, id);
  const response = await fetch(`${rig.url}/api/v1/jobs/${id}/retry`, { method: "POST" });
  const location = response.headers.get("location");
  const again = await answer("retryJob", response, 201);
  assert.equal(location, `/api/v1/jobs/${again.id}`);
  assert.notEqual(again.id, id);
  assert.deepEqual([again.retryOf, again.key, again.priority, again.graceMs], [id, null, 3, 7]);
  await settled(rig, again.id);
  await problem(await post(`${rig.url}/api/v1/jobs/${id}/retry`, { x: 1 }), 422, "invalid_input");
});

Deno.test("an unknown job is not found, and a malformed id is no different", async () => {
  await using rig = await startRig();
  const routes = ROUTES.filter(({ path }) => path.startsWith("/api/v1/jobs/:id"));
  assert.ok(routes.length >= 9);
  for (const route of routes) {
    for (const id of [UNKNOWN_ID, "x", "%00", "'; drop table jobs", "x".repeat(500)]) {
      const path = pathOf(route, encodeURIComponent(decodeURIComponent(id)));
      const response = await fetch(rig.url + path, { method: route.method });
      const { detail, errors } = await problem(response, 404, "job_not_found");
      assert.match(
        detail,
        /^Cannot find job ".{1,66}": `glassbox jobs list` shows the jobs of this database$/,
      );
      assert.deepEqual(errors, []);
    }
  }
});

Deno.test("every path answers a wrong method with what it takes", async () => {
  await using rig = await startRig();
  const byPath = new Map<string, Set<string>>();
  for (const { path, method } of ROUTES) byPath.set(path, (byPath.get(path) ?? new Set()).add(method));
  for (const [path, methods] of byPath) {
    const allowed = [...methods].flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]);
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
      if (allowed.includes(method)) continue;
      const response = await fetch(rig.url + pathOf({ path }, UNKNOWN_ID), { method });
      assert.deepEqual(
        response.headers.get("allow")?.split(", ").sort(),
        allowed.sort(),
        `${method} ${path}`,
      );
      await problem(response, 405, "method_not_allowed");
    }
  }
  for (
    const path of [
      "/nope",
      "/api",
      "/api/v1",
      "/api/v1/jobs/",
      "/api/v2/jobs",
      "//api/v1/jobs",
      "/app.js.map",
    ]
  ) {
    await problem(await fetch(rig.url + path), 404, "not_found");
  }
});

Deno.test("requests beyond the bounds are refused before any work", async () => {
  await using rig = await startRig();
  const health = `${rig.url}/health`;
  const path = (length: number) => `${rig.url}/${"x".repeat(length - 1)}`;
  await problem(await fetch(path(LIMITS.urlBytesMax)), 404, "not_found");
  await problem(await fetch(path(LIMITS.urlBytesMax + 1)), 414, "url_too_long");
  const headers = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`x-${at}`, "1"]));
  assert.equal((await fetch(health, { headers: headers(80) })).status, 200);
  const many = await fetch(health, { headers: headers(101) });
  assert.deepEqual([many.status, (await many.json()).code], [431, "header_too_large"]);
  const large = await exchange(
    rig.port,
    `GET /health HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\nX: ${"y".repeat(LIMITS.headerBytesMax)}\r\n\r\n`,
  );
  assert.match(large, /^HTTP\/1.1 431 /);
});

Deno.test("what Accept excludes is not sent", async () => {
  await using rig = await startRig();
  const get = (path: string, accept: string) => fetch(rig.url + path, { headers: { accept } });
  await problem(await get("/api/v1/about", "text/html"), 406, "not_acceptable");
  await problem(await get("/api/v1/about", "application/json;q=0, */*"), 406, "not_acceptable");
  for (const accept of ["application/json", "application/*", "*/*;q=0.1", "text/html, */*;q=0.8", ""]) {
    await answer("about", await get("/api/v1/about", accept));
  }
});

Deno.test("the server tells what it is, what it can run and who runs it", async () => {
  await using rig = await startRig();
  const about = await answer("about", await fetch(`${rig.url}/api/v1/about`));
  assert.deepEqual([about.mode, about.why, about.isDraining], ["serve", "a test", false]);
  assert.deepEqual([about.database.id, about.database.schema], [rig.store.id, rig.store.schema]);
  assert.equal(about.pid, Deno.pid);
  const { workers } = await answer("listWorkers", await fetch(`${rig.url}/api/v1/workers`));
  assert.deepEqual(workers.map(({ id }: { id: string }) => id), [about.worker.id]);
  const { tasks } = await answer("listTasks", await fetch(`${rig.url}/api/v1/tasks`));
  for (const { url, name } of tasks) {
    const task = await answer("getTask", await fetch(rig.url + url));
    assert.equal(task.name, name);
    // A task may take, or give, one of several forms.
    for (const { type, anyOf = [{ type }] } of [task.input, task.output]) {
      assert.deepEqual(anyOf.map(({ type }: { type: string }) => type), anyOf.map(() => "object"), name);
    }
  }
  await problem(await fetch(`${rig.url}/api/v1/tasks/nope`), 404, "task_unknown");
  assert.deepEqual(await answer("health", await fetch(`${rig.url}/health`)), { status: "ok" });
  assert.deepEqual(await answer("ready", await fetch(`${rig.url}/ready`)), { status: "ready" });
});

Deno.test("every answer carries the security headers and a number, and none allows another origin", async () => {
  await using rig = await startRig();
  const id = await submit(rig, script("true"));
  await settled(rig, id);
  const paths = [...ROUTES.map((route) => pathOf(route, id)), "/nope", "/api/v1/jobs?limit=0"];
  for (const path of paths) {
    const response = await fetch(rig.url + path);
    await response.body?.cancel();
    const { headers } = response;
    assert.match(
      headers.get("content-security-policy") ?? "",
      /default-src '(self|none)'.*frame-ancestors 'none'/,
      path,
    );
    assert.equal(headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(headers.get("cross-origin-resource-policy"), "same-origin", path);
    assert.equal(headers.get("referrer-policy"), "no-referrer", path);
    assert.match(headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/, path);
    for (const [name] of headers) assert.doesNotMatch(name, /^access-control-/, path);
  }
});

Deno.test("an unexpected error is reported, and tells the caller nothing but its number", async () => {
  await using rig = await startRig();
  const reported: [unknown, string][] = [];
  const broken = new Error("secret of the inside");
  const store = new Proxy(rig.store, {
    get: (target, name) =>
      name === "jobs" ? { find: () => Promise.reject(broken) } : Reflect.get(target, name),
  });
  const app = createApp({
    host: rig.host,
    store,
    registry: builtInTasks,
    launch: { mode: "serve", why: "a test" },
    address: () => ({ host: "127.0.0.1", port: 8000 }),
    worker: () => null,
    report: (error, requestId) => reported.push([error, requestId]),
  });
  const response = await app.fetch(
    new Request("http://127.0.0.1:8000/ready", { headers: { host: "127.0.0.1:8000" } }),
  );
  const document = await problem(response, 500, "internal");
  assert.doesNotMatch(JSON.stringify(document), /secret|\.ts|at /);
  assert.deepEqual(reported, [[broken, document.requestId]]);
});

Deno.test("/openapi.json describes every route, and all its references lead somewhere", async () => {
  await using rig = await startRig();
  const document = await (await fetch(`${rig.url}/openapi.json`)).json();
  assert.equal(document.openapi, "3.1.0");
  for (const { method, path, operation } of ROUTES) {
    if (operation === null) continue;
    const described = document.paths[path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}")]?.[method.toLowerCase()];
    assert.equal(described?.operationId, operation);
  }
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to]) => to!);
  assert.ok(references.length > 20);
  for (const reference of new Set(references)) {
    const found = reference.slice(2).split("/").reduce((at, part) => at?.[part], document);
    assert.ok(found, reference);
  }
});

Deno.test("the page and its parts are sent as what they are, and hold no inline script", async () => {
  await using rig = await startRig();
  const page = await fetch(rig.url);
  assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
  const html = await page.text();
  assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?:\/\//);
  const parts = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path!);
  assert.ok(parts.length >= 3);
  for (const path of parts) {
    const part = await fetch(rig.url + path);
    assert.equal(part.status, 200, path);
    await part.body?.cancel();
    const etag = part.headers.get("etag")!;
    const again = await fetch(rig.url + path, { headers: { "if-none-match": etag } });
    assert.deepEqual([again.status, await again.text()], [304, ""]);
  }
});

Deno.test("an artifact whose bytes cannot be read is cut off and reported, and never looks whole", async () => {
  await using rig = await startRig();
  const id = await submit(rig, {
    task: "exec",
    input: { program: "sh", args: ["-c", "head -c 3000000 /dev/zero > big"], outputs: [{ path: "big" }] },
  });
  await settled(rig, id);
  const client = createClient({ url: `file:${rig.store.display}`, timeout: 5_000 });
  await client.execute("DELETE FROM artifact_parts WHERE part = 2");
  client.close();
  const response = await fetch(`${rig.url}/api/v1/jobs/${id}/artifacts/big`);
  assert.equal(response.status, 200);
  await assert.rejects(response.arrayBuffer());
  assert.match(String(rig.reported[0]), /part 2 is not stored/);
});
