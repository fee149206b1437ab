import assert from "node:assert/strict";
import { createMemoryHost } from "../../platform/memory.ts";
import { CallbackServer } from "./callback_server.ts";
import type { ModuleCall, ModuleRunner, Ran } from "./module_runner.ts";
import { Provenance } from "./provenance.ts";
import { verdictOf } from "./verdict.ts";

const JOB_ID = "5d54bdcb9b402d15271b3208";

function ranWith(document: object | null): Ran {
  const bytes = document === null ? null : new TextEncoder().encode(JSON.stringify(document));
  return { verdict: verdictOf(bytes), exitCode: 0 };
}

const FINE = { version: "1.1", id: JOB_ID, result: [{ n: 1 }] };

/** Modules by name; each call of `Held` waits until it is let go. */
function playground(limit = 10, allowsSetProvenance = false) {
  const { clock } = createMemoryHost();
  const calls: ModuleCall[] = [];
  const held: ((ran: Ran) => void)[] = [];
  const answering = (work: () => Promise<Ran>): ModuleRunner => ({
    how: "test",
    version: "0.0.3",
    run: (call) => {
      calls.push(call);
      return work();
    },
  });
  const runners = new Map<string, ModuleRunner>([
    ["Fine", answering(() => Promise.resolve(ranWith(FINE)))],
    [
      "Bad",
      answering(() =>
        Promise.resolve(
          ranWith({ version: "1.1", error: { code: -5, name: "E", message: "m", error: "t" }, result: 1 }),
        )
      ),
    ],
    ["Silent", answering(() => Promise.resolve(ranWith(null)))],
    ["Unstartable", answering(() => Promise.reject(new Error("no image")))],
    ["Held", answering(() => new Promise((resolve) => held.push(resolve)))],
  ]);
  const provenance = new Provenance({ method: "Main.run", params: [1], version: "dev" }, "t", ["1/2/3"]);
  const log: string[] = [];
  const server = new CallbackServer({
    clock,
    uuid: () => crypto.randomUUID(),
    jobId: JOB_ID,
    provenance,
    allowsSetProvenance,
    limit,
    runnerOf: (module) => runners.get(module) ?? null,
    signal: new AbortController().signal,
    log: (text) => Promise.resolve(void log.push(text)),
  });
  const ask = async (method: string, params: unknown = [], more: object = {}) => {
    const body = JSON.stringify({ version: "1.1", id: "1", method, params, ...more });
    const response = await server.answer(new Request("http://x/", { method: "POST", body }));
    // deno-lint-ignore no-explicit-any
    const document: any = await response.json();
    assert.equal(response.headers.get("content-type"), "application/json");
    return { status: response.status, document };
  };
  const submit = async (method: string, more: object = {}): Promise<string> => {
    const [module, name] = method.split(".");
    return (await ask(`${module}._${name}_submit`, [], more)).document.result[0];
  };
  return { server, ask, submit, calls, held, clock, log };
}

Deno.test("answer() submits, tells that a job runs, and then its result with finished 1", async () => {
  const { ask, submit, held, clock, calls } = playground();
  const { status, document } = await ask("Held._f_submit", [{ a: 1 }]);
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(document), ["result"]);
  const [id] = document.result;
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.deepEqual((await ask("Any._check_job", [id])).document, { result: [{ finished: 0 }] });
  held[0]!(ranWith(FINE));
  await clock.turn();
  assert.deepEqual(await ask("Any._check_job", [id]), {
    status: 200,
    document: { result: [{ ...FINE, finished: 1 }] },
  });
  assert.deepEqual([calls[0]!.method, calls[0]!.params, calls[0]!.jobId], ["Held.f", [{ a: 1 }], JOB_ID]);
  assert.notEqual(await submit("Fine.f"), id);
});

Deno.test("answer() gives a failed job's own error with 500, without a result beside it", async () => {
  const { ask, submit, clock } = playground();
  const cases = [
    ["Bad.f", -5, "m"],
    ["Silent.f", -32601, "No output generated. Check logs for more details"],
    [
      "Unstartable.f",
      -32601,
      "no image",
    ],
  ] as const;
  for (const [method, code, message] of cases) {
    const id = await submit(method);
    await clock.turn();
    const { status, document } = await ask("X._check_job", [id]);
    assert.equal(status, 500);
    assert.deepEqual([document.error.code, document.error.message, document.finished], [code, message, 1]);
    assert.equal("result" in document, false);
  }
  assert.equal((await ask("Silent.f")).document.error.name, "Output not found");
});

Deno.test("answer() gives the output document of a call that waits for its end", async () => {
  const { ask } = playground();
  assert.deepEqual(await ask("Fine.f"), { status: 200, document: { ...FINE, finished: 1 } });
  assert.equal((await ask("Bad.f")).status, 500);
});

