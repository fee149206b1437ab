/** The API of the tool whose clients keep working: routes, messages and refusals as they know them. */
import assert from "node:assert/strict";
import { newSandbox, programs } from "../support/glassbox.ts";
import { REFUSED } from "../support/portrait_refusals.ts";
import { type Heard, type Json, PortraitClient } from "../support/portrait_client.ts";

const SPIRAL = {
  equations: "{x'[t], y'[t]} == {-a x[t] - y[t], x[t] - a y[t]}",
  name: "Spiral",
  parameters: { a: 0.1 },
  timespan: [0, 10],
  initial_conditions: [[1, 0], [0, 2]],
};

const MANY_TIMES = Array.from({ length: 1_201 }, (_, k) => k / 120);

const BLOW_UP = { equations: "x'[t] == 1 + x[t]^2", timespan: [0, 3], initial_conditions: [[0]] };

const ENDLESS = {
  equations: "{x'[t], y'[t]} == {y[t], -x[t]}",
  timespan: [0, 1e9],
  initial_conditions: [[1, 0]],
  integrator: { max_steps: 100_000_000 },
};

Deno.test("The API that portrait clients know", async (t) => {
  await using sandbox = await newSandbox(programs()[0]!);
  await using server = await sandbox.serve();
  const client = new PortraitClient(server.url);
  const step = (name: string, work: () => Promise<void>) => t.step(name, work);

  await step("GET /health says ok", async () => {
    const { status, body } = await client.get("/health");
    assert.equal(status, 200);
    assert.equal(body.status, "ok");
  });

  for (const { about, change, errors } of REFUSED) {
    await step(`POST /submit refuses ${about}`, async () => {
      const { status, body } = await client.post("/submit", { ...SPIRAL, ...change });
      assert.equal(status, 400, JSON.stringify(body));
      const { detail } = body;
      assert.equal(detail.title, "Invalid request payload");
      assert.equal(detail.status, 400);
      assert.equal(typeof detail.type, "string");
      const seen = detail.errors as Json[];
      assert.deepEqual(seen.map(({ field }) => field), errors.map(({ field }) => field));
      errors.forEach(({ code, message, pos }, index) => {
        assert.ok(seen[index].code.startsWith(code), seen[index].code);
        assert.match(seen[index].message, message);
        if (pos !== undefined) assert.equal(seen[index].pos, pos);
        if (seen[index].field === "equations" && seen[index].code !== "E_VALUE") {
          assert.ok(seen[index].line >= 1 && seen[index].column >= 1);
        }
      });
    });
  }

  await step("POST /submit answers 422 to what lacks fields, with all that is wrong", async () => {
    const { status, body } = await client.post("/submit", {
      equations: "x' == (",
      initial_conditions: [[1]],
    });
    assert.equal(status, 422);
    assert.deepEqual(
      body.detail.map(({ type, loc }: Json) => ({ type, loc })),
      [{ type: "missing", loc: ["body", "timespan"] }, { type: "value_error", loc: ["body", "equations"] }],
    );
    assert.equal(body.detail[0].msg, "Field required");
    assert.equal(body.detail[1].pos, 6);
  });

  for (
    const [field, value] of Object.entries({
      equations: 5,
      integrator: "RK45",
      animate: "no",
      name: 1,
      events: {},
    })
  ) {
    await step(`POST /submit answers 422 when ${field} is of another type`, async () => {
      const { status, body } = await client.post("/submit", { ...SPIRAL, [field]: value });
      assert.equal(status, 422);
      assert.deepEqual(body.detail[0].loc, ["body", field]);
    });
  }

  await step("POST /submit refuses what is no JSON object", async () => {
    for (const text of ["{", "[]", "null", '{"equations": NaN}']) {
      const { status, body } = await client.post("/submit", text);
      assert.ok(status === 400 || status === 422, `${text}: ${status}`);
      assert.equal(body.code, "bad_json");
    }
  });

  await step("Unknown jobs are not found", async () => {
    for (const path of ["/status/nobody", "/status/01m816cdngb3t9wq77js93s865"]) {
      assert.deepEqual(await client.get(path), { status: 404, body: { detail: "job not found" } });
    }
    for (const path of ["/results/nobody", "/results/nobody.csv"]) {
      assert.deepEqual(await client.get(path), { status: 404, body: { detail: "result not found" } });
    }
    assert.equal((await client.post("/cancel/nobody", {})).status, 404);
  });

  await step("A socket of an unknown job is closed with 4404", async () => {
    const { code, messages } = await client.listen("nobody");
    assert.equal(code, 4404);
    assert.deepEqual(messages.filter(({ type }) => type === "results"), []);
  });

  await step("A job is followed from submit to results on a plain socket", async () => {
    const id = await client.submit(SPIRAL);
    checkFollowed(id, await client.listen(id));
    await checkResults(client, id);
  });

  await step("A late subscriber gets status and results at once", async () => {
    const id = await client.submit(SPIRAL);
    await client.listen(id);
    const late = await client.listen(id);
    const kinds = late.messages.map(({ type }) => type);
    assert.equal(kinds[0], "status");
    assert.equal(kinds.at(-1), "results");
    assert.equal(late.messages.at(-2)!.payload.status, "finished");
    assert.equal(late.code, 1000);
  });

  await step("A socket that asks for a stream gets all rows in pieces before the results", async () => {
    const id = await client.submit({ ...SPIRAL, integrator: { t_eval: MANY_TIMES } });
    const { messages, code } = await client.listen(id, () => {}, "?stream=1");
    const chunks = messages.filter(({ type }) => type === "chunk").map(({ payload }) => payload);
    const { times, trajectories } = messages.at(-1)!.payload;
    assert.equal(code, 1000);
    assert.ok(chunks.length >= 3 * trajectories.length, `${chunks.length} chunks`);
    for (const [ic, rows] of trajectories.entries()) {
      const own = chunks.filter((chunk) => chunk.ic === ic);
      assert.deepEqual(own.flatMap((chunk) => chunk.rows), rows);
      assert.deepEqual(own.flatMap((chunk) => chunk.times), times);
      assert.deepEqual(own.map(({ from }) => from), own.map((_, k) => 500 * k));
    }
  });

  await step("GET /results gives downloads as CSV, binary and JSON", async () => {
    const id = await client.submit(SPIRAL);
    await client.listen(id);
    await checkDownloads(client, id);
  });

  await step("A trajectory that blows up fails the job, and what was solved is served", async () => {
    const id = await client.submit(BLOW_UP);
    const { messages, code } = await client.listen(id);
    assert.equal(code, 1000);
    const last = messages.findLast(({ type }) => type === "status")!;
    assert.equal(last.payload.status, "failed");
    assert.match(last.payload.error, /blow_up at t = 1\.57/);
    const status = await client.status(id);
    assert.equal(status.status, "failed");
    const { solver_message: message, backend, t_stop: tStop } = status.error_details!;
    assert.match(String(message), /grows without bound/);
    assert.equal(backend, "RK45");
    assert.ok(Math.abs(Number(tStop) - Math.PI / 2) < 1e-4);
    const { body } = await client.get(`/results/${id}`);
    assert.equal(body.meta.ic_status[0].status, "blow_up");
    assert.equal(body.trajectories[0].length, body.meta.ic_status[0].rows);
    assert.ok(body.trajectories[0].length > 100 && body.trajectories[0].length < 201);
    assert.deepEqual(messages.at(-1)!.payload.trajectories, body.trajectories);
  });

  await step("A job of which some trajectories stop early is finished, with a warning", async () => {
    const id = await client.submit({ ...BLOW_UP, equations: "x' == x^2", initial_conditions: [[1], [-1]] });
    await client.listen(id);
    const { status, warnings } = await client.status(id);
    assert.equal(status, "finished");
    assert.match(warnings!.join("\n"), /1 of 2 trajectories stopped early; initial condition 0 at t = /);
    const { body } = await client.get(`/results/${id}`);
    assert.deepEqual(body.meta.ic_status.map(({ status }: Json) => status), ["blow_up", "ok"]);
    assert.equal(body.trajectories[1].length, 201);
  });

  for (
    const [name, send] of [
      ["POST /cancel", (id: string) => fetch(`${server.url}/cancel/${id}`, { method: "POST" })],
      ["DELETE /jobs", (id: string) => fetch(`${server.url}/jobs/${id}`, { method: "DELETE" })],
    ] as const
  ) {
    await step(`${name} stops a running job within a second, and its socket tells`, async () => {
      // Tried again, as the machine may be busy; a stop that is slow is so each time.
      let cancelled = await cancelRunning(client, send);
      for (let attempt = 1; attempt < 3 && cancelled.took >= 1500; attempt++) {
        cancelled = await cancelRunning(client, send);
      }
      const { id, messages, code, took } = cancelled;
      assert.equal(code, 1000);
      assert.equal(messages.findLast(({ type }) => type === "status")!.payload.status, "cancelled");
      const progress = messages.find(({ type }) => type === "progress")!.payload;
      assert.deepEqual({ id: progress.job_id, total: progress.total }, { id, total: 1 });
      assert.ok(progress.fraction >= 0 && progress.fraction < 1 && progress.done < 1);
      const { steps, t } = progress;
      assert.ok(Number.isInteger(steps) && steps > 0, `${steps} steps`);
      assert.equal(progress.done, t / ENDLESS.timespan[1]!);
      assert.ok(took < 1500, `it took ${took} ms`);
      const again = await send(id);
      assert.equal(again.status, 202);
      assert.deepEqual(await again.json(), { job_id: id, status: "cancelled" });
      const done = await client.submit(SPIRAL);
      await client.listen(done);
      const late = await send(done);
      assert.equal(late.status, 409);
      assert.deepEqual(await late.json(), { detail: "job is finished" });
    });
  }

  await step("Old requests for a numba back end run RK4 on their rows, and are told", async () => {
    const id = await client.submit({ ...SPIRAL, integrator: { method: "numba_rk4" } });
    await client.listen(id);
    const { body } = await client.get(`/results/${id}`);
    assert.match(body.meta.method_used, /^RK4/);
    assert.equal(body.meta.stats.steps, 400);
    assert.match(body.meta.warnings.join("\n"), /numba/);
  });

  await step("BDF runs Rodas5P and says so; fields that no one reads are left out", async () => {
    const id = await client.submit({
      ...SPIRAL,
      integrator: { method: "BDF", max_step: null },
      page_version: 3,
    });
    await client.listen(id);
    const { body } = await client.get(`/results/${id}`);
    assert.equal(body.meta.method_used, "Rodas5P (for BDF)");
  });

  await step("POST /slope_field gives arrows row by row in the plane", async () => {
    const { status, body } = await client.post("/slope_field", {
      equations: "{x', y'} == {2 y, -x}",
      x_min: 0,
      x_max: 1,
      y_min: 10,
      y_max: 11,
      grid_size: 2,
    });
    assert.equal(status, 200);
    assert.deepEqual(body, {
      x: [0, 1, 0, 1],
      y: [10, 10, 11, 11],
      u: [20, 20, 22, 22],
      v: [-0, -1, -0, -1].map((value) => value + 0),
    });
  });

  await step("POST /slope_field runs z fastest in space, and takes parameters", async () => {
    const { body } = await client.post("/slope_field", {
      equations: "{x', y', z'} == {a z, x, y}",
      parameters: { a: 2 },
      ...{ x_min: 0, x_max: 1, y_min: 2, y_max: 3, z_min: 4, z_max: 5 },
      grid_size: 2,
    });
    assert.deepEqual(body.z, [4, 5, 4, 5, 4, 5, 4, 5]);
    assert.deepEqual(body.x, [0, 0, 0, 0, 1, 1, 1, 1]);
    assert.deepEqual(body.u, [8, 10, 8, 10, 8, 10, 8, 10]);
  });

  await step(
    "POST /slope_field gives null where the field is not finite, and 0 for names of old clients",
    async () => {
      const { body } = await client.post("/slope_field", {
        equations: "{x', y'} == {k + 1/x, y}",
        ...{ x_min: -1, x_max: 1, y_min: 0, y_max: 1 },
        grid_size: 3,
      });
      assert.deepEqual(body.u.slice(0, 3), [-1, null, 1]);
      assert.match(body.warnings.join("\n"), /k/);
    },
  );

  for (
    const [about, change, wanted] of [
      ["four states", { equations: "{a'==b, b'==c, c'==d, d'==a}" }, /^400: Unsupported number of variables/],
      ["three states without z", { equations: "{a'==b, b'==c, c'==a}" }, /missing z range for 3D$/],
      ["equations that cannot be read", { equations: "x' == (" }, /line 1, column 7/],
      ["a grid of one", { grid_size: 1 }, /between 2 and 200/],
      ["a grid of 201", { grid_size: 201 }, /between 2 and 200/],
      ["a parameter named as a state", { parameters: { x: 1 } }, /state/],
      [
        "an unbound name next to bound ones",
        { equations: "{x' == k, y' == x}", parameters: {} },
        /unknown name/,
      ],
    ] as const
  ) {
    await step(`POST /slope_field refuses ${about} with a text`, async () => {
      const { status, body } = await client.post("/slope_field", {
        equations: "{x', y'} == {y, -x}",
        ...{ x_min: -1, x_max: 1, y_min: -1, y_max: 1 },
        ...change,
      });
      assert.equal(status, 400, JSON.stringify(body));
      assert.match(body.detail, wanted);
    });
  }

  await step("POST /slope_field takes null for what is left out, and any name of a state", async () => {
    const { status, body } = await client.post("/slope_field", {
      equations: "{x', y', toString'} == {k + toString, y, 1}",
      ...{ x_min: 0, x_max: 1, y_min: 2, y_max: 3, z_min: null, z_max: null, parameters: null },
      axes: [0, 1],
      grid_size: 2,
    });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(body.u, [0, 0, 0, 0]);
  });

  await step("POST /slope_field answers 422 to what lacks fields", async () => {
    const { status, body } = await client.post("/slope_field", { equations: "x' == x" });
    assert.equal(status, 422);
    assert.deepEqual(body.detail[0], {
      type: "missing",
      loc: ["body", "x_min"],
      msg: "Field required",
      code: "E_MISSING",
    });
    const range = { x_min: 1, x_max: 1, y_min: 0, y_max: 1 };
    const empty = await client.post("/slope_field", { equations: "{x', y'} == {y, x}", ...range });
    assert.equal(empty.status, 422);
    assert.deepEqual(empty.body.detail.map(({ loc, msg }: Json) => [...loc, msg]), [[
      "body",
      "x_max",
      "must be above x_min",
    ]]);
  });
});

