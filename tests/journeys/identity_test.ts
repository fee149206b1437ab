/** One truth, whatever is started from wherever; and never a start that silently waits for a call nobody makes. */
import assert from "node:assert/strict";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newSandbox, programs, type Sandbox, startProcess } from "../support/glassbox.ts";
import { complaints, listJobs } from "../support/jobs.ts";

interface Launch {
  readonly mode: string;
  readonly database: string;
  readonly databaseId: string;
}

/** What the first line of a start says, in its JSON form. */
function launchOf(err: string): Launch {
  return JSON.parse(err.split("\n")[0]!);
}

const JSON_LOG = ["--log-format", "json"];

for (const program of programs()) {
  const name = `(${program.name})`;

  Deno.test(`two starts ${name} from two directories with other surroundings meet in one database`, async () => {
    await using sandbox = await newSandbox(program);
    const elsewhere = join(sandbox.directory, "elsewhere");
    await mkdir(elsewhere);
    const first = await sandbox.run([...JSON_LOG, "run", "--", "true"]);
    const env = { HOME: elsewhere, PATH: "/bin:/usr/bin", LANG: "C", PWD: "/", TZ: "Asia/Tokyo" };
    const second = await sandbox.run([...JSON_LOG, "run", "--", "true"], { cwd: elsewhere, env });
    assert.equal(second.code, 0, second.err);
    assert.equal(launchOf(first.err).database, `file:${sandbox.database}`);
    assert.equal(launchOf(second.err).database, `file:${sandbox.database}`);
    assert.match(launchOf(first.err).databaseId, /^[0-9a-f-]{36}$/);
    assert.equal(launchOf(second.err).databaseId, launchOf(first.err).databaseId);
    assert.equal((await listJobs(sandbox)).length, 2);
  });

  Deno.test(`a start ${name} through a link to the database meets the same database and the same lock`, async () => {
    await using sandbox = await newSandbox(program);
    await sandbox.run(["run", "--", "true"]);
    const link = join(sandbox.directory, "link.db");
    await Deno.symlink(sandbox.database, link);
    const direct = await sandbox.run([...JSON_LOG, "jobs", "list"]);
    const linked = await sandbox.run([...JSON_LOG, "--db", link, "jobs", "list", "--json"]);
    assert.equal(launchOf(linked.err).databaseId, launchOf(direct.err).databaseId);
    assert.equal(JSON.parse(linked.out).length, 1);
    assert.deepEqual(
      [...Deno.readDirSync(sandbox.directory)].filter(({ name }) => /link.db./.test(name)),
      [],
    );
  });

  Deno.test(`--expect-db ${name} lets the right database through and refuses another without writing`, async () => {
    await using sandbox = await newSandbox(program);
    const { databaseId } = launchOf((await sandbox.run([...JSON_LOG, "run", "--", "true"])).err);
    const right = await sandbox.run(["--expect-db", databaseId.slice(0, 8), "jobs", "list"]);
    assert.equal(right.code, 0, right.err);
    const before = await contentOf(sandbox);
    for (
      const command of [["run", "--", "touch", "ran"], ["run", "-d", "--", "true"], ["worker"], ["serve"]]
    ) {
      const wrong = await sandbox.run(["--expect-db", "ffffffff-0", ...command]);
      assert.equal(wrong.code, 78, `${command}: ${wrong.err}`);
      assert.equal(wrong.out, "");
      const [complaint, ...more] = complaints(wrong.err);
      assert.match(complaint!, new RegExp(`its id must begin with ffffffff-0: it is ${databaseId}$`));
      assert.deepEqual(more, []);
    }
    assert.equal(await contentOf(sandbox), before);
    assert.deepEqual([...Deno.readDirSync(sandbox.cwd)], []);
  });

  Deno.test(`--expect-db ${name} makes no new database where there is none`, async () => {
    await using sandbox = await newSandbox(program);
    const place = join(sandbox.directory, "state");
    const ended = await sandbox.run(["--expect-db", "ffffffff", "run", "--", "true"]);
    assert.equal(ended.code, 78, ended.err);
    assert.match(complaints(ended.err)[0]!, /its id must begin with ffffffff: there is no such file$/);
    assert.deepEqual(filesUnder(place), []);
  });

  Deno.test(`no arguments ${name} outside KBase: help on standard error, exit 64, and nothing stays`, async () => {
    await using sandbox = await newSandbox(program);
    const { code, out, err } = await sandbox.run([]);
    assert.equal(code, 64);
    assert.equal(out, "");
    assert.match(err, /^Usage: glassbox \[options\] \[command\]$/m);
    assert.match(err, /^ {2}glassbox run -- /m);
    assert.match(err, /\nglassbox: Cannot tell what to do \(no arguments, .*\): name a command\n$/);
    assert.deepEqual(filesUnder(join(sandbox.directory, "state")), []);
  });

  Deno.test(`async ${name} without a work directory refuses with 66 and names what is missing`, async () => {
    await using sandbox = await newSandbox(program);
    const ended = await sandbox.run(["async"]);
    assert.equal(ended.code, 66);
    const [complaint] = complaints(ended.err);
    assert.match(complaint!, /here\/work\/input\.json and \S*here\/work\/token must be there/);
    assert.match(complaint!, /\(argument "async"\)$/);
  });

  Deno.test(`async ${name} without a token refuses with 1 and names the token alone`, async () => {
    await using sandbox = await newSandbox(program);
    await workDirectory(sandbox, ["input.json"]);
    // The refusal leaves an answer, after which nothing waits any more.
    for (const args of [[], ["async"]]) {
      const ended = await sandbox.run(args);
      assert.equal(ended.code, 1, ended.err);
      assert.match(complaints(ended.err)[0]!, /as \S*here\/work\/token must be there/);
    }
  });
}

