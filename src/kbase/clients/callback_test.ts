import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createSocketServer, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { z } from "zod";
import { createHost } from "../../platform/host.ts";
import { CallbackClient } from "./callback.ts";
import type { Progress } from "./progress.ts";
import { ServiceError, type ServiceProblem } from "./service_error.ts";

const TOKEN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const JOB = "5c3b8a3e-7f5e-4d62-9b0a-0d5b6f3e8a11";
const SIZE_MAX = 1024 * 1024;

interface Asked {
  readonly id: string;
  readonly method: string;
  readonly params: readonly unknown[];
  readonly context?: unknown;
}

type Answer = (response: ServerResponse, asked: Asked, request: IncomingMessage) => void;

function json(document: unknown, status = 200, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(
      typeof document === "string" ? document : JSON.stringify(document),
    );
  };
}

function text(body: string | Uint8Array, status = 200, headers: Record<string, string> = {}): Answer {
  return (response) => void response.writeHead(status, headers).end(body);
}

/** Pieces without end, until the other side goes away. */
function flood(piece: Uint8Array): Answer {
  return (response) => {
    response.writeHead(200, { "content-type": "application/json" });
    let isOpen = true;
    response.on("close", () => isOpen = false);
    const more = (): void => {
      while (isOpen && response.write(piece));
      if (isOpen) response.once("drain", more);
    };
    more();
  };
}

/** One byte now and then. */
function drip(...parts: [head: boolean]): Answer {
  return (response, _asked, request) => {
    const [isHead] = parts;
    const { socket } = request;
    if (!isHead) response.writeHead(200);
    const timer = setInterval(() => {
      if (isHead) socket.write("H");
      else response.write(" ");
    }, 20);
    socket.on("close", () => clearInterval(timer));
  };
}

const cut: Answer = (response, _asked, request) => {
  response.writeHead(200, { "content-length": "1000" });
  response.write('{"result":["');
  setTimeout(() => request.socket.destroy(), 20);
};

const submitted: Answer = (response, asked) =>
  json({ version: "1.1", id: asked.id, result: [JOB] })(response, asked, null!);
const running = json({ result: [{ finished: 0 }] });
const done = json({
  result: [{ version: "1.1", id: "5d54bdcb9b402d15271b3208", result: [{ n: 1 }], finished: 1 }],
});

interface Server extends AsyncDisposable {
  readonly url: string;
  readonly asked: Asked[];
  readonly authorizations: (string | undefined)[];
}

/** Answers the first requests with these, and all later ones with the last. */
async function serverOf(...answers: Answer[]): Promise<Server> {
  const asked: Asked[] = [];
  const authorizations: (string | undefined)[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    let body = "";
    authorizations.push(request.headers.authorization);
    request.on("data", (piece) => body += piece);
    request.on("end", () => {
      const call = body === "" ? { id: "", method: "", params: [] } : JSON.parse(body);
      asked.push(call);
      answers[Math.min(asked.length, answers.length) - 1]!(response, call, request);
    });
    response.on("error", () => undefined);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked,
    authorizations,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const WHOLE = z.tuple([z.object({ n: z.int() })]);

function clientOf(url: string, watcher: (progress: Progress) => void = () => undefined): CallbackClient {
  const { clock } = createHost();
  const surroundings = { clock, signal: new AbortController().signal, token: TOKEN };
  return new CallbackClient(surroundings, url, { timeoutMs: 300, replyBytesMax: SIZE_MAX, watcher });
}

async function problemOf(url: string): Promise<ServiceError> {
  const error = await clientOf(url).run("M.f", [{}], WHOLE).then(() => null, (error) => error);
  assert.ok(error instanceof ServiceError, String(error));
  return error;
}

const DEEP = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;

/** How a callback server may fail at a submit, and by which name it is known. */
const AT_SUBMIT: readonly [string, Answer, ServiceProblem, RegExp?][] = [
  ["an empty 500", text("", 500), "unavailable"],
  ["a 503 page", text("<html>busy</html>", 503), "unavailable"],
  ["a 502 of a proxy", text("<html>Bad Gateway</html>", 502), "unavailable"],
  ["a 429", text("slow down", 429), "unavailable"],
  ["a 401", text("no", 401), "denied"],
  ["silence", () => undefined, "timeout"],
  ["a slow head", drip(true), "timeout"],
  ["a slow body", drip(false), "timeout"],
  ["garbage", text(crypto.getRandomValues(new Uint8Array(4096))), "not_json"],
  ["a page with status 200", text("<!DOCTYPE html><p>hello"), "not_json", /a page/],
  ["nothing with status 200", text(""), "not_json", /nothing/],
  ["NaN", json('{"result": [NaN]}'), "not_json"],
  ["half a document", json('{"result": ["abc'), "not_json"],
  ["two documents", json('{"result": ["a"]}{"result": ["b"]}'), "not_json"],
  ["a list", json([{ result: [JOB] }]), "bad_reply"],
  ["no result", json({ version: "1.1" }), "bad_reply"],
  ["no job id", json({ result: [{}] }), "bad_reply"],
  ["a job id that is a path", json({ result: ["../../etc/passwd"] }), "bad_reply"],
  ["too deep a result", json(`{"result": ${DEEP}}`), "bad_reply", /bad_reply|not_json/],
  ["the answer to another request", json({ id: "7", result: [JOB] }), "wrong_id"],
  ["a gigabyte", flood(new Uint8Array(64 * 1024).fill(0x20)), "too_large"],
  ["a gigabyte that it announces", text("x", 200, { "content-length": "1073741824" }), "too_large"],
  ["an answer that breaks off", cut, "cut_off"],
  [
    "a gzip bomb",
    text(gzipSync(new Uint8Array(64 * 1024 * 1024)), 200, { "content-encoding": "gzip" }),
    "encoded",
  ],
  ["a closed connection", (_response, _asked, request) => void request.socket.destroy(), "unreachable"],
  [
    "an error that says the token back",
    json({ error: { code: -32000, name: "E", message: `bad ${TOKEN}` } }, 500),
    "refused",
  ],
  ["an error of another shape", json({ error: "plain" }, 500), "refused", /plain/],
  ["an error without anything", json({ error: {} }, 500), "refused"],
];

Deno.test("run() names every way in which a submit can go wrong, asks once only and never shows the token", async (t) => {
  for (const [name, answer, problem, message] of AT_SUBMIT) {
    await t.step(name, async () => {
      await using server = await serverOf(answer);
      const error = await problemOf(server.url);
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
  const gone = createSocketServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => gone.once("listening", resolve));
  const { port } = gone.address() as AddressInfo;
  await new Promise((resolve) => gone.close(resolve));
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
  await using server = await serverOf(submitted, ...Array.from({ length: 6 }, () => running), done);
  const seen: Progress[] = [];
  await clientOf(server.url, (progress) => void seen.push(progress)).run("M.f", [], WHOLE, {
    what: "upload a.zip",
  });
  assert.deepEqual(seen.map(({ what, isDone }) => [what, isDone]), [["upload a.zip", false], [
    "upload a.zip",
    true,
  ]]);
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
