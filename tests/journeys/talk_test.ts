/** What glassbox says of itself, and how: tasks, doctor, version, completions, JSON, colours, progress. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newSandbox, programs, startProcess } from "../support/glassbox.ts";
import { listJobs, showJob } from "../support/jobs.ts";
import { eventually, makeGate } from "../support/processes.ts";
import { onTerminal } from "../support/terminal.ts";

for (const program of programs()) {
  const name = `(${program.name})`;

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
}
