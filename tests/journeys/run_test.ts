/** `glassbox run`: a program or a task as a job, in the words and exit codes that the documentation promises. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newSandbox, programs } from "../support/glassbox.ts";
import { makeGate } from "../support/processes.ts";
import { throughShell } from "../support/shell.ts";
import { complaints, linesOf, listJobs, showJob } from "../support/jobs.ts";

for (const program of programs()) {
  const name = `(${program.name})`;

  Deno.test(`run ${name} passes both streams through, ends with the program's own code and records it all`, async () => {
    await using sandbox = await newSandbox(program);
    const ended = await sandbox.run(["run", "--", "sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert.equal(ended.code, 3);
    assert.equal(ended.out, "out\n");
    const [first, ...said] = ended.err.trimEnd().split("\n");
    assert.match(
      first!,
      /^glassbox \d\S* · run \(argument "run"\) · database file:\S+ \(id [0-9a-f]{8}…, schema \d+\) · (deno|bun) \S+ linux-\w+ · pid \d+$/,
    );
    assert.equal(said[0], "err");
    assert.match(said[1]!, /^job [0-9a-z]{26} failed in \S+ · exit 3 · 2 lines$/);
    assert.equal(said.length, 2);

    const jobs = await listJobs(sandbox);
    assert.equal(jobs.length, 1);
    const { job, attempts, events } = await showJob(sandbox);
    assert.equal(job.state, "failed");
    assert.equal(job.failure?.code, "program_failed");
    assert.deepEqual(events.map((event) => event.kind), ["submitted", "claimed", "started", "finished"]);
    assert.deepEqual(events.map((event) => event.seq), [1, 2, 3, 4]);
    assert.equal(attempts.length, 1);
    const evidence = attempts[0]!.evidence!;
    assert.equal(evidence.exitCode, 3);
    assert.equal(evidence.signal, null);
    assert.ok(evidence.wallMs > 0, `wall time ${evidence.wallMs}`);
    assert.equal(evidence.lineCount, 2);
    assert.equal(evidence.outputBytes, 8);
    assert.deepEqual([...evidence.lastLines].sort(), ["err", "out"]);

    const lines = await linesOf(sandbox);
    assert.deepEqual(lines.map((line) => line.seq), [1, 2]);
    assert.deepEqual(lines.map((line) => `${line.stream}: ${line.text}`).sort(), [
      "stderr: err",
      "stdout: out",
    ]);
    const text = await sandbox.run(["jobs", "logs", "latest"]);
    assert.deepEqual(text.out.trimEnd().split("\n").sort(), ["err", "out"]);
  });

  Deno.test(`run ${name} records how much memory and time a program that lived for a while took`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeGate(sandbox.directory);
    // The kernel tells user and system time in whole hundredths of a second, so a quick start alone may count as none.
    const code = `
import sys, time
x = b"x" * 50_000_000
while time.process_time() < 0.1: pass
print("ready")
open(sys.argv[1]).readline()`;
    const running = sandbox.start(["run", "--", "python3", "-c", code, gate.path]);
    await running.said(/ready/, "stdout");
    await gate.open();
    assert.equal((await running.ended).code, 0);
    const evidence = (await showJob(sandbox)).attempts[0]!.evidence!;
    assert.ok(evidence.peakMemoryBytes! > 50_000_000, `peak memory ${evidence.peakMemoryBytes}`);
    assert.ok(evidence.cpuMs! > 0, `cpu ${evidence.cpuMs}`);
  });

  Deno.test(`run --json ${name} leaves standard output to one JSON document`, async () => {
    await using sandbox = await newSandbox(program);
    const ended = await sandbox.run(["run", "--json", "--", "sh", "-c", "echo out; exit 3"]);
    assert.equal(ended.code, 3);
    const document = JSON.parse(ended.out);
    assert.equal(document.job.state, "failed");
    assert.equal(document.attempts[0].evidence.exitCode, 3);
    assert.match(document.digest, /^[0-9a-f]{64}$/);
    assert.match(ended.err, /^out$/m);
  });

  Deno.test(`run --json ${name} gives the document also of a job that could not start`, async () => {
    await using sandbox = await newSandbox(program);
    const ended = await sandbox.run(["run", "--json", "--", "no-such-program"]);
    assert.equal(ended.code, 69);
    assert.equal(JSON.parse(ended.out).job.failure.code, "program_not_found");
    assert.equal(complaints(ended.err).length, 1, ended.err);
  });

  Deno.test(`run ${name} gives a task its input, shows its result and keeps its artifact`, async () => {
    await using sandbox = await newSandbox(program);
    await writeFile(join(sandbox.cwd, "input.json"), '\ufeff{ "steps": 2 }');
    const ended = await sandbox.run(["run", "selftest", "--input", "input.json", "--json"]);
    assert.equal(ended.code, 0, ended.err);
    const { job, artifacts } = JSON.parse(ended.out);
    assert.deepEqual(job.result, { steps: 2, cancelled: false });
    assert.deepEqual(artifacts.map((artifact: { name: string }) => artifact.name), ["selftest.json"]);
    assert.equal((await sandbox.run(["jobs", "artifacts", "latest", "selftest.json"])).out, '{"steps":2}\n');
    const { code } = await sandbox.run(["jobs", "artifacts", "latest", "selftest.json", "--to", "kept.json"]);
    assert.equal(code, 0);
    assert.equal(await readFile(join(sandbox.cwd, "kept.json"), "utf8"), '{"steps":2}\n');
    const { events } = await showJob(sandbox);
    assert.deepEqual(
      events.filter((event) => event.kind === "progress").map((event) => event.data),
      [{ fraction: 0.5, message: "step 1" }, { fraction: 1, message: "step 2" }],
    );
  });

  Deno.test(`run ${name} lays --set over --input, from standard input too`, async () => {
    await using sandbox = await newSandbox(program);
    const args = ["run", "selftest", "--input", "-", "--set", "steps=1", "--json"];
    const ended = await sandbox.run(args, { stdin: '{"steps": 5, "pauseMs": 0}' });
    assert.deepEqual(JSON.parse(ended.out).job.input, { steps: 1, pauseMs: 0 });
  });

  Deno.test(`run ${name} gives a program its directory, environment, standard input and keeps its files`, async () => {
    await using sandbox = await newSandbox(program);
    await mkdir(join(sandbox.cwd, "work"));
    const script = 'pwd; echo "$GREETING"; cat; echo kept > report.txt';
    const args = [
      "--cwd",
      "work",
      "--env",
      "GREETING=a=b c",
      "--stdin",
      "-",
      "--artifact",
      "renamed/r.txt=report.txt",
    ];
    const ended = await sandbox.run(["run", ...args, "--", "sh", "-c", script], { stdin: "from stdin\n" });
    assert.equal(ended.code, 0, ended.err);
    assert.equal(ended.out, `${join(sandbox.cwd, "work")}\na=b c\nfrom stdin\n`);
    assert.equal((await sandbox.run(["jobs", "artifacts", "latest", "renamed/r.txt"])).out, "kept\n");
    assert.match(
      (await sandbox.run(["jobs", "artifacts", "latest"])).out,
      /^renamed\/r\.txt {2}5 bytes {2}text\/plain$/m,
    );
  });

  Deno.test(`run ${name} fails with the missing file's name when a program did not leave what it should`, async () => {
    await using sandbox = await newSandbox(program);
    const ended = await sandbox.run(["run", "--artifact", "report.html", "--", "true"]);
    assert.equal(ended.code, 1);
    assert.match(complaints(ended.err)[0]!, /output report\.html is not there/);
    assert.equal((await showJob(sandbox)).job.failure?.code, "missing_output");
  });

  Deno.test(`run --key ${name} shows the first job again, with its exit code, instead of running twice`, async () => {
    await using sandbox = await newSandbox(program);
    const args = ["run", "--key", "once", "--", "sh", "-c", "echo ran >> ran.txt; echo shown; exit 5"];
    assert.equal((await sandbox.run(args)).code, 5);
    const again = await sandbox.run(args);
    assert.equal(again.code, 5);
    assert.equal(again.out, "shown\n");
    assert.match(again.err, /^key "once" was used before: showing job [0-9a-z]{26}$/m);
    assert.equal(await readFile(join(sandbox.cwd, "ran.txt"), "utf8"), "ran\n");
    const other = await sandbox.run(["run", "--key", "once", "--", "true"]);
    assert.equal(other.code, 65);
    assert.match(complaints(other.err)[0]!, /Cannot submit with key "once" as job [0-9a-z]{26} has that key/);
    assert.equal((await listJobs(sandbox)).length, 1);
  });

  Deno.test(`run ${name} ends with 128 + signal when a signal ended the program, and says which`, async () => {
    await using sandbox = await newSandbox(program);
    const ended = await sandbox.run(["run", "--quiet", "--", "sh", "-c", "kill -SEGV $$"]);
    assert.equal(ended.code, 139);
    assert.equal(ended.err, "glassbox: The program was ended by signal SIGSEGV\n");
    assert.equal((await showJob(sandbox)).attempts[0]!.evidence!.signal, "SIGSEGV");
  });

  Deno.test(`run --quiet ${name} says nothing about a program that fails by its own exit code`, async () => {
    await using sandbox = await newSandbox(program);
    const ended = await sandbox.run(["--quiet", "run", "--", "sh", "-c", "exit 9"]);
    assert.deepEqual([ended.code, ended.out, ended.err], [9, "", ""]);
  });

  Deno.test(`run --detach ${name} prints the id of a job that waits for a worker, and says that there is none`, async () => {
    await using sandbox = await newSandbox(program);
    const ended = await sandbox.run(["run", "--detach", "--", "true"]);
    assert.equal(ended.code, 0);
    const id = ended.out.trim();
    assert.match(id, /^[0-9a-z]{26}$/);
    assert.match(ended.err, new RegExp(`^job ${id} waits, as no worker is running`, "m"));
    assert.deepEqual((await listJobs(sandbox)).map((job) => [job.id, job.state]), [[id, "queued"]]);
  });

  Deno.test(`run ${name} runs the job without a word when nobody reads its standard error`, async () => {
    await using sandbox = await newSandbox(program);
    const job = ["run", "--", "sh", "-c", "echo out; echo err >&2; exit 4"];
    await using running = throughShell(sandbox, '"$@" 2>/dev/full', job);
    const ended = await running.ended;
    assert.equal(ended.code, 4);
    assert.equal(ended.out, "out\n");
    assert.deepEqual((await linesOf(sandbox)).map((line) => line.text).sort(), ["err", "out"]);
  });
}
