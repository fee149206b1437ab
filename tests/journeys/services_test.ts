/** Everything around `run`: worker and serve from start to stop, the commands about jobs, and how glassbox talks. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newSandbox, programs, type Sandbox, type Server, startProcess } from "../support/glassbox.ts";
import { complaints, linesOf, listJobs, showJob } from "../support/jobs.ts";
import { eventually, isAlive, makeGate } from "../support/processes.ts";
import { demandRecovery } from "../support/matrix.ts";
import { onTerminal } from "../support/terminal.ts";

const WAITING = 'echo "up $$"; read x < "$0"; echo done';

async function detach(sandbox: Sandbox, command: readonly string[]): Promise<string> {
  const { code, out, err } = await sandbox.run(["run", "--detach", "--", ...command]);
  assert.equal(code, 0, err);
  return out.trim();
}

/** Resolves with the pid that the job says. */
async function isUp(sandbox: Sandbox, id: string): Promise<number> {
  const watcher = sandbox.start(["jobs", "logs", id, "--follow"]);
  const [, pid] = await watcher.said(/^up (\d+)\n/m, "stdout");
  return Number(pid);
}

async function python(script: string, args: readonly string[]): Promise<unknown> {
  const { success, stdout, stderr } = await new Deno.Command("python3", { args: ["-c", script, ...args] })
    .output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
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

  Deno.test(`jobs wait ${name} ends with the job's code, or with 75 when its own time is up`, async () => {
    await using sandbox = await newSandbox(program);
    const id = await detach(sandbox, ["sh", "-c", "exit 7"]);
    const late = await sandbox.run(["jobs", "wait", id, "--timeout", "10ms"]);
    assert.equal(late.code, 75);
    assert.deepEqual(complaints(late.err), [
      `glassbox: Cannot wait longer for job ${id} than 10ms: it is still queued`,
    ]);
    const waiting = sandbox.start(["jobs", "wait", id, "--json"]);
    await waiting.said(/^glassbox /);
    await using _worker = await sandbox.worker();
    const ended = await waiting.ended;
    assert.equal(ended.code, 7);
    assert.equal(JSON.parse(ended.out).job.state, "failed");
  });

  Deno.test(`jobs cancel ${name} ends a queued job at once, and refuses one that has ended`, async () => {
    await using sandbox = await newSandbox(program);
    const id = await detach(sandbox, ["true"]);
    const cancelled = await sandbox.run(["jobs", "cancel", id]);
    assert.equal(cancelled.code, 0);
    assert.match(cancelled.err, new RegExp(`^job ${id} is cancelled$`, "m"));
    assert.equal((await showJob(sandbox, id)).job.state, "cancelled");
    await sandbox.run(["run", "--", "true"]);
    const final = await sandbox.run(["jobs", "cancel", "latest"]);
    assert.equal(final.code, 1);
    assert.match(complaints(final.err)[0]!, /Cannot cancel job [0-9a-z]{26} as it is already completed/);
  });

  Deno.test(`jobs retry ${name} runs the same request as a new job that names the old one`, async () => {
    await using sandbox = await newSandbox(program);
    await sandbox.run(["run", "--key", "k", "--", "sh", "-c", "echo once more; test -e fixed"]);
    const [old] = await listJobs(sandbox);
    await writeFile(join(sandbox.cwd, "fixed"), "");
    const again = await sandbox.run(["jobs", "retry", old!.id]);
    assert.equal(again.code, 0, again.err);
    assert.equal(again.out, "once more\n");
    const { job } = await showJob(sandbox);
    assert.deepEqual([job.retryOf, job.key, job.state], [old!.id, null, "completed"]);
    const queued = await detach(sandbox, ["true"]);
    const refused = await sandbox.run(["jobs", "retry", queued]);
    assert.equal(refused.code, 64);
    assert.match(complaints(refused.err)[0]!, /must be final: it is queued$/);
  });

  Deno.test(`jobs export ${name} writes one file that glassbox and sqlite3 read wherever it is taken`, async () => {
    await using sandbox = await newSandbox(program);
    await sandbox.run(["run", "selftest"]);
    await sandbox.run(["run", "--", "true"]);
    const [, exported] = await listJobs(sandbox);
    const before = await showJob(sandbox, exported!.id);
    const ended = await sandbox.run(["jobs", "export", exported!.id, "--to", "job.db"]);
    assert.equal(ended.code, 0, ended.err);
    assert.deepEqual(readdirSync(sandbox.cwd), ["job.db"]);
    // The one file alone is taken elsewhere.
    const taken = join(sandbox.directory, "taken.db");
    await copyFile(join(sandbox.cwd, "job.db"), taken);
    const rows = await python(
      `
import json, sqlite3, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
print(json.dumps([db.execute("select job_id, status, result_json from jobs_view").fetchall(),
  db.execute("select count(*) from lines").fetchone()[0] > 0, db.execute("pragma integrity_check").fetchone()[0]]))`,
      [taken],
    );
    assert.deepEqual(rows, [[[exported!.id, "finished", '{"steps":3,"cancelled":false}']], true, "ok"]);
    const shown = await sandbox.json<typeof before>(["--db", taken, "jobs", "show", "latest"]);
    assert.deepEqual(shown, before);
    const logs = await sandbox.run(["--db", taken, "jobs", "logs", "latest"]);
    assert.deepEqual(logs.out.trimEnd().split("\n").sort(), ["step 1 of 3", "step 2 of 3", "step 3 of 3"]);
    const artifact = await sandbox.run(["--db", taken, "jobs", "artifacts", "latest", "selftest.json"]);
    assert.equal(artifact.out, '{"steps":3}\n');

    const twice = await sandbox.run(["jobs", "export", exported!.id, "--to", "job.db"]);
    assert.equal(twice.code, 73);
    assert.match(complaints(twice.err)[0]!, /Cannot export to "job\.db" as it exists already/);
  });

  Deno.test(`jobs artifacts --to ${name} writes the very bytes, and refuses a place that is not there`, async () => {
    await using sandbox = await newSandbox(program);
    const script = "head -c 3000000 /dev/urandom > random.bin; sha256sum random.bin";
    const made = await sandbox.run(["run", "--artifact", "random.bin", "--", "sh", "-c", script]);
    const sha256 = made.out.split(" ")[0]!;
    const { artifacts } = await showJob(sandbox);
    assert.deepEqual([artifacts[0]!.sha256, artifacts[0]!.sizeBytes], [sha256, 3_000_000]);
    const ended = await sandbox.run(["jobs", "artifacts", "latest", "random.bin", "--to", "copy.bin"]);
    assert.equal(ended.code, 0, ended.err);
    const copy = await readFile(join(sandbox.cwd, "copy.bin"));
    assert.equal(createHash("sha256").update(copy).digest("hex"), sha256);
    const piped = await sandbox.run(["jobs", "artifacts", "latest", "random.bin"]);
    assert.equal(createHash("sha256").update(piped.stdout).digest("hex"), sha256);
    const nowhere = await sandbox.run([
      "jobs",
      "artifacts",
      "latest",
      "random.bin",
      "--to",
      "no/such/copy.bin",
    ]);
    assert.equal(nowhere.code, 73);
    assert.match(
      complaints(nowhere.err)[0]!,
      /Cannot write "no\/such\/copy\.bin" as its directory does not exist$/,
    );
  });

  Deno.test(`jobs_view ${name} answers sqlite3 in the words of the first service`, async () => {
    await using sandbox = await newSandbox(program);
    await sandbox.run(["run", "selftest", "--set", "steps=1"]);
    await sandbox.run(["run", "--", "sh", "-c", "exit 3"]);
    const queued = await detach(sandbox, ["true"]);
    const rows = await python(
      `
import json, sqlite3, sys
query = "SELECT job_id, status, created_at, finished_at, substr(result_json,1,200) FROM jobs_view"
print(json.dumps(sqlite3.connect(sys.argv[1]).execute(query + " ORDER BY job_id").fetchall()))`,
      [sandbox.database],
    ) as [string, string, string, string | null, string | null][];
    const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
    assert.deepEqual(rows.map((row) => row[1]), ["finished", "failed", "queued"]);
    for (const row of rows) assert.match(row[2], time);
    for (const row of rows.slice(0, 2)) assert.match(row[3]!, time);
    assert.equal(rows[0]![4], '{"steps":1,"cancelled":false}');
    assert.equal(JSON.parse(rows[1]![4]!).code, "program_failed");
    assert.deepEqual([rows[2]![0], rows[2]![3], rows[2]![4]], [queued, null, null]);
  });

  Deno.test(`jobs logs ${name} shows what was asked for, safely, and raw on request`, async () => {
    await using sandbox = await newSandbox(program);
    const script = "printf 'plain\\r\\n\\033[31mred\\033[0m\\n'; echo error >&2; printf '\\377end'";
    await sandbox.run(["run", "--", "sh", "-c", script]);
    const shown = await sandbox.run(["jobs", "logs", "latest", "--stream", "stdout"]);
    assert.equal(shown.out, "plain\n\\x1b[31mred\\x1b[0m\n\ufffdend\n");
    const raw = await sandbox.run(["jobs", "logs", "latest", "--stream", "stdout", "--raw"]);
    assert.deepEqual([...raw.stdout], [
      ...new TextEncoder().encode("plain\r\n\x1b[31mred\x1b[0m\n"),
      255,
      101,
      110,
      100,
    ]);
    const numbered = await sandbox.run([
      "jobs",
      "logs",
      "latest",
      "--number",
      "--time",
      "--stream",
      "stderr",
    ]);
    assert.match(numbered.out, /^ {5}\d {2}\d{4}-\d\d-\d\dT[\d:.]+Z {2}error\n$/);
    const after = await sandbox.run(["jobs", "logs", "latest", "--after", "3", "--json"]);
    assert.equal(after.out.trimEnd().split("\n").length, 1);
    assert.equal(JSON.parse(after.out).seq, 4);
  });

  Deno.test(`jobs list ${name} filters by state and task, newest first, and is empty without complaint`, async () => {
    await using sandbox = await newSandbox(program);
    const none = await sandbox.run(["jobs", "list"]);
    assert.deepEqual([none.code, none.out], [0, ""]);
    assert.match(none.err, /^no jobs yet: try `glassbox run -- echo hello`$/m);
    await sandbox.run(["run", "--", "false"]);
    await sandbox.run(["run", "selftest"]);
    const table = (await sandbox.run(["jobs", "list"])).out.trimEnd().split("\n");
    assert.match(table[0]!, /^ID +STATE +SUBMITTED \(UTC\) +TOOK +WHAT$/);
    assert.match(table[1]!, /^[0-9a-z]{26} {2}completed .* selftest$/);
    assert.match(table[2]!, /^[0-9a-z]{26} {2}failed .* false$/);
    const failed = await sandbox.json<{ state: string }[]>(["jobs", "list", "--state", "failed,cancelled"]);
    assert.deepEqual(failed.map((job) => job.state), ["failed"]);
    const tasks = await sandbox.json<{ task: string }[]>([
      "jobs",
      "list",
      "--task",
      "selftest",
      "--limit",
      "1",
    ]);
    assert.deepEqual(tasks.map((job) => job.task), ["selftest"]);
  });

  Deno.test(`tasks ${name} lists what can run here, and one with its schemas`, async () => {
    await using sandbox = await newSandbox(program);
    const list = await sandbox.json<{ name: string }[]>(["tasks"]);
    assert.ok(list.some((task) => task.name === "exec") && list.some((task) => task.name === "selftest"));
    const exec = JSON.parse((await sandbox.run(["tasks", "exec"])).out);
    assert.equal(exec.input.properties.program.type, "string");
    assert.deepEqual(exec.output.required, ["exitCode"]);
  });

  Deno.test(`doctor --json ${name} says which program, database and settings, and what each check found`, async () => {
    await using sandbox = await newSandbox(program);
    const env = { GLASSBOX_PORT: "9001", GLASSBOX_DB_TOKEN: "secret-token-value" };
    const ended = await sandbox.run(["doctor", "--json"], { env });
    assert.equal(ended.code, 0, ended.err);
    const report = JSON.parse(ended.out);
    assert.equal(report.compiled, program.name === "binary");
    assert.equal(report.binary, program.command.at(-1));
    assert.equal(report.workingDirectory, sandbox.cwd);
    assert.equal(report.withoutArguments.mode, "help");
    const setting = (name: string) => report.settings.find((one: { name: string }) => one.name === name);
    assert.deepEqual(setting("port"), { name: "port", value: "9001", source: "environment" });
    assert.equal(setting("database").value, sandbox.database);
    assert.doesNotMatch(ended.out + ended.err, /secret-token-value/);
    const checks = report.checks as { name: string; ok: boolean | null }[];
    assert.deepEqual(checks.filter((check) => check.ok === false), []);
    assert.equal(checks[0]!.name, "database");
    const people = await sandbox.run(["doctor"]);
    assert.match(
      people.out,
      new RegExp(`^ {2}ok +database +${sandbox.database} · id [0-9a-f-]{36} · schema \\d+`, "m"),
    );
  });

  Deno.test(`doctor ${name} ends with 69 and names what is wrong`, async () => {
    await using sandbox = await newSandbox(program);
    const ended = await sandbox.run(["doctor", "--db", sandbox.cwd]);
    assert.equal(ended.code, 69);
    assert.match(ended.out, /^ {2}wrong +database +Cannot use \S+ as a database as it is a directory/m);
  });

  Deno.test(`version ${name} and --version say the same, with the runtime`, async () => {
    await using sandbox = await newSandbox(program);
    const { version, engine, engineVersion, platform, compiled } = await sandbox.json(["version"]);
    assert.equal(compiled, program.name === "binary");
    const text = `glassbox ${version} (${engine} ${engineVersion} ${platform})\n`;
    for (const args of [["version"], ["--version"], ["-V"]]) {
      assert.equal((await sandbox.run(args)).out, text);
    }
    assert.deepEqual(readdirSync(sandbox.directory).sort(), ["here", "home", "tmp"]);
  });

  Deno.test(`completions bash ${name} completes commands, options and tasks in a bare bash`, async () => {
    await using sandbox = await newSandbox(program);
    const starter = join(sandbox.directory, "glassbox");
    const line = program.command.map((word) => `'${word}'`).join(" ");
    await writeFile(starter, `#!/bin/sh\nexec ${line} "$@"\n`, { mode: 0o755 });
    const env = { ...sandbox.env, PATH: `${sandbox.directory}:${sandbox.env.PATH}` };
    const script = `
source <(glassbox completions bash)
source <(glassbox completions bash)
complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _glassbox; echo "$*: \${COMPREPLY[*]}"; }
complete -p glassbox
complete_words glassbox jo
complete_words glassbox jobs l
complete_words glassbox jobs wait --t
complete_words glassbox run self
complete_words glassbox run -- jo
complete_words glassbox run '$(touch evil)' '>' out.txt self`;
    await using running = startProcess("bash", ["--norc", "-c", script], { cwd: sandbox.cwd, env });
    const ended = await running.ended;
    assert.equal(ended.err, "");
    assert.deepEqual(ended.out.split("\n").slice(0, -1), [
      "complete -o default -F _glassbox glassbox",
      "glassbox jo: jobs",
      "glassbox jobs l: list logs",
      "glassbox jobs wait --t: --timeout",
      "glassbox run self: selftest",
      "glassbox run -- jo: ",
      "glassbox run $(touch evil) > out.txt self: ",
    ]);
    assert.deepEqual(readdirSync(sandbox.cwd), []);
  });

  for (const shell of ["zsh", "fish", "powershell"]) {
    Deno.test(`completions ${shell} ${name} prints a script`, async () => {
      await using sandbox = await newSandbox(program);
      const ended = await sandbox.run(["completions", shell]);
      assert.equal(ended.code, 0, ended.err);
      assert.match(ended.out, /glassbox complete/);
    });
  }

  Deno.test(`--log-format json ${name} makes every word of glassbox itself a JSON document`, async () => {
    await using sandbox = await newSandbox(program);
    const cases: readonly (readonly string[])[] = [
      ["run", "--", "true"],
      ["run", "--timeout", "50ms", "--", "sleep", "1000"],
      ["run", "--", "no-such-program"],
      ["run", "--frobnicate"],
      ["run", "selftest", "--set", "steps=x"],
      ["jobs", "show", "nope"],
      ["jobs", "cancel", "latest"],
      ["--db", sandbox.cwd, "jobs", "list"],
      ["frobnicate"],
      ["async"],
      [],
    ];
    for (const args of cases) {
      const ended = await sandbox.run(["--log-format", "json", ...args], {
        env: { GLASSBOX_COLOR: "always" },
      });
      const said = ended.err.trimEnd().split("\n").map((line) => JSON.parse(line));
      assert.ok(said.length > 0, `${args}`);
      if (ended.code !== 0) assert.equal(said.at(-1).level, "error", `${args}: ${ended.err}`);
      // deno-lint-ignore no-control-regex
      assert.doesNotMatch(ended.err, /\x1b|u001b/);
    }
    await writeFile(join(sandbox.cwd, "config.jsonc"), '{ "logFormat": "json" } // from the file');
    const ended = await sandbox.run(["--config", "config.jsonc", "jobs", "show", "nope"]);
    assert.equal(JSON.parse(ended.err.trimEnd().split("\n").at(-1)!).code, "job_not_found");
  });

  Deno.test(`colours ${name} are for terminals, and NO_COLOR turns them off`, async () => {
    await using sandbox = await newSandbox(program);
    // deno-lint-ignore no-control-regex
    const escape = /\x1b\[\d+m/;
    const coloured = { NO_COLOR: undefined };
    await sandbox.run(["run", "--", "true"]);
    await using terminal = onTerminal(sandbox, ["jobs", "list"], { env: coloured });
    assert.match((await terminal.ended).out, escape);
    await using silenced = onTerminal(sandbox, ["jobs", "list"], { env: { NO_COLOR: "1" } });
    assert.doesNotMatch((await silenced.ended).out, escape);
    const piped = await sandbox.run(["jobs", "list"], { env: coloured });
    assert.doesNotMatch(piped.out + piped.err, escape);
    const forced = await sandbox.run(["--color", "always", "jobs", "list"], { env: coloured });
    assert.match(forced.out, escape);
    await using help = onTerminal(sandbox, ["--help"], { env: { NO_COLOR: "1" } });
    assert.doesNotMatch((await help.ended).out, escape);
  });

  Deno.test(`a progress line ${name} is on a terminal, is gone at the end, and is not in a pipe`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeGate(sandbox.directory);
    const script =
      `echo '{"type":"progress","fraction":0.5,"message":"half way"}' >&3; read x < "$0"; echo end`;
    const args = ["run", "--", "sh", "-c", script, gate.path];
    await using terminal = onTerminal(sandbox, args);
    await terminal.said(/\[############ {12}\] 50% half way/, "stdout");
    await gate.open();
    const { out, code } = await terminal.ended;
    assert.equal(code, 0);
    assert.ok(out.indexOf("\r\x1b[2Kend") > out.indexOf("half way"), JSON.stringify(out));
    assert.equal(out.slice(out.indexOf("\x1b[2Kend")).includes("half way"), false);
    const piped = sandbox.start(args);
    await eventually("it waits at the gate", async () => (await listJobs(sandbox))[0]?.state === "running");
    await gate.open();
    const ended = await piped.ended;
    assert.equal(ended.out, "end\n");
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(ended.err, /half way|\x1b/);
    const { events } = await showJob(sandbox);
    assert.deepEqual(
      events.filter((event) => event.kind === "progress").map((event) => event.data),
      [{ fraction: 0.5, message: "half way" }],
    );
  });

  Deno.test(`text without a newline ${name} gets one on a terminal before glassbox speaks, and none in a pipe`, async () => {
    await using sandbox = await newSandbox(program);
    await using terminal = onTerminal(sandbox, ["run", "--", "printf", "no newline"]);
    assert.match((await terminal.ended).out, /no newline\r\njob [0-9a-z]{26} completed/);
    assert.equal((await sandbox.run(["run", "--", "printf", "no newline"])).out, "no newline");
  });

  Deno.test(`verify ${name} finds nothing wrong after all kinds of endings`, async () => {
    await using sandbox = await newSandbox(program);
    for (
      const args of [["selftest"], ["--", "false"], ["--timeout", "50ms", "--", "sleep", "1000"], [
        "--",
        "nope",
      ]]
    ) {
      await sandbox.run(["run", ...args]);
    }
    await sandbox.run(["jobs", "cancel", await detach(sandbox, ["true"])]);
    const ended = await sandbox.run(["verify"]);
    assert.deepEqual([ended.code, ended.out], [0, ""], ended.err);
    assert.match(ended.err, /^5 jobs checked, 0 violations$/m);
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
