import assert from "node:assert/strict";
import { LIMITS } from "../../src/core/limits.ts";
import { BODY_BYTES_MAX } from "../../src/server/body.ts";
import { answer, exchange, hurried, post, problem, script, settled, startRig } from "./http_support.ts";

Deno.test("POST /jobs stores a job and says where it is", async () => {
  await using rig = await startRig();
  const response = await post(`${rig.url}/api/v1/jobs`, script("echo hello"));
  const location = response.headers.get("location");
  const job = await answer("submitJob", response, 201);
  assert.equal(location, `/api/v1/jobs/${job.id}`);
  assert.deepEqual(job.input, { program: "sh", args: ["-c", "echo hello"] });
  await settled(rig, job.id);
  const detail = await answer("getJob", await fetch(rig.url + location));
  assert.equal(detail.state, "completed");
  assert.equal(detail.lastLine, 1);
  assert.equal(detail.attempts[0].evidence.exitCode, 0);
  assert.deepEqual((await answer("getResult", await fetch(`${rig.url}${location}/result`))).result, {
    exitCode: 0,
  });
  const { digest } = await answer("getDigest", await fetch(rig.url + detail.digestUrl));
  assert.match(digest, /^[0-9a-f]{64}$/);
});

Deno.test("POST /jobs gives the first job again when its key comes again", async () => {
  await using rig = await startRig();
  const url = `${rig.url}/api/v1/jobs`;
  const first = await answer("submitJob", await post(url, script("true"), { "idempotency-key": "k1" }), 201);
  assert.equal(first.key, "k1");

  const byHeader = await post(url, script("true"), { "idempotency-key": "k1" });
  assert.equal(byHeader.headers.get("idempotent-replayed"), "true");
  assert.equal(byHeader.headers.get("location"), `/api/v1/jobs/${first.id}`);
  assert.equal((await answer("submitJob", byHeader)).id, first.id);

  const byBody = await post(url, { ...script("true"), key: "k1" });
  assert.equal((await answer("submitJob", byBody)).id, first.id);
  const byBoth = await post(url, { ...script("true"), key: "k1" }, { "idempotency-key": "k1" });
  assert.equal((await answer("submitJob", byBoth)).id, first.id);

  const conflict = await problem(await post(url, { ...script("false"), key: "k1" }), 409, "key_conflict");
  assert.match(conflict.detail, new RegExp(first.id));
  const differing = await post(url, { ...script("true"), key: "k1" }, { "idempotency-key": "k2" });
  assert.equal((await problem(differing, 422, "invalid_input")).errors[0]!.field, "key");
  const long = await post(url, script("true"), { "idempotency-key": "k".repeat(LIMITS.keyLengthMax + 1) });
  assert.equal((await problem(long, 422, "invalid_input")).errors[0]!.field, "key");
  const control = await post(url, { ...script("true"), key: "a\nb" });
  assert.equal((await problem(control, 422, "invalid_input")).errors[0]!.field, "key");

  const { jobs } = await answer("listJobs", await fetch(url));
  assert.equal(jobs.length, 1);
});

Deno.test("POST /jobs under one key stores one job however many ask at once", async () => {
  await using rig = await startRig();
  const asks = Array.from(
    { length: 20 },
    () => post(`${rig.url}/api/v1/jobs`, { ...script("true"), key: "one" }),
  );
  const answers = await Promise.all((await Promise.all(asks)).map(async (response) => ({
    status: response.status,
    id: (await response.json()).id,
  })));
  assert.equal(new Set(answers.map(({ id }) => id)).size, 1);
  assert.equal(answers.filter(({ status }) => status === 201).length, 1);
});

Deno.test("POST /jobs names every bad field", async () => {
  await using rig = await startRig();
  const url = `${rig.url}/api/v1/jobs`;
  const fieldsOf = async (body: unknown) =>
    (await problem(await post(url, body), 422, "invalid_input")).errors.map(({ field }) => field);
  assert.deepEqual(
    await fieldsOf({ task: "exec", input: { program: "sh", args: ["a", "b", 3], cwd: "here", colour: 1 } }),
    ["input.args[2]", "input.cwd", "input.colour"],
  );
  assert.deepEqual(await fieldsOf({}), ["task"]);
  assert.deepEqual(await fieldsOf({ task: "exec", input: {}, priority: 1001, queue: "A!", tsk: 1 }), [
    "queue",
    "priority",
    "tsk",
  ]);
  assert.deepEqual(await fieldsOf({ task: "exec", input: { program: "a\0b" } }), ["input.program"]);
  assert.deepEqual(await fieldsOf({ ...script("true"), timeoutMs: 0, graceMs: -1 }), [
    "timeoutMs",
    "graceMs",
  ]);
  const many = await fieldsOf({ task: "exec", input: { program: "sh", args: Array(50).fill(1) } });
  assert.equal(many.length, 20);
  const unknown = await problem(await post(url, { task: "nope" }), 404, "task_unknown");
  assert.equal(unknown.errors[0]!.field, "task");
  assert.deepEqual((await answer("listJobs", await fetch(url))).jobs, []);
});

