/** Every way to end a job early, what it costs in exit codes, and that nothing is left running afterwards. */
import assert from "node:assert/strict";
import { newSandbox, programs, type Running, type Sandbox } from "../support/glassbox.ts";
import { complaints, linesOf, listJobs, showJob, workerAppears } from "../support/jobs.ts";
import { holdWriteLock, isAlive, makeGate, processesEnd } from "../support/processes.ts";
import { demandRecovery } from "../support/matrix.ts";
import { throughShell } from "../support/shell.ts";
import { onTerminal } from "../support/terminal.ts";

/** Says its pid, and leaves by itself when asked to. */
const POLITE = 'trap "echo asked; exit 0" TERM; echo "pid $$"; while :; do read x < "$0"; done';
/** Says its pid, and must be killed. */
const DEAF = 'trap "" TERM; echo "pid $$"; while :; do read x < "$0"; done';

async function pidSaid(running: Running): Promise<number> {
  const [, pid] = await running.said(/^pid (\d+)\r?\n/m, "stdout");
  return Number(pid);
}

/** Nobody ever opens it: what waits there is waiting when the signal comes. */
async function closedGate(sandbox: Sandbox): Promise<string> {
  return (await makeGate(sandbox.directory, `gate-${crypto.randomUUID()}`)).path;
}

