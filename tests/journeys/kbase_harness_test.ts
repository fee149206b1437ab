/** `glassbox kbase test`: KBase's JobRunner played on this machine, with the dashboard and with a module of one's own. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { unzipSync } from "fflate";
import { makeDashboardData, METHOD, ONE, type Pangenome } from "../support/dashboard_data.ts";
import { type Ended, newSandbox, programs, type Sandbox } from "../support/glassbox.ts";
import { filesWith, readJson } from "../support/kbase.ts";

const PARAMS = JSON.stringify({ workspace_name: "lab", input_ref: "lab/tables" });

function testArgs(sandbox: Sandbox, data: string, params = PARAMS): string[] {
  return ["kbase", "test", METHOD, "--params", params, "--data", data, "--dir", jobOf(sandbox), "--json"];
}

function jobOf(sandbox: Sandbox): string {
  return join(sandbox.directory, "job");
}

/** The only zip that was stored, by the names in it. */
async function storedZip(sandbox: Sandbox): Promise<Record<string, Uint8Array>> {
  const files = join(jobOf(sandbox), "saved/files");
  const names = (await readdir(files, { recursive: true })).filter((name) => name.endsWith(".zip"));
  assert.equal(names.length, 1);
  return unzipSync(await readFile(join(files, names[0]!)));
}

// deno-lint-ignore no-explicit-any
async function savedReport(sandbox: Sandbox): Promise<any> {
  const workspace = join(jobOf(sandbox), "saved/objects/lab");
  const [name] = await readdir(workspace);
  return await readJson(join(workspace, name!));
}

/** A module whose methods are programs. */
const MODULE = `
module-name: Mine
module-description: tests
service-language: python
module-version: "0.1.0"
owners: [somebody]
glassbox:
  methods:
    call:
      command: [python3, call.py, "{params}", "{output}", "{config}"]
    leaf:
      command: [sh, -c, 'tmp=$(sed -n "s/^scratch = //p" "$2"); echo leaf > "$tmp/leaf"; echo "{\\"version\\":\\"1.1\\",\\"result\\":[{\\"leaf\\":1}]}" > "$1"', sh, "{output}", "{config}"]
    gentle:
      command: [sh, -c, "echo begun; exec sleep 60"]
    silent:
      command: [sh, -c, "exit 3"]
    void:
      command: [sh, -c, 'echo "{\\"version\\":\\"1.1\\",\\"result\\":null}" > "$1"', sh, "{output}"]
`;

const DEPLOY = "[Mine]\nworkspace-url = {{ workspace_url }}\nscratch = /kb/module/work/tmp\n";

/** Calls each method of its first argument through the callback server, and returns what came back. */
const CALL = `
import json, os, sys, time, urllib.request, urllib.error
def ask(method, params):
    body = json.dumps({"version": "1.1", "id": "1", "method": method, "params": params}).encode()
    request = urllib.request.Request(os.environ["SDK_CALLBACK_URL"], body, {"Authorization": os.environ["KB_AUTH_TOKEN"]})
    try:
        return json.load(urllib.request.urlopen(request))
    except urllib.error.HTTPError as error:
        return json.load(error)
found = []
for method, params in json.load(open(sys.argv[1]))[0]["calls"]:
    module, name = method.split(".")
    answer = ask(f"{module}._{name}_submit", params)
    job = answer.get("result")
    while job:
        answer = ask(f"{module}._check_job", job)
        if "error" in answer or answer["result"][0]["finished"]:
            break
        time.sleep(0.05)
    found.append(answer)
found.append(ask("CallbackServer.get_provenance", []))
scratch = [line[10:].strip() for line in open(sys.argv[3]) if line.startswith("scratch = ")][0]
found.append(open(scratch + "/leaf").read())
json.dump({"version": "1.1", "result": [{"found": found}]}, open(sys.argv[2], "w"))
`;

async function makeModule(sandbox: Sandbox): Promise<void> {
  await writeFile(join(sandbox.cwd, "kbase.yml"), MODULE);
  await writeFile(join(sandbox.cwd, "call.py"), CALL);
  await writeFile(join(sandbox.cwd, "deploy.cfg"), DEPLOY);
}

const GENTLE = ["kbase", "test", "Mine.gentle", "--json"];

/** With a time limit that its program begins within: on a busy machine its start alone may take some seconds. */
async function ranTooLong(sandbox: Sandbox): Promise<Ended> {
  for (const limit of ["2s", "8s"]) {
    const ended = await sandbox.run([...GENTLE, "--timeout", limit]);
    if (/^begun$/m.test(ended.err)) return ended;
  }
  return await sandbox.run([...GENTLE, "--timeout", "30s"]);
}

async function interrupted(sandbox: Sandbox): Promise<Ended> {
  const running = sandbox.start(GENTLE);
  await running.said(/^begun$/m);
  running.signal("SIGINT");
  return await running.ended;
}