/** Lets a job run that never ends until it tells of progress, and asks for its end then; says how long that took. */
async function cancelRunning(client: PortraitClient, send: (id: string) => Promise<Response>) {
  const id = await client.submit(ENDLESS);
  let asked = 0;
  let asking: Promise<Response> | null = null;
  const { messages, code } = await client.listen(id, ({ type }) => {
    if (type !== "progress" || asking !== null) return;
    asked = performance.now();
    asking = send(id);
  });
  const took = performance.now() - asked;
  const response = await asking!;
  assert.equal(response.status, 202);
  await response.body?.cancel();
  return { id, messages, code, took };
}

function checkFollowed(id: string, { messages, code }: Heard): void {
  assert.equal(code, 1000);
  const [first] = messages;
  // Old pages read the bare fields, newer ones the payload.
  assert.deepEqual({ ...first, payload: null }, {
    type: "status",
    status: "connected",
    job_id: id,
    payload: null,
  });
  assert.equal(first!.payload.job_id, id);
  const statuses = messages.filter(({ type }) => type === "status").map(({ payload }) => payload.status);
  assert.equal(statuses.at(-1), "finished");
  assert.ok(statuses.every((status) => ["queued", "running", "finished"].includes(status)), `${statuses}`);
  const results = messages.filter(({ type }) => type === "results");
  assert.equal(results.length, 1);
  assert.equal(messages.at(-1), results[0]);
  assert.equal(results[0]!.payload.trajectories.length, 2);
}

