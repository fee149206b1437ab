/** A real server on a free port with a database of its own, and the callers the HTTP suites use. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock, Host } from "../../src/core/host.ts";
import { Worker } from "../../src/executor/worker.ts";
import { follow } from "../../src/logs/follow.ts";
import { createHost } from "../../src/platform/host.ts";
import { ProblemDocument } from "../../src/server/documents.ts";
import { ROUTES } from "../../src/server/routes/table.ts";
import { serve, type Serving } from "../../src/server/serve.ts";
import { Store } from "../../src/store/store.ts";
import { builtInTasks } from "../../src/tasks/registry.ts";

export interface Rig extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly host: Host;
  readonly store: Store;
  readonly serving: Serving;
  readonly directory: string;
  /** What the server reported instead of telling its callers. */
  readonly reported: unknown[];
}

export interface RigOptions {
  readonly concurrency?: number;
  readonly graceMs?: number;
  readonly intake?: { readonly queuedMax: number; readonly submitRate: number | null };
  readonly clock?: (real: Clock) => Clock;
}

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const directory = await mkdtemp(join(tmpdir(), "glassbox-http-"));
  const real = createHost();
  const host = options.clock === undefined ? real : { ...real, clock: options.clock(real.clock) };
  const path = join(directory, "glassbox.db");
  const store = await Store.open({
    url: `file:${path}`,
    token: null,
    path,
    display: path,
    expectId: null,
    runDirectory: join(directory, "run"),
  }, host);
  const reported: unknown[] = [];
  const context = { host, store, registry: builtInTasks };
  const worker = await Worker.create(context, {
    launch: "serve",
    concurrency: options.concurrency ?? 4,
    queues: ["default"],
    onError: (error) => reported.push(error),
  });
  await worker.register();
  const serving = await serve({
    ...context,
    worker,
    settings: { host: "127.0.0.1", port: 0, ...options.intake },
    launch: { mode: "serve", why: "a test" },
    graceMs: options.graceMs ?? 0,
    report: (error) => reported.push(error),
  });
  return {
    url: serving.url,
    port: Number(new URL(serving.url).port),
    host,
    store,
    serving,
    directory,
    reported,
    async [Symbol.asyncDispose]() {
      await serving.close();
      await worker.close();
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A shell script as the request of an `exec` job. */
export function script(text: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { task: "exec", input: { program: "sh", args: ["-c", text], ...more } };
}

export function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

/** Submits a job and gives its id. */
export async function submit(rig: Rig, request: Record<string, unknown>): Promise<string> {
  const response = await post(`${rig.url}/api/v1/jobs`, request);
  const job = await response.json();
  assert.equal(response.status, 201, JSON.stringify(job));
  return job.id;
}

/** Resolves when the job is final. */
export async function settled(rig: Rig, id: string): Promise<void> {
  const beyond = Number.MAX_SAFE_INTEGER;
  for await (const _ of follow(rig.store, id, { afterLine: beyond, afterEvent: beyond, live: true }));
}

/** Asserts that the answer is a problem of this code and status, and gives it. */
export async function problem(response: Response, status: number, code: string) {
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  const document = ProblemDocument.parse(JSON.parse(text));
  assert.equal(document.code, code, text);
  assert.equal(document.status, status);
  assert.equal(document.type, `urn:glassbox:error:${code}`);
  assert.equal(document.requestId, response.headers.get("x-request-id"));
  return document;
}

/** Sends bytes over a bare connection and gives what came back when the other side has closed it. */
export function exchange(port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(request));
    socket.setEncoding("latin1");
    socket.on("data", (data) => answer += data);
    socket.on("close", () => resolve(answer));
    // Who is refused may find the connection reset behind the answer, as some of what it sent was never read.
    socket.on("error", (error) => answer === "" && reject(error));
  });
}

/** The body of an answer, checked against the schema that the route table gives for it. */
export async function answer(operation: string, response: Response, status = 200) {
  const text = await response.text();
  assert.equal(response.status, status, text);
  const row = ROUTES.find((route) => route.operation === operation);
  const schema = row?.replies.find((reply) => reply.status === status)?.schema;
  assert.ok(schema, `${operation} declares no answer ${status}`);
  // deno-lint-ignore no-explicit-any
  return schema.parse(JSON.parse(text)) as any;
}

/** A clock on which long waits are short, and short ones as they are. */
export function hurried(fromMs: number): (real: Clock) => Clock {
  return (real) => ({
    nowMs: () => real.nowMs(),
    monotonicMs: () => real.monotonicMs(),
    turn: () => real.turn(),
    sleep: (ms, signal) => real.sleep(ms >= fromMs ? 20 : ms, signal),
  });
}

/** A clock on which waits of exactly so long last much longer: for whoever must not come too late on a busy machine. */
export function stretched(waitMs: number): (real: Clock) => Clock {
  return (real) => ({
    nowMs: () => real.nowMs(),
    monotonicMs: () => real.monotonicMs(),
    turn: () => real.turn(),
    sleep: (ms, signal) => real.sleep(ms === waitMs ? 60_000 : ms, signal),
  });
}

/** Asks again until the answer is as wanted; the test's own time limit is the only other end. */
export async function until<Value>(
  ask: () => Promise<Value>,
  wanted: (value: Value) => boolean,
): Promise<Value> {
  for (;;) {
    const value = await ask();
    if (wanted(value)) return value;
  }
}
