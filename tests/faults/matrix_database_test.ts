/** Rows 20 to 23 of the fault matrix: a database that others hold, read for long, damage, delete or replace. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { newSandbox, programs, type Sandbox } from "../support/glassbox.ts";
import { complaints, linesOf, listJobs, showJob } from "../support/jobs.ts";
import { seededRandom } from "../../src/platform/memory_clock.ts";
import { jobAt, recovers, stopped, submit } from "../support/faults.ts";
import { spreadOf } from "../support/moments.ts";
import { eventually, isAlive, makeGate } from "../support/processes.ts";
import { rigRun } from "../support/rig.ts";

interface Case {
  readonly name: string;
  readonly code: number;
  readonly says: RegExp;
  /** What `repair` ends with, and says. */
  readonly repair: readonly [code: number, says: RegExp];
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

/** Changes bytes of a file, given as Latin-1, wherever they are. */
async function replaceText(path: string, from: string, to: string): Promise<void> {
  const bytes = (await readFile(path)).toString("latin1");
  assert.ok(bytes.includes(from), from);
  await writeFile(path, Buffer.from(bytes.replaceAll(from, to), "latin1"));
}

const NOTHING_READS = /as nothing in it can be read as a row of glassbox: bring back a backup$/m;

const CASES: readonly Case[] = [
  {
    name: "a directory",
    repair: [66, /as it is a directory: name the damaged file with --db$/m],
    code: 73,
    says: /Cannot use \S+ as a database as it is a directory: name a file in it with --db$/,
    make: (path) => mkdir(path),
  },
  {
    name: "below a file",
    repair: [66, /as there is no such file: name the damaged file with --db$/m],
    code: 73,
    says: /as a part of its path is not a directory: name another place with --db or GLASSBOX_DB$/,
    make: (path) => writeFile(dirname(path), ""),
  },
  {
    name: "text",
    repair: [74, NOTHING_READS],
    code: 74,
    says:
      /as it is not a sound SQLite database \(SQLITE_NOTADB\): the file was left as it is; `glassbox repair` copies what can be read of it, or name another with --db$/,
    make: (path) => writeFile(path, "This is no database, however long one looks at it.\n".repeat(100)),
  },
  {
    name: "cut off",
    repair: [0, /1 job copied, 1 of them with something missing/],
    code: 74,
    says: /as it is not a sound SQLite database \(SQLITE_CORRUPT\): the file was left as it is/,
    async make(path, sandbox) {
      await soundDatabase(path, sandbox);
      await truncate(path, 20_000);
    },
  },
  {
    name: "sound in its first bytes alone",
    repair: [74, NOTHING_READS],
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
    repair: [78, /as it is the database of another program: name another with --db$/m],
    code: 78,
    says: /as it is the database of another program: name another with --db$/,
    make: (path) => python("db.execute('create table recipes (name text)')", path),
  },
  {
    name: "another program's that has a table meta",
    repair: [78, /as it is the database of another program: name another with --db$/m],
    code: 78,
    says: /as it is the database of another program: name another with --db$/,
    make: (path) => python("db.execute('create table meta (name text, value text)')", path),
  },
  {
    name: "of a newer schema",
    repair: [78, /as it has schema 99 and this glassbox knows \d+: use the newer glassbox that wrote it$/m],
    code: 78,
    says: /as it has schema 99 and this glassbox knows \d+: use the newer glassbox that wrote it$/,
    async make(path, sandbox) {
      await soundDatabase(path, sandbox, 1);
      await python("db.execute(\"update meta set value = '99' where name = 'schema'\")", path);
    },
  },
];

const REFUSED = /is the database of another program|has schema \d+ and this glassbox knows/;

