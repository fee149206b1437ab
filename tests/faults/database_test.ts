/** Databases that cannot be used: one clear line, the exit code that says why, and the file as it was. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { newSandbox, programs, type Sandbox } from "../support/glassbox.ts";
import { complaints, linesOf, listJobs, showJob } from "../support/jobs.ts";
import { makeGate } from "../support/processes.ts";
import { withoutOverride } from "../support/shell.ts";

interface Case {
  readonly name: string;
  readonly code: number;
  readonly says: RegExp;
  /** Makes what stands at `path`. */
  make(path: string, sandbox: Sandbox): Promise<unknown>;
}

/** A sound database of this glassbox in one file, with `lines` lines in it. */
async function soundDatabase(path: string, sandbox: Sandbox, lines = 20_000): Promise<void> {
  await sandbox.run(["--quiet", "--db", path, "run", "--", "seq", "1", String(lines)]);
  await python(
    "db.execute('pragma wal_checkpoint(truncate)'); db.execute('pragma journal_mode = delete')",
    path,
  );
}

async function python(script: string, path: string): Promise<void> {
  const code = `import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\n${script}\ndb.commit()`;
  const { success, stderr } = await new Deno.Command("python3", { args: ["-c", code, path] }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

const CASES: readonly Case[] = [
  {
    name: "a directory",
    code: 73,
    says: /Cannot use \S+ as a database as it is a directory: name a file in it with --db$/,
    make: (path) => mkdir(path),
  },
  {
    name: "below a file",
    code: 73,
    says: /as a part of its path is not a directory: name another place with --db or GLASSBOX_DB$/,
    make: (path) => writeFile(dirname(path), ""),
  },
  {
    name: "text",
    code: 74,
    says:
      /as it is not a sound SQLite database \(SQLITE_NOTADB\): the file was left as it is; name another with --db$/,
    make: (path) => writeFile(path, "This is no database, however long one looks at it.\n".repeat(100)),
  },
  {
    name: "cut off",
    code: 74,
    says: /as it is not a sound SQLite database \(SQLITE_CORRUPT\): the file was left as it is/,
    async make(path, sandbox) {
      await soundDatabase(path, sandbox);
      await truncate(path, 20_000);
    },
  },
  {
    name: "sound in its first bytes alone",
    code: 74,
    says: /as it is not a sound SQLite database \(SQLITE_(CORRUPT|NOTADB)\): the file was left as it is/,
    async make(path, sandbox) {
      await soundDatabase(path, sandbox);
      const bytes = new Uint8Array(await readFile(path));
      bytes.fill(0xff, 100);
      await writeFile(path, bytes);
    },
  },
  {
    name: "another program's",
    code: 78,
    says: /as it is the database of another program: name another with --db$/,
    make: (path) => python("db.execute('create table recipes (name text)')", path),
  },
  {
    name: "another program's that has a table meta",
    code: 78,
    says: /as it is the database of another program: name another with --db$/,
    make: (path) => python("db.execute('create table meta (name text, value text)')", path),
  },
  {
    name: "of a newer schema",
    code: 78,
    says: /as it has schema 99 and this glassbox knows \d+: use the newer glassbox that wrote it$/,
    async make(path, sandbox) {
      await soundDatabase(path, sandbox, 1);
      await python("db.execute(\"update meta set value = '99' where name = 'schema'\")", path);
    },
  },
];

for (const program of programs()) {
  Deno.test(`a database (${program.name}) that cannot be used is refused and left as it was`, async (t) => {
    for (const one of CASES) {
      await t.step(`a database that is ${one.name}`, async () => {
        await using sandbox = await newSandbox(program);
        const path = one.name === "below a file"
          ? join(sandbox.directory, "file", "jobs.db")
          : join(sandbox.directory, "jobs.db");
        await one.make(path, sandbox);
        const before = await fingerprint(path);
        for (
          const command of [["run", "--", "touch", "ran"], ["jobs", "list"], ["worker"], [
            "serve",
            "--port",
            "0",
          ]]
        ) {
          const ended = await sandbox.run(["--db", path, ...command]);
          assert.equal(ended.code, one.code, `${command}: ${ended.err}`);
          assert.equal(ended.out, "");
          const [complaint, ...more] = complaints(ended.err);
          assert.match(complaint!, one.says);
          assert.deepEqual(more, []);
          assert.match(
            ended.err,
            /^glassbox \S+ · \w+ \(argument "\w+"\) · database file:\S+ \(not opened\)/,
          );
        }
        assert.equal(await fingerprint(path), before);
        assert.equal(existsSync(join(sandbox.cwd, "ran")), false);
      });
    }
  });

  Deno.test(`an empty file (${program.name}) becomes a database`, async () => {
    await using sandbox = await newSandbox(program);
    const path = join(sandbox.cwd, "empty.db");
    await writeFile(path, "");
    assert.equal((await sandbox.run(["--db", path, "run", "--", "echo", "hi"])).out, "hi\n");
  });

  Deno.test(`a directory without write permission (${program.name}) is refused with 73`, async () => {
    await using sandbox = await newSandbox(program);
    const directory = join(sandbox.directory, "closed");
    await mkdir(directory);
    await chmod(directory, 0o555);
    const ended = await withoutOverride(sandbox, [
      "--db",
      join(directory, "jobs.db"),
      "run",
      "--",
      "touch",
      "ran",
    ]);
    assert.equal(ended.code, 73, ended.err);
    assert.match(complaints(ended.err)[0]!, /Cannot create \S+\/closed\/jobs\.db as permission is denied: /);
    assert.equal(complaints(ended.err).length, 1);
    assert.deepEqual([...Deno.readDirSync(directory)], []);
    assert.equal(existsSync(join(sandbox.cwd, "ran")), false);
  });

  Deno.test(`a database file without write permission (${program.name}) is refused with 73 and kept`, async () => {
    await using sandbox = await newSandbox(program);
    const path = join(sandbox.directory, "kept", "jobs.db");
    await mkdir(join(sandbox.directory, "kept"));
    await soundDatabase(path, sandbox, 1);
    const before = await fingerprint(path);
    await chmod(path, 0o444);
    const ended = await withoutOverride(sandbox, ["--db", path, "run", "--", "touch", "ran"]);
    assert.equal(ended.code, 73, ended.err);
    assert.equal(complaints(ended.err).length, 1, ended.err);
    assert.match(
      complaints(ended.err)[0]!,
      /jobs\.db as it is read-only: give write permission or name another with --db$/,
    );
    assert.equal(await fingerprint(path), before);
    assert.equal(existsSync(join(sandbox.cwd, "ran")), false);
  });

  Deno.test({
    name:
      `a full disk (${program.name}) ends with 74, keeps what was stored, and is no matter once there is room`,
    ignore: !canMount(),
    async fn() {
      await using sandbox = await newSandbox(program);
      await using disk = await smallDisk(join(sandbox.directory, "disk"), "1m");
      const path = join(disk.path, "jobs.db");
      const filler = join(disk.path, "filler");
      const db = ["--db", path];
      const kept = await sandbox.run([...db, "run", "--", "echo", "kept"]);
      assert.equal(kept.code, 0, kept.err);

      await writeFile(filler, new Uint8Array(2_000_000)).catch(() => undefined);
      const refused = await sandbox.run([...db, "run", "--", "sh", "-c", "echo a; echo b"]);
      assert.equal(refused.code, 74, refused.err);
      assert.equal(complaints(refused.err).length, 1, refused.err);
      assert.match(
        complaints(refused.err)[0]!,
        /jobs\.db as its disk is full: free some space and try again$/,
      );

      await Deno.remove(filler);
      const again = await sandbox.run([...db, "run", "--", "echo", "room again"]);
      assert.equal(again.code, 0, again.err);
      assert.equal((await sandbox.run([...db, "verify"])).code, 0);
      const jobs = await listJobs(sandbox, { env: { GLASSBOX_DB: path } });
      assert.equal(jobs.at(0)?.state, "completed");
      assert.equal(jobs.at(-1)?.state, "completed");
    },
  });

  Deno.test({
    name: `a disk that fills up under a job (${program.name}) ends it with 74, and no stored line is lost`,
    ignore: !canMount(),
    async fn() {
      await using sandbox = await newSandbox(program);
      await using disk = await smallDisk(join(sandbox.directory, "disk"), "2m");
      const env = { GLASSBOX_DB: join(disk.path, "jobs.db") };
      const gate = await makeGate(sandbox.directory);
      const script =
        `echo before; read x < "$0"; yes 'a line of some length that fills a disk' | head -n 200000`;
      const running = sandbox.start(["run", "--", "sh", "-c", script, gate.path], { env });
      await running.said(/before/, "stdout");
      await gate.open();
      const ended = await running.ended;
      assert.equal(ended.code, 74, ended.err);
      assert.equal(complaints(ended.err).length, 1, ended.err);
      assert.match(complaints(ended.err)[0]!, /jobs\.db as its disk is full: free some space and try again$/);
      await remount(disk.path, "64m");
      const { job } = await showJob(sandbox, "latest", { env });
      assert.equal(job.state, "failed");
      const shown = ended.out.split("\n").length - 1;
      const stored = (await sandbox.run(["jobs", "logs", "latest"], { env })).out.split("\n").length - 1;
      assert.ok(stored >= shown && shown > 0, `${shown} lines were shown, ${stored} are stored`);
      assert.equal((await sandbox.run(["verify"], { env })).code, 0);
    },
  });

  Deno.test(`a database held by another program for a while (${program.name}) is waited for`, async () => {
    await using sandbox = await newSandbox(program);
    await sandbox.run(["run", "--", "true"]);
    await using holder = await holdDatabase(sandbox.database);
    const running = sandbox.start(["run", "--", "echo", "after all"]);
    await running.said(/^glassbox /);
    await holder.release();
    const ended = await running.ended;
    assert.deepEqual([ended.code, ended.out], [0, "after all\n"], ended.err);
    assert.deepEqual((await linesOf(sandbox)).map((line) => line.text), ["after all"]);
  });

  Deno.test(`a copy of a database (${program.name}) tells its own truth and leaves the jobs of the original alone`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeGate(sandbox.directory);
    const running = sandbox.start([
      "run",
      "--",
      "sh",
      "-c",
      'echo up; read x < "$0"; echo unharmed',
      gate.path,
    ]);
    await running.said(/up/, "stdout");
    const copy = join(sandbox.directory, "copy.db");
    for (const ending of ["", "-wal"]) {
      await Deno.copyFile(`${sandbox.database}${ending}`, `${copy}${ending}`);
    }
    const [job] = await listJobs(sandbox, { env: { GLASSBOX_DB: copy } });
    assert.deepEqual([job!.state, job!.failure?.code], ["failed", "lost"]);
    await gate.open();
    const ended = await running.ended;
    assert.deepEqual([ended.code, ended.out], [0, "up\nunharmed\n"], ended.err);
    assert.equal((await showJob(sandbox)).job.state, "completed");
  });
}

/** Content and mode of a file, or that there is none. */
async function fingerprint(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error) => String(error.code));
  return createHash("sha256").update(bytes).digest("hex");
}

