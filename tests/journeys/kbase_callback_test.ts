/** What a module meets at the callback server of `glassbox kbase test`, seen by the module itself. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newSandbox, type Program, programs, type Sandbox } from "../support/glassbox.ts";

const MODULE = `
module-name: Mine
module-description: tests
service-language: python
module-version: "0.1.0"
owners: [somebody]
glassbox:
  methods:
    ask: { command: [python3, module.py, ask, "{params}", "{output}"] }
    fine: { command: [python3, module.py, fine, "{params}", "{output}"] }
    held: { command: [python3, module.py, held, "{params}", "{output}"] }
    bad: { command: [python3, module.py, bad, "{params}", "{output}"] }
    killed: { command: [python3, module.py, killed] }
    leaves: { command: [python3, module.py, leaves, "{params}"] }
`;

/**
 * `ask` does the steps of its argument one by one and returns what came back. In a step's parameters "#3" stands for
 * the first element of the third step's result. `held` waits until the step `open` opens its gate. `killed` and
 * `leaves` end their runner, so that its own output.json is never there.
 */
const PROGRAM = `
import json, os, signal, sys, time, urllib.request, urllib.error
what, given, output = (sys.argv[1:] + [None, None])[:3]
params = json.load(open(given)) if given else []
tmp = os.path.realpath("work/tmp")

def ask(method, params, more):
    body = json.dumps({"version": "1.1", "id": "1", "method": method, "params": params, **more}).encode()
    request = urllib.request.Request(os.environ["SDK_CALLBACK_URL"], body, {"Authorization": os.environ["KB_AUTH_TOKEN"]})
    try:
        reply = urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        reply = error
    return {"status": reply.status, "document": json.load(reply)}

def known(value, found):
    if isinstance(value, list):
        return [known(one, found) for one in value]
    if isinstance(value, str) and value.startswith("#"):
        return found[int(value[1:])]["document"]["result"][0]
    return value

def ended(method, params, found):
    while True:
        seen = ask(method, params, {})
        if seen["status"] != 200 or seen["document"]["result"][0]["finished"]:
            return seen
        # Each question takes a port for a minute, and time from what is waited for.
        time.sleep(0.02)

def answer(result):
    json.dump({"version": "1.1", "result": result}, open(output, "w"))

if what == "ask":
    found = []
    for do, *step in params[0]["steps"]:
        if do == "gate":
            os.mkfifo(f"{tmp}/{step[0]}")
            found.append(None)
        elif do == "open":
            open(f"{tmp}/{step[0]}", "w").close()
            found.append(None)
        elif do == "ended":
            found.append(ended(step[0], known(step[1], found), found))
        else:
            found.append(ask(step[0], known(step[1], found), step[2] if len(step) > 2 else {}))
    answer([{"found": found}])
elif what == "held":
    open(f"{tmp}/{params[0]}").read()
    answer([params[0]])
elif what == "fine":
    answer([{"n": 1}])
elif what == "bad":
    json.dump({"version": "1.1", "error": {"code": -5, "name": "Own", "message": "m", "error": "trace"}}, open(output, "w"))
else:
    if what == "leaves":
        open("work/output.json", "w").write(params[0])
    os.kill(os.getppid(), signal.SIGKILL)
`;

type Step = readonly [string, ...unknown[]];
// deno-lint-ignore no-explicit-any
type Seen = { readonly status: number; readonly document: any };

/** Runs the module's job in the harness, and gives what each step saw. */
async function asked(program: Program, steps: readonly Step[]): Promise<readonly Seen[]> {
  await using sandbox = await newSandbox(program);
  const { code, told, err } = await tested(sandbox, "Mine.ask", [{ steps, workspace_name: "lab" }]);
  assert.equal(code, 0, err);
  return told.output.result[0].found;
}

async function tested(sandbox: Sandbox, method: string, params: readonly unknown[]) {
  await writeFile(join(sandbox.cwd, "kbase.yml"), MODULE);
  await writeFile(join(sandbox.cwd, "module.py"), PROGRAM);
  const ended = await sandbox.run(["kbase", "test", method, "--params", JSON.stringify(params), "--json"]);
  return { code: ended.code, err: ended.err, told: JSON.parse(ended.out) };
}

