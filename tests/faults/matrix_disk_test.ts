/** Rows 9 to 14 of the fault matrix: full disks, disks that cannot be written, disks that fail. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Answer,
  faultIn,
  jobAt,
  mustRun,
  needsLoop,
  needsMount,
  needsTrace,
  recovers,
  smallDisk,
  stopped,
  submit,
} from "../support/faults.ts";
import { newSandbox, programs, type Sandbox } from "../support/glassbox.ts";
import { complaints, listJobs, showJob } from "../support/jobs.ts";
import { eventually, makeGate } from "../support/processes.ts";
import { withoutOverride } from "../support/shell.ts";

/** Resolves when the directories of all attempts were removed, which is after their jobs have ended. */
async function nothingIsKept(database: string): Promise<void> {
  await eventually(
    "no attempt has a directory",
    () => [...Deno.readDirSync(`${database}.run/attempts`)].length === 0,
  );
}

/** Takes all that is left of a disk. */
async function fill(directory: string): Promise<string> {
  const path = join(directory, "filler");
  const { stderr } = await new Deno.Command("dd", { args: ["if=/dev/zero", `of=${path}`, "bs=4k"] }).output();
  assert.match(new TextDecoder().decode(stderr), /No space left/);
  return path;
}

for (const program of programs()) {
  const name = `(${program.name})`;

  Deno.test({
    ...needsMount(
      `fault 9: a full disk (${program.name}) ends with 74, keeps what was stored, and is no matter once there is room`,
    ),
    async fn() {
      await using sandbox = await newSandbox(program);
      await using disk = await smallDisk(join(sandbox.directory, "disk"), "size=1m");
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
        /jobs\.db as its disk is full \(\d+ bytes free, and room for \d+ more files\): free some space and try again$/,
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
    ...needsMount(
      `fault 10: a disk that fills up under a job (${program.name}) ends it with 74, and no stored line is lost`,
    ),
    async fn() {
      await using sandbox = await newSandbox(program);
      await using disk = await smallDisk(join(sandbox.directory, "disk"), "size=2m");
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
      assert.match(
        complaints(ended.err)[0]!,
        /jobs\.db as its disk is full \(\d+ bytes free, and room for \d+ more files\): free some space and try again$/,
      );
      await disk.remount("size=64m");
      const { job } = await showJob(sandbox, "latest", { env });
      assert.equal(job.state, "failed");
      const shown = ended.out.split("\n").length - 1;
      const stored = (await sandbox.run(["jobs", "logs", "latest"], { env })).out.split("\n").length - 1;
      assert.ok(stored >= shown && shown > 0, `${shown} lines were shown, ${stored} are stored`);
      assert.equal((await sandbox.run(["verify"], { env })).code, 0);
    },
  });

  Deno.test(`fault 12: a directory without write permission (${program.name}) is refused with 73`, async () => {
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

  Deno.test(`fault 12: a database file without write permission (${program.name}) is refused with 73 and kept`, async () => {
    await using sandbox = await newSandbox(program);
    const path = join(sandbox.directory, "kept", "jobs.db");
    await mkdir(join(sandbox.directory, "kept"));
    await sandbox.run(["-q", "--db", path, "run", "--", "true"]);
    await mustRun(
      "python3",
      "-c",
      "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('pragma journal_mode = delete')",
      path,
    );
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
    ...needsMount(
      `fault 9: a full disk is told as 507 to who submits, and the server takes jobs again when there is room ${name}`,
    ),
    async fn() {
      await using sandbox = await newSandbox(program);
      await using disk = await smallDisk(join(sandbox.directory, "disk"), "size=2m");
      const env = { GLASSBOX_DB: join(disk.path, "jobs.db") };
      await using server = await sandbox.serve([], { env });
      const kept = await submit(server, ["echo", "kept"]);
      await eventually(
        "it is completed",
        async () => (await jobAt(server, kept.body.id)).state === "completed",
      );
      const filler = await fill(disk.path);
      const refused = await eventually("a submit is refused", async () => {
        const answer = await submit(server, ["true"]);
        return answer.status === 201 ? null : answer;
      });
      assert.deepEqual([refused.status, refused.body.code], [507, "storage_full"]);
      assert.match(refused.body.detail, /jobs\.db as its disk is full \(\d+ bytes free/);
      assert.equal((await jobAt(server, kept.body.id)).state, "completed");
      await rm(filler);
      await eventually("a submit is taken", async () => (await submit(server, ["true"])).status === 201);
      await eventually(
        "all jobs are final",
        async () => (await listJobs(sandbox, { env })).every(({ state }) => state === "completed"),
      );
      assert.equal(await stopped(server), 0);
      await recovers(sandbox, { env });
    },
  });

  Deno.test({
    ...needsMount(
      `fault 10: a disk without room for one more file ends the job as storage_full, with what is free ${name}`,
    ),
    async fn() {
      await using sandbox = await newSandbox(program);
      await using disk = await smallDisk(join(sandbox.directory, "disk"), "size=8m");
      const env = { GLASSBOX_DB: join(disk.path, "jobs.db") };
      await using server = await sandbox.serve([], { env });
      const first = await submit(server, ["true"]);
      await eventually(
        "it is completed",
        async () => (await jobAt(server, first.body.id)).state === "completed",
      );
      // Its directory goes after its last commit, and would leave room for the next.
      await nothingIsKept(env.GLASSBOX_DB);
      let count = 0;
      await disk.remount("nr_inodes=16");
      for (let full = false; !full; count++) {
        await writeFile(join(disk.path, `file${count}`), "").catch(() => full = true);
      }
      const { status, body } = await submit(server, ["echo", "hi"]);
      assert.equal(status, 201);
      await eventually("it is failed", async () => (await jobAt(server, body.id)).state === "failed");
      const { failure } = await jobAt(server, body.id);
      assert.equal(failure.code, "storage_full");
      assert.match(
        failure.message,
        /Cannot run the job as the disk of \S+ is full \(\d+ bytes free, and room for 0 more files\)/,
      );
      await disk.remount("nr_inodes=1000");
      assert.equal(await stopped(server), 0);
      await recovers(sandbox, { env });
    },
  });

  Deno.test({
    ...needsMount(
      `fault 11: the reserve lets the end of a job be recorded on a full disk, and comes back with the room ${name}`,
    ),
    async fn() {
      await using sandbox = await newSandbox(program);
      await using disk = await smallDisk(join(sandbox.directory, "disk"), "size=8m");
      const env = { GLASSBOX_DB: join(disk.path, "jobs.db") };
      const reserve = `${env.GLASSBOX_DB}.run/reserve`;
      await using server = await sandbox.serve([], { env });
      await eventually("there is a reserve", () => existsSync(reserve));
      assert.match(
        (await sandbox.run(["doctor"], { env })).out,
        /^ {2}ok +reserve +\S+\/reserve: 1048576 bytes/m,
      );
      const gate = await makeGate(sandbox.directory);
      const long = await submit(server, ["sh", "-c", 'read x < "$0"; exit 3', gate.path]);
      await eventually("it runs", async () => (await jobAt(server, long.body.id)).state === "running");
      await eventually(
        "its start is recorded",
        async () =>
          (await showJob(sandbox, long.body.id, { env })).events.some(({ kind }) => kind === "started"),
      );
      const filler = await fill(disk.path);
      await eventually("a submit is refused", async () => (await submit(server, ["true"])).status === 507);
      await gate.open();
      await eventually(
        "its end is recorded",
        async () => (await jobAt(server, long.body.id)).state === "failed",
      );
      assert.equal((await jobAt(server, long.body.id)).failure.code, "program_failed");
      assert.equal(existsSync(reserve), false);
      assert.equal((await submit(server, ["true"])).body.code, "storage_full");
      assert.match(
        (await sandbox.run(["doctor"], { env })).out,
        /^ {2}maybe +reserve +\S+\/reserve is not there/m,
      );
      await rm(filler);
      await eventually("the reserve is back", () => existsSync(reserve));
      await eventually("a submit is taken", async () => (await submit(server, ["true"])).status === 201);
      assert.equal(await stopped(server), 0);
      await recovers(sandbox, { env });
    },
  });

  Deno.test({
    ...needsLoop(
      `fault 12: a disk that becomes read-only is told as 503, reads go on, and the next start names it ${name}`,
    ),
    async fn() {
      await using sandbox = await newSandbox(program);
      const [image, place] = [join(sandbox.directory, "image"), join(sandbox.directory, "place")];
      await mkdir(place);
      await mustRun("truncate", "-s", "32m", image);
      await mustRun("mkfs.ext4", "-q", image);
      await mustRun("mount", "-o", "loop", image, place);
      try {
        const env = { GLASSBOX_DB: join(place, "jobs.db") };
        await using server = await sandbox.serve([], { env });
        const kept = await submit(server, ["true"]);
        await eventually(
          "it is completed",
          async () => (await jobAt(server, kept.body.id)).state === "completed",
        );
        await mustRun("mount", "-o", "remount,abort", place);
        const { status, body } = await submit(server, ["true"]);
        assert.deepEqual([status, body.code], [503, "storage_readonly"], body.detail);
        assert.equal((await jobAt(server, kept.body.id)).state, "completed");
        server.signal("SIGKILL");
        await server.ended;
        const ended = await sandbox.run(["run", "--", "true"], { env });
        assert.equal(ended.code, 73, ended.err);
        assert.match(
          complaints(ended.err)[0]!,
          /Cannot create \S+\/jobs\.db as its file system is read-only/,
        );
        // Whoever had a file of it open may be on its way out still, and so may the loop device.
        const does = (program: string, ...args: string[]) =>
          mustRun(program, ...args).then(() => true, () => false);
        await eventually("nobody uses it", () => does("umount", place));
        await eventually("it can be mounted again", () => does("mount", "-o", "loop", image, place));
        await recovers(sandbox, { env });
      } finally {
        await mustRun("umount", "--lazy", place);
      }
    },
  });

  for (
    const [row, inject, of] of [
      [13, "fsync:error=EIO:when=1..2", ["-wal"]],
      [14, "pread64:error=EIO:when=1..40", ["", "-wal"]],
      [14, "pread64:error=EIO:when=1+", ["", "-wal"]],
    ] as const
  ) {
    Deno.test({
      ...needsTrace(
        `fault ${row}: ${inject} on the database is storage_io, not acknowledged, and forgotten after it ${name}`,
      ),
      async fn() {
        await using sandbox = await newSandbox(program);
        await using server = await sandbox.serve();
        const first = await submit(server, ["true"]);
        await eventually(
          "it is completed",
          async () => (await jobAt(server, first.body.id)).state === "completed",
        );
        const taken = [first.body.id];
        const refused: Answer[] = [];
        {
          await using _fault = await faultIn(
            server.pid,
            inject,
            of.map((ending) => `${sandbox.database}${ending}`),
          );
          // Reads come from memory until another program has changed the file.
          await mustRun("python3", "-c", CHANGE, sandbox.database);
          await eventually("a submit meets it", async () => {
            const answer = await submit(server, ["true"]);
            if (answer.status === 201) taken.push(answer.body.id);
            else refused.push(answer);
            return refused.length === (inject.endsWith("+") ? 12 : 1);
          });
        }
        for (const { status, body } of refused) {
          assert.deepEqual([status, body.code], [500, "storage_io"], body.detail);
        }
        const { body } = await eventually("a submit is taken", async () => {
          const answer = await submit(server, ["echo", "after"]);
          return answer.status === 201 ? answer : null;
        });
        await eventually("it is final", async () => (await jobAt(server, body.id)).state === "completed");
        for (const id of taken) {
          const { state } = await eventually("it is final", async () => {
            const job = await jobAt(server, id);
            return ["queued", "running"].includes(job.state) ? null : job;
          });
          assert.equal(state, "completed", "an acknowledged job did not run");
        }
        const { database } = await (await fetch(`${server.url}/api/v1/about`)).json();
        assert.equal(await stopped(server), 0);
        assert.equal(await identityOf(sandbox), database.id);
        await recovers(sandbox);
      },
    });
  }

  Deno.test({
    ...needsTrace(
      `fault 14: a process that ends while no read succeeds leaves the database as it was ${name}`,
    ),
    async fn() {
      await using sandbox = await newSandbox(program);
      await using server = await sandbox.serve();
      const { body } = await submit(server, ["echo", "kept"]);
      await eventually("it is completed", async () => (await jobAt(server, body.id)).state === "completed");
      {
        await using _fault = await faultIn(server.pid, "pread64:error=EIO:when=1+", [
          sandbox.database,
          `${sandbox.database}-wal`,
        ]);
        await mustRun("python3", "-c", CHANGE, sandbox.database);
        const refused = await eventually("a submit meets it", async () => {
          const answer = await submit(server, ["true"]);
          return answer.status === 201 ? null : answer;
        });
        assert.equal(refused.body.code, "storage_io");
        assert.equal(await stopped(server), 74);
      }
      assert.equal((await showJob(sandbox, body.id)).job.state, "completed");
      await recovers(sandbox);
    },
  });
}

/** The id that the next start finds in the database. */
async function identityOf(sandbox: Sandbox): Promise<string> {
  const { err } = await sandbox.run(["--log-format", "json", "run", "--", "true"]);
  return JSON.parse(err.split("\n")[0]!).databaseId;
}

const CHANGE = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=10); " +
  "db.execute('create table if not exists elsewhere (a)'); db.execute('drop table elsewhere'); db.commit()";

/** Content and mode of a file, or that there is none. */
async function fingerprint(path: string): Promise<string> {
  const bytes = await readFile(path).catch((error) => String(error.code));
  return createHash("sha256").update(bytes).digest("hex");
}