Deno.test("a copy of the binary in another place meets the same database", {
  ignore: !programs().some(({ name }) => name === "binary"),
}, async () => {
  const program = programs().find(({ name }) => name === "binary")!;
  await using sandbox = await newSandbox(program);
  const place = join(sandbox.directory, "opt with space");
  await mkdir(place);
  const copy = join(place, "gb");
  await copyFile(program.command[0], copy);
  const original = await sandbox.run([...JSON_LOG, "run", "selftest"]);
  const copied = sandbox.with({ name: "binary", command: [copy] });
  const ended = await copied.run([...JSON_LOG, "run", "selftest"], { cwd: place, env: { PATH: "/bin" } });
  assert.equal(ended.code, 0, ended.err);
  assert.equal(launchOf(ended.err).databaseId, launchOf(original.err).databaseId);
  const doctor = await copied.json<{ binary: string; compiled: boolean }>(["doctor"]);
  assert.deepEqual([doctor.binary, doctor.compiled], [copy, true]);
  assert.equal((await listJobs(sandbox)).length, 2);
});

Deno.test("the binary runs without any environment when it is told its database", {
  ignore: !programs().some(({ name }) => name === "binary"),
}, async () => {
  const program = programs().find(({ name }) => name === "binary")!;
  await using sandbox = await newSandbox(program);
  const args = ["--db", sandbox.database, "run", "--", "/bin/echo", "hello"];
  await using running = startProcess(program.command[0], args, { cwd: "/", env: {} });
  const ended = await running.ended;
  assert.deepEqual([ended.code, ended.out], [0, "hello\n"], ended.err);
});

async function workDirectory(sandbox: Sandbox, files: readonly string[]): Promise<void> {
  await mkdir(join(sandbox.cwd, "work"));
  for (const file of files) await writeFile(join(sandbox.cwd, "work", file), "{}");
}

/** Every row of every table, so that a change anywhere shows. */
async function contentOf(sandbox: Sandbox): Promise<string> {
  const script = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for (table,) in db.execute("select name from sqlite_master where type = 'table' order by name").fetchall():
    for row in db.execute(f"select * from {table}"): print(table, row)
`;
  const { stdout, success, stderr } = await new Deno.Command("python3", {
    args: ["-c", script, sandbox.database],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

function filesUnder(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) =>
      isDirectory ? filesUnder(join(directory, name)) : [join(directory, name)]
    );
  } catch {
    return [];
  }
}
