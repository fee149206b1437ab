/** A job that waits in a KBase work directory: run at once, and answered whatever happens. */
import assert from "node:assert/strict";
import { chmod, mkdir, readFile, stat, symlink, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newSandbox, programs, type Sandbox } from "../support/glassbox.ts";
import { complaints, showJob } from "../support/jobs.ts";
import { eventually, holdWriteLock, makeGate } from "../support/processes.ts";
import { authService, call, filesWith, inWork, JOB_ID, makeWork, readJson, TOKEN } from "../support/kbase.ts";

/** A module of one's own: its methods are programs. */
const MODULE = `
module-name: Mine
module-description: tests
service-language: python
module-version: "0.1.0"
owners: [somebody]
glassbox:
  methods:
    fine:
      command: [python3, -c, "import json,sys; call=json.load(open(sys.argv[1])); json.dump({'version':'1.1','id':call['id'],'result':[{'got':call['params'][0]}]}, open(sys.argv[2],'w'))", "{input}", "{output}"]
      parameters: [object]
    broken:
      command: [sh, -c, 'echo almost >&2; echo "{\\"version\\":\\"1.1\\",\\"error\\":{\\"code\\":-32000,\\"name\\":\\"Server error\\",\\"message\\":\\"mine\\",\\"error\\":\\"trace\\"}}" > "$1"; exit 7', sh, "{output}"]
    silent:
      command: [sh, -c, "exit 3"]
    answers:
      command: [sh, -c, 'tr -d "[]" < "$1" | cut -c2- | sed "s/.$//" | base64 -d > "$2"; grep -q 7 "$2" && exit 7; exit 0', sh, "{params}", "{output}"]
    bytes:
      command: [sh, -c, "printf 'a\\\\377b\\\\n\\\\303\\\\251\\\\n'; printf end"]
    leaky:
      command: [sh, -c, 'echo "token is $KB_AUTH_TOKEN"; printf "%s" "$KB_AUTH_TOKEN" | base64 >&2; cat "$1"; printf "%s" "$KB_AUTH_TOKEN" | cut -c1-20 | tr -d "\\\\n"; sleep 0.1; printf "%s\\\\n" "$KB_AUTH_TOKEN" | cut -c21-; echo "{\\"version\\":\\"1.1\\",\\"result\\":[\\"$KB_AUTH_TOKEN\\"]}" > "$2"', sh, "{token}", "{output}"]
    gated:
      command: [sh, -c, 'echo begun; read go < "$(tr -d "[]\\"" < "$1")"; echo "token $KB_AUTH_TOKEN"; sleep 60', sh, "{params}"]
    stubborn:
      command: [sh, -c, "trap '' TERM; echo begun; while :; do sleep 1; done"]
    gentle:
      command: [sh, -c, "echo begun; exec sleep 60"]
`;

function method(name: string, params: unknown = [{}]): { input: unknown; module: string } {
  return { input: call(`Mine.${name}`, params), module: MODULE };
}

async function answer(sandbox: Sandbox): Promise<Record<string, unknown>> {
  return await readJson(join(sandbox.cwd, "work/output.json"));
}

// deno-lint-ignore no-explicit-any
async function failed(sandbox: Sandbox): Promise<any> {
  const document = await answer(sandbox);
  assert.equal("result" in document, false);
  assert.equal(document.version, "1.1");
  return document.error;
}

