/** Genome dashboards as a user makes them: from the command line to the files, the zip and the pages. */
import assert from "node:assert/strict";
import { join } from "node:path";
import vm from "node:vm";
import { writeDatabase, writeGenomes } from "../fixtures/genome/database.ts";
import { firstDifference } from "../support/compare_json.ts";
import { DASHBOARD_FILES, readGenomeCases } from "../support/genome_cases.ts";
import { feature, member, USER } from "../support/genome_database.ts";
import { newSandbox, programs, type Sandbox } from "../support/glassbox.ts";

const HOSTILE = `</script><img src=x onerror=alert(1)>"'&\u202e\x1b[2J`;

/** A folder of cases with expected files; the test is skipped where there is none. */
const CASES = readGenomeCases(Deno.env.get("GLASSBOX_GENOME_CASES") ?? "");

function hostileDatabase(path: string): void {
  writeDatabase(path, {
    genome: [
      { genome: USER, kind: "user", ncbi_taxonomy: `s__${HOSTILE}` },
      { genome: "__proto__", kind: HOSTILE, gtdb_taxonomy: HOSTILE },
    ],
    user_feature: [feature(HOSTILE, { pangenome_cluster: "k", ontology_RAST: HOSTILE, aliases: HOSTILE })],
    pangenome_feature: [member("__proto__", "k"), member("constructor", "k"), member(HOSTILE, "m")],
    genome_reaction: [{ genome_id: USER, reaction_id: "__proto__", genes: HOSTILE, equation_names: HOSTILE }],
  });
}

function textOf(sandbox: Sandbox, ...path: string[]): string {
  return Deno.readTextFileSync(join(sandbox.cwd, ...path));
}

/** What a page is told, found as a browser would. */
// deno-lint-ignore no-explicit-any
function pageData(script: string): any {
  const context: { glassboxData?: unknown } = {};
  vm.runInNewContext(script, context);
  return context.glassboxData;
}

async function zipHash(sandbox: Sandbox): Promise<string> {
  const { artifacts } = await sandbox.json<{ artifacts: { name: string; sha256: string }[] }>(
    ["jobs", "show", "latest"],
  );
  assert.deepEqual(artifacts.map(({ name }) => name), ["genome-dashboard.zip"]);
  return artifacts[0]!.sha256;
}

