/** Schedules as a user meets them: at the command line, over HTTP, and fired by two servers at once. */
import assert from "node:assert/strict";
import type { ScheduleOutlook } from "../../src/executor/schedule.ts";
import { newSandbox, programs } from "../support/glassbox.ts";
import { complaints, listJobs, showJob } from "../support/jobs.ts";

for (const program of programs()) {
  const { name } = program;

  Deno.test(`schedules ${name} are added, listed, shown, paused, resumed and removed`, async () => {
    await using sandbox = await newSandbox(program);
    // Half a day away, so that no time comes while the test runs.
    const cron = `0 ${(new Date().getUTCHours() + 12) % 24} * * *`;
    const add = ["schedules", "add", "nightly", "--cron", cron, "--time-zone", "Europe/Berlin"];
    const options = ["--queue", "night", "--timeout", "1h"];
    const added = await sandbox.run([...add, ...options, "--", "echo", "good night"]);
    assert.equal(added.code, 0, added.err);
    assert.equal(added.out, "");
    assert.match(
      added.err,
      /schedule nightly was added: 0 \d+ \* \* \* \(Europe\/Berlin\), catch-up last, next \d/,
    );
    assert.match(added.err, /nothing fires it now: start `glassbox serve` or `glassbox worker`/);
    const again = await sandbox.run([...add, ...options, "--", "echo", "good night"]);
    assert.equal(again.code, 0, again.err);
    assert.match(again.err, /is there already/);

    const [listed] = await sandbox.json<ScheduleOutlook[]>(["schedules", "list"]);
    assert.equal(listed!.nextMs.length, 3);
    assert.deepEqual([listed!.request.queue, listed!.request.timeoutMs], ["night", 3_600_000]);
    assert.deepEqual(await sandbox.json(["schedules", "show", "nightly"]), { ...listed });
    const table = await sandbox.run(["schedules", "list"]);
    assert.match(
      table.out,
      /^NAME +CRON .*\nnightly +0 \d+ \* \* \* +Europe\/Berlin +last .* echo 'good night'\n$/,
    );
    const page = await sandbox.run(["schedules", "show", "nightly"]);
    assert.match(page.out, /^time zone +Europe\/Berlin$/m);

    const paused = await sandbox.json<ScheduleOutlook>(["schedules", "pause", "nightly"]);
    assert.deepEqual([paused.paused, paused.nextMs], [true, []]);
    const resumed = await sandbox.json<ScheduleOutlook>(["schedules", "resume", "nightly"]);
    assert.deepEqual([resumed.paused, resumed.nextMs], [false, listed!.nextMs]);
    assert.equal((await sandbox.json<ScheduleOutlook>(["schedules", "remove", "nightly"])).name, "nightly");
    assert.deepEqual(await sandbox.json(["schedules", "list"]), []);
    for (const command of ["show", "remove", "pause", "resume"]) {
      const ended = await sandbox.run(["schedules", command, "nightly"]);
      assert.equal(ended.code, 64, command);
      assert.match(complaints(ended.err)[0]!, /Cannot find schedule "nightly"/);
    }
  });

  Deno.test(`schedules add ${name} refuses what could never work, before a database is made`, async () => {
    await using sandbox = await newSandbox(program);
    const bad: [args: string[], code: number, message: RegExp][] = [
      [["x", "--cron", "0 0 30 2 *", "--", "true"], 64, /--cron must fire at some time/],
      [["x", "--cron", "nonsense", "--", "true"], 64, /--cron must have 5 fields/],
      [["x", "--cron", "61 * * * *", "--", "true"], 64, /--cron must be a cron expression/],
      [
        ["x", "--cron", "@daily", "--time-zone", "Mars/Base", "--", "true"],
        64,
        /--time-zone .*Europe\/Berlin/,
      ],
      [["x", "--cron", "@daily", "--catch-up", "some", "--", "true"], 64, /--catch-up/],
      [["x", "--cron", "@daily", "--queue", "No Queue", "--", "true"], 64, /--queue/],
      [["x", "--cron", "@daily", "--timeout", "-1", "--", "true"], 64, /--timeout/],
      [["x", "--cron", "@daily", "--attempts", "0", "--", "true"], 64, /--attempts/],
      [["A b", "--cron", "@daily", "--", "true"], 64, /NAME must be 1 to 64 of a-z/],
      [["x", "--cron", "@daily"], 64, /neither a task nor/],
      [["x", "--", "true"], 64, /--cron/],
      [["x", "--cron", "@daily", "no-such-task"], 64, /Cannot find task/],
      [["x", "--cron", "@daily", "selftest", "--input", '{"steps":"many"}'], 65, /input\.steps/],
    ];
    for (const [args, code, message] of bad) {
      const ended = await sandbox.run(["schedules", "add", ...args]);
      assert.equal(ended.code, code, `${args.join(" ")}\n${ended.err}`);
      assert.match(complaints(ended.err)[0] ?? "", message, args.join(" "));
    }
    assert.equal(await Deno.stat(sandbox.database).catch(() => null), null);
    const first = await sandbox.run(["schedules", "add", "x", "--cron", "* * * * * *", "--", "true"]);
    assert.equal(first.code, 0);
    assert.match(first.err, /note: this schedule fires every second/);
    const other = await sandbox.run(["schedules", "add", "x", "--cron", "@daily", "--", "true"]);
    assert.equal(other.code, 73);
    assert.match(complaints(other.err)[0]!, /use --replace/);
    const replaced = await sandbox.run([
      "schedules",
      "add",
      "x",
      "--replace",
      "--cron",
      "@daily",
      "--",
      "true",
    ]);
    assert.equal(replaced.code, 0, replaced.err);
  });

  Deno.test(`two servers ${name} fire every second once, and the jobs are ordinary jobs`, async () => {
    await using sandbox = await newSandbox(program);
    const [one, two] = await Promise.all([sandbox.serve(), sandbox.serve()]);
    const url = `${one.url}/api/v1/schedules/tick`;
    // Between two requests a server may just be closing a connection that was idle for its five seconds.
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    const headers = { "content-type": "application/json" };
    const request = { task: "exec", input: { program: "echo", args: ["tick"] } };
    const body = JSON.stringify({ cron: "* * * * * *", catchUp: "all", request });
    assert.equal((await fetch(url, { client, method: "PUT", headers, body })).status, 201);
    assert.equal((await fetch(url, { client, method: "PUT", headers, body })).status, 200);
    const shown = await (await fetch(`${two.url}/api/v1/schedules/tick`, { client })).json();
    assert.match(shown.warning, /every second/);

    let jobs = await listJobs(sandbox);
    while (jobs.filter(({ state }) => state === "completed").length < 5) jobs = await listJobs(sandbox);
    assert.equal((await (await fetch(`${url}/pause`, { client, method: "POST" })).json()).paused, true);
    jobs = await listJobs(sandbox);
    const due = jobs.map(({ dueAtMs }) => dueAtMs!).sort();
    assert.deepEqual(due, due.map((_, index) => due[0]! + index * 1_000), "no second twice, none left out");
    // Others may have ended before it.
    assert.equal((await sandbox.run(["jobs", "wait", jobs.at(-1)!.id])).code, 0);
    const { job } = await showJob(sandbox, jobs.at(-1)!.id);
    assert.deepEqual([job.schedule, job.key, job.state], [
      "tick",
      `schedule:tick:${new Date(job.dueAtMs!).toISOString()}`,
      "completed",
    ]);
    assert.equal((await fetch(url, { client, method: "DELETE" })).status, 200);
    assert.equal((await fetch(url, { client })).status, 404);
    for (const server of [one, two]) server.signal("SIGTERM");
    assert.deepEqual((await Promise.all([one.ended, two.ended])).map(({ code }) => code), [0, 0]);
    assert.equal((await sandbox.run(["verify"])).code, 0);
  });

  Deno.test(`a server ${name} that is killed between two times loses none and repeats none`, async () => {
    await using sandbox = await newSandbox(program);
    const every = ["--cron", "* * * * * *", "--catch-up", "all"];
    assert.equal((await sandbox.run(["schedules", "add", "tick", ...every, "--", "true"])).code, 0);
    const { settledUntilMs } = await sandbox.json<ScheduleOutlook>(["schedules", "show", "tick"]);
    for (let kills = 0; kills < 3; kills++) {
      const before = (await listJobs(sandbox)).length;
      await using server = await sandbox.serve();
      while ((await listJobs(sandbox)).length < before + 2);
      server.signal("SIGKILL");
      await server.ended;
    }
    const due = (await listJobs(sandbox)).map(({ dueAtMs }) => dueAtMs!).sort();
    const first = Math.floor(settledUntilMs / 1_000) * 1_000 + 1_000;
    assert.deepEqual(due, due.map((_, index) => first + index * 1_000));
    const end = await sandbox.json<ScheduleOutlook>(["schedules", "show", "tick"]);
    assert.equal(end.settledUntilMs, due.at(-1));
  });
}