for (const program of programs()) {
  const name = `(${program.name})`;

  Deno.test(`async ${name} runs the waiting job, answers with its id and a list of results, and keeps it as any job`, async () => {
    await using sandbox = await newSandbox(program);
    const work = await makeWork(sandbox);
    const ended = await sandbox.run(["async"]);
    assert.equal(ended.code, 0, ended.err);
    const document = await answer(sandbox);
    assert.deepEqual(document, {
      version: "1.1",
      id: JOB_ID,
      result: [{ steps: 2, cancelled: false }],
    });
    assert.match(
      ended.err,
      /^glassbox \S+ · kbase \(argument "async"\) · database file:\S+work\/tmp\/glassbox\.db /,
    );
    assert.match(ended.err, /^START Glassbox\.selftest · job [0-9a-z]{26} · /m);
    assert.equal(ended.out, "step 1 of 2\n");
    const { job, events } = await showJob(sandbox, "latest", inWork(work));
    assert.equal(job.task, "selftest");
    assert.equal(job.state, "completed");
    assert.equal(events.at(-1)?.kind, "finished");
  });

  Deno.test(`async ${name} answers status as any module does, without a job`, async () => {
    await using sandbox = await newSandbox(program);
    const work = await makeWork(sandbox, { input: call("Glassbox.status", []) });
    await using running = sandbox.start(["async"]);
    assert.equal((await running.ended).code, 0);
    const { id, result: [status] } = await readJson(join(work, "output.json"));
    assert.deepEqual([id, status.state], [JOB_ID, "OK"]);
  });

  Deno.test(`no argument ${name} runs a waiting input.json at once and never listens`, async () => {
    await using sandbox = await newSandbox(program);
    await makeWork(sandbox, method("gentle"));
    const running = sandbox.start([]);
    await running.said(/^glassbox \S+ · kbase \(no arguments, and \S+ is waiting without an output\.json\)/);
    await running.said(/^START Mine\.gentle /m);
    await running.said(/^begun$/m, "stdout");
    running.signal("SIGTERM");
    const ended = await running.ended;
    assert.equal(ended.code, 143);
    assert.doesNotMatch(ended.out + ended.err, /listening/i);
  });

  Deno.test(`two files ${name} are a one-shot job, with the token itself or its file behind them`, async () => {
    await using sandbox = await newSandbox(program);
    const work = await makeWork(sandbox, { token: null, ...method("leaky") });
    await writeFile(join(sandbox.cwd, "secret"), `${TOKEN}\n`);
    for (const token of [TOKEN, "secret"]) {
      const ended = await sandbox.run(["work/input.json", "here.json", token]);
      assert.equal(ended.code, 0, ended.err);
      const document = await readJson(join(sandbox.cwd, "here.json"));
      assert.deepEqual(document.result, ["*".repeat(TOKEN.length)]);
    }
    assert.deepEqual(await filesWith(work, TOKEN), []);
  });

  Deno.test(`async ${name} tells a method that throws by its message and stack, and ends with 1`, async () => {
    await using sandbox = await newSandbox(program);
    await makeWork(sandbox, { input: call("Glassbox.selftest", [{ ending: "throw" }]) });
    assert.equal((await sandbox.run(["async"])).code, 1);
    const error = await failed(sandbox);
    assert.equal(error.code, -32000);
    assert.equal(error.name, "Server error");
    assert.equal(error.message, "The selftest was asked to throw");
    assert.match(error.error, /^Error: The selftest was asked to throw\n {4}at /);
  });

  Deno.test(`async ${name} answers every job that cannot run with its own code, and 65`, async () => {
    const cases: [unknown, number, RegExp | null][] = [
      [call("Glassbox.absent", [{}]), -32601, null],
      [call("Other.method", [{}]), -32601, null],
      [call("Glassbox.selftest", []), -32602, /^not enough arguments$/],
      [call("Glassbox.selftest", [{}, {}]), -32602, /^too many arguments$/],
      [call("Glassbox.selftest", ["text"]), -32602, /^positional arg #1 is the wrong type$/],
      [call("Glassbox.selftest", { steps: 1 }), -32602, /^expected positional params, not keyword$/],
      [call("Glassbox.selftest", "text"), -32602, /list/],
      [call("Glassbox.selftest", [{ steps: -1 }]), -32602, /params\[0\]\.steps/],
      [call("Glassbox.selftest.more", [{}]), -32600, /Module\.method/],
      ["not JSON", -32700, /not JSON|value is expected/],
      ['{"id": 1, "id": 2}', -32700, /stands twice/],
      ["[]", -32600, /one object/],
    ];
    await using sandbox = await newSandbox(program);
    for (const [input, code, message] of cases) {
      await makeWork(sandbox, { input });
      const ended = await sandbox.run(["async"]);
      const error = await failed(sandbox);
      assert.equal(error.code, code, JSON.stringify(input));
      assert.equal(ended.code, 65, JSON.stringify(input));
      if (message === null) assert.equal(error.message, null);
      else assert.match(error.message, message);
      assert.equal(complaints(ended.err).length, 1, ended.err);
    }
  });

  Deno.test(`async ${name} echoes an id of any kind, and makes one where there is none`, async () => {
    await using sandbox = await newSandbox(program);
    for (
      const [id, wanted] of [["x-1", /^x-1$/], [7, /^7$/], [null, /^\d{16}$/], [
        undefined,
        /^\d{16}$/,
      ]] as const
    ) {
      await makeWork(sandbox, { input: { ...call("Glassbox.selftest", [{ steps: 1 }]), id } });
      assert.equal((await sandbox.run(["async"])).code, 0);
      const document = await answer(sandbox);
      assert.match(String(document.id), wanted);
      if (id !== null && id !== undefined) assert.equal(document.id, id);
    }
  });

  Deno.test(`async ${name} echoes the id of an input it refuses, and makes none up`, async () => {
    await using sandbox = await newSandbox(program);
    const cases = [[`{"id": "${JOB_ID}", "params": [], "params": []}`, JOB_ID], [
      "not JSON",
      undefined,
    ]] as const;
    for (const [input, id] of cases) {
      await makeWork(sandbox, { input });
      assert.equal((await sandbox.run(["async"])).code, 65);
      const document = await answer(sandbox);
      assert.deepEqual(["id" in document, document.id], [id !== undefined, id]);
    }
  });

  Deno.test(`async ${name} without a token says so, ends with 1 and still answers`, async () => {
    await using sandbox = await newSandbox(program);
    await makeWork(sandbox, { token: null });
    const ended = await sandbox.run(["async"]);
    assert.equal(ended.code, 1);
    assert.match(ended.err, /work\/token must be there/);
    assert.equal((await answer(sandbox)).id, JOB_ID);
    assert.match((await failed(sandbox)).message, /token must be there/);
  });

  Deno.test(`async ${name} refuses a token file that is empty or holds two lines`, async () => {
    await using sandbox = await newSandbox(program);
    for (const [token, code, message] of [["\n", 66, /empty/], ["one\ntwo\n", 65, /one line/]] as const) {
      await makeWork(sandbox, { token });
      const ended = await sandbox.run(["async"]);
      assert.equal(ended.code, code);
      assert.match((await failed(sandbox)).message, message);
    }
  });

  Deno.test(`async ${name} without an input.json names it and ends with 66`, async () => {
    await using sandbox = await newSandbox(program);
    await makeWork(sandbox, { input: null });
    const ended = await sandbox.run(["async"]);
    assert.equal(ended.code, 66);
    assert.match(ended.err, /work\/input\.json/);
  });

  Deno.test(`async ${name} runs a program that kbase.yml maps to a method, and passes its answer on`, async () => {
    await using sandbox = await newSandbox(program);
    const work = await makeWork(sandbox, method("fine", [{ a: 1 }]));
    const ended = await sandbox.run(["async"]);
    assert.equal(ended.code, 0, ended.err);
    assert.deepEqual(await answer(sandbox), { version: "1.1", id: JOB_ID, result: [{ got: { a: 1 } }] });
    const { job, artifacts } = await showJob(sandbox, "latest", inWork(work));
    assert.equal(job.task, "exec");
    assert.deepEqual(artifacts.map((artifact) => artifact.name), ["output.json"]);
  });

  Deno.test(`async ${name} keeps the error a program wrote, or makes one of its exit code and last lines`, async () => {
    await using sandbox = await newSandbox(program);
    await makeWork(sandbox, method("broken"));
    assert.equal((await sandbox.run(["async"])).code, 7);
    assert.deepEqual(await failed(sandbox), {
      name: "Server error",
      code: -32000,
      message: "mine",
      error: "trace",
    });
    await makeWork(sandbox, method("silent"));
    assert.equal((await sandbox.run(["async"])).code, 3);
    const error = await failed(sandbox);
    assert.equal(error.message, "The program ended with exit code 3");
    assert.equal(error.error, null);
  });

  Deno.test(`async ${name} takes no answer of a program for a success that is none`, async () => {
    await using sandbox = await newSandbox(program);
    const answers: [string, unknown, number][] = [
      ["[1]", /holds no object/, 1],
      ['{"error": "boo"}', /^boo$/, 1],
      ['{"resutl": []}', /neither a result nor an error/, 1],
      ['{"result": {}}', /a result that is not a list/, 1],
      ["{7", /ended with exit code 7/, 7],
      ['{"result": null}', [], 0],
      ["{}", [], 0],
      ['{"error": null, "result": [1]}', [1], 0],
    ];
    for (const [text, wanted, code] of answers) {
      const work = await makeWork(sandbox, method("answers", [btoa(text)]));
      const ended = await sandbox.run(["async"]);
      assert.equal(ended.code, code, `${text}: ${ended.err}`);
      if (wanted instanceof RegExp) assert.match((await failed(sandbox)).message, wanted);
      else assert.deepEqual((await readJson(join(work, "output.json"))).result, wanted);
    }
  });

  Deno.test(`no argument ${name} waits for no pipe in the place of a file`, async () => {
    await using sandbox = await newSandbox(program);
    const work = await makeWork(sandbox);
    const pipes = [
      join(work, "config.properties"),
      join(sandbox.cwd, "kbase.yml"),
      join(sandbox.cwd, "deploy.cfg"),
    ];
    await new Deno.Command("mkfifo", { args: pipes }).output();
    const ended = await sandbox.run([]);
    assert.equal(ended.code, 0, ended.err);
    assert.match(ended.err, /^glassbox .*\nSTART Glassbox\.selftest/);
  });

  Deno.test(`async ${name} writes valid UTF-8 only, each line whole, and stores the bytes as they were`, async () => {
    await using sandbox = await newSandbox(program);
    const work = await makeWork(sandbox, method("bytes"));
    const ended = await sandbox.run(["async"]);
    assert.equal(ended.code, 0, ended.err);
    assert.equal(new TextDecoder("utf-8", { fatal: true }).decode(ended.stdout), "a\ufffdb\né\nend\n");
    const raw = await sandbox.run(["jobs", "logs", "latest", "--raw"], inWork(work));
    assert.deepEqual([...raw.stdout.subarray(0, 4)], [0x61, 0xff, 0x62, 0x0a]);
  });

  Deno.test(`async ${name} shows and stores no token, whole, cut in two or in base64`, async () => {
    await using sandbox = await newSandbox(program);
    const work = await makeWork(sandbox, method("leaky"));
    const ended = await sandbox.run(["async"]);
    assert.equal(ended.code, 0, ended.err);
    const stars = "*".repeat(TOKEN.length);
    assert.match(ended.out, new RegExp(`^token is \\*{32}\n\\*{64}\n$`));
    assert.deepEqual((await answer(sandbox)).result, [stars]);
    for (const secret of [TOKEN, btoa(TOKEN).slice(0, 40)]) {
      assert.equal((ended.out + ended.err).includes(secret), false);
      // The runner's own token file is the only place for it.
      assert.deepEqual(await filesWith(work, secret), secret === TOKEN ? [join(work, "token")] : []);
    }
  });

  Deno.test(`async ${name} that is killed leaves no token to whoever records its last lines`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeGate(sandbox.directory);
    const work = await makeWork(sandbox, method("gated", [gate.path]));
    await using running = sandbox.start(["async"]);
    await running.said(/^begun$/m, "stdout");
    {
      using _ = await holdWriteLock(join(work, "tmp/glassbox.db"));
      await gate.open();
      await eventually(
        "the token lies in the kept output",
        async () => (await filesWith(join(work, "tmp"), TOKEN)).some((path) => path.endsWith("/stdout")),
      );
      running.signal("SIGKILL");
      await running.ended;
    }
    // Another process, which never knew the token, settles what is left.
    const lines = await sandbox.run(["jobs", "logs", "latest"], inWork(work));
    assert.equal(lines.out, `begun\ntoken ${"*".repeat(TOKEN.length)}\n`);
    assert.deepEqual(await filesWith(join(work, "tmp"), TOKEN), []);
  });

  Deno.test(`async ${name} refuses params that hold the token, which would stay in the job's row`, async () => {
    await using sandbox = await newSandbox(program);
    const work = await makeWork(sandbox, {
      input: call("Glassbox.selftest", [{ steps: 1, ending: TOKEN }]),
    });
    assert.equal((await sandbox.run(["async"])).code, 65);
    await unlink(join(work, "token"));
    await unlink(join(work, "input.json"));
    assert.deepEqual(await filesWith(work, TOKEN), []);
  });

  Deno.test(`SIGTERM ${name} is answered within eight seconds, also when the program ignores it`, async () => {
    for (const kind of ["gentle", "stubborn"]) {
      await using sandbox = await newSandbox(program);
      const work = await makeWork(sandbox, method(kind));
      const running = sandbox.start(["async"]);
      await running.said(/^begun$/m, "stdout");
      const askedAt = performance.now();
      running.signal("SIGTERM");
      const ended = await running.ended;
      assert.ok(performance.now() - askedAt < 8_000);
      assert.equal(ended.code, 143, ended.err);
      assert.match((await failed(sandbox)).message, /cancelled: SIGTERM/);
      assert.equal((await showJob(sandbox, "latest", inWork(work))).job.state, "cancelled");
    }
  });

  Deno.test(`async ${name} replaces an old output.json, and refuses one that is a link`, async () => {
    await using sandbox = await newSandbox(program);
    const work = await makeWork(sandbox);
    const output = join(work, "output.json");
    await writeFile(output, "old");
    assert.equal((await sandbox.run(["async"])).code, 0);
    assert.equal((await answer(sandbox)).id, JOB_ID);
    for (const target of [join(sandbox.directory, "elsewhere"), join(sandbox.directory, "nowhere")]) {
      await unlink(output);
      if (target.endsWith("elsewhere")) await writeFile(target, "precious");
      await symlink(target, output);
      const ended = await sandbox.run(["async"]);
      assert.equal(ended.code, 73);
      assert.match(ended.err, /output\.json": it is a symbolic link/);
    }
    assert.equal(await readFile(join(sandbox.directory, "elsewhere"), "utf8"), "precious");
  });

  Deno.test(`async ${name} answers also when its database cannot be opened`, async () => {
    await using sandbox = await newSandbox(program);
    const work = await makeWork(sandbox);
    await mkdir(join(work, "tmp/glassbox.db"));
    const ended = await sandbox.run(["async"]);
    assert.equal(ended.code, 73, ended.err);
    assert.match((await failed(sandbox)).message, /directory/);
  });

  Deno.test(`async ${name} asks the auth service once, believes its no, and goes on without an answer`, async () => {
    await using sandbox = await newSandbox(program);
    await using auth = authService({ [TOKEN]: "somebody" });
    await makeWork(sandbox, { config: { auth_service_url: auth.url } });
    assert.equal((await sandbox.run(["async"])).code, 0);
    assert.equal(auth.asked(), 1);
    await makeWork(sandbox, { config: { auth_service_url: auth.url }, token: "ANOTHER" });
    assert.equal((await sandbox.run(["async"])).code, 1);
    assert.match((await failed(sandbox)).message, /^Token validation failed: .* 401: 10020 Invalid token$/);
    await makeWork(sandbox, {
      config: { auth_service_url: "http://127.0.0.1:1/api/legacy/x" },
      token: TOKEN,
    });
    const ended = await sandbox.run(["async"]);
    assert.equal(ended.code, 0, ended.err);
    assert.match(ended.err, /the token was not checked, as the auth service cannot be asked/);
  });

  Deno.test(`async ${name} renders deploy.cfg, keeps the template and says which section it took`, async () => {
    await using sandbox = await newSandbox(program);
    await makeWork(sandbox, { config: { workspace_url: "https://ws", kbase_endpoint: "https://kb" } });
    const path = join(sandbox.cwd, "deploy.cfg");
    const template =
      "[Other]\nworkspace-url = {{ workspace_url }}\n{% if absent %}a = 1{% else %}b = {{ kbase_endpoint }}{% endif %}\n";
    await writeFile(path, template);
    const ended = await sandbox.run(["async"]);
    assert.equal(ended.code, 0);
    assert.equal(await readFile(path, "utf8"), "[Other]\nworkspace-url = https://ws\nb = https://kb");
    assert.equal(await readFile(`${path}.orig`, "utf8"), template);
    assert.match(ended.err, /section \[Other\] of deploy\.cfg, the only one, as there is no \[Glassbox\]/);
    const again = await sandbox.run(["async"], { env: { KB_SERVICE_NAME: "Other" } });
    assert.match(again.err, /section \[Other\] of deploy\.cfg, as KB_SERVICE_NAME says/);
    assert.equal(await readFile(`${path}.orig`, "utf8"), template);
  });

  Deno.test(`report ${name} writes a report that a catalog can read, and leaves one that is there`, async () => {
    await using sandbox = await newSandbox(program);
    const config = { job_service_url: "a", workspace_url: "b", shock_url: "c", kbase_endpoint: "d" };
    const work = await makeWork(sandbox, { input: null, token: null, config, module: MODULE });
    assert.equal((await sandbox.run(["report"])).code, 0);
    const path = join(work, "compile_report.json");
    const report = await readJson(path);
    assert.equal(report.module_name, "Mine");
    assert.equal(report.spec_files.filter((file: { is_main: number }) => file.is_main === 1).length, 1);
    assert.deepEqual(Object.keys(report.functions).sort(), Object.keys(report.function_places).sort());
    assert.ok("fine" in report.functions);
    const { mtimeMs } = await stat(path);
    assert.equal((await sandbox.run(["report"])).code, 0);
    assert.equal((await stat(path)).mtimeMs, mtimeMs);
  });

  Deno.test(`init ${name} marks reference data as ready only when its program ended well`, async () => {
    for (const [command, code, ready] of [["exit 0", 0, true], ["exit 4", 4, false]] as const) {
      await using sandbox = await newSandbox(program);
      const data = join(sandbox.directory, "data");
      await mkdir(data);
      await writeFile(join(data, "__READY__"), "");
      const module = `module-name: Mine\nglassbox:\n  init: [sh, -c, "${command}"]\n`;
      await makeWork(sandbox, { input: null, token: null, config: { kbase_endpoint: "x" }, module });
      const ended = await sandbox.run(["init"], { env: { GLASSBOX_KBASE_DATA: data } });
      assert.equal(ended.code, code, ended.err);
      assert.equal(await stat(join(data, "__READY__")).then(() => true, () => false), ready);
    }
  });

  Deno.test(`test ${name} needs a token, runs the module's tests with it, and ends as they do`, async () => {
    await using sandbox = await newSandbox(program);
    const module =
      `module-name: Mine\nglassbox:\n  test: [sh, -c, "test -n $KB_AUTH_TOKEN && echo tested; exit 5"]\n`;
    const work = await makeWork(sandbox, { input: null, token: null, config: {}, module });
    assert.equal((await sandbox.run(["test"])).code, 1);
    await makeWork(sandbox, { input: null, module });
    await writeFile(join(work, "tmp/left over"), "");
    const ended = await sandbox.run(["test"]);
    assert.equal(ended.code, 5, ended.err);
    assert.equal(ended.out, "tested\n");
    assert.equal(await stat(join(work, "tmp/left over")).then(() => true, () => false), false);
  });

  Deno.test(`bash ${name} opens a shell on our own streams`, async () => {
    await using sandbox = await newSandbox(program);
    await makeWork(sandbox);
    const ended = await sandbox.run(["bash"], { stdin: "pwd; exit 9\n" });
    assert.equal(ended.out, `${sandbox.cwd}\n`);
    assert.equal(ended.code, 9);
  });
}

if (Deno.uid() !== 0) {
  for (const program of programs()) {
    Deno.test(`async (${program.name}) in a directory that cannot be written says so and ends with 73`, async () => {
      await using sandbox = await newSandbox(program);
      const work = await makeWork(sandbox);
      await chmod(work, 0o500);
      const ended = await sandbox.run(["async"]);
      await chmod(work, 0o700);
      assert.equal(ended.code, 73);
      assert.match(ended.err, /output\.json/);
    });
  }
}
