/** Rows 31, 33 and 34 of the fault matrix: clocks that jump, and memory that runs out. Row 32 is in tests/journeys. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { makeControlGroup, noControlGroup } from "../support/control_group.ts";
import { newSandbox, type Sandbox, startProcess } from "../support/glassbox.ts";
import { showJob } from "../support/jobs.ts";
import { demandRecovery, oneProgram } from "../support/matrix.ts";
import { eventually, fileAppears, isAlive, makeGate } from "../support/processes.ts";
import { startSqld } from "../support/sqld.ts";

const FAKETIME = ["x86_64", "aarch64"].map((cpu) => `/usr/lib/${cpu}-linux-gnu/faketime/libfaketimeMT.so.1`)
  .find((path) => existsSync(path));

const HOUR_S = 3600;
const JUMPS = [["an hour on", HOUR_S], ["two hours back", -2 * HOUR_S], ["a year on", 365 * 24 * HOUR_S], [
  "back to 1970",
  -Math.floor(Date.now() / 1000) + 1000,
]] as const;

async function submit(sandbox: Sandbox, script: string, env: Record<string, string>): Promise<string> {
  const { code, out, err } = await sandbox.run(["run", "--detach", "-q", "--", "sh", "-c", script], { env });
  assert.equal(code, 0, err);
  return out.trim();
}

for (const program of oneProgram()) {
  const name = `(${program.name})`;

  for (const backend of ["file", "server"] as const) {
    Deno.test({
      name: `fault 31: a worker on a ${backend} ${name} whose clock jumps about loses no lease and no job` +
        (FAKETIME === undefined ? " (no libfaketime here: Debian package faketime)" : ""),
      ignore: FAKETIME === undefined,
      async fn() {
        await using sandbox = await newSandbox(program);
        await using sqld = backend === "server" ? await startSqld(join(sandbox.directory, "sqld")) : null;
        const env = { GLASSBOX_DB: sqld?.url ?? sandbox.database };
        const clock = join(sandbox.directory, "clock");
        // In one step, as the file is read at every look at the clock.
        const jump = (seconds: number) => {
          Deno.writeTextFileSync(`${clock}.next`, `${seconds < 0 ? "" : "+"}${seconds}`);
          Deno.renameSync(`${clock}.next`, clock);
        };
        jump(0);
        const faked = {
          ...env,
          LD_PRELOAD: FAKETIME!,
          FAKETIME_TIMESTAMP_FILE: clock,
          FAKETIME_NO_CACHE: "1",
          FAKETIME_DONT_FAKE_MONOTONIC: "1",
        };
        const jumpy = await sandbox.worker(["--concurrency", "4"], { env: faked });
        // A second one with a steady clock, of another machine as far as anyone can see, would reap the first.
        const steady = await sandbox.worker(["--queue", "other"], {
          env: {
            ...env,
            ...(backend === "server" ? { XDG_STATE_HOME: join(sandbox.directory, "other") } : {}),
          },
        });
        const gate = await makeGate(sandbox.directory);
        const id = await submit(sandbox, `echo up; read x < ${gate.path}; echo done`, env);
        await eventually(
          "it runs",
          async () => (await showJob(sandbox, id, { env })).job.state === "running",
        );
        for (const [what, seconds] of JUMPS) {
          jump(seconds);
          const other = await submit(sandbox, "echo short", env);
          const seen = await eventually(`a job runs after a jump of ${what}`, async () => {
            const { job } = await showJob(sandbox, other, { env });
            return job.state === "completed" ? job : null;
          });
          const offMs = seen.startedAtMs! - (Date.now() + seconds * 1000);
          assert.ok(
            Math.abs(offMs) < 60_000,
            `the worker's clock did not jump ${what}: it is ${offMs} ms off`,
          );
          assert.equal((await showJob(sandbox, id, { env })).job.state, "running", what);
        }
        await gate.open();
        await eventually(
          "it ends",
          async () => (await showJob(sandbox, id, { env })).job.state !== "running",
        );
        const { job, events } = await showJob(sandbox, id, { env });
        assert.deepEqual([job.state, job.epoch], ["completed", 1], jumpy.text("stderr"));
        assert.deepEqual(events.map(({ kind }) => kind), ["submitted", "claimed", "started", "finished"]);
        for (const worker of [jumpy, steady]) {
          worker.signal("SIGTERM");
          const ended = await worker.ended;
          assert.equal(ended.code, 0, ended.err);
        }
        await demandRecovery(sandbox, { env });
      },
    });
  }

  Deno.test({
    name:
      `fault 33: a program that the kernel kills for lack of memory ${name} ends as out_of_memory with 137` +
      (noControlGroup() === null ? "" : ` (${noControlGroup()})`),
    ignore: noControlGroup() !== null,
    async fn() {
      await using sandbox = await newSandbox(program);
      await using group = makeControlGroup();
      group.limit(60_000_000);
      for (const last of ["exec python3", "python3"]) {
        const script = `echo $$ > ${group.processes}; echo in; ${last} -c 'x = b"a" * 300_000_000'; exit $?`;
        const ended = await sandbox.run(["run", "--", "sh", "-c", script]);
        assert.equal(ended.code, 137, ended.err);
        assert.equal(ended.out, "in\n");
        const { job, attempts } = await showJob(sandbox);
        assert.deepEqual([job.state, job.failure?.code], ["failed", "out_of_memory"]);
        assert.match(ended.err, /The program was killed while the kernel killed for lack of memory/);
        const { signal, exitCode } = attempts[0]!.evidence!;
        assert.deepEqual([signal, exitCode], last === "python3" ? [null, 137] : ["SIGKILL", null]);
      }
      await demandRecovery(sandbox);
    },
  });

  Deno.test({
    name:
      `fault 34: a server that the kernel kills for lack of memory ${name} is followed by one that settles its jobs` +
      (noControlGroup() === null ? "" : ` (${noControlGroup()})`),
    ignore: noControlGroup() !== null,
    async fn() {
      await using sandbox = await newSandbox(program);
      await using group = makeControlGroup();
      const script = 'echo $$ > "$GROUP"; exec "$@"';
      await using server = startProcess("sh", [
        "-c",
        script,
        "sh",
        ...program.command,
        "serve",
        "--port",
        "0",
      ], { cwd: sandbox.cwd, env: { ...sandbox.env, GROUP: group.processes } });
      const [, url] = await server.said(/listening on (http:\/\/\S+?)\/? /);
      const up = join(sandbox.directory, "up");
      const id = await submit(sandbox, `touch ${up}; echo said; sleep 1000`, {});
      await fileAppears(up);
      await eventually("its line is stored", async () => {
        return (await sandbox.run(["jobs", "logs", "-q", id])).out === "said\n";
      });
      group.limit(group.used() + 10_000_000);
      const input = { program: "true", args: [], stdin: "x".repeat(9_000_000) };
      const body = JSON.stringify({ task: "exec", input });
      // Some of what it uses may be pages of files, which the kernel takes back first: then once is not enough.
      const ended = await eventually("the kernel kills it", async () => {
        const flood = Array.from({ length: 12 }, () =>
          fetch(`${url}/api/v1/jobs`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body,
          }).then((response) => response.body?.cancel(), () => undefined));
        await Promise.all(flood);
        return isAlive(server.pid) ? null : await server.ended;
      });
      assert.equal(ended.signal, "SIGKILL", ended.err);
      await demandRecovery(sandbox);
      const { job } = await showJob(sandbox, id);
      assert.deepEqual([job.state, job.failure?.code], ["failed", "lost"]);
      assert.equal((await sandbox.run(["jobs", "logs", "-q", id])).out, "said\n");
    },
  });
}
