/** `glassbox run phase-portrait`: problems of known solution, the files it leaves, and how it fails. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { type Ended, newSandbox, programs, type Sandbox } from "../support/glassbox.ts";
import { showJob } from "../support/jobs.ts";
import { ODE_PROBLEMS, type OdeProblem, scaledError } from "../support/ode_problems.ts";
import type { Json } from "../support/portrait_client.ts";
import { eventually } from "../support/processes.ts";

const PENDULUM = {
  equations: "x''[t] == -Sin[x[t]] - d x'[t]",
  name: "Damped pendulum",
  parameters: { d: 0.2 },
  timespan: [0, 20],
  initial_conditions: [[1, 0], [-3, 1], [0, 2.5]],
  view: { x: [-7, 7], "x'": [-3, 3] },
};

const ENDLESS = {
  equations: "{x'[t], y'[t]} == {y[t], -x[t]}",
  timespan: [0, 1e9],
  initial_conditions: [[1, 0]],
  integrator: { max_steps: 100_000_000 },
};

async function solve(sandbox: Sandbox, name: string, request: unknown): Promise<Ended> {
  const file = join(sandbox.directory, `${name}.json`);
  await writeFile(file, JSON.stringify(request));
  return await sandbox.run(["run", "phase-portrait", "--input", file, "--json"]);
}

/** A problem of the fixture as a request of the task. */
function requestOf({ equations, parameters, timespan, initial_conditions, solve, event }: OdeProblem) {
  return {
    equations,
    parameters,
    timespan,
    initial_conditions,
    ...(solve === undefined ? {} : { integrator: { ...solve, t_eval: [...timespan] } }),
    ...(event === undefined ? {} : { events: [{ expr: event.expr }] }),
    analysis: { equilibria: false, nullclines: false, separatrices: false, cycles: false },
  };
}

/** From source a few, as each is a start of the program; the solvers are the same. */
const FROM_SOURCE = ["lorenz", "robertson", "pendulum"];

