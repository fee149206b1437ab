import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createHost } from "../../platform/host.ts";
import { createMemoryHost } from "../../platform/memory.ts";
import { compileReport } from "../compile_report.ts";
import { Methods } from "../methods.ts";
import { readModule } from "../module.ts";
import { checkCompileReport } from "./compile_report.ts";
import { parseKidl } from "./kidl.ts";
import { validate } from "./validate.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");

const YML = `module-name: M
module-description: tests
service-language: python
module-version: "0.1.0"
owners:
  - somebody
`;

const KIDL = `/* funcdef in a comment(); */
module M {
  typedef string ref;
  typedef structure { ref input; int count; mapping<string, list<int>> deep; } Params;
  typedef structure { string report_name; string report_ref; } Results;
  authentication required;
  funcdef run(Params params) returns (Results output);
  async funcdef old(string name, list<ref> refs) returns (tuple<int a, string b>) authentication none;
};
`;

const SPEC = {
  ver: "1.0.0",
  contact: "x@example.org",
  categories: ["active"],
  widgets: { input: null, output: "no-display" },
  parameters: [
    { id: "input", optional: false, field_type: "text", text_options: { valid_ws_types: ["M.T"] } },
    {
      id: "count",
      optional: true,
      field_type: "checkbox",
      checkbox_options: { checked_value: 1, unchecked_value: 0 },
    },
  ],
  behavior: {
    "service-mapping": {
      url: "",
      name: "M",
      method: "run",
      input_mapping: [
        { narrative_system_variable: "workspace", target_property: "input" },
        { input_parameter: "input", target_property: "input", target_type_transform: "resolved-ref" },
        { input_parameter: "count", target_property: "count" },
      ],
      output_mapping: [{ service_method_output_path: [0, "report_ref"], target_property: "report_ref" }],
    },
  },
  job_id_output_field: "docker",
};

const DISPLAY = `name: Run
tooltip: Runs
screenshots: []
description: Runs it.
parameters:
  input: { ui-name: Input, short-hint: What to read }
  count: { ui-name: Count, short-hint: How many }
`;

const DEPLOY = "[M]\nworkspace-url = {{ workspace_url }}\nscratch = /kb/module/work/tmp\n";

const AT = "ui/narrative/methods/run";

const FINE: Readonly<Record<string, string>> = {
  "kbase.yml": YML,
  "M.spec": KIDL,
  [`${AT}/spec.json`]: JSON.stringify(SPEC),
  [`${AT}/display.yaml`]: DISPLAY,
  "deploy.cfg": DEPLOY,
  "Dockerfile": "FROM scratch\n",
};

/** What is found in a module of these files, one line each; null leaves a file out. */
async function findingsOf(changes: Readonly<Record<string, string | null>>): Promise<string[]> {
  const { files } = createMemoryHost();
  for (const [name, text] of Object.entries({ ...FINE, ...changes })) {
    if (text === null) continue;
    const path = `/m/${name}`;
    await files.makeDirectory(path.slice(0, path.lastIndexOf("/")));
    await files.writeAtomic(path, new TextEncoder().encode(text));
  }
  const { findings } = await validate(files, "/m");
  const own = findings.filter(({ message }) => !message.includes("kb-sdk wants it"));
  return own.map(({ level, file, where, message }) => `${level} ${file} ${where}: ${message}`);
}

/** SPEC with something at a path changed; undefined takes it away. */
function spec(path: string, value: unknown): Record<string, string> {
  const copy = structuredClone(SPEC) as Record<string, unknown>;
  const keys = path.split(".");
  const last = keys.pop()!;
  // deno-lint-ignore no-explicit-any
  const at = keys.reduce<any>((inner, key) => inner[key], copy);
  if (value === undefined) delete at[last];
  else at[last] = value;
  return { [`${AT}/spec.json`]: JSON.stringify(copy) };
}

const MAPPING = "behavior.service-mapping.input_mapping";

Deno.test("validate() finds nothing in a module that KBase would take", async () => {
  assert.deepEqual(await findingsOf({}), []);
});

