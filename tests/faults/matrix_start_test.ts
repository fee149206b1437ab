/** Row 24 of the fault matrix: databases that are empty, older, newer, or opened for the first time by many at once. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SCHEMA_VERSION } from "../../src/store/schema.ts";
import { newSandbox, programs, ROOT, type Sandbox } from "../support/glassbox.ts";
import { complaints, listJobs, showJob } from "../support/jobs.ts";
import { demandRecovery } from "../support/matrix.ts";
import { eventually, isAlive } from "../support/processes.ts";
import { rigRun } from "../support/rig.ts";

const { rounds: ROUNDS } = rigRun("matrix_start", { short: 2, long: 50 });

/** Runs Python with the database open as `db`. */
async function python(script: string, path: string, ...args: string[]): Promise<void> {
  const code = `import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], timeout=20)\n${script}\ndb.commit()`;
  const { success, stderr } = await new Deno.Command("python3", { args: ["-c", code, path, ...args] })
    .output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** What a newer glassbox would do first; the column stands for whatever it would need. */
const MIGRATE = `
db.execute("alter table jobs add column of_the_future text")
db.execute("update meta set value = '${SCHEMA_VERSION + 1}' where name = 'schema'")`;
const MIGRATE_BACK = `
db.execute("alter table jobs drop column of_the_future")
db.execute("update meta set value = '${SCHEMA_VERSION}' where name = 'schema'")`;

async function submit(sandbox: Sandbox, script: string): Promise<string> {
  const { code, out, err } = await sandbox.run(["run", "--detach", "-q", "--", "sh", "-c", script]);
  assert.equal(code, 0, err);
  return out.trim();
}

for (const program of programs()) {
  const name = `(${program.name})`;

  Deno.test(`fault 24: an empty file ${name} becomes a database`, async () => {
    await using sandbox = await newSandbox(program);
    const path = join(sandbox.cwd, "empty.db");
    await writeFile(path, "");
    await demandRecovery(sandbox, { env: { GLASSBOX_DB: path } });
  });

  Deno.test(`fault 24: first starts at once ${name}, 16 and again, make one database`, async () => {
    const starts = program.name === "binary" ? 16 : 6;
    for (let round = 0; round < ROUNDS; round++) {
      await using sandbox = await newSandbox(program);
      const all = await Promise.all(
        Array.from(
          { length: starts },
          (_, i) => sandbox.run(["--log-format", "json", "run", "--", "echo", String(i)]),
        ),
      );
      const ids = all.map(({ code, err }) => {
        assert.equal(code, 0, err);
        return JSON.parse(err.split("\n")[0]!).databaseId;
      });
      assert.equal(new Set(ids).size, 1);
      const jobs = await listJobs(sandbox);
      assert.deepEqual(jobs.map(({ state }) => state), Array(starts).fill("completed"));
      await demandRecovery(sandbox);
    }
  });

  Deno.test(`fault 24: a database of the first schema ${name} is migrated, and its waiting job runs`, async () => {
    await using sandbox = await newSandbox(program);
    const path = join(sandbox.cwd, "old.db");
    const first = await Deno.readTextFile(join(ROOT, "src/store/migrations/0001_jobs.sql"));
    await python(
      `
db.executescript("create table meta (name text primary key, value text not null) strict, without rowid;" + sys.argv[2])
db.executemany("insert into meta values (?, ?)", [("database_id", "11111111-1111-4111-8111-111111111111"),
  ("created_at_ms", "1"), ("schema", "1")])
db.execute("""insert into jobs (id, task, input, request_sha256, queue, priority, state, grace_ms, output_bytes_max,
  created_at_ms) values ('01hzzzzzzzzzzzzzzzzzzzzzzz', 'exec', '{"program":"echo","args":["of old"]}', '', 'default', 0,
  'queued', 1000, 1000000, 1)""")
db.execute("insert into events (job_id, seq, epoch, kind, data, at_ms) values ('01hzzzzzzzzzzzzzzzzzzzzzzz', 1, 0, 'submitted', '{}', 1)")`,
      path,
      first,
    );
    const options = { env: { GLASSBOX_DB: path } };
    const worker = await sandbox.worker([], options);
    await eventually(
      "the old job ran",
      async () => (await showJob(sandbox, "01hzzzzzzzzzzzzzzzzzzzzzzz", options)).job.state === "completed",
    );
    worker.signal("SIGTERM");
    assert.equal((await worker.ended).code, 0);
    await demandRecovery(sandbox, options);
  });

  Deno.test(`fault 24: a database of a newer schema ${name} is refused with 78, and used again when it is not`, async () => {
    await using sandbox = await newSandbox(program);
    await sandbox.run(["run", "--", "true"]);
    await python(MIGRATE, sandbox.database);
    const ended = await sandbox.run(["run", "--", "touch", "ran"]);
    assert.equal(ended.code, 78, ended.err);
    assert.match(
      complaints(ended.err)[0]!,
      /as it has schema \d+ and this glassbox knows \d+: use the newer glassbox that wrote it$/,
    );
    assert.equal(await Deno.stat(join(sandbox.cwd, "ran")).catch(() => null), null);
    await python(MIGRATE_BACK, sandbox.database);
    await demandRecovery(sandbox);
  });

  for (const service of ["worker", "serve"] as const) {
    Deno.test(`fault 24: a database that is migrated under a ${service} ${name} makes it stop with 78, and it writes nothing more`, async () => {
      await using sandbox = await newSandbox(program);
      const old = await sandbox[service]();
      const id = await submit(sandbox, 'echo "pid $$"; while :; do echo on; sleep 0.05; done');
      await eventually("the job runs", async () => (await showJob(sandbox, id)).job.state === "running");
      const { attempts } = await eventually("it has a pid", async () => {
        const shown = await showJob(sandbox, id);
        return shown.attempts[0]?.pid ? shown : null;
      });
      await python(MIGRATE, sandbox.database);
      const ended = await old.ended;
      assert.equal(ended.code, 78, ended.err);
      assert.match(ended.err, /as it has schema \d+ and this glassbox knows \d+/);
      assert.equal(isAlive(attempts[0]!.pid!), false);
      await python(
        `
row = db.execute("select state, (select count(*) from events where job_id = jobs.id and kind = 'finished') from jobs where id = ?", (sys.argv[2],)).fetchone()
assert row == ("running", 0), row`,
        sandbox.database,
        id,
      );
      await python(MIGRATE_BACK, sandbox.database);
      await demandRecovery(sandbox);
      const { job } = await showJob(sandbox, id);
      assert.equal(job.state, "failed");
      assert.match(job.failure!.message, /as it has schema \d+ and this glassbox knows \d+/);
    });
  }
}
