/** `glassbox repair` as a user meets it: of a damaged database all comes that can be read, and nothing that never was. */
import assert from "node:assert/strict";
import { readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { seededRandom } from "../../src/platform/memory_clock.ts";
import { MIGRATIONS } from "../../src/store/migrations.gen.ts";
import {
  addedRows,
  foldLog,
  PAGE_BYTES,
  pagesOf,
  placeOf,
  rowsOf,
  withoutPages,
  withText,
} from "../support/damage.ts";
import { recovers } from "../support/faults.ts";
import { newSandbox, type Program, programs, type Sandbox } from "../support/glassbox.ts";
import { complaints, listJobs, showJob } from "../support/jobs.ts";
import { makeGate } from "../support/processes.ts";
import { rigRun } from "../support/rig.ts";
import { startSqld } from "../support/sqld.ts";

interface Told {
  readonly bytes: number;
  readonly databaseId: string;
  readonly isSameId: boolean;
  readonly jobs: number;
  readonly incomplete: string[];
  readonly removed: string[];
  readonly violations: unknown[];
  readonly tables: { table: string; copied: number; damaged: number; orphaned: number; lostPages: number }[];
}

interface Scene extends AsyncDisposable {
  readonly sandbox: Sandbox;
  /** A sound database in one file, with some jobs in it. */
  readonly sound: string;
  readonly damaged: string;
  readonly copy: string;
}

/** Enough jobs for trees of more than one page, lines and a file that need pages of their own. */
async function makeSound({ program, directory, cwd, ...sandbox }: Sandbox): Promise<Uint8Array> {
  const live = ["--quiet", "--db", join(directory, "live.db")];
  const sound = join(directory, "made.db");
  await writeFile(join(cwd, "file"), "0123456789".repeat(3_000));
  const runs = Array.from({ length: SMALL_JOBS }, (_, job) => ["--", "echo", `job number ${job} of many`]);
  // In one write, as lines that come one by one may be stored in chunks that need no further pages.
  runs.push(["--artifact", "kept=file", "--", "sh", "-c", "seq 1 2000 > lines; cat lines; echo end"]);
  runs.push(["--key", "the-key", "--", "printf", "no newline"]);
  for (const run of runs) {
    const ended = await sandbox.run([...live, "run", ...run]);
    assert.equal(ended.code, 0, `${program.name}: ${ended.err}`);
  }
  // A copy holds no log, and no page that is free.
  assert.equal((await sandbox.run([...live, "backup", sound])).code, 0);
  return new Uint8Array(await readFile(sound));
}

const SMALL_JOBS = 28;
const JOBS = SMALL_JOBS + 2;

/** It takes long to make, and every test begins with the same. */
let soundBytes: Promise<Uint8Array> | null = null;

async function newScene(program: Program): Promise<Scene> {
  const sandbox = await newSandbox(program);
  const sound = join(sandbox.directory, "sound.db");
  soundBytes ??= makeSound(sandbox.with(programs().at(-1)!));
  await writeFile(sound, await soundBytes, { mode: 0o600 });
  return {
    sandbox,
    sound,
    damaged: join(sandbox.directory, "damaged.db"),
    copy: join(sandbox.directory, "copy.db"),
    [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
  };
}

/** Repairs a database of these bytes, and holds the copy to what is promised of every one. */
async function repaired({ sandbox, sound, damaged }: Scene, bytes: Uint8Array, what: string): Promise<{
  told: Told;
  copy: string;
  added: string[];
  lost: number;
}> {
  await writeFile(damaged, bytes);
  const copy = join(sandbox.directory, `copy-${crypto.randomUUID()}.db`);
  const ended = await sandbox.run(["--db", damaged, "repair", copy, "--json"]);
  assert.equal(ended.code, 0, `${what}\n${ended.err}`);
  assert.deepEqual(new Uint8Array(await readFile(damaged)), bytes, what);
  const told = JSON.parse(ended.out) as Told;
  assert.deepEqual(told.violations, [], what);
  const verified = await sandbox.run(["--db", copy, "verify"]);
  assert.equal(verified.code, 0, `${what}\n${verified.out}${verified.err}`);
  const [original, now] = [rowsOf(sound), rowsOf(copy)];
  const count = (rows: ReadonlyMap<string, number>) => [...rows.values()].reduce((sum, one) => sum + one, 0);
  return { told, copy, added: addedRows(now, original), lost: count(original) - count(now) };
}

/** A database as the first version of the schema had it, with one queued job. */
function makeOlder(path: string): void {
  const database = new DatabaseSync(path);
  for (const sql of MIGRATIONS[0]!.statements) database.exec(sql);
  database.exec(`CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO meta VALUES ('database_id', '${crypto.randomUUID()}'), ('schema', '1');
    INSERT INTO jobs (id, task, input, request_sha256, queue, priority, state, grace_ms, output_bytes_max, created_at_ms)
    VALUES ('old', 'exec', '{"program":"true","args":[]}', '', 'default', 0, 'queued', 5000, 1000, 1);
    INSERT INTO events VALUES ('old', 1, 0, 'submitted', '{}', 1)`);
  database.close();
}

for (const program of programs()) {
  const { name } = program;

  Deno.test(`repair ${name} copies all of a sound database, and the copy is the same database`, async () => {
    await using scene = await newScene(program);
    const { sandbox, sound } = scene;
    const { told, copy, added, lost } = await repaired(scene, new Uint8Array(await readFile(sound)), "sound");
    assert.deepEqual([added, lost, told.isSameId], [[], 0, true]);
    assert.deepEqual([told.jobs, told.incomplete, told.removed], [JOBS, [], []]);
    assert.ok(told.tables.every((one) => one.damaged + one.orphaned + one.lostPages === 0));
    assert.equal(told.bytes, (await stat(copy)).size);
    assert.equal((await stat(copy)).mode, (await stat(scene.damaged)).mode);
    const left = (await readdir(sandbox.directory)).filter((one) =>
      one.includes(".tmp") || one === "damaged.db.run"
    );
    assert.deepEqual(left, []);
    const env = { GLASSBOX_DB: copy, GLASSBOX_EXPECT_DB: told.databaseId };
    assert.equal((await listJobs(sandbox, { env })).length, JOBS);
    assert.equal((await sandbox.run(["jobs", "artifacts", "latest"], { env })).code, 0);
    await recovers(sandbox, { env });
  });

  Deno.test(`repair ${name} needs no page of the file: what hangs below it is found`, async () => {
    await using scene = await newScene(program);
    const { sound, sandbox } = scene;
    const pages = (await stat(sound)).size / PAGE_BYTES;
    const leaves = new Set([...pagesOf(sound, "jobs", "leaf"), ...pagesOf(sound, "events", "leaf")]);
    // From source each takes ten times as long.
    const step = name === "source" ? 15 : 2;
    for (let page = 1; page <= pages; page += step) {
      const { told, added, lost } = await repaired(scene, await withoutPages(sound, [page]), `page ${page}`);
      assert.deepEqual(added, [], `page ${page}`);
      assert.deepEqual(told.removed, [], `page ${page}`);
      if (!leaves.has(page)) assert.ok(lost <= 30, `page ${page} took ${lost} rows`);
      if (page === 1) assert.deepEqual([lost, told.jobs, told.isSameId], [0, JOBS, true]);
    }
    for (const table of ["jobs", "events"]) {
      const inner = pagesOf(sound, table, "internal");
      assert.ok(inner.length > 0, `${table} is one page`);
      const { lost } = await repaired(scene, await withoutPages(sound, inner), `inner pages of ${table}`);
      // In the order of a key there are rows on the inner pages themselves.
      assert.ok(lost <= (table === "jobs" ? 0 : 10), `without its inner pages ${table} lost ${lost} rows`);
    }
    await recovers(sandbox, {
      env: { GLASSBOX_DB: (await repaired(scene, await withoutPages(sound, [1]), "")).copy },
    });
  });

  Deno.test(`repair ${name} tells in an event what a job has lost, keeps the numbers of the rest, and serves them`, async () => {
    await using scene = await newScene(program);
    const { sandbox, sound } = scene;
    const [, big] = await listJobs(sandbox, { env: { GLASSBOX_DB: sound } });
    const overflow = pagesOf(sound, "lines", "overflow");
    const { told, copy } = await repaired(scene, await withoutPages(sound, [overflow.at(-1)!]), "lines");
    assert.deepEqual(told.incomplete, [big!.id]);
    const env = { GLASSBOX_DB: copy };
    const there = sandbox.with(program);
    const shown = await showJob(there, big!.id, { env });
    const { kind, data, seq } = shown.events.at(-1)!;
    const missing = data as { lines: number; events: number; attempts: number; artifacts: number };
    assert.deepEqual([kind, seq, missing.events, missing.attempts], ["repaired", shown.events.length, 0, 0]);
    const logs = await sandbox.run(["--db", copy, "jobs", "logs", big!.id, "--json"]);
    const lines = logs.out.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
    assert.equal(lines.length + missing.lines, 2_001);
    for (const line of lines) if (line.seq <= 2_000) assert.equal(line.text, String(line.seq));
    // Repaired once more it is what it was, and says so once.
    const again = join(sandbox.directory, "again.db");
    assert.equal((await sandbox.run(["--db", copy, "repair", again])).code, 0);
    assert.deepEqual(rowsOf(again), rowsOf(copy));
    await using server = await sandbox.serve([], { env });
    const stream = await fetch(`${server.url}/api/v1/jobs/${big!.id}/stream`);
    assert.match(await stream.text(), /event: end/);
  });

  Deno.test(`repair ${name} leaves out what belongs to a job that is gone, and counts it`, async () => {
    await using scene = await newScene(program);
    const { sandbox, sound } = scene;
    const bytes = await withoutPages(sound, pagesOf(sound, "jobs", "leaf").slice(0, 1));
    const { told, copy, added } = await repaired(scene, bytes, "a page of jobs");
    const jobs = told.tables.find((one) => one.table === "jobs")!;
    const events = told.tables.find((one) => one.table === "events")!;
    assert.deepEqual([jobs.lostPages, jobs.copied, added], [1, told.jobs, []]);
    assert.ok(told.jobs < JOBS && events.orphaned >= 3 * (JOBS - told.jobs), JSON.stringify(told.tables));
    await recovers(sandbox, { env: { GLASSBOX_DB: copy } });
  });

  Deno.test(`repair ${name} is not ended by text that is not UTF-8, as those that use the database are`, async () => {
    await using scene = await newScene(program);
    const { sandbox, sound, damaged } = scene;
    const bytes = new Uint8Array(await readFile(sound));
    const bad = (length: number) => new Uint8Array(length).fill(0xfe);
    const { told } = await repaired(
      scene,
      withText(bytes, '"job number 3 of many"', bad(22)),
      "a job's input",
    );
    assert.deepEqual([told.jobs, told.tables.find((one) => one.table === "jobs")!.damaged], [JOBS - 1, 1]);
    const name = await repaired(scene, withText(bytes, "request_sha256", bad(14)), "the name of a column");
    assert.deepEqual([name.lost, name.added], [0, []]);
    await writeFile(damaged, withText(bytes, '"job number 3 of many"', bad(22)));
    assert.notEqual((await sandbox.run(["--db", damaged, "verify"])).code, 0);
  });

  Deno.test(`repair ${name} copies what reads of a database that was cut off`, async () => {
    await using scene = await newScene(program);
    const bytes = new Uint8Array(await readFile(scene.sound));
    let before = Infinity;
    for (const share of [0.3, 0.6, 0.9, 0.999]) {
      const cut = bytes.slice(0, Math.floor(bytes.length * share));
      const { added, lost } = await repaired(scene, cut, `${share} of it`);
      assert.deepEqual(added, []);
      assert.ok(lost <= before, `${share} of it lost ${lost} rows, less of it ${before}`);
      before = lost;
    }
    assert.ok(before < 10, `${before} rows`);
  });

  Deno.test(`repair ${name} never brings back what was deleted`, async () => {
    await using scene = await newScene(program);
    const { sandbox, sound } = scene;
    assert.equal((await sandbox.run(["--db", sound, "jobs", "prune", "--keep", "2"])).code, 0);
    foldLog(sound);
    const { told, added } = await repaired(scene, await withoutPages(sound, [1]), "pruned");
    assert.deepEqual([told.jobs, added], [2, []]);
  });

  Deno.test(`repair ${name} reads the log that a killed process left, and the next start settles its job`, async () => {
    await using scene = await newScene(program);
    const { sandbox, damaged, copy } = scene;
    const gate = await makeGate(sandbox.directory);
    const running = sandbox.start([
      "--db",
      damaged,
      "run",
      "--",
      "sh",
      "-c",
      `echo up; read _ < ${gate.path}`,
    ]);
    await running.said(/up/, "stdout");
    const busy = await sandbox.run(["--db", damaged, "repair", copy]);
    assert.deepEqual([busy.code, busy.out], [75, ""]);
    assert.match(
      complaints(busy.err)[0]!,
      /^glassbox: Cannot repair \S+ as worker \S+ uses it: stop what runs on it/,
    );
    running.signal("SIGKILL");
    await running.ended;
    assert.ok((await stat(`${damaged}-wal`)).size > 0);
    const before = await Promise.all([readFile(damaged), readFile(`${damaged}-wal`)]);
    const ended = await sandbox.run(["--db", damaged, "repair", copy]);
    assert.equal(ended.code, 0, ended.err);
    assert.deepEqual(await Promise.all([readFile(damaged), readFile(`${damaged}-wal`)]), before);
    const [job] = await listJobs(sandbox, { env: { GLASSBOX_DB: copy } });
    assert.deepEqual([job!.state, job!.failure?.code], ["failed", "lost"]);
    assert.deepEqual(
      (await sandbox.run(["--db", copy, "jobs", "logs", job!.id])).out,
      "up\n",
    );
    await recovers(sandbox, { env: { GLASSBOX_DB: copy } });
  });

  Deno.test(`repair ${name} reads rows of an older schema`, async () => {
    await using scene = await newScene(program);
    const { sandbox, damaged, copy } = scene;
    makeOlder(damaged);
    const ended = await sandbox.run(["--db", damaged, "repair", copy, "--json"]);
    assert.equal(ended.code, 0, ended.err);
    const told = JSON.parse(ended.out) as Told;
    assert.deepEqual([told.jobs, told.incomplete, told.isSameId], [1, [], true]);
    const env = { GLASSBOX_DB: copy };
    const { job } = await showJob(sandbox, "old", { env });
    assert.deepEqual([job.state, job.maxAttempts, job.backoffMs, job.schedule], ["queued", 1, 1_000, null]);
    await recovers(sandbox, { env });
  });

  const flips = rigRun("repair", { short: 30, long: 2_000 });
  Deno.test(`repair ${name} makes a sound database of one with flipped bytes (seed ${flips.seed})`, async () => {
    await using scene = await newScene(program);
    const bytes = new Uint8Array(await readFile(scene.sound));
    const schemaAt = placeOf(bytes, "schema2") + "schema".length;
    const random = seededRandom(flips.seed);
    const rounds = name === "source" ? Math.ceil(flips.rounds / 10) : flips.rounds;
    for (let round = 0; round < rounds; round++) {
      const flipped = bytes.slice();
      const places: number[] = [];
      for (let flip = 0; flip < [1, 3, 40][round % 3]!; flip++) {
        const [a, b, c, other] = random.bytes(4) as unknown as [number, number, number, number];
        const at = 100 + (a * 65_536 + b * 256 + c) % (bytes.length - 100);
        // What says of which schema it is may say of a newer one then, which is refused.
        if (at === schemaAt) continue;
        flipped[at]! ^= other === 0 ? 0xff : other;
        places.push(at);
      }
      const { added } = await repaired(scene, flipped, `round ${round}: bytes ${places}`);
      // A flip in what a program wrote is not to be seen; elsewhere it may change its own row, and with a line's stream
      // also what the evidence of its attempt says of lines, which is then left out.
      const changed = added.filter((row) => !/^attempts .*"evidence":null\}$/.test(row));
      const message = () => changed.map((row) => row.slice(0, 300)).join("\n");
      assert.ok(changed.length <= places.length, `round ${round}: ${message()}`);
    }
  });

  Deno.test(`repair ${name} says why where it cannot, and leaves no file`, async () => {
    await using scene = await newScene(program);
    const { sandbox, sound, damaged, copy } = scene;
    const refused = async (code: number, says: RegExp, from = damaged, to = copy) => {
      const ended = await sandbox.run(["--db", from, "repair", to]);
      assert.deepEqual([ended.code, ended.out], [code, ""], ended.err);
      assert.match(complaints(ended.err)[0]!, says);
    };
    const bytes = new Uint8Array(await readFile(sound));
    const nothing =
      /^glassbox: Cannot repair \S+ as nothing in it can be read as a row of glassbox: bring back a backup$/;
    const garbage = new Uint8Array(50_000).map((_, index) => (index * 7919) % 251);
    for (const bad of [new Uint8Array(), garbage, bytes.slice(0, 100), new Uint8Array(8192).fill(0xff)]) {
      await writeFile(damaged, bad);
      await refused(74, nothing);
    }
    await writeFile(damaged, withText(bytes, "schema2", new TextEncoder().encode("schema9")));
    await refused(
      78,
      /Cannot repair \S+ as it has schema 9 and this glassbox knows \d+: use the newer glassbox/,
    );
    await refused(
      66,
      /there is no such file: name the damaged file with --db$/,
      join(sandbox.directory, "none.db"),
    );
    await refused(66, /it is a directory/, sandbox.directory);
    await refused(73, /it exists already: name a new file$/, sound, damaged);
    await refused(73, /it must be another file than the database itself/, sound, sound);
    await refused(73, /its directory must exist/, sound, join(sandbox.directory, "no/such/copy.db"));
    const other = await sandbox.run(["--db", sound, "--expect-db", "00000000", "repair", copy]);
    assert.equal(other.code, 78, other.err);
    assert.equal((await sandbox.run(["repair"])).code, 64);
    await truncate(damaged);
    const left = (await readdir(sandbox.directory)).filter((one) => /copy|\.tmp/.test(one));
    assert.deepEqual(left, []);
    await using server = await startSqld(join(sandbox.directory, "sqld"));
    await refused(69, /it is a database server: repair its file where the server keeps it/, server.url);
  });
}