for (const program of programs()) {
  const name = `(${program.name})`;
  const problems = ODE_PROBLEMS.filter(({ id, expect }) =>
    expect === undefined && (program.name === "binary" || FROM_SOURCE.includes(id))
  );

  Deno.test(`run phase-portrait ${name} solves ${problems.length} problems within their limits`, async (t) => {
    await using sandbox = await newSandbox(program);
    for (const problem of problems) {
      await t.step(problem.id, async () => {
        const { code, out, err } = await solve(sandbox, problem.id, requestOf(problem));
        assert.equal(code, 0, err);
        const { result } = JSON.parse(out).job as Json;
        const error = scaledError(result.trajectories[0].at(-1), problem.reference.y, problem.scale_floor);
        assert.ok(error <= problem.max_scaled_error!, `${error} is above ${problem.max_scaled_error}`);
        assert.ok(
          result.meta.stats.steps <= 1.3 * problem.guide!.accepted_steps,
          `${result.meta.stats.steps} steps`,
        );
        assert.equal(result.meta.method_used, problem.solve!.method);
        if (problem.event === undefined) return;
        const off = Math.abs(result.meta.events[0][0].t - Number(problem.event.first_time));
        assert.ok(off < 1e-9, `the event is off by ${off}`);
      });
    }
  });

  Deno.test(`run phase-portrait ${name} leaves pictures and tables that others can read`, async () => {
    await using sandbox = await newSandbox(program);
    const { code, out, err } = await solve(sandbox, "pendulum", PENDULUM);
    assert.equal(code, 0, err);
    const { job, artifacts } = JSON.parse(out) as Json;
    assert.deepEqual(artifacts.map(({ name, mediaType }: Json) => `${name} ${mediaType}`).sort(), [
      "portrait.png image/png",
      "portrait.svg image/svg+xml",
      "request.json application/json",
      "results.json application/json",
      "trajectories.bin application/octet-stream",
      "trajectories.csv text/csv",
    ]);
    const read = async (name: string) => {
      const file = join(sandbox.directory, name);
      assert.equal((await sandbox.run(["jobs", "artifacts", job.id, name, "--to", file])).code, 0);
      return await readFile(file);
    };
    const { result } = job;
    checkPng(await read("portrait.png"));
    checkSvg((await read("portrait.svg")).toString());
    checkCsv((await read("trajectories.csv")).toString(), result);
    checkBinary(await read("trajectories.bin"), result);
    assert.deepEqual(JSON.parse((await read("results.json")).toString()), result);
    const types = result.analysis.equilibria.map(({ type }: Json) => type);
    assert.deepEqual(types, ["stable focus", "saddle", "stable focus", "saddle", "stable focus"]);

    checkLines(result.analysis);

    // What it was asked is among its files, and asks for the same again.
    const again = await solve(sandbox, "again", JSON.parse((await read("request.json")).toString()));
    assert.equal(again.code, 0, again.err);
    assert.deepEqual(JSON.parse(again.out).job.result.trajectories, result.trajectories);
    assert.match(err, /Solved 3 initial conditions with RK45 in \d+ ms: \d+ steps/);
    assert.match(err, /Equilibrium \(0, 0\): stable focus/);
  });

  Deno.test(`run phase-portrait ${name} fails with the place when all trajectories stop early`, async () => {
    await using sandbox = await newSandbox(program);
    const request = { equations: "x'[t] == 1 + x[t]^2", timespan: [0, 3], initial_conditions: [[0], [1]] };
    const { code, out, err } = await solve(sandbox, "blow_up", request);
    assert.equal(code, 1);
    const { job, artifacts } = JSON.parse(out) as Json;
    assert.equal(job.state, "failed");
    assert.equal(job.result, null);
    const { message, details } = job.failure;
    assert.match(
      message,
      /^The trajectory stopped early: blow_up at t = 1\.57\d*, and so did the other 1 initial/,
    );
    assert.ok(err.includes(message), err);
    assert.equal(details.status, "blow_up");
    assert.equal(details.backend, "RK45");
    assert.match(details.solver_message, /grows without bound: its size is \d/);
    assert.ok(
      Math.abs(details.t_stop - Math.PI / 2) < 1e-4 &&
        Math.abs(details.ic_status[1].t_stop - Math.PI / 4) < 1e-4,
    );
    assert.ok(artifacts.some(({ name }: Json) => name === "results.json"));
    assert.ok(artifacts.some(({ name }: Json) => name === "portrait.svg"));
    assert.equal((await showJob(sandbox)).attempts.length, 1);
  });

  Deno.test(`run phase-portrait ${name} refuses equations with the place and what may be meant`, async () => {
    await using sandbox = await newSandbox(program);
    const { code, err } = await solve(sandbox, "bad", { ...PENDULUM, equations: "x' == Sine[x]" });
    assert.equal(code, 65);
    assert.match(err, /equations: .*line 1, column 7: unknown function "Sine"; did you mean Sin\?/);
  });

  Deno.test(`run phase-portrait ${name} tells its progress and stops at its deadline`, async () => {
    await using sandbox = await newSandbox(program);
    const input = JSON.stringify(ENDLESS);
    // Long enough for a busy machine to start the child and be told three times.
    const limits = ["--timeout", program.name === "source" ? "10s" : "4s", "--attempts", "1"];
    const { code, err } = await sandbox.run(["run", ...limits, "phase-portrait", "--input", input]);
    assert.equal(code, 124);
    assert.match(err, /1 of 1 trajectories stopped early; initial condition 0 at t = \d/);
    const { job, events } = await showJob(sandbox);
    assert.equal(job.state, "failed");
    const progress = events.filter(({ kind }) => kind === "progress").map(({ data }) => data as Json);
    assert.ok(progress.length >= 3, `${progress.length} words of progress`);
    assert.ok(
      progress.every(({ fraction, message }) => fraction >= 0 && fraction < 1 && message === "solving"),
    );
    const [first, last] = [progress[0]!, progress.at(-1)!];
    assert.ok(last.fraction > first.fraction);
    assert.ok(last.counts.steps > first.counts.steps && last.counts.t > first.counts.t);
    assert.deepEqual(Object.keys(last.counts).sort(), ["done", "steps", "t", "total"]);
  });

  Deno.test(`run phase-portrait ${name} stops within a second when it is interrupted`, async () => {
    await using sandbox = await newSandbox(program);
    const running = sandbox.start(["run", "phase-portrait", "--input", JSON.stringify(ENDLESS)]);
    await started(sandbox);
    const asked = performance.now();
    running.signal("SIGINT");
    const { code } = await running.ended;
    assert.equal(code, 130);
    assert.ok(performance.now() - asked < 2500, `it took ${performance.now() - asked} ms`);
    assert.equal((await showJob(sandbox)).job.state, "cancelled");
  });
}