Deno.test("answer() refuses in KBase's words what it cannot do", async () => {
  const { ask, submit } = playground(2);
  const cases: [string, unknown, number, RegExp][] = [
    ["M.a.b", [], -32000, /^Illegal method name: M\.a\.b$/],
    ["M", [], -32000, /^Illegal method name: M$/],
    ["M._check_job", [], -32000, /^method params must be a list containing exactly one job ID string$/],
    ["M._check_job", ["a", "b"], -32000, /exactly one job ID string$/],
    ["M._check_job", ["nonsense"], -32000, /^Invalid job ID: nonsense$/],
    ["M._check_job", [crypto.randomUUID()], -32000, /^No such job ID: /],
    ["CallbackServer.set_provenance", [{}], -32000, /^Setting provenance is not enabled$/],
    ["CallbackServer.status", [], -32601, /^No such CallbackServer method: CallbackServer\.status$/],
    [
      "Nobody._f_submit",
      [],
      -32000,
      /^Error looking up module Nobody with version release: Module cannot be found/,
    ],
  ];
  for (const [method, params, code, message] of cases) {
    const { status, document } = await ask(method, params);
    assert.equal(status, 500);
    assert.equal(document.error.name, "CallbackServerError");
    assert.equal(document.error.code, code, method);
    assert.match(document.error.message, message);
  }
  await submit("Held.f");
  await submit("Held.f");
  const { document } = await ask("Held._f_submit");
  assert.equal(document.error.message, "No more than 2 concurrently running methods are allowed");
});

Deno.test("answer() counts a finished job against the limit until somebody asks", async () => {
  const { ask, submit, clock } = playground(1);
  const id = await submit("Fine.f");
  await clock.turn();
  assert.match((await ask("Fine._f_submit")).document.error.message, /^No more than 1/);
  await ask("Fine._check_job", [id]);
  assert.equal((await ask("Fine._f_submit")).status, 200);
});

Deno.test("answer() tells of a module once, in the version of its first call", async () => {
  const { ask, submit, log } = playground();
  const subactions = async () =>
    (await ask("CallbackServer.get_provenance")).document.result[0][0].subactions;
  assert.deepEqual(await subactions(), []);
  await submit("Fine.f", { context: { service_ver: "beta" } });
  await submit("Fine.g", { context: { service_ver: "dev" } });
  await submit("Bad.g");
  assert.deepEqual((await subactions()).map(({ name, ver }: { name: string; ver: string }) => [name, ver]), [
    ["Fine", "0.0.3-beta"],
    ["Bad", "0.0.3-release"],
  ]);
  assert.ok(log.some((text) => /Fine\.g runs as version beta, not as dev/.test(text)));
});

Deno.test("answer() takes a GET, and a body without a method, for a look whether it is there", async () => {
  const { server } = playground();
  assert.deepEqual(await (await server.answer(new Request("http://x/"))).json(), [{}]);
  const empty = await server.answer(new Request("http://x/", { method: "POST", body: "{}" }));
  assert.deepEqual([empty.status, await empty.json()], [200, [{}]]);
  const broken = await server.answer(new Request("http://x/", { method: "POST", body: "nonsense" }));
  assert.equal(broken.status, 500);
});

Deno.test("CallbackServer tells a sub-job of itself alone, and of a body that is no JSON what was wrong", async () => {
  const { ask, calls, server } = playground();
  await ask("Fine.f", [], { service_ver: "beta", context: { call_stack: [1, 2], mine: true } });
  const { context } = calls[0]! as { context: { call_stack: { time: string }[] } };
  const [{ time }] = context.call_stack as [{ time: string }];
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/);
  assert.deepEqual(context, {
    service_ver: "beta",
    call_stack: [{ method: "Fine.f", time, job_id: JOB_ID }],
  });
  const response = await server.answer(new Request("http://x/", { method: "POST", body: "{x" }));
  const { error } = await response.json();
  assert.deepEqual([response.status, error.code, error.message], [500, -32000, "Unexpected error"]);
  assert.match(error.error, /JSON/);
});

Deno.test("CallbackServer lets provenance be set where that is allowed, as an action or as a job's input", async () => {
  const { ask } = playground(10, true);
  const input = { method: "Other.f", params: [2], source_ws_objects: ["4/5/6"] };
  const { document } = await ask("CallbackServer.set_provenance", [input]);
  const [[action]] = document.result;
  const { service, method, method_params, input_ws_objects, service_ver } = action;
  assert.deepEqual([service, method, method_params, input_ws_objects, service_ver], [
    "Other",
    "f",
    [2],
    ["4/5/6"],
    "dev",
  ]);
  const told = {
    service: "S",
    method: "g",
    method_params: [],
    time: "t",
    service_ver: "1",
    input_ws_objects: [],
  };
  await ask("CallbackServer.set_provenance", [told]);
  const [[now]] = (await ask("CallbackServer.get_provenance")).document.result;
  assert.deepEqual([now.service, now.method, now.time, now.service_ver], ["S", "g", "t", "1"]);
  for (const wrong of [[], ["x"], [input, input], {}]) {
    const { document: { error } } = await ask("CallbackServer.set_provenance", wrong);
    assert.match(error.message, /exactly one provenance action/);
  }
});
