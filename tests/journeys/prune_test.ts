/** Retention as a user meets it. */
import assert from "node:assert/strict";
import { newSandbox, programs } from "../support/glassbox.ts";
import { complaints, listJobs } from "../support/jobs.ts";

for (const program of programs()) {
  const { name } = program;

  Deno.test(`jobs prune ${name} says what it would delete, deletes it, and leaves the rest`, async () => {
    await using sandbox = await newSandbox(program);
    for (const code of ["0", "3", "0"]) {
      await sandbox.run(["run", "--", "sh", "-c", `echo out; exit ${code}`]);
    }
    await sandbox.run(["run", "--detach", "--", "true"]);
    const dry = await sandbox.run(["jobs", "prune", "--keep", "0", "--dry-run"]);
    assert.equal(dry.code, 0, dry.err);
    assert.match(dry.err, /would delete 3 jobs with \d+ bytes/);
    assert.equal((await listJobs(sandbox)).length, 4);

    const old = await sandbox.json(["jobs", "prune", "--older-than", "30d"]);
    assert.equal(old.jobs, 0);
    const failed = await sandbox.run(["jobs", "prune", "--state", "failed"]);
    assert.match(failed.err, /deleted 1 job with \d+ bytes/);
    const rest = await sandbox.json(["jobs", "prune", "--older-than", "0s"]);
    assert.deepEqual([rest.jobs, rest.dryRun], [2, false]);
    const jobs = await listJobs(sandbox);
    assert.deepEqual(jobs.map(({ state }) => state), ["queued"]);
    assert.equal((await sandbox.run(["verify"])).code, 0);
  });

  Deno.test(`jobs prune ${name} refuses what it cannot mean`, async () => {
    await using sandbox = await newSandbox(program);
    const bad: [args: string[], message: RegExp][] = [
      [[], /at least one of --older-than, --keep and --state/],
      [["--dry-run"], /at least one of/],
      [["--keep", "-1"], /--keep/],
      [["--keep", "many"], /--keep/],
      [["--older-than", "soon"], /--older-than/],
      [["--older-than", "1000d"], /--older-than/],
      [["--state", "running"], /only final jobs/],
      [["--state", "queued"], /only final jobs/],
    ];
    for (const [args, message] of bad) {
      const ended = await sandbox.run(["jobs", "prune", ...args]);
      assert.equal(ended.code, 64, `${args.join(" ")}\n${ended.err}`);
      assert.match(complaints(ended.err)[0] ?? "", message, args.join(" "));
    }
    assert.equal(await Deno.stat(sandbox.database).catch(() => null), null);
  });

  Deno.test(`serve ${name} deletes what its settings let go`, async () => {
    await using sandbox = await newSandbox(program);
    for (let count = 0; count < 3; count++) await sandbox.run(["run", "--", "true"]);
    const server = await sandbox.serve(["--retention-jobs", "1"]);
    await server.said(/retention deleted 2 jobs with \d+ bytes/);
    assert.equal((await listJobs(sandbox)).length, 1);
    server.signal("SIGTERM");
    assert.equal((await server.ended).code, 0);
    const bad = await sandbox.run(["serve", "--retention-age", "never"]);
    assert.equal(bad.code, 64);
    assert.match(complaints(bad.err)[0]!, /--retention-age must be a duration/);
    const environment = await sandbox.run(["serve"], { env: { GLASSBOX_RETENTION_JOBS: "some" } });
    assert.equal(environment.code, 78);
  });
}
