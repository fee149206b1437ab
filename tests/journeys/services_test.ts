/** `worker` and `serve` from start to stop. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { newSandbox, programs, type Sandbox, type Server } from "../support/glassbox.ts";
import { complaints, detach, linesOf, listJobs, showJob } from "../support/jobs.ts";
import { isAlive, makeGate } from "../support/processes.ts";
import { demandRecovery } from "../support/matrix.ts";

const WAITING = 'echo "up $$"; read x < "$0"; echo done';

/** Resolves with the pid that the job says. */
async function isUp(sandbox: Sandbox, id: string): Promise<number> {
  const watcher = sandbox.start(["jobs", "logs", id, "--follow"]);
  const [, pid] = await watcher.said(/^up (\d+)\n/m, "stdout");
  return Number(pid);
}

for (const program of programs()) {
  const name = `(${program.name})`;

  for (const service of ["worker", "serve"] as const) {
    const start = (sandbox: Sandbox) =>
      service === "worker" ? sandbox.worker(["--concurrency", "1"]) : sandbox.serve(["--workers", "1"]);

    Deno.test(`fault 32: the first SIGTERM lets the running job of ${service} ${name} end and leaves the queued one`, async () => {
      await using sandbox = await newSandbox(program);
      const gate = await makeGate(sandbox.directory);
      const running = await start(sandbox);
      const first = await detach(sandbox, ["sh", "-c", WAITING, gate.path]);
      const second = await detach(sandbox, ["echo", "second"]);
      await isUp(sandbox, first);
      running.signal("SIGTERM");
      await running.said(/^SIGTERM: no new jobs; .*again to stop/m);
      await gate.open();
      const ended = await running.ended;
      assert.equal(ended.code, 0, ended.err);
      const jobs = await listJobs(sandbox);
      assert.deepEqual(jobs.map(({ id, state }) => [id, state]), [[second, "queued"], [first, "completed"]]);
      assert.equal((await linesOf(sandbox, first)).at(-1)?.text, "done");
      assert.deepEqual(readdirSync(`${sandbox.database}.run/workers`), []);
      await demandRecovery(sandbox);
    });

    Deno.test(`fault 32: the second SIGTERM to ${service} ${name} cancels the running job now and ends with 143`, async () => {
      await using sandbox = await newSandbox(program);
      const gate = await makeGate(sandbox.directory);
      const running = await start(sandbox);
      const id = await detach(sandbox, ["sh", "-c", WAITING, gate.path]);
      const pid = await isUp(sandbox, id);
      running.signal("SIGTERM");
      await running.said(/^SIGTERM: no new jobs/m);
      running.signal("SIGTERM");
      assert.equal((await running.ended).code, 143);
      assert.equal(isAlive(pid), false);
      const { job } = await showJob(sandbox, id);
      assert.equal(job.state, "cancelled");
      assert.match(job.cancel!.reason, /stop|shutting down/);
      await demandRecovery(sandbox);
    });

    Deno.test(`fault 32: SIGTERM to an idle ${service} ${name} ends it with 0`, async () => {
      await using sandbox = await newSandbox(program);
      const running = await start(sandbox);
      running.signal("SIGTERM");
      assert.equal((await running.ended).code, 0);
      await demandRecovery(sandbox);
    });
  }

  Deno.test(`fault 32: serve ${name} refuses new jobs while it drains, and says where it listened`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeGate(sandbox.directory);
    const server = await sandbox.serve();
    const about = await (await fetch(`${server.url}/api/v1/about`)).json();
    const id = await detach(sandbox, ["sh", "-c", WAITING, gate.path]);
    await isUp(sandbox, id);
    server.signal("SIGTERM");
    await server.said(/no new jobs/);
    const refused = await submitted(server);
    assert.equal(refused, "refused");
    await gate.open();
    assert.equal((await server.ended).code, 0);
    const [launch] = (await sandbox.run(["--log-format", "json", "jobs", "list"])).err.split("\n");
    assert.equal(about.databaseId ?? about.database?.id, JSON.parse(launch!).databaseId);
    await demandRecovery(sandbox);
  });

  Deno.test(`serve ${name} says so when its port is taken, with 69, and leaves no worker behind`, async () => {
    await using sandbox = await newSandbox(program);
    const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    try {
      const ended = await sandbox.run(["serve", "--port", String(taken.addr.port)]);
      assert.equal(ended.code, 69, ended.err);
      assert.match(complaints(ended.err)[0]!, /Cannot listen on 127\.0\.0\.1:\d+ as the port must be free/);
      assert.equal(complaints(ended.err).length, 1);
      assert.deepEqual(readdirSync(`${sandbox.database}.run/workers`), []);
    } finally {
      taken.close();
    }
  });

  Deno.test(`worker --queue ${name} takes jobs of its queues alone`, async () => {
    await using sandbox = await newSandbox(program);
    const other = (await sandbox.run(["run", "-d", "--job-queue", "slow", "--", "true"])).out.trim();
    const own = await detach(sandbox, ["true"]);
    await using _worker = await sandbox.worker(["--queue", "default"]);
    assert.equal((await sandbox.run(["jobs", "wait", own])).code, 0);
    assert.equal((await showJob(sandbox, other)).job.state, "queued");
  });
}

async function submitted(server: Server): Promise<"taken" | "refused"> {
  try {
    const response = await fetch(`${server.url}/api/v1/jobs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ task: "exec", input: { program: "true" } }),
    });
    await response.body?.cancel();
    return response.ok ? "taken" : "refused";
  } catch {
    // It may have stopped listening already.
    return "refused";
  }
}
