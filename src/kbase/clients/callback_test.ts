import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer as createSocketServer } from "node:net";
import { z } from "zod";
import {
  AT_SUBMIT,
  cut,
  done,
  JOB,
  json,
  running,
  serverOf,
  submitted,
  text,
} from "../../../tests/support/hostile_callback.ts";
import { TOKEN } from "../../../tests/support/kbase.ts";
import { createHost } from "../../platform/host.ts";
import { CallbackClient, type CallbackOptions } from "./callback.ts";
import type { Progress } from "./progress.ts";
import { ServiceError } from "./service_error.ts";

const SIZE_MAX = 1024 * 1024;

const WHOLE = z.tuple([z.object({ n: z.int() })]);

/** Short enough to wait for; where an answer is to come, a busy machine may take longer for it. */
const SILENCE_MS = 1_000;

function clientOf(url: string, options: CallbackOptions = {}): CallbackClient {
  const { clock } = createHost();
  const surroundings = { clock, signal: new AbortController().signal, token: TOKEN };
  return new CallbackClient(surroundings, url, { replyBytesMax: SIZE_MAX, ...options });
}

async function problemOf(url: string, options?: CallbackOptions): Promise<ServiceError> {
  const error = await clientOf(url, options).run("M.f", [{}], WHOLE).then(() => null, (error) => error);
  assert.ok(error instanceof ServiceError, String(error));
  return error;
}

Deno.test("run() names every way in which a submit can go wrong, asks once only and never shows the token", async (t) => {
  for (const [name, answer, problem, message] of AT_SUBMIT) {
    await t.step(name, async () => {
      await using server = await serverOf(answer);
      const error = await problemOf(server.url, problem === "timeout" ? { timeoutMs: SILENCE_MS } : {});
      assert.equal(error.problem, problem, error.message);
      assert.match(
        error.message,
        new RegExp(`^Cannot call M\\._f_submit: .* \\(service_${problem}\\)$`, "s"),
      );
      if (message !== undefined) assert.match(error.message, message);
      assert.equal(server.asked.length, 1);
      for (const shown of [error.message, error.stack ?? "", JSON.stringify(error.answered)]) {
        assert.equal(shown.includes(TOKEN), false);
      }
    });
  }
});

Deno.test("run() follows no redirect, so that no other host sees the token", async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    await using other = await serverOf(submitted);
    await using server = await serverOf(text("", status, { location: other.url }));
    assert.equal((await problemOf(server.url)).problem, "redirected");
    assert.equal(other.asked.length, 0);
  }
});

Deno.test("run() names an address where nobody is, and what is no address", async () => {
  const other = createSocketServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  // The near end of a connection has a port where nobody listens, and which nobody else is given meanwhile.
  const socket = connect((other.address() as AddressInfo).port, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  const port = socket.localPort;
  for (
    const url of [
      `http://127.0.0.1:${port}/`,
      "file:///etc/passwd",
      "nonsense",
      `http://u:${TOKEN}@127.0.0.1:${port}/`,
    ]
  ) {
    const error = await problemOf(url);
    assert.equal(error.problem, "unreachable");
    assert.equal(error.message.includes(TOKEN), false);
  }
  socket.destroy();
  await new Promise((resolve) => other.close(resolve));
});

Deno.test("run() takes what is not HTTP for no answer", async () => {
  const server = createSocketServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.end("SSH-2.0-OpenSSH_9.6\r\n"));
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const error = await problemOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  assert.equal(error.problem, "unreachable");
  await new Promise((resolve) => server.close(resolve));
});

Deno.test("run() submits with the raw token, asks until the job has finished, and gives its return values", async () => {
  await using server = await serverOf(submitted, running, done);
  assert.deepEqual(await clientOf(server.url).run("M.f", [{ a: 1 }], WHOLE, { version: "beta" }), [{ n: 1 }]);
  assert.deepEqual(server.asked.map(({ method, params }) => [method, params]), [
    ["M._f_submit", [{ a: 1 }]],
    ["M._check_job", [JOB]],
    ["M._check_job", [JOB]],
  ]);
  assert.deepEqual(server.asked[0]!.context, { service_ver: "beta" });
  assert.deepEqual(server.authorizations, [TOKEN, TOKEN, TOKEN]);
});

Deno.test("run() asks again after a failing check, three times in all, and never after the job's own error", async () => {
  const flaky = text("<html>", 503);
  {
    await using server = await serverOf(submitted, flaky, running, flaky, done);
    assert.deepEqual(await clientOf(server.url).run("M.f", [], WHOLE), [{ n: 1 }]);
  }
  {
    await using server = await serverOf(
      submitted,
      flaky,
      running,
      cut,
      running,
      json({ id: "x", result: [{ finished: 0 }] }),
    );
    const error = await problemOf(server.url);
    assert.equal(error.problem, "wrong_id");
    assert.match(error.message, /^Cannot call M\.f: _check_job failed 3 times and exceeded limit, last as /);
    assert.equal(server.asked.length, 6);
  }
  {
    const failed = json({
      error: { code: -32000, name: "Server error", message: "mine", error: "trace" },
      finished: 1,
    }, 500);
    await using server = await serverOf(submitted, failed);
    const error = await problemOf(server.url);
    assert.deepEqual(error.answered, { code: -32000, name: "Server error", trace: "trace" });
    assert.match(error.message, /^Cannot call M\.f: the callback server answered mine \(service_refused\)$/);
    assert.equal(server.asked.length, 2);
  }
});

Deno.test("run() tells a result of the wrong shape by its field, and does not ask again", async () => {
  await using server = await serverOf(submitted, json({ result: [{ finished: 1, result: [{ n: "one" }] }] }));
  await assert.rejects(
    clientOf(server.url).run("M.f", [], WHOLE),
    /Cannot call M\.f: it returned result\[0\]\.n: /,
  );
  assert.equal(server.asked.length, 2);
});

Deno.test("run() tells while it waits that it is under way", async () => {
  // The waits between these take 1.3 s at least, and it is told after one second.
  await using server = await serverOf(submitted, ...Array.from({ length: 4 }, () => running), done);
  const seen: Progress[] = [];
  const watcher = (progress: Progress) => void seen.push(progress);
  await clientOf(server.url, { watcher }).run("M.f", [], WHOLE, { what: "upload a.zip" });
  // The slower the machine, the more often it is told.
  assert.ok(seen.length >= 2, `${seen.length} times`);
  for (const [index, { what, isDone }] of seen.entries()) {
    assert.deepEqual([what, isDone], ["upload a.zip", index === seen.length - 1]);
  }
  assert.ok(seen[0]!.elapsedMs >= 1_000);
});

Deno.test("run() ends at once when the job is stopped", async () => {
  await using server = await serverOf(submitted, () => undefined);
  const stop = new AbortController();
  const { clock } = createHost();
  const client = new CallbackClient({ clock, signal: stop.signal, token: TOKEN }, server.url);
  const ended = client.run("M.f", [], WHOLE).then(() => null, (error) => error);
  while (server.asked.length < 2) await clock.sleep(5);
  stop.abort();
  assert.match((await ended).message, /the job was stopped/);
});

Deno.test("provenance() gives the list of actions, and an empty one where there is none", async () => {
  for (const [result, actions] of [[[[{ service: "M" }]], [{ service: "M" }]], [[[]], []], [[], []]]) {
    await using server = await serverOf(json({ result }));
    assert.deepEqual(await clientOf(server.url).provenance(), actions);
  }
});
