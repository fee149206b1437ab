import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { WebSocket } from "ws";
import { GlassboxError } from "../../src/core/errors.ts";
import { Worker } from "../../src/executor/worker.ts";
import { serve } from "../../src/server/serve.ts";
import { builtInTasks } from "../../src/tasks/registry.ts";
import { answer, post, problem, type Rig, script, settled, startRig, submit, until } from "./http_support.ts";

/** Says on its stdout that it runs, and ends when a file appears. */
function waitsFor(path: string): Record<string, unknown> {
  return { ...script(`echo runs; until [ -e '${path}' ]; do sleep 0.01; done; echo ended`), graceMs: 2_000 };
}

/** Reads a stream until a job has written its first line, and gives the rest of it as text. */
async function watching(rig: Rig, id: string): Promise<{ rest: Promise<string> }> {
  const response = await fetch(`${rig.url}/api/v1/jobs/${id}/stream`);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("event: line")) text += (await reader.read()).value;
  const rest = (async () => {
    for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value;
    return text;
  })();
  return { rest };
}

async function listenWith(rig: Rig, settings: { host: string; port: number }): Promise<unknown> {
  const context = { host: rig.host, store: rig.store, registry: builtInTasks };
  const worker = await Worker.create(context, {
    launch: "serve",
    concurrency: 1,
    queues: ["default"],
    onError: () => undefined,
  });
  try {
    const launch = { mode: "serve", why: "a test" } as const;
    const serving = await serve({
      ...context,
      worker,
      settings,
      launch,
      graceMs: 0,
      report: () => undefined,
    });
    await serving.close();
    return serving.url;
  } catch (error) {
    return error;
  } finally {
    await worker.close();
  }
}

Deno.test("serve() lets running jobs finish within the grace time, and takes no new ones meanwhile", async () => {
  await using rig = await startRig({ graceMs: 60_000, concurrency: 1 });
  const end = join(rig.directory, "end");
  const running = await submit(rig, waitsFor(end));
  const { rest } = await watching(rig, running);
  const waiting = await submit(rig, script("true"));
  const waitingWatch = (await fetch(`${rig.url}/api/v1/jobs/${waiting}/stream`)).text();
  const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/ws/${waiting}?afterLine=0`);
  const socketClosed = new Promise<number>((resolve) => socket.on("close", (code) => resolve(code)));
  await new Promise<void>((resolve) => socket.once("message", () => resolve()));

  const closed = rig.serving.close();
  const refused = await post(`${rig.url}/api/v1/jobs`, script("true"));
  assert.ok(Number(refused.headers.get("retry-after")) > 0);
  await problem(refused, 503, "shutting_down");
  await problem(
    await fetch(`${rig.url}/api/v1/jobs/${running}/retry`, { method: "POST" }),
    503,
    "shutting_down",
  );
  await problem(await fetch(`${rig.url}/ready`), 503, "shutting_down");
  assert.equal((await fetch(`${rig.url}/health`)).status, 200);
  const about = await answer("about", await fetch(`${rig.url}/api/v1/about`));
  assert.deepEqual([about.isDraining, about.worker.running], [true, [running]]);

  await writeFile(end, "");
  await closed;
  // Whoever watched the job has seen all of it; whoever waited for one that never ran was told to come again.
  assert.match(await rest, /"text":"ended"[^]*"state":"completed","reason":"final"/);
  assert.match(
    await waitingWatch,
    /event: end\ndata: \{"type":"end","state":"queued","reason":"shutdown"\}\n\n$/,
  );
  assert.equal(await socketClosed, 1001);
  assert.equal((await rig.store.jobs.get(running)).state, "completed");
  assert.equal((await rig.store.jobs.get(waiting)).state, "queued");
  await assert.rejects(fetch(`${rig.url}/health`));
});

Deno.test("serve() cancels what still runs after the grace time", async () => {
  await using rig = await startRig({ graceMs: 50 });
  const id = await submit(rig, waitsFor(join(rig.directory, "never")));
  const { rest } = await watching(rig, id);
  await rig.serving.close();
  assert.match(await rest, /"state":"cancelled","reason":"final"/);
  const job = await rig.store.jobs.get(id);
  assert.deepEqual([job.state, job.cancel?.actor], ["cancelled", "server"]);
});

Deno.test("serve() cancels at once when asked twice, and kills when asked three times", async () => {
  await using rig = await startRig({ graceMs: 60_000 });
  const mark = join(rig.directory, "terminated");
  const deaf = `trap ': > ${mark}' TERM; echo runs; while :; do sleep 0.05; done`;
  const id = await submit(rig, { ...script(deaf), graceMs: 3_600_000 });
  const { rest } = await watching(rig, id);
  void rig.serving.close();
  void rig.serving.close();
  await until(
    () => Promise.resolve(existsSync(mark)).then((is) => rig.host.clock.turn().then(() => is)),
    (is) => is,
  );
  await rig.serving.close();
  assert.match(await rest, /"signal":"SIGKILL"[^]*"state":"cancelled","reason":"final"/);
});

Deno.test("serve() runs jobs that others submit", async () => {
  await using rig = await startRig();
  const id = await submit(rig, script("echo $((6 * 7))"));
  await settled(rig, id);
  assert.equal(await (await fetch(`${rig.url}/api/v1/jobs/${id}/logs?format=raw`)).text(), "42\n");
});

Deno.test("serve() names the port that another program has", async () => {
  await using rig = await startRig();
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", () => resolve()));
  const { port } = other.address() as { port: number };
  const error = await listenWith(rig, { host: "127.0.0.1", port });
  other.close();
  assert.ok(error instanceof GlassboxError);
  assert.deepEqual([error.code, error.exitCode], ["listen_failed", 69]);
  assert.match(error.message, new RegExp(`^Cannot listen on 127\\.0\\.0\\.1:${port} as .*--port`));
});

Deno.test("serve() refuses any but a loopback address, and takes those", async () => {
  await using rig = await startRig();
  for (const host of ["0.0.0.0", "::", "192.168.1.1", "example.org", "127.evil.example", ""]) {
    const error = await listenWith(rig, { host, port: 0 });
    assert.ok(error instanceof GlassboxError, host);
    assert.deepEqual([error.code, error.exitCode], ["configuration", 78], host);
    assert.match(error.message, /token/);
  }
  assert.match(String(await listenWith(rig, { host: "127.0.0.2", port: 0 })), /^http:\/\/127\.0\.0\.2:\d+$/);
  assert.match(String(await listenWith(rig, { host: "localhost", port: 0 })), /^http:\/\/localhost:\d+$/);
});
