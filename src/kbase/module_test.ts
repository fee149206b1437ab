import assert from "node:assert/strict";
import { isGlassboxError } from "../core/errors.ts";
import { createMemoryHost } from "../platform/memory.ts";
import { builtInTasks } from "../tasks/registry.ts";
import { compileReport } from "./compile_report.ts";
import { checkArguments, methodRequest, Methods } from "./methods.ts";
import { type Module, readModule } from "./module.ts";
import { RpcError } from "./rpc_error.ts";

async function moduleOf(files: Record<string, string>): Promise<Module> {
  const host = createMemoryHost();
  await host.files.makeDirectory("/m");
  for (const [name, text] of Object.entries(files)) {
    await host.files.writeAtomic(`/m/${name}`, new TextEncoder().encode(text));
  }
  return await readModule(host.files, "/m");
}

const YAML = `
module-name: Mine
module-version: "1.0.0"
service-config: { dynamic-service: true }
glassbox:
  methods:
    f: { command: [prog, "{input}", "--out={output}", "{other}"], parameters: [int, string] }
    g: { command: [prog], authentication: none }
`;

Deno.test("readModule() takes kbase.yaml before kbase.yml, and needs neither", async () => {
  assert.equal((await moduleOf({ "kbase.yml": "module-name: A", "kbase.yaml": "module-name: B" })).name, "B");
  const none = await moduleOf({});
  assert.deepEqual([none.name, none.methods], [null, []]);
});

Deno.test("readModule() names what is wrong with a module's own part, and leaves KBase's part to KBase", async () => {
  const refused = async (text: string, message: RegExp) =>
    await assert.rejects(moduleOf({ "kbase.yml": text }), (error) => {
      assert.ok(isGlassboxError(error));
      assert.match(error.message, message);
      return true;
    });
  await refused("glassbox: { methods: { f: { command: [x] } } }", /module-name is missing/);
  await refused(
    "module-name: M\nglassbox: { methods: { f: { command: x } } }",
    /glassbox\.methods\.f\.command/,
  );
  await refused("module-name: M\nglassbox: { method: {} }", /glassbox\.method: is not a known field/);
  await refused("module-version: 1.0", /module-version: must be a string: write it in quotes/);
  await refused("a: [", /Cannot read "\/m\/kbase\.yml" as YAML/);
  assert.equal((await moduleOf({ "kbase.yml": "module-name: M\nanything: [1]\n" })).name, "M");
});

Deno.test("methodRequest() fills the words of a program and gives a task its first argument", async () => {
  const methods = new Methods(builtInTasks, await moduleOf({ "kbase.yml": YAML }));
  const files = { input: "/i", output: "/o", token: "/t", params: "/p", config: "" };
  const asked = methodRequest(methods.get("Mine.f"), [1, "a"], files);
  assert.deepEqual(asked, {
    task: "exec",
    input: {
      program: "prog",
      args: ["/i", "--out=/o", "{other}"],
      cwd: "/m",
      outputs: [{ path: "/o", name: "output.json", mediaType: "application/json" }],
    },
  });
  const own = methodRequest(methods.get("Glassbox.selftest"), [{ steps: 1 }], files);
  assert.deepEqual(own, { task: "selftest", input: { steps: 1 } });
  assert.deepEqual([...methods.modules], ["Mine", "Glassbox"]);
  assert.equal(methods.wantsToken("Mine"), true);
});

Deno.test("checkArguments() counts, names the first of a wrong type, and lets null and any through", async () => {
  const methods = new Methods(builtInTasks, await moduleOf({ "kbase.yml": YAML }));
  const said = (params: unknown[]) => {
    try {
      checkArguments(methods.get("Mine.f"), params);
    } catch (error) {
      assert.ok(error instanceof RpcError && error.code === -32602);
      return error.text;
    }
    return null;
  };
  assert.deepEqual([said([1, "a"]), said([null, null]), said([true, "a"])], [null, null, null]);
  assert.equal(said([1]), "not enough arguments");
  assert.equal(said([1, "a", 2]), "too many arguments");
  assert.equal(said([1.5, "a"]), "positional arg #1 is the wrong type");
  assert.equal(said([1, {}]), "positional arg #2 is the wrong type");
  checkArguments(methods.get("Mine.g"), [1, 2, 3]);
});

Deno.test("compileReport() describes every function of the spec, or of the methods where there is none", async () => {
  const host = createMemoryHost();
  await host.files.makeDirectory("/m");
  const methods = new Methods(builtInTasks, await moduleOf({ "kbase.yml": YAML }));
  // deno-lint-ignore no-explicit-any
  const made = await compileReport(host.files, methods) as any;
  assert.deepEqual(Object.keys(made.functions), ["f", "g"]);
  assert.deepEqual(made.functions.f.input, [{ type: "int", comment: "arg1" }, {
    type: "string",
    comment: "arg2",
  }]);
  const spec = "/* funcdef no(); */\nmodule Mine {\n  funcdef f(mapping<string, int> a)\n" +
    "    returns (list<int> b) authentication required;\n};\n";
  await host.files.writeAtomic("/m/Mine.spec", new TextEncoder().encode(spec));
  // deno-lint-ignore no-explicit-any
  const read = await compileReport(host.files, methods) as any;
  assert.deepEqual(Object.keys(read.functions), ["f"]);
  assert.deepEqual(read.function_places, { f: { start_line: 3, end_line: 4 } });
  assert.deepEqual(read.functions.f.input, [{ type: "mapping<string, int>", comment: "a" }]);
  assert.deepEqual(read.spec_files, [{ file_name: "Mine.spec", content: spec, is_main: 1 }]);
});
