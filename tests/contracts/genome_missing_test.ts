/** What a missing table or column does to a genome dashboard, and rules that ordinary databases never touch. */
import assert from "node:assert/strict";
import { dashboardOf, feature, member, USER } from "../support/genome_database.ts";
import { SCHEMA } from "../fixtures/genome/database.ts";

function without(table: string, ...columns: string[]): string {
  return columns.reduce(
    (sql, column) => sql.replace(new RegExp(`${column} (TEXT|INTEGER|REAL|INT),?`), ""),
    SCHEMA[table]!,
  )
    .replace(/,\s*$/, "");
}

Deno.test("columns that neither feature table has read as empty", async () => {
  const schema = {
    user_feature: without("user_feature", "ontology_KEGG", "ontology_EC", "aliases", "protein_sequence"),
    pangenome_feature: without("pangenome_feature", "ontology_KEGG", "ontology_EC"),
  };
  const made = await dashboardOf({
    user_feature: [feature("a", { pangenome_cluster: "k", length: 31 })],
    pangenome_feature: [member("G1", "k")],
  }, { schema });
  const { ko_pct, metabolic_genes } = made.tree_data.genome_stats.G1;
  assert.deepEqual([ko_pct, metabolic_genes], [0, 0]);
  const row = made.genes_data[0];
  assert.deepEqual([row[8], row[14], row[16], row[22], row[23], row[28], row[36]], [0, -1, -1, 0, 0, 10, ""]);
});

Deno.test("a source of gene data that lacks a column counts for nothing", async () => {
  const schema = {
    gene_phenotype: "genome_id TEXT, gene_id TEXT, phenotype_id TEXT, fitness_match TEXT, fitness_avg REAL",
    genome_gene_reaction_essentially_test: "genome_id TEXT, gene_id TEXT, rich_media_flux REAL",
    genome_reaction: "genome_id TEXT, reaction_id TEXT",
    genome_phenotype: "genome_id TEXT, phenotype_id TEXT, class TEXT",
  };
  const made = await dashboardOf({
    user_feature: [feature("a")],
    gene_phenotype: [{ genome_id: USER, gene_id: "a", phenotype_id: "p", fitness_match: "has_score" }],
    genome_gene_reaction_essentially_test: [{ genome_id: USER, gene_id: "a", rich_media_flux: 1 }],
    genome_reaction: [{ genome_id: USER, reaction_id: "r" }],
    genome_phenotype: [{ genome_id: USER, phenotype_id: "p", class: "P" }],
  }, { schema });
  assert.deepEqual(made.genes_data[0].slice(29, 34), ["", -1, -1, -1, -1]);
  assert.deepEqual(made.genes_data[0].slice(37), [0, 0, -1, 0, -1]);
  assert.equal(made.reactions_data.reactions.r.directionality, "reversible");
  const { growth_phenotypes, phenotype_landscape } = made.summary_stats;
  assert.deepEqual([growth_phenotypes.positive_growth, phenotype_landscape], [1, null]);
});

Deno.test("LIKE ignores the case of ASCII only, and its underscore is one character of any kind", async () => {
  const idOf = async (...ids: string[]) =>
    (await dashboardOf({ genome: ids.map((genome) => ({ genome, kind: "clade" })) })).metadata.genome_id;
  assert.equal(await idOf("u\u017fer_x", "USER\u{10000}"), "USER\u{10000}");
  await assert.rejects(idOf("u\u017fer_x"), /Could not determine user genome ID from database/);
  const none = dashboardOf({ genome: [] }, { schema: { genome: null } });
  await assert.rejects(none, /Could not determine user genome ID from database/);
});

Deno.test("an identity of 0 is none, and that with itself says nothing", async () => {
  const ani = [{ genome1: USER, genome2: USER, ani: 100 }, { genome1: "G1", genome2: USER, ani: 0 }];
  const made = await dashboardOf({ ani, pangenome_feature: [member("G1", "k"), member("G2", "k")] });
  const { genome_metadata } = made.tree_data;
  assert.deepEqual([USER, "G1", "G2"].map((id) => genome_metadata[id].ani_to_user), [1, null, null]);
  assert.equal(made.summary_stats.comparison.closest_ani, 100);
});

Deno.test("an identity below 0 is one, and the largest of such is the closest", async () => {
  const ani = [{ genome1: USER, genome2: "G1", ani: -2 }, { genome1: "G2", genome2: USER, ani: -1 }];
  const made = await dashboardOf({ ani, pangenome_feature: [member("G1", "k")] });
  assert.equal(made.tree_data.genome_metadata.G1.ani_to_user, -2);
  assert.equal(made.summary_stats.comparison.closest_ani, -1);
});

Deno.test("phenotypes without a class leave the tree without them", async () => {
  const made = await dashboardOf({
    pangenome_feature: [member("G1", "k")],
    genome_phenotype: [{ genome_id: "G1", phenotype_id: "p" }],
  }, { schema: { genome_phenotype: "genome_id TEXT, phenotype_id TEXT" } });
  assert.equal("phenotype" in made.tree_data.genome_metadata.G1, false);
  assert.equal(made.summary_stats.growth_phenotypes, null);
});

Deno.test("NULL is one phenotype more, and one genome more that has a reaction, but no genome", async () => {
  const made = await dashboardOf({
    user_feature: [feature("a")],
    gene_phenotype: ["p", null, null].map((phenotype_id) => ({
      genome_id: USER,
      gene_id: "a",
      phenotype_id,
    })),
    genome_reaction: [USER, null, null, "G1", "G2"].map((genome_id) => ({
      genome_id,
      reaction_id: genome_id === "G2" ? "other" : "r",
    })),
  }, {
    schema: {
      gene_phenotype: without("gene_phenotype").replaceAll(" NOT NULL", "").replace(/,\s*PRIMARY KEY.*/s, ""),
      genome_reaction: without("genome_reaction").replace(/,\s*PRIMARY KEY.*/s, ""),
    },
  });
  assert.equal(made.genes_data[0][37], 2);
  assert.equal(made.reactions_data.n_genomes, 3);
  assert.equal(made.reactions_data.reactions.r.conservation, 1);
});

Deno.test("a gene id that repeats keeps its first place among those that hold a name, and means its last row", async () => {
  const made = await dashboardOf({
    user_feature: [
      feature("xab", { start: 1 }),
      feature("yab", { start: 2 }),
      feature("xab", { start: 3, contig: "c2" }),
    ],
    genome_reaction: [{ genome_id: USER, reaction_id: "r", genes: "ab or xab" }],
  });
  assert.deepEqual(made.reactions_data.gene_index, { ab: [2, 1], xab: [2] });
});

Deno.test("ontology columns are known by their exact short name, but the tree names them as SQL does", async () => {
  const schema = { user_feature: SCHEMA.user_feature!.replace("ontology_KEGG", "ontology_kegg") };
  const made = await dashboardOf({
    user_feature: [feature("a", { ontology_kegg: "K1", pangenome_cluster: "k" })],
    pangenome_feature: [member("G1", "k", { ontology_KEGG: "K1" })],
  }, { schema });
  assert.deepEqual([made.genes_data[0][8], made.genes_data[0][14]], [0, -1]);
  assert.equal(made.tree_data.genome_stats[USER].ko_pct, 1);
});

Deno.test("a tree of more genomes than can be compared is refused by their number", async () => {
  const pangenome_feature = Array.from({ length: 4_000 }, (_, index) => member(`G${index}`, "k"));
  await assert.rejects(dashboardOf({ pangenome_feature }), /at most 4000: there are 4001/);
});