for (const program of programs()) {
  const name = `(${program.name})`;

  Deno.test(`kbase test ${name} runs the dashboard to its report, with every line at once and the token nowhere`, async () => {
    await using sandbox = await newSandbox(program);
    const data = await makeDashboardData(sandbox, [ONE]);
    const running = sandbox.start(testArgs(sandbox, data));
    await running.said(/^START KBDatalakeDashboard\.run_genome_datalake_dashboard /m);
    await running.said(/^Found 1 pangenome\(s\)$/m);
    const ended = await running.ended;
    assert.equal(ended.code, 0, ended.err);
    const told = JSON.parse(ended.out);
    assert.equal(told.verdict.state, "completed");
    assert.deepEqual(told.verdict.warnings, []);

    const output = await readJson(join(jobOf(sandbox), "workdir/output.json"));
    assert.deepEqual(Object.keys(output).sort(), ["id", "result", "version"]);
    assert.match(output.id, /^[0-9a-f]{24}$/);
    const [{ report_name, report_ref }] = output.result;
    assert.deepEqual(told.saved, [
      { ref: report_ref, workspace: "lab", name: report_name, type: "KBaseReport.Report-1.0" },
    ]);

    const folder = "pangenome_0_GB_GCA_1.1/heatmap";
    const zip = await storedZip(sandbox);
    for (
      const file of ["index.html", "tables/index.html", `${folder}/index.html`, `${folder}/genes_data.json`]
    ) {
      assert.ok(file in zip, file);
    }
    const config = JSON.parse(new TextDecoder().decode(zip[`${folder}/app-config.json`]));
    assert.equal(config.upa, "lab/tables");

    const report = await savedReport(sandbox);
    assert.equal(report.data.html_window_height, 800);
    assert.equal(report.data.direct_html_link_index, 0);
    assert.deepEqual(report.data.html_links.map(({ name }: { name: string }) => name), [
      `${folder}/index.html`,
      "tables/index.html",
    ]);
    const [action] = report.provenance;
    assert.equal(action.service, "KBDatalakeDashboard");
    assert.deepEqual(action.input_ws_objects, ["lab/tables"]);
    assert.deepEqual(action.subactions.map(({ name }: { name: string }) => name), [
      "KBDatalakeDashboard",
      "DataFileUtil",
      "KBaseReport",
    ]);

    const token = (await readFile(join(jobOf(sandbox), "workdir/token"), "utf8")).trim();
    assert.match(token, /^[A-Z2-7]{32}$/);
    assert.equal((ended.out + ended.err).includes(token), false);
    assert.deepEqual(await filesWith(jobOf(sandbox), token), [join(jobOf(sandbox), "workdir/token")]);
    const left = await readdir(join(jobOf(sandbox), "workdir/tmp"));
    assert.deepEqual(left.filter((file) => file.endsWith("_downloads")), []);
  });

  Deno.test(`kbase test ${name} makes an index of several pangenomes, and tells of those that it had to skip`, async () => {
    await using sandbox = await newSandbox(program);
    const data = await makeDashboardData(sandbox, [
      ONE,
      { pangenome_id: "unknown", sqllite_tables_handle_ref: "KBH_99" },
      { pangenome_id: null, sqllite_tables_handle_ref: "KBH_2" },
      { pangenome_id: "none" },
    ]);
    // What else a caller sends is passed over, as the app that this one stands in for does.
    const params = JSON.stringify({ ...JSON.parse(PARAMS), workspace_id: 1 });
    const ended = await sandbox.run(testArgs(sandbox, data, params));
    assert.equal(ended.code, 0, ended.err);
    assert.match(ended.err, /^ERROR: Skipped pangenome 2 \(unknown\)/m);
    assert.match(ended.err, /^WARNING: Skipped pangenome 4 \(none\)/m);
    const { data: report } = await savedReport(sandbox);
    assert.deepEqual(report.warnings, [
      "Skipped pangenome 2 (unknown): the handle service knows no handle KBH_99",
      "Skipped pangenome 4 (none): it has no sqllite_tables_handle_ref, so there is no database to read",
    ]);
    assert.equal(report.html_links[0].name, "index.html");
    const files = await storedZip(sandbox);
    assert.ok("pangenome_2_pangenome_2/heatmap/index.html" in files);
    const metadata = JSON.parse(
      new TextDecoder().decode(files["pangenome_2_pangenome_2/heatmap/metadata.json"]),
    );
    assert.deepEqual([metadata.pangenome_id, metadata.genome_assembly], ["pangenome_2", "pangenome_2"]);
  });

  Deno.test(`kbase test ${name} says in EE2's words how a dashboard fails, and ends with 1`, async () => {
    const cases: [string, readonly Pangenome[], RegExp][] = [
      ['{"input_ref":"lab/tables"}', [ONE], /^Required parameter 'workspace_name' is missing$/],
      ['{"workspace_name":"lab","input_ref":null}', [ONE], /^Required parameter 'input_ref' is missing$/],
      ["{}", [ONE], /^Required parameter 'input_ref' is missing$/],
      [PARAMS, [], /GenomeDataLakeTables object has no pangenome_data entries/],
      [
        PARAMS,
        [{ sqllite_tables_handle_ref: "KBH_99" }],
        /No pangenomes could be processed successfully: .*KBH_99/,
      ],
      [
        '{"workspace_name":"lab","input_ref":"lab/absent"}',
        [ONE],
        /No object with name absent .* \(service_refused\)$/,
      ],
    ];
    for (const [params, pangenomes, message] of cases) {
      await using sandbox = await newSandbox(program);
      const data = await makeDashboardData(sandbox, pangenomes);
      const ended = await sandbox.run(testArgs(sandbox, data, params));
      assert.equal(ended.code, 1, ended.err);
      const { verdict, output } = JSON.parse(ended.out);
      assert.deepEqual([verdict.state, verdict.error_code], ["error", 1]);
      assert.match(output.error.message, message);
      assert.equal(output.error.code, -32000);
      assert.equal(existsSync(join(jobOf(sandbox), "saved/objects")), false);
    }
  });

  Deno.test(`kbase test ${name} answers a module's calls by itself, by recorded replies and by stand-ins`, async () => {
    await using sandbox = await newSandbox(program);
    await makeModule(sandbox);
    const recorded = join(sandbox.directory, "recorded.json");
    const replies = [
      { method: "Other.f", params: [1], result: [{ n: 1 }] },
      { method: "Other.f", result: [{ n: 0 }] },
      { method: "Other.g", error: { message: "not today" } },
    ];
    await writeFile(recorded, JSON.stringify(replies));
    const calls = [
      ["Other.f", [1]],
      ["Other.f", ["any"]],
      ["Other.g", []],
      ["Absent.f", []],
      ["Mine.leaf", []],
      ["DataFileUtil.ws_name_to_id", ["lab"]],
    ];
    const ended = await sandbox.run([
      "kbase",
      "test",
      "Mine.call",
      "--params",
      JSON.stringify({ calls, workspace_name: "lab" }),
      "--recorded",
      recorded,
      "--json",
    ]);
    assert.equal(ended.code, 0, ended.err);
    const { output: { result: [{ found }] }, verdict, sub_jobs } = JSON.parse(ended.out);
    const [exact, any, refused, absent, leaf, workspace, provenance, seen] = found;
    assert.deepEqual(exact.result[0].result, [{ n: 1 }]);
    assert.deepEqual(any.result[0].result, [{ n: 0 }]);
    assert.deepEqual([refused.error.message, refused.finished, "result" in refused], ["not today", 1, false]);
    assert.match(
      absent.error.message,
      /^Error looking up module Absent with version release: Module cannot be found/,
    );
    assert.deepEqual(leaf.result[0].result, [{ leaf: 1 }]);
    assert.equal(seen, "leaf\n");
    assert.deepEqual(workspace.result[0].result, [1]);
    const [[action]] = provenance.result;
    assert.deepEqual(action.subactions.map(({ name }: { name: string }) => name), [
      "Mine",
      "Other",
      "DataFileUtil",
    ]);
    assert.match(verdict.warnings.join(), /no element of result has report_name/);
    assert.equal(sub_jobs.length, 5);
    // The author's own files are as they were.
    assert.equal(await readFile(join(sandbox.cwd, "deploy.cfg"), "utf8"), DEPLOY);
    assert.deepEqual((await readdir(sandbox.cwd)).sort(), ["call.py", "deploy.cfg", "kbase.yml"]);
  });

  Deno.test(`kbase test ${name} kills a job that runs too long, or is interrupted, as KBase does`, async () => {
    for (const isLate of [true, false]) {
      await using sandbox = await newSandbox(program);
      await makeModule(sandbox);
      const ended = isLate ? await ranTooLong(sandbox) : await interrupted(sandbox);
      assert.match(ended.err, /^begun$/m);
      const { verdict } = JSON.parse(ended.out);
      assert.deepEqual(
        [ended.code, verdict.state, verdict.error_code],
        isLate ? [124, "error", 3] : [130, "terminated", null],
      );
    }
  });

  Deno.test(`kbase test ${name} finds in an output what KBase would stumble over`, async () => {
    await using sandbox = await newSandbox(program);
    await makeModule(sandbox);
    const failed = await sandbox.run(["kbase", "test", "Mine.silent"]);
    assert.equal(failed.code, 1);
    assert.match(
      failed.err,
      /^EE2 says error \(error_code 1\): Job output contains an error: The program ended with exit code 3$/m,
    );
    const unknown = await sandbox.run(["kbase", "test", "Mine.absent"]);
    assert.equal(unknown.code, 1);
    assert.match(unknown.err, /Method not found/);
    const many = await sandbox.run(["kbase", "test"]);
    assert.equal(many.code, 64);
    assert.match(many.err, /there are Mine\.call, Mine\.leaf/);
  });
}