async function checkResults(client: PortraitClient, id: string): Promise<void> {
  assert.deepEqual(await client.status(id), { job_id: id, status: "finished" });
  const { status, body: { times, trajectories, meta } } = await client.get(`/results/${id}`);
  assert.equal(status, 200);
  assert.equal(times.length, 201);
  assert.deepEqual([times[0], times[200]], [0, 10]);
  assert.deepEqual(trajectories.map((rows: Json) => rows.length), [201, 201]);
  const [x, y] = trajectories[0][200];
  assert.ok(
    Math.abs(x - Math.exp(-1) * Math.cos(10)) < 1e-5 && Math.abs(y - Math.exp(-1) * Math.sin(10)) < 1e-5,
  );
  const { equations, name, initial_conditions: starts } = SPIRAL;
  assert.deepEqual(
    { equations: meta.equations, name: meta.name, initial_conditions: meta.initial_conditions },
    { equations, name, initial_conditions: starts },
  );
  assert.deepEqual(meta.state_names, ["x", "y"]);
  assert.deepEqual(meta.parameters, { a: 0.1 });
  assert.equal(meta.method_used, "RK45");
  assert.deepEqual(Object.keys(meta.stats), ["steps", "rejected", "rhs_evals", "jac_evals", "lu", "wall_ms"]);
  assert.deepEqual(meta.ic_status.map(({ status, rows }: Json) => ({ status, rows })), [
    { status: "ok", rows: 201 },
    { status: "ok", rows: 201 },
  ]);
  for (const field of ["rtol", "atol", "projection", "warnings", "events"]) assert.ok(field in meta, field);
}

async function checkDownloads(client: PortraitClient, id: string): Promise<void> {
  const { body } = await client.get(`/results/${id}.json`);
  const csv = new TextDecoder().decode(await client.bytes(`/results/${id}.csv`)).trimEnd().split("\r\n");
  assert.equal(csv[0], "ic,t,x,y");
  assert.equal(csv.length, 1 + 2 * 201);
  assert.deepEqual(csv[1 + 201 + 7]!.split(",").map(Number), [1, body.times[7], ...body.trajectories[1][7]]);
  const binary = await client.bytes(`/results/${id}.bin`);
  const view = new DataView(binary.buffer), length = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(binary.subarray(4, 4 + length)));
  assert.deepEqual({ states: header.states, times: header.times, rows: header.rows }, {
    states: ["x", "y"],
    times: 201,
    rows: [201, 201],
  });
  assert.equal((4 + length) % 8, 0);
  assert.equal(binary.length, 4 + length + 8 * (201 + 2 * 201 * 2));
  const value = (index: number) => view.getFloat64(4 + length + 8 * index, true);
  assert.equal(value(200), body.times[200]);
  assert.deepEqual([value(201 + 402 + 14), value(201 + 402 + 15)], body.trajectories[1][7]);
}