for (const program of programs()) {
  const { name } = program;

  Deno.test(`genome-dashboard ${name} writes a page for one database, and the same zip each time`, async () => {
    await using sandbox = await newSandbox(program);
    writeGenomes(join(sandbox.cwd, "one.db"), { genes: 30, genomes: 3 });
    const args = ["--set", "databases=one.db", "--set", "pangenome_ids=GB_GCA_1.1"];
    const hashes: string[] = [];
    for (const [index, zone] of ["UTC", "Asia/Kolkata"].entries()) {
      const ended = await sandbox.run(
        ["run", "genome-dashboard", ...args, "--set", `output_dir=out${index}`],
        { env: { TZ: zone } },
      );
      assert.equal(ended.code, 0, ended.err);
      assert.match(
        ended.out,
        /Processing pangenome 1\/1: GB_GCA_1\.1\n[^]*Wrote ref_genomes_data\.json \(\d+\.\d KB\)[^]*SUCCESS: /,
      );
      hashes.push(await zipHash(sandbox));
    }
    assert.equal(hashes[0], hashes[1]);
    const folder = "pangenome_0_GB_GCA_1.1";
    assert.match(textOf(sandbox, "out0", "index.html"), new RegExp(`url=${folder}/heatmap/index\\.html`));
    const config = textOf(sandbox, "out0", folder, "heatmap", "app-config.json");
    assert.equal(config, JSON.stringify(JSON.parse(config), null, 4));
    const { job } = await sandbox.json<{ job: { result: unknown } }>(["jobs", "show", "latest"]);
    assert.deepEqual((job.result as { report: unknown }).report, {
      message: "",
      html_links: [
        {
          name: `${folder}/heatmap/index.html`,
          label: "Datalake Dashboard - Escherichia coli",
          description: "Interactive dashboard for Escherichia coli",
        },
        {
          name: "tables/index.html",
          label: "BERDL Tables Viewer",
          description: "Interactive table viewer for genome datalake tables",
        },
      ],
    });
  });

  Deno.test(`genome-dashboard ${name} goes on after a broken database, and links to those it made`, async () => {
    await using sandbox = await newSandbox(program);
    for (const file of ["a.db", "c.db"]) writeGenomes(join(sandbox.cwd, file), { genes: 5, genomes: 2 });
    Deno.writeTextFileSync(join(sandbox.cwd, "b.db"), "not a database");
    const input = {
      databases: ["a.db", "b.db", "c.db"],
      output_dir: "out",
      pangenome_ids: ["../A b?", "B", null],
    };
    const ended = await sandbox.run(["run", "genome-dashboard", "--input", JSON.stringify(input)]);
    assert.equal(ended.code, 0, ended.err);
    assert.match(
      ended.err,
      /Skipped pangenome 2 \(B\): Cannot read database .*b\.db as it must be an SQLite database/,
    );
    const bytes = new TextEncoder().encode("not a database");
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    assert.match(ended.err, new RegExp(`Refused .*b\\.db with SHA-256 ${hash}`));
    const folders = ["pangenome_0_.._A_b_", "pangenome_2_pangenome_2"];
    assert.deepEqual(
      [...Deno.readDirSync(join(sandbox.cwd, "out"))].map((entry) => entry.name).filter((one) =>
        one.startsWith("pangenome")
      ).sort(),
      folders,
    );
    const config = JSON.parse(textOf(sandbox, "out", folders[1]!, "heatmap", "app-config.json"));
    assert.deepEqual([config.navigation.current_index, config.navigation.is_multi_pangenome], [1, true]);
    const urls = config.navigation.siblings.map((one: { url: string }) => one.url);
    assert.deepEqual(urls, folders.map((folder) => `../../${folder}/heatmap/index.html`));
    const index = pageData(textOf(sandbox, "out", "data.js"));
    assert.deepEqual(
      [...index.dashboards].map((one: { url: string }) => one.url),
      folders.map((folder) => `${folder}/heatmap/index.html`),
    );
    assert.equal(index.skipped.length, 1);
  });

  Deno.test(`genome-dashboard ${name} fails when no database can be read, and says why of each`, async () => {
    await using sandbox = await newSandbox(program);
    const ended = await sandbox.run([
      "run",
      "genome-dashboard",
      "--set",
      "databases=none.db",
      "--set",
      "output_dir=out",
    ]);
    assert.equal(ended.code, 1);
    assert.match(
      ended.err,
      /No pangenomes could be processed successfully: Skipped pangenome 1 .*there is no such file/,
    );
    const wrong = await sandbox.run([
      "run",
      "genome-dashboard",
      "--input",
      '{"databases":["a","b"],"output_dir":"o","pangenome_ids":["x"]}',
    ]);
    assert.equal(wrong.code, 65, wrong.err);
    assert.match(wrong.err, /pangenome_ids: must have one entry for each database/);
  });

  Deno.test(`genome-dashboard ${name} lets no name from a database mean anything in a page or a terminal`, async () => {
    await using sandbox = await newSandbox(program);
    hostileDatabase(join(sandbox.cwd, "hostile.db"));
    const input = { databases: ["hostile.db"], output_dir: "out", pangenome_ids: [`<b>${HOSTILE}`] };
    const ended = await sandbox.run(["run", "genome-dashboard", "--input", JSON.stringify(input)]);
    assert.equal(ended.code, 0, ended.err);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(ended.out + ended.err, /[\x1b\u202e]/);
    const [folder] = [...Deno.readDirSync(join(sandbox.cwd, "out"))].map((entry) => entry.name).filter((
      one,
    ) => one.startsWith("pangenome"));
    assert.match(folder!, /^[A-Za-z0-9._-]+$/);
    const heatmap = join("out", folder!, "heatmap");
    for (const page of ["out/index.html", "out/tables/index.html", join(heatmap, "index.html")]) {
      assert.doesNotMatch(textOf(sandbox, page), /<img|<b>|alert\(/);
    }
    const data = pageData(textOf(sandbox, heatmap, "data.js"));
    assert.equal(data.metadata.organism, HOSTILE);
    assert.equal(data.genes[0][1], HOSTILE);
    assert.ok(Object.hasOwn(data.tree.genome_metadata, "__proto__"));
    const reactions = JSON.parse(textOf(sandbox, heatmap, "reactions_data.json"));
    assert.deepEqual(Object.keys(reactions.reactions), ["__proto__"]);
  });

  for (const { name: caseName, directory, input } of CASES) {
    Deno.test(`genome-dashboard ${name} makes the files of case ${caseName}`, async () => {
      await using sandbox = await newSandbox(program);
      const file = join(sandbox.cwd, "input.json");
      Deno.writeTextFileSync(file, JSON.stringify({ ...input, output_dir: "out" }));
      const ended = await sandbox.run(["run", "genome-dashboard", "--input", file]);
      assert.equal(ended.code, 0, ended.err);
      const [folder] = [...Deno.readDirSync(join(sandbox.cwd, "out"))].map((entry) => entry.name).filter((
        one,
      ) => one.startsWith("pangenome"));
      for (const expected of DASHBOARD_FILES) {
        const wanted = JSON.parse(Deno.readTextFileSync(join(directory, "expected", expected)));
        const seen = JSON.parse(textOf(sandbox, "out", folder!, "heatmap", expected));
        assert.equal(firstDifference(seen, wanted, expected), null);
      }
    });
  }
}
