import assert from "node:assert/strict";
import { createMemoryHost } from "../platform/memory.ts";
import { type DeployConfig, deployConfig } from "./deploy_config.ts";
import { parseProperties } from "./properties.ts";
import { render } from "./template.ts";

interface Module {
  readonly properties?: string;
  readonly template?: string;
  readonly environment?: Record<string, string>;
  readonly module?: string;
}

const files = (module: Module) =>
  [
    ["/kb/module/work/config.properties", module.properties],
    ["/kb/module/deploy.cfg", module.template],
  ] as const;

async function configOf(
  module: Module,
): Promise<{ config: DeployConfig; text: (path: string) => Promise<string> }> {
  const host = createMemoryHost();
  await host.files.makeDirectory("/kb/module/work");
  for (const [path, text] of files(module)) {
    if (text !== undefined) await host.files.writeAtomic(path, new TextEncoder().encode(text));
  }
  const config = await deployConfig({
    files: host.files,
    environment: module.environment ?? {},
    moduleDirectory: "/kb/module",
    work: "/kb/module/work",
    module: module.module ?? "M",
  });
  const text = async (path: string) => new TextDecoder().decode(await host.files.read(path, 10_000));
  return { config, text };
}

Deno.test("parseProperties() reads sections, keys in any case, comments and the other separator", () => {
  const found = parseProperties(
    "\ufeff# a\n[One]\r\nKey = v = w\n;b\nother:x\nlone\n[Two]\nkey=\n[One]\nmore = 1\n",
  );
  assert.deepEqual(
    [...found].map(([name, values]) => [name, Object.fromEntries(values)]),
    [["One", { key: "v = w", other: "x", more: "1" }], ["Two", { key: "" }]],
  );
});

Deno.test("render() knows names in any case, defaults and nested conditions; what it does not know is empty", () => {
  const values = new Map([["a", "1"], ["empty", ""]]);
  const rendered = [
    ["{{ a }}{{A}}{{ b }}", "11"],
    ["{{ b|default('x') }}{{ b | default(\"y\") }}{{ a|default('z') }}{{ b|default('') }}", "xy1"],
    ["{% if a %}yes{% else %}no{% endif %}", "yes"],
    ["{% if empty %}yes{% else %}no{% endif %}!", "no!"],
    ["{% if b %}{% if a %}in{% endif %}out{% endif %}.", "."],
    ["{% if a %}{% if b %}x{% else %}y{% endif %}{% else %}z{% endif %}", "y"],
    ["{% if b %}1{% elif not empty %}2{% elif a %}3{% else %}4{% endif %}", "2"],
    ["{% if a %}1{% elif a %}2{% else %}3{% endif %}{% else %}{% endif %}.", "1."],
    ["a\n{%- if a -%}\n x {%- endif %} {{- a -}} y {# none #}\n\n", "ax1y \n"],
    ["{{ empty|default('x') }}{{ empty|default('y', true) }}", "y"],
  ] as const;
  for (const [template, wanted] of rendered) assert.equal(render(template, values), wanted, template);
});

Deno.test("deployConfig() takes config.properties alone where it is, and else the endpoint's services", async () => {
  const environment = { KBASE_ENDPOINT: "https://kb/", AUTH_SERVICE_URL: "https://auth" };
  const both = await configOf({ properties: "[global]\nworkspace_url = https://w\n", environment });
  assert.equal(both.config.values["workspace-url"], "https://w");
  assert.equal(both.config.values["kbase-endpoint"], "");
  const { config } = await configOf({ environment });
  assert.equal(config.values["workspace-url"], "https://kb/ws");
  assert.equal(config.values["handle-service-url"], "https://kb/handle_service");
  assert.equal(config.values["auth-service-url"], "https://auth");
  assert.equal(config.values["auth-service-url-allow-insecure"], "false");
});

Deno.test("deployConfig() gives secure parameters of the environment in lower case, also beside a file", async () => {
  const environment = { KBASE_SECURE_CONFIG_PARAM_MyKey: "s" };
  const { config } = await configOf({
    properties: "[global]\n",
    template: "[M]\nx = {{ MyKey }}\n",
    environment,
  });
  assert.deepEqual([config.values["mykey"], config.values["x"]], ["s", "s"]);
});

Deno.test("deployConfig() renders in place, keeps the template once, and may be run again", async () => {
  const template = "[M]\nworkspace-url = {{ workspace_url }}\n";
  const properties = "[global]\nworkspace_url = https://w\n";
  const { text } = await configOf({ template, properties });
  assert.equal(await text("/kb/module/deploy.cfg"), "[M]\nworkspace-url = https://w");
  assert.equal(await text("/kb/module/deploy.cfg.orig"), template);
  const again = await configOf({ template: await text("/kb/module/deploy.cfg"), properties });
  await assert.rejects(again.text("/kb/module/deploy.cfg.orig"));
});

Deno.test("deployConfig() leaves the template as it is when there is nothing to render it from", async () => {
  const template = "[M]\nworkspace-url = {{ workspace_url }}\nx = 1\n";
  const { config, text } = await configOf({ template });
  assert.equal(await text("/kb/module/deploy.cfg"), template);
  await assert.rejects(text("/kb/module/deploy.cfg.orig"));
  assert.deepEqual([config.values["workspace-url"], config.values["x"]], ["", "1"]);
});

Deno.test("deployConfig() finds its section by KB_SERVICE_NAME, by module, or as the only one, and says so", async () => {
  const template = "[M]\nx = 1\n[N]\nx = 2\n";
  const chosen = async (module: Module) => {
    const { config } = await configOf(module);
    return [config.values["x"], /section \[.*|deploy\.cfg has.*/.exec(config.told)![0]];
  };
  assert.deepEqual(await chosen({ template }), ["1", "section [M] of deploy.cfg, as the module is called"]);
  assert.deepEqual(await chosen({ template, environment: { KB_SERVICE_NAME: "N" } }), [
    "2",
    "section [N] of deploy.cfg, as KB_SERVICE_NAME says",
  ]);
  assert.deepEqual(await chosen({ template: "[Old]\nx = 3\n" }), [
    "3",
    "section [Old] of deploy.cfg, the only one, as there is no [M]",
  ]);
  const { config } = await configOf({ template: "[DEFAULT]\nx = 0\ny = 4\n[M]\nx = 1\n" });
  assert.deepEqual([config.values["x"], config.values["y"]], ["1", "4"]);
  assert.deepEqual(await chosen({ template, module: "Z" }), [
    undefined,
    "deploy.cfg has 2 sections, but no [Z]",
  ]);
});
