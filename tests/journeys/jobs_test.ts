/** The commands about jobs that are there: wait, cancel, retry, export, artifacts, logs, list, verify. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newSandbox, programs } from "../support/glassbox.ts";
import { complaints, detach, listJobs, showJob } from "../support/jobs.ts";

async function python(script: string, args: readonly string[]): Promise<unknown> {
  const { success, stdout, stderr } = await new Deno.Command("python3", { args: ["-c", script, ...args] })
    .output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

for (const program of programs()) {
  const name = `(${program.name})`;

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