for (const program of programs()) {
  const name = `(${program.name})`;

  Deno.test(`kbase test ${name} submits a sub-job, tells that it runs, and then its result with finished 1`, async () => {
    const [, submitted, running, , ended] = await asked(program, [
      ["gate", "a"],
      ["ask", "Mine._held_submit", ["a"]],
      ["ask", "Any._check_job", ["#1"]],
      ["open", "a"],
      ["ended", "Any._check_job", ["#1"]],
    ]);
    assert.equal(submitted!.status, 200);
    assert.deepEqual(Object.keys(submitted!.document), ["result"]);
    assert.match(
      submitted!.document.result[0],
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    assert.deepEqual(running, { status: 200, document: { result: [{ finished: 0 }] } });
    const [{ id, ...done }] = ended!.document.result;
    assert.deepEqual([ended!.status, done], [200, { version: "1.1", result: ["a"], finished: 1 }]);
    assert.match(id, /^[0-9a-f]{24}$/);
  });

  Deno.test(`kbase test ${name} answers for a sub-job that fails, or leaves nothing, with 500 and no result`, async () => {
    const seen = await asked(program, [
      ["ask", "Mine._bad_submit", []],
      ["ended", "Mine._check_job", ["#0"]],
      ["ask", "Mine._killed_submit", []],
      ["ended", "Mine._check_job", ["#2"]],
      ["ask", "Mine.killed", []],
    ]);
    const [, bad, , killed, waited] = seen;
    assert.equal(bad!.status, 500);
    assert.deepEqual(bad!.document.error, { code: -5, name: "Own", message: "m", error: "trace" });
    for (const nothing of [killed!, waited!]) {
      assert.equal(nothing.status, 500);
      const { error } = nothing.document;
      assert.deepEqual([error.code, error.name], [-32601, "Output not found"]);
    }
    for (const { document } of [bad!, killed!, waited!]) {
      assert.deepEqual([document.finished, "result" in document], [1, false]);
    }
  });

  Deno.test(`kbase test ${name} refuses in KBase's words an eleventh sub-job, and what is no call of a method`, async () => {
    const gates = Array.from({ length: 10 }, (_, k) => `g${k}`);
    const unknown = "11111111-2222-4333-8444-555555555555";
    const seen = await asked(program, [
      ...gates.map((gate): Step => ["gate", gate]),
      ...gates.map((gate): Step => ["ask", "Mine._held_submit", [gate]]),
      ["ask", "Mine._fine_submit", []],
      ["ask", "Mine._check_job", ["nonsense"]],
      ["ask", "M.a.b", []],
      ["ask", "Mine._check_job", []],
      ["ask", "Mine._check_job", [unknown]],
      ...gates.map((gate): Step => ["open", gate]),
      ...gates.map((_, k): Step => ["ended", "Mine._check_job", [`#${10 + k}`]]),
      ["ask", "Mine.fine", []],
    ]);
    const refused = seen.slice(20, 25);
    assert.deepEqual(refused.map(({ status, document: { error } }) => [status, error.code, error.message]), [
      [500, -32000, "No more than 10 concurrently running methods are allowed"],
      [500, -32000, "Invalid job ID: nonsense"],
      [500, -32000, "Illegal method name: M.a.b"],
      [500, -32000, "method params must be a list containing exactly one job ID string"],
      [500, -32000, `No such job ID: ${unknown}`],
    ]);
    for (const { document: { error } } of refused) assert.equal(error.name, "CallbackServerError");
    const held = seen.slice(35, 45).map(({ document }) => document.result[0].result);
    assert.deepEqual(held, gates.map((gate) => [gate]));
    assert.equal(seen.at(-1)!.status, 200);
  });

  Deno.test(`kbase test ${name} gives the output document of a call that waits, and one sub-action a module`, async () => {
    const [before, first, , second, after] = await asked(program, [
      ["ask", "CallbackServer.get_provenance", []],
      ["ask", "DataFileUtil.ws_name_to_id", ["lab"], { context: { service_ver: "beta" } }],
      ["ask", "Mine.fine", []],
      ["ask", "DataFileUtil.ws_name_to_id", ["lab"], { context: { service_ver: "dev" } }],
      ["ask", "CallbackServer.get_provenance", []],
    ]);
    const { id, ...document } = first!.document;
    assert.deepEqual([first!.status, document.version, document.finished], [200, "1.1", 1]);
    assert.match(id, /^[0-9a-f]{24}$/);
    assert.deepEqual(second!.document.result, document.result);
    const subactions = ({ document: { result: [[action]] } }: Seen) =>
      action.subactions.map(({ name, ver }: { name: string; ver: string }) => `${name} ${ver}`);
    assert.deepEqual(subactions(before!), ["Mine 0.1.0-dev"]);
    assert.deepEqual(subactions(after!), ["Mine 0.1.0-dev", "DataFileUtil 0.2.2-beta"]);
  });

  Deno.test(`kbase test ${name} finds an output with a null for its result, or an empty error beside it`, async () => {
    const id = "5d54bdcb9b402d15271b3208";
    const cases: [string, number, RegExp][] = [
      [JSON.stringify({ version: "1.1", id, result: null }), 4, /result must be there, and not be null/],
      ['{"error":null,"result":[]}', 2, /the key error with null in it/],
    ];
    for (const [output, errorCode, text] of cases) {
      await using sandbox = await newSandbox(program);
      const { code, told } = await tested(sandbox, "Mine.leaves", [output]);
      assert.deepEqual([code, told.verdict.state, told.verdict.error_code], [1, "error", errorCode]);
      assert.match(told.verdict.text, text);
    }
  });
}