Deno.test("validate() finds each fault by its file, place and rule", async () => {
  const cases: [Record<string, string | null>, RegExp][] = [
    [{ "kbase.yml": null }, /^error kbase\.yml : must be there/],
    [
      { "kbase.yml": YML.replace('"0.1.0"', "1.0") },
      /module-version: must be in quotes: 1 is read as a number/,
    ],
    [{ "kbase.yml": YML.replace('"0.1.0"', "one") }, /module-version: must be there, a semantic version/],
    [{ "kbase.yml": YML.replace("- somebody", "- a, b") }, /owners\[0\]: "a, b" is one owner of that name/],
    [{ "kbase.yml": YML.replace("owners:\n  - somebody", "owners: somebody") }, /owners: must be a list/],
    [{ "kbase.yml": YML.replace("name: M", "name: M-1") }, /module-name: must be there, of letters/],
    [{ "kbase.yml": YML.replace("tests", '""') }, /module-description: must be there/],
    [
      { "kbase.yml": `${YML}service-config:\n  dynamic-service: "yes"\n` },
      /dynamic-service: must be true or false/,
    ],
    [
      { "kbase.yml": `${YML}job-config:\n  method-runner: jobRunner\n` },
      /^warning .*job-config: KBase knows no such key/,
    ],
    [{ "kbase.yml": "a: [" }, /cannot be read: /],
    [{ "M.spec": null }, /^error M\.spec : must be there, called as module-name says/],
    [{ "M.spec": KIDL.replace("module M", "module N") }, /M\.spec module: must be called M/],
    [{ "M.spec": KIDL + KIDL }, /exactly one module: it holds 2/],
    [{ "M.spec": KIDL.replace("ref input;", "nothing input") }, /line 4: ; is expected/],
    [
      { "M.spec": KIDL.replace("authentication required", "authentication maybe") },
      /line 6: authentication must be/,
    ],
    [{ "Dockerfile": null }, /^error Dockerfile : must be there/],
    [{ [`${AT}/spec.json`]: null }, /run\/spec\.json : must be there/],
    [{ [`${AT}/spec.json`]: "{" }, /run\/spec\.json : cannot be read/],
    [spec("ver", undefined), / ver: must be there/],
    [spec("categories", ["x"]), /^warning .* categories: is without "active"/],
    [spec("widgets", undefined), / widgets: must be there/],
    [spec("job_id_output_field", "x"), / job_id_output_field: must be "docker"/],
    [spec("parameters", undefined), / parameters: must be there, a list/],
    [spec("parameters.0.optional", undefined), / parameters\[0\]\.optional: must be true or false/],
    [
      spec("parameters.0.field_type", "texts"),
      /^warning \S+ parameters\[0\]\.field_type: texts is none of text, /,
    ],
    [spec("parameters.0.id", "count"), / parameters\[1\]\.id: count is there twice/],
    [spec("parameters.0.text_options.validate_as", "number"), /validate_as: must be int or float/],
    [
      spec("parameters.0.text_options.min_integer", 1),
      /^warning .*min_integer: is ignored: it is called min_int/,
    ],
    [spec("parameters.1.checkbox_options", undefined), /checkbox_options: must be there for a checkbox/],
    [spec("parameters.1.checkbox_options.checked_value", true), /checked_value: must be an integer/],
    [spec("behavior", {}), / behavior: must have service-mapping or none/],
    [spec("behavior.service-mapping.url", "http://x"), /service-mapping\.url: must be an empty text/],
    [spec("behavior.service-mapping.name", "N"), /service-mapping\.name: must be M/],
    [spec("behavior.service-mapping.method", "walk"), /M\.spec has no method walk/],
    [spec("behavior.service-mapping.resource_estimator_module", "E"), /must have both of resource_estimator/],
    [spec(`${MAPPING}.1.input_parameter`, "inputs"), /input_parameter: inputs is not declared/],
    [spec(`${MAPPING}.1.extra`, 1), /input_mapping\[1\]\.extra: is not a known key/],
    [spec(`${MAPPING}.0.narrative_system_variable`, "token"), /token is unknown, and so would be null/],
    [spec(`${MAPPING}.1.target_type_transform`, "float"), /float is no transformation/],
    [spec(`${MAPPING}.1.target_argument_position`, 1), /target_argument_position: run has 1 argument/],
    [spec(`${MAPPING}.1.target_property`, "other"), /^warning .*other is no field/],
    [spec("parameter-groups", [{ id: "input", parameters: ["count"] }]), /input is also called so elsewhere/],
    [spec("parameter-groups", [{ id: "g", parameters: ["none"] }]), /none is no parameter/],
    [spec("behavior.service-mapping.method", "old"), /fills no argument 1 of old/],
    [{ [`${AT}/display.yaml`]: null }, /run\/display\.yaml : must be there/],
    [{ [`${AT}/display.yaml`]: DISPLAY.replace("tooltip: Runs\n", "") }, / tooltip: must be there/],
    [{ [`${AT}/display.yaml`]: DISPLAY.replace("screenshots: []\n", "") }, / screenshots: must be there/],
    [
      { [`${AT}/display.yaml`]: DISPLAY.replace(/ {2}count.*\n/, "") },
      / parameters\.count: must be there, with ui-name/,
    ],
    [{ [`${AT}/display.yaml`]: DISPLAY.replace("Runs it.", "Rüns it.") }, /^warning .*beyond ASCII/],
    [{ "deploy.cfg": null }, /^warning deploy\.cfg : is not there/],
    [{ "deploy.cfg": DEPLOY.replace("[M]", "[Old]") }, /^warning .*no section \[M\], but \[Old\]/],
    [
      { "deploy.cfg": `${DEPLOY.replace("[M]", "[Old]")}[Other]\na = 1\n` },
      /^error .*the settings are not found/,
    ],
    [{ "deploy.cfg": "" }, /has no section: it needs \[M\]/],
    [{ "deploy.cfg": `${DEPLOY}a = 50%\n` }, /^warning .*\[M\] a: holds a lone %/],
    [{ "deploy.cfg": `${DEPLOY}a = {{ njsw_url }}\n` }, /^warning .*JobRunner gives no such value/],
    [{ "deploy.cfg": `${DEPLOY}a = {{ x | upper }}\n` }, /^error .*is more than a name with a default/],
    [{ "deploy.cfg": `${DEPLOY}{% if a %}\n` }, /1 are opened and 0 closed/],
    [{ "deploy.cfg": DEPLOY.replace("/kb/module/work/tmp", "/tmp") }, /^warning .*other modules do not see/],
  ];
  for (const [changes, expected] of cases) {
    const found = await findingsOf(changes);
    assert.ok(found.some((line) => expected.test(line)), `${expected} is not among:\n${found.join("\n")}`);
  }
});

