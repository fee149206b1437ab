/** Workers on one libSQL server who cannot see each other's lock files: one dies, stops, or loses the server. */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { newSandbox, programs, type Running, type Sandbox } from "../support/glassbox.ts";
import { eventually, processesEnd } from "../support/processes.ts";
import { startSqld } from "../support/sqld.ts";
import type { Job } from "../../src/core/job.ts";

/** A state directory of its own stands for a machine of its own: heartbeats are all that others see of a worker. */
function machine(sandbox: Sandbox, url: string, name: string) {
  const env = { GLASSBOX_DB: url, XDG_STATE_HOME: join(sandbox.directory, name) };
  return {
    env,
    worker: (): Promise<Running> => sandbox.worker(["--concurrency", "1"], { env }),
    job: async (id: string): Promise<Job> =>
      (await sandbox.json<{ job: Job }>(["jobs", "show", id], { env })).job,
    verify: () => sandbox.run(["verify"], { env }),
  };
}

for (const program of programs()) {
  Deno.test(`a worker that dies elsewhere is followed by another, which runs its job again (${program.name})`, async () => {
    await using sandbox = await newSandbox(program);
    await using sqld = await startSqld(join(sandbox.directory, "sqld"));
    const [one, two, cli] = ["one", "two", "cli"].map((name) => machine(sandbox, sqld.url, name)) as [
      ReturnType<typeof machine>,
      ReturnType<typeof machine>,
      ReturnType<typeof machine>,
    ];
    const first = await one.worker();
    const script = '[ "$GLASSBOX_EPOCH" = 2 ] && { echo again; exit 0; }; echo first; sleep 1000';
    const args = ["run", "--detach", "--attempts", "2", "--backoff", "0ms", "-q", "--", "sh", "-c", script];
    const id = (await sandbox.run(args, { env: cli.env })).out.trim();
    // What was not stored when the worker dies is in files of its machine, which no other can see.
    await eventually("its line is stored", async () => {
      return (await sandbox.run(["jobs", "logs", "-q", id], { env: cli.env })).out === "first\n";
    });
    const second = await two.worker();
    first.signal("SIGKILL");
    await first.ended;
    await eventually(
      "the second attempt is completed",
      async () => (await cli.job(id)).state === "completed",
    );
    assert.equal((await cli.job(id)).epoch, 2);
    const lines = (await sandbox.run(["jobs", "logs", "-q", id], { env: cli.env })).out;
    assert.equal(lines, "first\nagain\n");
    second.signal("SIGTERM");
    assert.equal((await second.ended).code, 0);
    const verdict = await cli.verify();
    assert.equal(verdict.code, 0, verdict.out);
  });

  Deno.test(`fault 6: a worker that slept through its lease kills its job and records nothing (${program.name})`, async () => {
    await using sandbox = await newSandbox(program);
    await using sqld = await startSqld(join(sandbox.directory, "sqld"));
    const one = machine(sandbox, sqld.url, "one");
    const two = machine(sandbox, sqld.url, "two");
    const sleeper = await one.worker();
    const submit = ["run", "--detach", "-q", "--", "sh", "-c", "echo here; sleep 1000"];
    const id = (await sandbox.run(submit, { env: two.env })).out.trim();
    await eventually("the job runs", async () => (await two.job(id)).state === "running");
    const heir = await two.worker();
    sleeper.signal("SIGSTOP");
    await eventually("the job is given up", async () => (await two.job(id)).state === "failed");
    assert.equal((await two.job(id)).failure?.code, "lost");
    sleeper.signal("SIGCONT");
    const ended = await sleeper.ended;
    assert.equal(ended.code, 75, ended.err);
    assert.match(ended.err, /its jobs belong to others now/);
    const kinds =
      (await sandbox.json<{ events: { kind: string }[] }>(["jobs", "show", id], { env: two.env })).events;
    assert.equal(kinds.filter(({ kind }) => kind === "finished").length, 1);
    heir.signal("SIGTERM");
    await heir.ended;
    assert.equal((await two.verify()).code, 0);
  });

  Deno.test(`verify finds nothing wrong with a job that a worker runs elsewhere (${program.name})`, async () => {
    await using sandbox = await newSandbox(program);
    await using sqld = await startSqld(join(sandbox.directory, "sqld"));
    const one = machine(sandbox, sqld.url, "one");
    const two = machine(sandbox, sqld.url, "two");
    const worker = await one.worker();
    const submit = ["run", "--detach", "-q", "--", "sleep", "1000"];
    const id = (await sandbox.run(submit, { env: two.env })).out.trim();
    await eventually("the job runs", async () => (await two.job(id)).state === "running");
    // From a machine that has run nothing yet, from one that has, and from the worker's own.
    const third = await two.worker();
    for (const place of [machine(sandbox, sqld.url, "three"), two, one]) {
      const verdict = await place.verify();
      assert.deepEqual([verdict.code, verdict.out], [0, ""], verdict.err);
    }
    await sandbox.run(["jobs", "cancel", id], { env: two.env });
    for (const each of [worker, third]) {
      each.signal("SIGTERM");
      assert.equal((await each.ended).code, 0);
    }
  });

  Deno.test(`what a worker left running whose job was settled elsewhere is killed when its machine is back (${program.name})`, async () => {
    await using sandbox = await newSandbox(program);
    await using sqld = await startSqld(join(sandbox.directory, "sqld"));
    const one = machine(sandbox, sqld.url, "one");
    const two = machine(sandbox, sqld.url, "two");
    const first = await one.worker();
    const script = "setsid sh -c 'echo \"away $$\"; exec sleep 1000' & wait";
    const submit = ["run", "--detach", "-q", "--", "sh", "-c", script];
    const id = (await sandbox.run(submit, { env: two.env })).out.trim();
    const watcher = sandbox.start(["jobs", "logs", id, "--follow"], { env: two.env });
    const [, pid] = await watcher.said(/^away (\d+)\n/m, "stdout");
    const second = await two.worker();
    first.signal("SIGKILL");
    await first.ended;
    await eventually("the job is given up", async () => (await two.job(id)).state === "failed");
    const left = await attemptsOf(sandbox, "one");
    assert.equal(left.length, 1);
    const third = await one.worker();
    await processesEnd([Number(pid)]);
    await eventually("its directory is gone", async () => (await attemptsOf(sandbox, "one")).length === 0);
    for (const worker of [second, third]) {
      worker.signal("SIGTERM");
      assert.equal((await worker.ended).code, 0);
    }
    assert.equal((await two.verify()).code, 0);
  });
}

/** The directories of attempts that a machine of this sandbox still has. */
async function attemptsOf(sandbox: Sandbox, name: string): Promise<string[]> {
  const servers = join(sandbox.directory, name, "glassbox/servers");
  const runs = [...Deno.readDirSync(servers)].map((entry) => join(servers, entry.name, "attempts"));
  const lists = await Promise.all(runs.map((path) => readdir(path).catch(() => [])));
  return lists.flat();
}