/** Resolves when the only job has told of its progress. */
async function started(sandbox: Sandbox): Promise<void> {
  await eventually("the job tells of its progress", async () => {
    const { code, out } = await sandbox.run(["jobs", "show", "latest", "--json"]);
    const events: readonly Json[] = code === 0 ? JSON.parse(out).events : [];
    return events.some(({ kind }) => kind === "progress");
  });
}

function checkPng(bytes: Uint8Array): void {
  assert.deepEqual([...bytes.subarray(0, 8)], [137, 80, 78, 71, 13, 10, 26, 10]);
  const view = new DataView(bytes.buffer, bytes.byteOffset), pieces: Uint8Array[] = [];
  let width = 0, height = 0, at = 8, last = "";
  while (at < bytes.length) {
    const length = view.getUint32(at), data = bytes.subarray(at + 8, at + 8 + length);
    last = new TextDecoder().decode(bytes.subarray(at + 4, at + 8));
    if (last === "IHDR") [width, height] = [view.getUint32(at + 8), view.getUint32(at + 12)];
    if (last === "IDAT") pieces.push(data);
    at += 12 + length;
  }
  assert.equal(last, "IEND");
  assert.deepEqual([width, height], [2000, 1440]);
  const rows = inflateSync(pieces.length === 1 ? pieces[0]! : new Uint8Array(Buffer.concat(pieces)));
  assert.equal(rows.length, height * (1 + 3 * width));
  const colours = new Set<number>();
  for (let row = 1; row < rows.length; row += 3) {
    colours.add(rows[row]! << 16 | rows[row + 1]! << 8 | rows[row + 2]!);
  }
  assert.ok(colours.size > 100, `${colours.size} colours`);
}

/** Well-formed: every element is closed in its order, and nothing stands outside the one root. */
function checkSvg(text: string): void {
  const open: string[] = [];
  let elements = 0;
  for (const [tag, slash, name, rest] of text.matchAll(/<(\/?)([A-Za-z][\w:-]*)((?:[^<>"]|"[^"<]*")*)>/g)) {
    if (slash === "/") assert.equal(open.pop(), name, tag);
    else if (!rest!.endsWith("/")) open.push(name!);
    elements++;
  }
  assert.deepEqual(open, []);
  assert.equal(text.match(/</g)!.length, elements + (text.startsWith("<?xml") ? 1 : 0));
  assert.doesNotMatch(text, /&(?!amp;|lt;|gt;|quot;|apos;|#\d+;)/);
  assert.match(text, /<svg [^>]*viewBox="0 0 1000 720"/);
  assert.match(text, />Damped pendulum</);
  assert.doesNotMatch(text, /NaN|Infinity|undefined|<script/);
}

function checkCsv(text: string, result: Json): void {
  const lines = text.trimEnd().split("\r\n");
  assert.equal(lines[0], "ic,t,x,x'");
  assert.equal(lines.length, 1 + 3 * 201);
  assert.deepEqual(lines[1 + 201 + 50]!.split(",").map(Number), [
    1,
    result.times[50],
    ...result.trajectories[1][50],
  ]);
}

function checkBinary(bytes: Uint8Array, result: Json): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset), length = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  assert.equal(header.format, "glassbox-trajectories");
  assert.deepEqual(header.rows, [201, 201, 201]);
  assert.deepEqual(header.states, ["x", "x'"]);
  const first = 4 + length + 8 * (201 + 402 + 2 * 50);
  assert.deepEqual(
    [view.getFloat64(first, true), view.getFloat64(first + 8, true)],
    result.trajectories[1][50],
  );
}

/** Some points of each line; the nullclines of a damped pendulum are x' = 0 and sin x = -d x'. */
function checkLines({ separatrices, nullclines }: Json): void {
  assert.equal(separatrices.length, 8);
  for (const { line } of separatrices) assert.ok(line.length > 1 && line.length <= 200);
  assert.deepEqual(nullclines.map(({ of }: Json) => of), ["x'", "x''"]);
  const [still, turning] = nullclines.map(({ lines }: Json) => lines.flat());
  assert.ok(still.length > 1 && still.every(([, speed]: number[]) => Math.abs(speed!) < 1e-9));
  assert.ok(turning.every(([x, speed]: number[]) => Math.abs(Math.sin(x!) + 0.2 * speed!) < 1e-3));
}