for (const program of programs()) {
  const name = `(${program.name})`;

  for (const [signal, exit] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
    Deno.test(`fault 32: ${signal} to run ${name} asks the program to end, records a cancel and ends with ${exit}`, async () => {
      await using sandbox = await newSandbox(program);
      const running = sandbox.start(["run", "--", "sh", "-c", POLITE, await closedGate(sandbox)]);
      const pid = await pidSaid(running);
      running.signal(signal);
      const ended = await running.ended;
      assert.equal(ended.code, exit, ended.err);
      assert.match(ended.out, /^asked$/m);
      assert.match(
        ended.err,
        new RegExp(`^stopping job [0-9a-z]{26} \\(${signal}\\); again to kill it at once$`, "m"),
      );
      assert.equal(isAlive(pid), false);
      const { job, attempts, events } = await showJob(sandbox);
      assert.equal(job.state, "cancelled");
      assert.equal(job.failure, null);
      assert.equal(job.cancel?.reason, signal);
      assert.equal(attempts[0]!.outcome, "cancelled");
      assert.equal(attempts[0]!.evidence?.exitCode, 0);
      assert.deepEqual(events.map((event) => event.kind), [
        "submitted",
        "claimed",
        "started",
        "cancel_requested",
        "finished",
      ]);
      await demandRecovery(sandbox);
    });
  }

  Deno.test(`SIGINT to run ${name} kills a program that does not listen after the grace period`, async () => {
    await using sandbox = await newSandbox(program);
    const job = ["run", "--grace", "100ms", "--", "sh", "-c", DEAF, await closedGate(sandbox)];
    const running = sandbox.start(job);
    const pid = await pidSaid(running);
    running.signal("SIGINT");
    assert.equal((await running.ended).code, 130);
    assert.equal(isAlive(pid), false);
    const { job: row, attempts } = await showJob(sandbox);
    assert.equal(row.state, "cancelled");
    assert.equal(attempts[0]!.evidence?.signal, "SIGKILL");
  });

  Deno.test(`fault 32: a second SIGINT to run ${name} kills at once, whatever the grace period`, async () => {
    await using sandbox = await newSandbox(program);
    const job = ["run", "--grace", "1h", "--", "sh", "-c", DEAF, await closedGate(sandbox)];
    const running = sandbox.start(job);
    const pid = await pidSaid(running);
    running.signal("SIGINT");
    await running.said(/again to kill it at once/);
    running.signal("SIGINT");
    assert.equal((await running.ended).code, 130);
    assert.equal(isAlive(pid), false);
    assert.equal((await showJob(sandbox)).attempts[0]!.evidence?.signal, "SIGKILL");
    await demandRecovery(sandbox);
  });

  Deno.test(`fault 32: a second SIGINT to run ${name} cancels also while the first is not recorded yet`, async () => {
    await using sandbox = await newSandbox(program);
    const job = ["run", "--grace", "1h", "--", "sh", "-c", DEAF, await closedGate(sandbox)];
    const running = sandbox.start(job);
    const pid = await pidSaid(running);
    {
      using _ = await holdWriteLock(sandbox.database);
      running.signal("SIGINT");
      await running.said(/again to kill it at once/);
      running.signal("SIGINT");
      await processesEnd([pid]);
    }
    assert.equal((await running.ended).code, 130);
    const { job: row, attempts, events } = await showJob(sandbox);
    assert.equal(row.state, "cancelled");
    assert.equal(row.cancel?.reason, "SIGINT");
    assert.equal(attempts[0]!.outcome, "cancelled");
    assert.equal(attempts[0]!.evidence?.signal, "SIGKILL");
    assert.equal(events.filter(({ kind }) => kind === "finished").length, 1);
    await demandRecovery(sandbox);
  });

  Deno.test(`fault 32: SIGINT to run ${name} while its job is being submitted cancels it as soon as it is`, async () => {
    await using sandbox = await newSandbox(program);
    await sandbox.run(["jobs", "list"]);
    const running = sandbox.start(["run", "--", "sh", "-c", DEAF, await closedGate(sandbox)]);
    {
      using _ = await holdWriteLock(sandbox.database);
      await workerAppears(sandbox);
      running.signal("SIGINT");
      await running.said(/^stopping as soon as the job is submitted \(SIGINT\); again to end at once$/m);
    }
    const ended = await running.ended;
    assert.equal(ended.code, 130, ended.err);
    const { job } = await showJob(sandbox);
    assert.deepEqual([job.state, job.cancel?.reason], ["cancelled", "SIGINT"]);
    await demandRecovery(sandbox);
  });

  Deno.test(`fault 32: a second SIGINT to run ${name} while its job cannot be submitted ends it at once`, async () => {
    await using sandbox = await newSandbox(program);
    await sandbox.run(["jobs", "list"]);
    {
      using _ = await holdWriteLock(sandbox.database);
      const running = sandbox.start(["run", "--", "true"]);
      await workerAppears(sandbox);
      running.signal("SIGINT");
      await running.said(/again to end at once/);
      running.signal("SIGINT");
      assert.equal((await running.ended).code, 130);
    }
    assert.deepEqual(await listJobs(sandbox), []);
    await demandRecovery(sandbox);
  });

  Deno.test(`Ctrl-C on a terminal ${name} stops the job as SIGINT does`, async () => {
    await using sandbox = await newSandbox(program);
    await using running = onTerminal(sandbox, ["run", "--", "sh", "-c", POLITE, await closedGate(sandbox)]);
    const pid = await pidSaid(running);
    await running.type("\x03");
    const ended = await running.ended;
    assert.equal(ended.code, 130, ended.out);
    assert.match(ended.out, /^asked\r?$/m);
    assert.equal(isAlive(pid), false);
    assert.equal((await showJob(sandbox)).job.state, "cancelled");
  });

  Deno.test(`a terminal that is closed ${name} cancels the job and leaves nothing behind`, async () => {
    await using sandbox = await newSandbox(program);
    await using running = onTerminal(sandbox, ["run", "--", "sh", "-c", POLITE, await closedGate(sandbox)]);
    const pid = await pidSaid(running);
    await running.hangUp();
    assert.equal((await running.ended).code, 129);
    assert.equal(isAlive(pid), false);
    const { job } = await showJob(sandbox);
    assert.equal(job.state, "cancelled");
    assert.ok((await linesOf(sandbox)).some((line) => line.stream === "stdout" && line.text === "asked"));
  });

  for (
    const [what, own, exit] of [
      // Long enough for the whole family to be up and heard, on a busy machine too.
      ["--timeout", ["--timeout", "3s", "--grace", "100ms"], 124],
      ["a cancel", ["--grace", "100ms"], 130],
    ] as const
  ) {
    Deno.test(`${what} ${name} ends the whole family of a program`, async () => {
      await using sandbox = await newSandbox(program);
      const gate = await closedGate(sandbox);
      const script = `
trap "" TERM
sh -c 'trap "" TERM; echo "child $$"; read x < "$0"' "$0" &
echo "parent $$"
read x < "$0"`;
      const running = sandbox.start(["run", ...own, "--", "sh", "-c", script, gate]);
      const pids = await Promise.all(["child", "parent"].map(async (who) => {
        const [, pid] = await running.said(new RegExp(`^${who} (\\d+)\n`, "m"), "stdout");
        return Number(pid);
      }));
      if (exit === 130) running.signal("SIGINT");
      const ended = await running.ended;
      assert.equal(ended.code, exit, ended.err);
      await processesEnd(pids);
      const { job, attempts } = await showJob(sandbox);
      assert.equal(job.state, exit === 124 ? "failed" : "cancelled");
      assert.equal(job.failure?.code, exit === 124 ? "timeout" : undefined);
      assert.equal(attempts[0]!.evidence?.signal, "SIGKILL");
      if (exit === 124) {
        assert.deepEqual(complaints(ended.err), [
          "glassbox: The job was stopped as it ran longer than its timeout of 3000 ms",
        ]);
      }
    });

    Deno.test(`${what} ${name} also ends what went into a session of its own`, async () => {
      await using sandbox = await newSandbox(program);
      const gate = await closedGate(sandbox);
      const script = `setsid sh -c 'echo "away $$"; read x < "$0"' "$0" & read x < "$0"`;
      const running = sandbox.start(["run", ...own, "--", "sh", "-c", script, gate]);
      const [, pid] = await running.said(/^away (\d+)\n/m, "stdout");
      if (exit === 130) running.signal("SIGINT");
      assert.equal((await running.ended).code, exit);
      await processesEnd([Number(pid)]);
    });
  }

  Deno.test(`fault 38: run ${name} into head ends with 141 and cancels the job, as nobody reads it any more`, async () => {
    await using sandbox = await newSandbox(program);
    const script = "while :; do echo line; done";
    const pipe = '("$@"; echo "exit $?" >&2) | head -n 1';
    await using running = throughShell(sandbox, pipe, ["run", "--", "sh", "-c", script]);
    const ended = await running.ended;
    assert.equal(ended.out, "line\n");
    assert.match(ended.err, /^exit 141$/m);
    assert.deepEqual(complaints(ended.err), []);
    const { job } = await showJob(sandbox);
    assert.equal(job.state, "cancelled");
    assert.equal(job.cancel?.reason, "standard output was closed");
    await demandRecovery(sandbox);
  });

  Deno.test(`fault 39: run ${name} into a full device records how the job ended, says so and ends with 74`, async () => {
    await using sandbox = await newSandbox(program);
    const job = ["run", "--", "sh", "-c", "echo out; echo err >&2; exit 3"];
    await using running = throughShell(sandbox, '"$@" >/dev/full', job);
    const ended = await running.ended;
    assert.equal(ended.code, 74, ended.err);
    const [complaint, ...more] = complaints(ended.err);
    assert.match(
      complaint!,
      /^glassbox: Cannot write to standard output as no space is left behind it \(ENOSPC\): its lines are kept for `glassbox jobs logs [0-9a-z]{26}`$/,
    );
    assert.deepEqual(more, []);
    const { job: row, attempts } = await showJob(sandbox);
    assert.equal(row.failure?.code, "program_failed");
    assert.equal(attempts[0]!.evidence?.exitCode, 3);
    assert.deepEqual((await linesOf(sandbox)).map((line) => line.text).sort(), ["err", "out"]);
    await demandRecovery(sandbox);
  });

  Deno.test(`fault 39: commands ${name} whose standard output is full or has no reader end without a word of a bug`, async () => {
    await using sandbox = await newSandbox(program);
    await sandbox.run(["run", "--", "seq", "1", "1000"]);
    for (const args of [["jobs", "logs", "latest"], ["jobs", "list"], ["--help"], ["tasks", "exec"]]) {
      await using full = throughShell(sandbox, '"$@" >/dev/full', args);
      const { code, err } = await full.ended;
      assert.equal(code, 74, `${args}: ${err}`);
      assert.match(
        err,
        /glassbox: Cannot write to standard output as no space is left behind it \(ENOSPC\)\n$/,
      );
      await using unread = intoBrokenPipe(sandbox, args);
      const ended = await unread.ended;
      assert.equal(ended.code, 141, `${args}: ${ended.err}`);
      assert.deepEqual(complaints(ended.err), []);
    }
    await demandRecovery(sandbox);
  });

  Deno.test(`fault 38: run ${name} with all its standard streams closed still runs and records the job`, async () => {
    await using sandbox = await newSandbox(program);
    const job = ["run", "--", "sh", "-c", "cat; echo out; echo err >&2; exit 6"];
    await using running = throughShell(sandbox, '"$@" <&- >&- 2>&-', job);
    assert.equal((await running.ended).code, 6);
    assert.deepEqual((await linesOf(sandbox)).map((line) => line.text).sort(), ["err", "out"]);
    const check = await sandbox.run(["jobs", "list"]);
    assert.equal(check.code, 0, check.err);
    await demandRecovery(sandbox);
  });

  Deno.test(`jobs cancel ${name} stops a job that another process runs, and the reason is kept`, async () => {
    await using sandbox = await newSandbox(program);
    const running = sandbox.start(["run", "--", "sh", "-c", POLITE, await closedGate(sandbox)]);
    await pidSaid(running);
    const cancelled = await sandbox.run(["jobs", "cancel", "latest", "--reason", "not needed"]);
    assert.equal(cancelled.code, 0);
    assert.match(cancelled.err, /^job [0-9a-z]{26} was asked to stop$/m);
    const ended = await running.ended;
    assert.equal(ended.code, 1);
    assert.match(ended.err, /cancelled in/);
    const { job } = await showJob(sandbox);
    assert.deepEqual([job.state, job.cancel?.reason], ["cancelled", "not needed"]);
    const twice = await sandbox.run(["jobs", "cancel", "latest"]);
    assert.equal(twice.code, 0, twice.err);
  });
}

/** Starts the program with a standard output whose reader has gone already; a pipe takes some text until then. */
function intoBrokenPipe(sandbox: Sandbox, args: readonly string[]): Running {
  const script = `
import os, sys
read, write = os.pipe()
os.close(read)
os.dup2(write, 1)
os.execvp(sys.argv[1], sys.argv[1:])`;
  return throughShell(sandbox, 'exec python3 -c "$SCRIPT" "$@"', args, { env: { SCRIPT: script } });
}