for (const program of programs()) {
  Deno.test(`fault 22: a database (${program.name}) that cannot be used is refused and left as it was`, async (t) => {
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
        const copy = join(sandbox.directory, "copy.db");
        const repaired = await sandbox.run(["--db", path, "repair", copy]);
        const [code, says] = one.repair;
        assert.equal(repaired.code, code, repaired.err);
        assert.match(repaired.err, says);
        assert.equal(existsSync(copy), code === 0);
        assert.equal(await fingerprint(path), before);
        assert.equal(existsSync(join(sandbox.cwd, "ran")), false);
      });
    }
  });

  Deno.test(`fault 22: an empty file (${program.name}) becomes a database`, async () => {
    await using sandbox = await newSandbox(program);
    const path = join(sandbox.cwd, "empty.db");
    await writeFile(path, "");
    assert.equal((await sandbox.run(["--db", path, "run", "--", "echo", "hi"])).out, "hi\n");
  });

  Deno.test(`fault 20: a database held by another program for a while (${program.name}) is waited for`, async () => {
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

  Deno.test(`fault 20: a writer that holds the database for 30 s is told as storage_busy, and the server lives on (${program.name})`, async () => {
    await using sandbox = await newSandbox(program);
    await using server = await sandbox.serve();
    const first = await submit(server, ["true"]);
    await eventually(
      "it is completed",
      async () => (await jobAt(server, first.body.id)).state === "completed",
    );
    await using holder = await holdDatabase(sandbox.database);
    const startMs = performance.now();
    const pending = [submit(server, ["echo", "1"]), submit(server, ["echo", "2"])];
    let answered = false;
    const all = Promise.all(pending).finally(() => answered = true);
    const waits: number[] = [];
    while (!answered) {
      const askedMs = performance.now();
      assert.equal((await fetch(`${server.url}/health`)).status, 200);
      waits.push(performance.now() - askedMs);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const { status, body, retryAfter } of await all) {
      assert.deepEqual([status, body.code, retryAfter], [503, "storage_busy", "1"]);
    }
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs > 25_000 && tookMs < 40_000, `it took ${tookMs} ms`);
    // A busy machine may hold it back for a moment; a server that waits for the lock itself is silent all the while.
    const { p50, max } = spreadOf(waits);
    assert.ok(p50 < 500 && max < 3_000, `the server was silent for ${p50} ms, and once for ${max} ms`);
    await holder.release();
    const later = await Promise.all(Array.from({ length: 100 }, () => submit(server, ["true"])));
    assert.ok(later.every(({ status }) => status === 201));
    assert.equal(await stopped(server), 0);
    await recovers(sandbox);
  });

  Deno.test(`fault 21: a program that reads for long makes the log grow, which is warned of and stops nothing (${program.name})`, async () => {
    await using sandbox = await newSandbox(program);
    await recovers(sandbox);
    await using reader = await holdDatabase(sandbox.database, "begin; select count(*) from jobs");
    await using worker = await sandbox.worker();
    // What stands in a log that cannot be emptied is only its length here, as nothing reads that far.
    const writing = sandbox.start([
      "run",
      "-q",
      "--output-max",
      "400000000",
      "--detach",
      "--",
      "sh",
      "-c",
      "head -c 280000000 /dev/zero",
    ]);
    assert.equal((await writing.ended).code, 0);
    await worker.said(
      /the write-ahead log of \S+ has grown to \d+ bytes: a program that reads the database for long/,
    );
    await eventually("the job is completed", async () => (await showJob(sandbox)).job.state === "completed");
    await reader.release();
    assert.equal(await stopped(worker), 0);
    await recovers(sandbox);
  });

  const flips = rigRun("matrix_database", { short: 150, long: 5_000 });
  Deno.test(`fault 22: flipped bytes are named or harmless, and the file is kept (${program.name}, seed ${flips.seed})`, async () => {
    await using sandbox = await newSandbox(program);
    const sound = join(sandbox.directory, "sound.db");
    await soundDatabase(sound, sandbox, 2_000);
    const bytes = new Uint8Array(await readFile(sound));
    const random = seededRandom(flips.seed);
    // A start from source takes ten times as long.
    const rounds = program.name === "source" ? Math.ceil(flips.rounds / 15) : flips.rounds;
    const path = join(sandbox.directory, "flipped.db");
    // Each is two starts more.
    const repairEach = flips.long ? 1 : 5;
    for (let round = 0; round < rounds; round++) {
      const [a, b, c, flip] = random.bytes(4) as unknown as [number, number, number, number];
      // Half of them hit the first page, where everything begins.
      const at = (a * 65_536 + b * 256 + c) % (round % 2 === 0 ? 4_096 : bytes.length);
      const flipped = bytes.slice();
      flipped[at]! ^= flip === 0 ? 0xff : flip;
      for (const ending of ["-wal", "-shm"]) await rm(`${path}${ending}`, { force: true });
      await writeFile(path, flipped);
      const ended = await sandbox.run(["--db", path, "verify"]);
      const what = `byte ${at} xor ${flip}: ${ended.code}\n${ended.out}\n${ended.err}`;
      if (ended.code === 74 && /\(not opened\)/.test(ended.err)) {
        assert.deepEqual(new Uint8Array(await readFile(path)), flipped, what);
      }
      if (ended.code === 0) assert.match(ended.err, /1 jobs checked, 0 violations/, what);
      else if (ended.code === 78) assert.match(ended.err, REFUSED, what);
      // A file says of itself there whether it may be written.
      else if (at === 18 && ended.code === 73) assert.match(ended.err, /as it is read-only/, what);
      else {
        assert.equal(ended.code, 74, what);
        assert.match(
          ended.err,
          // A flip in the text of a table can give its column another name, which SQLite has nothing against.
          /\d jobs checked, \d+ violations?|is not a sound SQLite database|Cannot read|Cannot check|Cannot use the database \S+: .+ \(SQLITE_ERROR\)/,
          what,
        );
        // The library gives up on text that is no UTF-8, and so does the process that reads it, but not this one.
        assert.doesNotMatch(ended.err, /panic/, what);
      }
      if (round % repairEach === 0) {
        await writeFile(path, flipped);
        for (const ending of ["-wal", "-shm"]) await rm(`${path}${ending}`, { force: true });
        await repairs(sandbox, path, what);
        assert.deepEqual(new Uint8Array(await readFile(path)), flipped, what);
      }
    }
    await recovers(sandbox, { env: { GLASSBOX_DB: sound } });
  });

  Deno.test(`fault 22: text that is no UTF-8 is named by its job, and the other jobs are checked (${program.name})`, async () => {
    await using sandbox = await newSandbox(program);
    const path = join(sandbox.directory, "jobs.db");
    const ids: string[] = [];
    for (const mark of ["first", "MARKED", "third", "MARKED"]) {
      const { out } = await sandbox.run(["-q", "--db", path, "run", "--detach", "--", "echo", mark]);
      ids.push(out.trim());
    }
    await python(
      "db.execute('pragma wal_checkpoint(truncate)'); db.execute('pragma journal_mode = delete')",
      path,
    );
    await replaceText(path, "MARKED", "\xffARKED");
    const { code, out, err } = await sandbox.run(["--db", path, "verify", "--json"]);
    assert.equal(code, 74, err);
    const message = "cannot be read: it holds text that is no UTF-8; bring back a backup, or glassbox repair";
    assert.deepEqual(JSON.parse(out), {
      jobs: 4,
      violations: [ids[3], ids[1]].map((job) => ({ invariant: "I14", job, message })),
    });
    assert.match(err, /^glassbox \S+ · command .*\n4 jobs checked, 2 violations\n$/);

    // Without the names of the columns nothing can be read at all.
    await replaceText(path, "created_at", "\xffreated_at");
    const unopened = await sandbox.run(["--db", path, "verify"]);
    assert.equal(unopened.code, 74, unopened.err);
    assert.equal(unopened.out, "");
    const [complaint, ...more] = complaints(unopened.err);
    assert.match(complaint!, /is not a sound SQLite database|Cannot check the database \S+ to the end as/);
    assert.deepEqual(more, []);
    assert.doesNotMatch(unopened.err, /panic/);
  });

  for (const how of ["deleted", "replaced", "moved away"] as const) {
    Deno.test(`fault 23: a database that is ${how} under a server ends it with 74, and nothing is acknowledged any more (${program.name})`, async () => {
      await using sandbox = await newSandbox(program);
      await using server = await sandbox.serve();
      const other = join(sandbox.directory, "other.db");
      await soundDatabase(other, sandbox, 10);
      const before = await fingerprint(other);
      const ticking = await submit(server, ["sh", "-c", 'echo "here $$"; while :; do sleep 0.1; done']);
      assert.equal(ticking.status, 201);
      const { pid } = await eventually("the job runs", async () => {
        const { out } = await sandbox.run(["jobs", "logs", ticking.body.id]);
        return out.startsWith("here ") ? { pid: Number(out.slice(5)) } : null;
      });
      const kept = join(sandbox.directory, "kept.db");
      if (how === "deleted") await rm(sandbox.database);
      else if (how === "replaced") await rename(other, sandbox.database);
      else await rename(sandbox.database, kept);
      const late = await submit(server, ["true"]).catch(() => null);
      if (late !== null) {
        // The server looks once a second by itself too: if it has just noticed, it is on its way out.
        const isLeaving = late.body.code === "shutting_down";
        const answer = [late.status, late.body.code];
        assert.deepEqual(answer, [503, isLeaving ? "shutting_down" : "storage_gone"]);
      }
      const ended = await server.ended;
      assert.equal(ended.code, 74, ended.err);
      assert.match(
        ended.err,
        /Cannot go on with the database \S+ as (the file that was opened is no longer there|another file has taken its place): bring the file back and start again/,
      );
      assert.equal(isAlive(pid), false);
      if (how === "replaced") assert.equal(await fingerprint(sandbox.database), before);
      else if (how === "moved away") {
        await rename(kept, sandbox.database);
        const { job } = await showJob(sandbox, ticking.body.id);
        assert.equal(job.state, "failed");
      }
      await recovers(sandbox);
    });
  }

  Deno.test(`fault 23: a copy of a database (${program.name}) tells its own truth and leaves the jobs of the original alone`, async () => {
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

/** Whatever one byte is: `repair` makes a database of it in which nothing is out of order. */
async function repairs(sandbox: Sandbox, path: string, what: string): Promise<void> {
  const copy = join(sandbox.directory, "copy.db");
  await rm(copy, { force: true });
  const ended = await sandbox.run(["--db", path, "repair", copy]);
  if (ended.code === 78) return assert.match(ended.err, /has schema \d+ and this glassbox knows/, what);
  assert.equal(ended.code, 0, `${what}\n${ended.err}`);
  const verdict = await sandbox.run(["--db", copy, "verify"]);
  assert.deepEqual([verdict.code, verdict.out], [0, ""], `${what}\n${verdict.err}`);
  await Promise.all(["-wal", "-shm", ".lock"].map((ending) => rm(`${copy}${ending}`, { force: true })));
}

/** Content and mode of a file, or that there is none. */
async function fingerprint(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error) => String(error.code));
  return createHash("sha256").update(bytes).digest("hex");
}

/** Another program in the middle of a write transaction, without the lock that glassbox itself would hold. */
async function holdDatabase(
  path: string,
  sql = "begin immediate",
): Promise<{ release(): Promise<void> } & AsyncDisposable> {
  const script = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute(sys.argv[2].split(";")[0])
for rest in sys.argv[2].split(";")[1:]: db.execute(rest).fetchall()
print("held", flush=True)
sys.stdin.readline()
db.execute("rollback")`;
  const child = new Deno.Command("python3", {
    args: ["-c", script, path, sql],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  assert.ok(!done, "it ended without holding the database");
  const writer = child.stdin.getWriter();
  const release = async () => {
    await writer.close().catch(() => undefined);
    await reader.cancel();
    await child.status;
  };
  return { release, [Symbol.asyncDispose]: release };
}
