/** A KBase job whose callback server misbehaves: it ends with a named error and an answer, and shows no token. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { newSandbox, programs } from "../support/glassbox.ts";
import {
  type Answer,
  AT_SUBMIT,
  cut,
  json,
  running,
  serverOf,
  submitted,
  text,
} from "../support/hostile_callback.ts";
import { call, filesWith, makeWork, readJson, TOKEN } from "../support/kbase.ts";

const METHOD = "KBDatalakeDashboard.run_genome_datalake_dashboard";
const PARAMS = [{ workspace_name: "lab", input_ref: "lab/tables" }];

/** What may go wrong after the submit went well, which is then asked for again, three times in all. */
const AT_CHECK: readonly [string, readonly Answer[], RegExp][] = [
  [
    "a 503 each time",
    [submitted, text("<html>", 503)],
    /_check_job failed 3 times .*\(service_unavailable\)$/,
  ],
  ["answers that break off", [submitted, running, cut], /_check_job failed 3 times .*\(service_cut_off\)$/],
  [
    "a job that nobody knows any more",
    [
      submitted,
      json({ error: { code: -32000, name: "CallbackServerError", message: "No such job ID: x" } }, 500),
    ],
    /No such job ID: x \(service_refused\)$/,
  ],
  [
    "a job that failed with the token in its words",
    [
      submitted,
      json({ error: { code: -32000, name: "Server error", message: TOKEN, error: TOKEN }, finished: 1 }, 500),
    ],
    /service_refused/,
  ],
  [
    "a result of another shape",
    [submitted, json({ result: [{ finished: 1, result: [{ data: "none" }] }] })],
    /Cannot call DataFileUtil\.get_objects: it returned result\[0\]\.data: /,
  ],
  [
    "an object without a name",
    [submitted, json({ result: [{ finished: 1, result: [{ data: [{ data: {}, info: [] }] }] }] })],
    /result\[0\]\.data\[0\]\.info/,
  ],
];

const CASES: readonly [string, readonly Answer[], RegExp][] = [
  ...AT_SUBMIT.map(([name, answer, problem]): [string, readonly Answer[], RegExp] => [
    name,
    [answer],
    // Engines differ in what they make of the deepest documents and of connections that just end.
    name === "too deep a result"
      ? /\(service_(bad_reply|not_json)\)$/
      : new RegExp(`\\(service_${problem}\\)$`),
  ]),
  ...AT_CHECK,
];

/** In seconds: short only where the time is to run out, as on a busy machine any answer may take a while. */
function timeoutFor(message: RegExp): string {
  return message.source.includes("service_timeout") ? "2" : "60";
}

for (const program of programs().filter(({ name }) => name === "binary")) {
  Deno.test("async (binary) ends with a named error whatever the callback server does", async (t) => {
    for (const [name, answers, message] of CASES) {
      await t.step(name, async () => {
        await using sandbox = await newSandbox(program);
        await using server = await serverOf(...answers);
        const config = { glassbox_service_timeout: timeoutFor(message) };
        const work = await makeWork(sandbox, { input: call(METHOD, PARAMS), config });
        const ended = await sandbox.run(["async"], { env: { SDK_CALLBACK_URL: server.url } });
        assert.equal(ended.code, 1, ended.err);
        const output = await readJson(join(work, "output.json"));
        assert.equal("result" in output, false);
        // What was submitted may run already: it is never submitted twice.
        assert.equal(server.asked.filter(({ method }) => method.endsWith("_submit")).length, 1);
        assert.equal(output.error.code, -32000);
        assert.match(output.error.message, message);
        assert.equal((ended.out + ended.err).includes(TOKEN), false);
        assert.deepEqual(await filesWith(work, TOKEN), [join(work, "token")]);
      });
    }
  });

  Deno.test("async (binary) carries its token to no other host", async () => {
    await using sandbox = await newSandbox(program);
    await using other = await serverOf(submitted);
    await using server = await serverOf(text("", 307, { location: other.url }));
    const work = await makeWork(sandbox, { input: call(METHOD, PARAMS) });
    const ended = await sandbox.run(["async"], { env: { SDK_CALLBACK_URL: server.url } });
    assert.equal(ended.code, 1);
    assert.match((await readJson(join(work, "output.json"))).error.message, /\(service_redirected\)$/);
    assert.equal(other.asked.length, 0);
  });

  Deno.test("async (binary) says that SDK_CALLBACK_URL is missing", async () => {
    await using sandbox = await newSandbox(program);
    const work = await makeWork(sandbox, { input: call(METHOD, PARAMS) });
    assert.equal((await sandbox.run(["async"])).code, 1);
    assert.match((await readJson(join(work, "output.json"))).error.message, /SDK_CALLBACK_URL is not set/);
  });
}
