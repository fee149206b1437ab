/**
 * The failure that this program was made of, replayed: jobs that were lost when the server was started in another way.
 * The same submissions against the source, the binary and a copy of it that was started elsewhere.
 */
import assert from "node:assert/strict";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import { newSandbox, type Program, programs, type Sandbox } from "../support/glassbox.ts";
import { PortraitClient } from "../support/portrait_client.ts";

const SUBMISSIONS = [
  {
    equations: "{x'[t], y'[t]} == {x[t] - y[t], x[t]*y[t]}",
    name: "the example of the old page",
    timespan: [0, 1],
    initial_conditions: [[1, 1], [0.5, -1]],
  },
  { equations: "x''[t] == -Sin[x[t]]", name: "pendulum", timespan: [0, 10], initial_conditions: [[2, 0]] },
  {
    equations: "{x'[t], y'[t], z'[t]} == {10 (y - x), x (28 - z) - y, x y - 8/3 z}",
    name: "Lorenz",
    timespan: [0, 5],
    initial_conditions: [[1, 1, 1]],
    integrator: { method: "DOP853", rtol: 1e-9, atol: 1e-12 },
  },
];

Deno.test("jobs submitted to the source, the binary and an installed copy are all finished in one database", async () => {
  const all = programs();
  await using sandbox = await newSandbox(all[0]!);
  const starts: { readonly place: string; readonly program: Program }[] = all.map((program) => ({
    place: "here",
    program,
  }));
  const binary = all.find(({ name }) => name === "binary");
  if (binary !== undefined) starts.push({ place: "elsewhere", program: await installed(sandbox, binary) });
  const ids: string[] = [];
  for (const { place, program } of starts) {
    const cwd = join(sandbox.directory, `${place}-${program.name}`);
    await mkdir(cwd);
    await using server = await sandbox.with(program).serve([], { cwd });
    const client = new PortraitClient(server.url);
    for (const submission of SUBMISSIONS) {
      ids.push(await submitted(client, submission, `${place} ${program.name}`));
    }
    server.signal("SIGTERM");
    await server.ended;
  }
  await checkTable(sandbox, ids);
});

/** A copy under another name in another directory, as an installation makes it. */
async function installed(sandbox: Sandbox, { command: [file] }: Program): Promise<Program> {
  const directory = join(sandbox.directory, "usr/local/bin"), copy = join(directory, "gb");
  await mkdir(directory, { recursive: true });
  await copyFile(file, copy);
  return { name: "binary", command: [copy] };
}

/** The job's row is there as soon as its id is told, and both kinds of messages reach a plain client. */
async function submitted(client: PortraitClient, request: object, where: string): Promise<string> {
  const id = await client.submit(request);
  assert.equal((await client.status(id)).job_id, id);
  const { messages, code } = await client.listen(id);
  const kinds = new Set(messages.map(({ type }) => type));
  assert.ok(kinds.has("status") && kinds.has("results"), `${where}: ${[...kinds]}`);
  assert.equal(messages.findLast(({ type }) => type === "status")!.payload.status, "finished");
  assert.equal(messages.at(-1)!.payload.times.length, 201);
  assert.equal(code, 1000);
  return id;
}

/** As its users look: in the table itself, with nothing running. */
async function checkTable(sandbox: Sandbox, ids: readonly string[]): Promise<void> {
  const client = createClient({ url: `file:${sandbox.database}` });
  const { rows } = await client.execute(
    "SELECT job_id, status, created_at, finished_at, substr(result_json, 1, 200) AS result FROM jobs_view " +
      "ORDER BY created_at, job_id",
  );
  client.close();
  assert.deepEqual(rows.map(({ job_id }) => job_id), ids);
  for (const { status, created_at: created, finished_at: finished, result } of rows) {
    assert.equal(status, "finished");
    assert.match(String(created), /^\d{4}-\d\d-\d\dT/);
    assert.ok(String(finished) >= String(created));
    assert.match(String(result), /^\{"times":\[0,/);
  }
}