Deno.test("POST /jobs refuses what is not one JSON object, with its place", async () => {
  await using rig = await startRig();
  const url = `${rig.url}/api/v1/jobs`;
  const rows: [body: string, code: string, detail: RegExp][] = [
    ["", "bad_json", /empty, at 1:1/],
    ["{", "bad_json", /at 1:2/],
    ['{"task":"exec",\n "input":{]}', "bad_json", /at 2:11/],
    ["[]", "bad_json", /one object/],
    ['"exec"', "bad_json", /one object/],
    ["null", "bad_json", /one object/],
    ['{"task":"exec"} {}', "bad_json", /at 1:17/],
    ['{"task":"exec","task":"exec"}', "bad_json", /twice/],
    ['{"task":"exec","__proto__":{}}', "bad_json", /__proto__/],
    ['{"task":"exec","input":{"constructor":1}}', "bad_json", /constructor/],
    ['{"task":"exec","input":{"program":"\\ud800"}}', "bad_json", /surrogate/],
    [`{"task":"exec","input":${"[".repeat(65)}${"]".repeat(65)}}`, "too_deep", /64|65/],
  ];
  for (const [body, code, detail] of rows) {
    const { detail: seen } = await problem(await post(url, body), 400, code);
    assert.match(seen, detail, body);
  }
  // An input of the greatest depth is read; that it is no input of exec is another matter.
  const deep = `{"task":"exec","input":${"[".repeat(64)}${"]".repeat(64)}}`;
  await problem(await post(url, deep), 422, "invalid_input");
});

Deno.test("POST /jobs wants plain JSON", async () => {
  await using rig = await startRig();
  const url = `${rig.url}/api/v1/jobs`;
  const body = JSON.stringify(script("true"));
  for (
    const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "application/json; charset=utf-16",
      "application/jsonp",
    ]
  ) {
    const response = await post(url, body, { "content-type": type });
    assert.match((await problem(response, 415, "unsupported_media_type")).detail, /application\/json/);
  }
  for (const encoding of ["gzip", "br", "identity, gzip"]) {
    await problem(await post(url, body, { "content-encoding": encoding }), 415, "unsupported_media_type");
  }
  const fine = await post(url, body, { "content-type": 'Application/JSON; charset="UTF-8"' });
  await answer("submitJob", fine, 201);
  await problem(await fetch(url, { method: "POST" }), 415, "unsupported_media_type");
});

Deno.test("POST /jobs takes an input at its bound and refuses what is larger", async () => {
  await using rig = await startRig({ concurrency: 1 });
  const url = `${rig.url}/api/v1/jobs`;
  const request = (length: number) => ({
    task: "exec",
    input: { program: "true", stdin: "x".repeat(length) },
  });
  const envelope = JSON.stringify(request(0).input).length;
  await answer("submitJob", await post(url, request(LIMITS.inputBytesMax - envelope)), 201);
  await problem(await post(url, request(LIMITS.inputBytesMax - envelope + 1)), 413, "too_large");
  await problem(await post(url, "x".repeat(BODY_BYTES_MAX + 1)), 413, "too_large");
});

Deno.test("POST /jobs refuses a large body before it has come", async () => {
  await using rig = await startRig();
  const head =
    `POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\nContent-Type: application/json\r\n`;
  const announced = await exchange(rig.port, `${head}Content-Length: ${BODY_BYTES_MAX + 1}\r\n\r\n{`);
  assert.match(announced, /^HTTP\/1.1 413 /);
  const size = BODY_BYTES_MAX + 1;
  const chunk = `${size.toString(16)}\r\n${" ".repeat(size)}\r\n`;
  const chunked = await exchange(rig.port, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}`);
  assert.match(chunked, /^HTTP\/1.1 413 /);
});

Deno.test("fault 43: POST /jobs gives up on a body that does not come", async () => {
  await using rig = await startRig({ clock: hurried(LIMITS.bodyIdleMs) });
  const answered = await exchange(
    rig.port,
    `POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\nContent-Type: application/json\r\n` +
      `Content-Length: 100\r\n\r\n{"task":`,
  );
  assert.match(answered, /^HTTP\/1.1 408 /);
  assert.match(answered, /"code":"request_timeout"/);
});

Deno.test("POST /jobs refuses a media type that would not stay in its header", async () => {
  await using rig = await startRig();
  const outputs = [{ path: "big", mediaType: "text/plain\r\nset-cookie: a=b" }];
  const body = JSON.stringify({ task: "exec", input: { program: "true", outputs } });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${rig.url}/api/v1/jobs`, { method: "POST", headers, body });
  assert.equal(response.status, 422);
  assert.equal((await response.json()).errors[0].field, "input.outputs[0].mediaType");
});