Deno.test("validate() takes a page beside display.yaml for its key", async () => {
  const changes = {
    [`${AT}/display.yaml`]: DISPLAY.replace("description: Runs it.\n", ""),
    [`${AT}/description.html`]: "<p>Runs it.</p>",
  };
  assert.deepEqual(await findingsOf(changes), []);
});

Deno.test("parseKidl() knows types, methods and who must sign in", () => {
  const [module] = parseKidl(`#include <other.spec>\n${KIDL}`);
  assert.deepEqual(
    module!.functions.map(({ name, authentication, parameters, returns }) => [
      name,
      authentication,
      parameters.length,
      returns.length,
    ]),
    [["run", "required", 1, 1], ["old", "none", 2, 1]],
  );
  assert.deepEqual(module!.types.get("Params"), { kind: "structure", fields: ["input", "count", "deep"] });
  assert.equal(module!.functions[0]!.line, 8);
});

Deno.test("validate() takes glassbox's own module, and its report what installs clients of it", async () => {
  const { files } = createHost();
  const { files: looked, findings } = await validate(files, ROOT);
  assert.deepEqual(findings.filter(({ level }) => level === "error"), []);
  assert.equal(looked.length, 5);
  const registry = { get: () => undefined, list: () => [] };
  const report = await compileReport(files, new Methods(registry, await readModule(files, ROOT)));
  assert.deepEqual(checkCompileReport(report, "compile_report.json").list, []);
  assert.deepEqual(checkCompileReport({ ...report, spec_files: [] }, "x").list.map(({ where }) => where), [
    "spec_files",
  ]);
});

Deno.test("validate() wants a local function described, and known to the compile report", async () => {
  const described = { name: "f", short_description: "s", long_description: "l" };
  const report = { functions: { f: {} }, function_places: {} };
  const found = await findingsOf({
    "ui/local_functions/f.json": JSON.stringify(described),
    "ui/local_functions/g.json": JSON.stringify({ ...described, long_description: undefined }),
    "ui/local_functions/h.json": "[]",
    "ui/local_functions/README.md": "not one",
    "work/compile_report.json": JSON.stringify(report),
  });
  const about = (start: string) => found.filter((line) => line.includes(start));
  assert.deepEqual(about("f.json"), [
    "error work/compile_report.json function_places: must hold f, as ui/local_functions/f.json declares it",
  ]);
  assert.deepEqual(about("error ui/local_functions/g.json "), [
    "error ui/local_functions/g.json long_description: must be there, a text",
  ]);
  assert.deepEqual(about("error ui/local_functions/h.json "), [
    "error ui/local_functions/h.json : must hold one object",
  ]);
  assert.equal(about("README").length, 0);
});