/** Mounting needs root and a kernel that lets it. */
function canMount(): boolean {
  if (Deno.uid() !== 0) return false;
  const place = Deno.makeTempDirSync();
  const { success } = new Deno.Command("mount", { args: ["-t", "tmpfs", "tmpfs", place], stderr: "null" })
    .outputSync();
  if (success) new Deno.Command("umount", { args: [place] }).outputSync();
  Deno.removeSync(place);
  return success;
}

async function smallDisk(path: string, size: string): Promise<{ path: string } & AsyncDisposable> {
  await mkdir(path);
  await mustRun("mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path);
  return { path, [Symbol.asyncDispose]: () => mustRun("umount", "--lazy", path) };
}

async function remount(path: string, size: string): Promise<void> {
  await mustRun("mount", "-o", `remount,size=${size}`, path);
}

async function mustRun(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** Another program in the middle of a write transaction, without the lock that glassbox itself would hold. */
async function holdDatabase(path: string): Promise<{ release(): Promise<void> } & AsyncDisposable> {
  const script = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("begin immediate")
print("held", flush=True)
sys.stdin.readline()
db.execute("rollback")`;
  const child = new Deno.Command("python3", {
    args: ["-c", script, path],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  const writer = child.stdin.getWriter();
  const release = async () => {
    await writer.close().catch(() => undefined);
    await reader.cancel();
    await child.status;
  };
  return { release, [Symbol.asyncDispose]: release };
}
