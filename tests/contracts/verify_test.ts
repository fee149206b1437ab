/** What `glassbox verify` says of rows that a disk has changed. */
import assert from "node:assert/strict";
import { follow } from "../../src/logs/follow.ts";
import { verifyDatabase } from "../../src/verify/verify.ts";
import { chunkOf, COMPLETED, newJob, NO_OUTPUT, runningJob, testDatabase } from "../support/store_fixture.ts";
import { refusedAs } from "../support/store_suite.ts";

Deno.test("verify names each damaged row by table, column and job, and checks the other jobs all the same", async () => {
  await using db = await testDatabase("file");
  const store = await db.open();
  const event = await runningJob(store, "w");
  const attempt = await runningJob(store, "w");
  await store.jobs.finish(attempt, COMPLETED, NO_OUTPUT);
  const input = newJob();
  await store.jobs.submit(input);
  const lines = await runningJob(store, "w");
  await store.jobs.recordOutput(lines, { chunks: [chunkOf(1, ["text"])], partials: {} });
  const broken = newJob();
  await store.jobs.submit(broken);
  const raw = db.raw();
  // A disk asks no trigger.
  const triggers = await raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'");
  for (const { name } of triggers.rows) await raw.execute(`DROP TRIGGER ${name}`);
  await raw.execute({
    sql: "UPDATE events SET data = '{' WHERE job_id = ? AND seq = 2",
    args: [event.jobId],
  });
  await raw.execute({ sql: "UPDATE attempts SET evidence = '{' WHERE job_id = ?", args: [attempt.jobId] });
  await raw.execute({ sql: "UPDATE jobs SET input = '{' WHERE id = ?", args: [input.id] });
  await raw.execute({ sql: "UPDATE lines SET frames = x'00ff' WHERE job_id = ?", args: [lines.jobId] });
  await raw.execute({ sql: "DELETE FROM events WHERE job_id = ?", args: [broken.id] });
  const { jobs, violations } = await verifyDatabase(store, { isWorkerAlive: () => true });
  assert.equal(jobs, 5);
  const said = (id: string) =>
    violations.filter(({ job }) => job === id).map((one) => `${one.invariant} ${one.message}`);
  const because =
    "is not the JSON that was stored: glassbox verify names all such rows; bring back a backup, or glassbox repair";
  const unreadable = (
    where: string,
  ) => [`I14 cannot be read: Cannot read what is stored as ${where}, ${because}`];
  assert.deepEqual(said(event.jobId), unreadable(`column data of table events, row ${event.jobId} number 2`));
  assert.deepEqual(
    said(attempt.jobId),
    unreadable(`column evidence of table attempts, row ${attempt.jobId} number 1`),
  );
  assert.deepEqual(said(input.id), unreadable(`column input of table jobs, row ${input.id}`));
  assert.match(said(lines.jobId)[0]!, /^I7 has a chunk of lines 1 to 1 that is not sound/);
  assert.match(said(broken.id)[0]!, /^I6 /);
  await assert.rejects(store.jobs.get(input.id), refusedAs("storage_damaged"));
  const watching = follow(store, lines.jobId, { afterLine: 0, afterEvent: 0, live: false });
  await assert.rejects(watching.next(), refusedAs("storage_damaged"));
});
