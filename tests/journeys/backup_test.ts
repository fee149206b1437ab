/** Backups as a user meets them: made while jobs run, opened beside the original, and refused with a reason. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makeGate } from "../support/processes.ts";
import { newSandbox, programs } from "../support/glassbox.ts";
import { complaints, listJobs, showJob } from "../support/jobs.ts";
import { startSqld } from "../support/sqld.ts";

for (const program of programs()) {
  const { name } = program;

  Deno.test(`backup ${name} copies a database in use, and the copy leaves running jobs alone`, async () => {
    await using sandbox = await newSandbox(program);
    const gate = await makeGate(sandbox.directory);
    await sandbox.run(["run", "--", "echo", "done before"]);
    await using server = await sandbox.serve();
    const script = `echo begun; printf half; read _ < ${gate.path}; echo ended`;
    const id = (await sandbox.run(["run", "--detach", "--", "sh", "-c", script])).out.trim();
    await sandbox.start(["jobs", "logs", id, "--follow"]).said(/begun/, "stdout");

    const copy = join(sandbox.directory, "copy.db");
    const made = await sandbox.json<{ bytes: number; databaseId: string; lost: number }>(["backup", copy]);
    assert.equal(made.lost, 1);
    assert.equal(made.bytes, (await Deno.stat(copy)).size);
    const beside = [...Deno.readDirSync(sandbox.directory)].map((entry) => entry.name);
    assert.deepEqual(beside.filter((one) => /copy\.db.|\.tmp$/.test(one)), []);

    const verified = await sandbox.run(["verify", "--db", copy, "--expect-db", made.databaseId]);
    assert.equal(verified.code, 0, verified.out + verified.err);
    const inCopy = await sandbox.json<{ job: { state: string; failure: { code: string } } }>(
      ["jobs", "show", id, "--db", copy],
    );
    assert.deepEqual([inCopy.job.state, inCopy.job.failure.code], ["failed", "lost"]);

    assert.equal((await showJob(sandbox, id)).job.state, "running");
    await gate.open();
    assert.equal((await sandbox.run(["jobs", "wait", id])).code, 0);
    assert.equal((await listJobs(sandbox)).filter(({ state }) => state === "completed").length, 2);
    server.signal("SIGTERM");
    assert.equal((await server.ended).code, 0);
  });

  Deno.test(`backup ${name} replaces a file only when told to, and never one in use`, async () => {
    await using sandbox = await newSandbox(program);
    await sandbox.run(["run", "--", "true"]);
    const copy = join(sandbox.directory, "copy.db");
    assert.equal((await sandbox.run(["backup", copy])).code, 0);
    const before = await Deno.readFile(copy);
    await sandbox.run(["run", "--", "true"]);
    const refused: [args: string[], message: RegExp][] = [
      [["backup", copy], /exists already: name a new file, or use --force/],
      [["backup", sandbox.database, "--force"], /another file than the database itself/],
      [["backup", sandbox.directory, "--force"], /must be a file: it is a directory/],
      [["backup", join(sandbox.directory, "no/such/copy.db")], /its directory must exist/],
    ];
    for (const [args, message] of refused) {
      const ended = await sandbox.run(args);
      assert.equal(ended.code, 73, `${args.join(" ")}\n${ended.err}`);
      assert.match(complaints(ended.err)[0]!, message);
    }
    assert.deepEqual(await Deno.readFile(copy), before);
    assert.equal((await sandbox.run(["backup"])).code, 64);
    assert.equal((await sandbox.run(["backup", copy, "--force"])).code, 0);
    assert.equal((await sandbox.json<unknown[]>(["jobs", "list", "--db", copy])).length, 2);
    await Deno.writeTextFile(`${copy}-wal`, "in use");
    const used = await sandbox.run(["backup", copy, "--force"]);
    assert.equal(used.code, 73);
    assert.match(complaints(used.err)[0]!, /what it replaces is in use: there is copy\.db-wal/);
  });

  Deno.test(`jobs export ${name} writes one file that is whole by itself`, async () => {
    await using sandbox = await newSandbox(program);
    await sandbox.run(["run", "--", "echo", "hello"]);
    const exported = join(sandbox.directory, "job.db");
    assert.equal((await sandbox.run(["jobs", "export", "latest", "--to", exported])).code, 0);
    const names = [...Deno.readDirSync(sandbox.directory)].map((entry) => entry.name);
    assert.deepEqual(names.filter((one) => one.startsWith("job.db") || one.includes("export")), ["job.db"]);
    const moved = join(sandbox.directory, "moved.db");
    await Deno.copyFile(exported, moved);
    assert.equal((await sandbox.run(["jobs", "logs", "latest", "--db", moved])).out, "hello\n");
  });

  Deno.test(`backup ${name} says plainly that a database server makes its own`, async () => {
    await using sandbox = await newSandbox(program);
    await using server = await startSqld(join(sandbox.directory, "sqld"));
    const ended = await sandbox.run(["backup", "copy.db", "--db", server.url]);
    assert.equal(ended.code, 69, ended.err);
    assert.match(complaints(ended.err)[0]!, /it is a database server: use the server's own backups/);
  });
}
