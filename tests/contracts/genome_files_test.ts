/** The other five files of a genome dashboard, rule by rule, from databases made for each. */
import assert from "node:assert/strict";
import { dashboardOf, feature, member, USER } from "../support/genome_database.ts";

const SPECIES = "d__Bacteria;s__Escherichia coli";

Deno.test("the user genome is the first of kind user, else the first by key that looks like one, else an error", async () => {
  const idOf = async (genome: Record<string, string | null>[], schema = {}) =>
    (await dashboardOf({ genome }, { schema })).metadata.genome_id;
  assert.equal(await idOf([{ genome: "z", kind: "user" }, { genome: "a", kind: "user" }]), "z");
  assert.equal(
    await idOf([{ genome: "user_b", kind: "clade" }, { genome: "Users1", kind: "clade" }]),
    "Users1",
  );
  assert.equal(await idOf([{ genome: "user_b" }, { genome: "user_a" }], { genome: "genome TEXT" }), "user_b");
  await assert.rejects(
    idOf([{ genome: "user", kind: "clade" }]),
    /Could not determine user genome ID from database/,
  );
});

Deno.test("metadata prefers NCBI for the organism and GTDB for the taxonomy", async () => {
  const made = await dashboardOf({
    genome: [{ genome: USER, kind: "user", gtdb_taxonomy: "d__B;s__", ncbi_taxonomy: "x; s__A  b ;s__" }],
    user_feature: [feature("a"), feature("b", { type: "rna", contig: "" })],
    pangenome_feature: [member("G1", "k"), member("G1", "m"), member("G2", null)],
  });
  assert.deepEqual(made.metadata, {
    organism: "A  b",
    genome_id: USER,
    pangenome_id: "",
    genome_assembly: "Unknown",
    n_ref_genomes: 2,
    n_genes: 1,
    n_contigs: 2,
    taxonomy: "d__B;s__",
    database_type: "GenomeDataLakeTables",
  });
});

Deno.test("an untold taxonomy is that of the pangenome's genome, else of a clade member, else the id is the name", async () => {
  const organism = async (genome: Record<string, string | null>[], pangenomeId: string) => {
    const own = { genome: "user_E_K12_K12x_RAST", kind: "user", ncbi_taxonomy: "" };
    return (await dashboardOf({ genome: [own, ...genome] }, { pangenomeId })).metadata.organism;
  };
  const clade = { genome: "C", kind: "clade_member", gtdb_taxonomy: "s__Clade" };
  assert.equal(
    await organism([clade, { genome: "P", kind: "clade", ncbi_taxonomy: "s__Named" }], "P"),
    "Named",
  );
  assert.equal(await organism([clade, { genome: "P", kind: "clade" }], "P"), "Clade");
  assert.equal(await organism([], ""), "E K-12 K12x");
  const old = await dashboardOf({ genome: [{ genome: USER }] }, {
    schema: { genome: "genome TEXT, gtdb_taxonomy TEXT" },
  });
  assert.equal(old.metadata.taxonomy, "Unknown");
});

Deno.test("the tree of one genome is a short form, also without a pangenome table", async () => {
  const made = await dashboardOf(
    {
      user_feature: [
        feature("a", { pangenome_cluster: "k; m" }),
        feature("r", { type: "rna", pangenome_cluster: "n" }),
      ],
    },
    { schema: { pangenome_feature: null } },
  );
  assert.deepEqual(made.tree_data, {
    genome_ids: [USER],
    user_genome_id: USER,
    stats: { n_genomes: 1, n_clusters: 3 },
  });
  assert.equal(made.genes_data[0][6], 1);
});

Deno.test("the tree joins what shares most, and ties come out as the nearest-neighbour chain finds them", async () => {
  const made = await dashboardOf({
    user_feature: [feature("a", { pangenome_cluster: "k;m" })],
    pangenome_feature: [
      ...["k", "m"].map((cluster) => member("G3", cluster)),
      ...["x", "y"].map((cluster) => member("G2", cluster)),
      ...["x", "y"].map((cluster) => member("G1", cluster)),
      member("G0", null),
    ],
  });
  const { linkage, genome_ids, leaf_order, stats } = made.tree_data;
  assert.deepEqual(genome_ids, [USER, "G1", "G2", "G3"]);
  assert.deepEqual(linkage, [[0, 3, 0, 2], [1, 2, 0, 2], [4, 5, 1, 4]]);
  assert.deepEqual(leaf_order, [USER, "G3", "G1", "G2"]);
  assert.deepEqual(stats, { n_genomes: 4, n_clusters: 4, n_reference: 3, max_distance: 1, min_distance: 0 });
});

Deno.test("the tree tells of each genome what its rows say, with gaps where they say nothing", async () => {
  const made = await dashboardOf({
    genome: [
      { genome: USER, kind: "user", size: null },
      {
        genome: "G1",
        kind: "clade",
        size: 9,
        ncbi_taxonomy: `${SPECIES};g__ ;f __Family;s__Later`,
        checkm_completeness: 99.125,
        checkm_contamination: "n/a",
      },
    ],
    ani: [{ genome1: USER, genome2: "G1", ani: 97.28125 }, { genome1: "G1", genome2: USER, ani: 98.5 }],
    user_feature: [
      feature("a", { pangenome_cluster: "k", pangenome_is_core: 1, ontology_KEGG: "K", ontology_EC: " " }),
      feature("b", { start: 2, contig: "" }),
      feature("r", { type: "rna", pangenome_cluster: "u", pangenome_is_core: 1, contig: "c9" }),
      feature("o", { genome: "user_B", pangenome_cluster: "foreign", pangenome_is_core: 1 }),
    ],
    pangenome_feature: [
      member("G1", "k", { is_core: 1, ontology_EC: "1" }),
      member("G1", "m", { contig: "" }),
      member("G2", null, { is_core: 1 }),
      member("G2", "m"),
    ],
    genome_phenotype: ["P", "N", "CP"].map((one, index) => ({
      genome_id: "G1",
      phenotype_id: `p${index}`,
      class: one,
    })),
  });
  const { genome_metadata, genome_stats } = made.tree_data;
  assert.deepEqual(genome_metadata[USER], {
    taxonomy: "Unknown",
    tax: {},
    gtdb_tax: {},
    n_features: null,
    ani_to_user: 1,
    kind: "user",
  });
  assert.deepEqual(genome_metadata.G1, {
    taxonomy: `${SPECIES};g__ ;f __Family;s__Later`,
    tax: { domain: "Bacteria", species: "Later", family: "Family" },
    gtdb_tax: {},
    n_features: 9,
    ani_to_user: 98.5,
    kind: "clade",
    checkm_completeness: 99.12,
    phenotype: { positive_growth: 1, negative_growth: 1, total: 3 },
  });
  assert.deepEqual(genome_metadata.G2, {
    taxonomy: "Unknown",
    tax: {},
    gtdb_tax: {},
    n_features: 0,
    ani_to_user: null,
  });
  const stats = (id: string) => Object.values(genome_stats[id]);
  assert.deepEqual(Object.keys(genome_stats.G1), [
    "n_genes",
    "n_clusters",
    "core_pct",
    "n_contigs",
    "missing_core",
    "ko_pct",
    "metabolic_genes",
  ]);
  assert.deepEqual(stats(USER), [2, 2, 0.5, 1, 2, 0.5, 1]);
  assert.deepEqual(stats("G1"), [2, 2, 0.5, 1, 3, 0, 1]);
  assert.deepEqual(stats("G2"), [2, 1, 0.5, 1, 4, 0, 0]);
});

Deno.test("a user genome that the pangenome table knows has the clusters it says", async () => {
  const made = await dashboardOf({
    user_feature: [feature("a", { pangenome_cluster: "own" })],
    pangenome_feature: [member(USER, "k"), member("G1", "k")],
  });
  assert.deepEqual(made.tree_data.genome_ids, [USER, "G1"]);
  assert.equal(made.tree_data.linkage[0][2], 0);
  assert.equal(made.tree_data.stats.n_clusters, 1);
});

Deno.test("a user genome that is alone in the pangenome table has as many clusters as its features say", async () => {
  const made = await dashboardOf({
    user_feature: [feature("a", { pangenome_cluster: "k;m" })],
    pangenome_feature: [member(USER, "k")],
  });
  assert.deepEqual(made.tree_data.stats, { n_genomes: 1, n_clusters: 2 });
});

Deno.test("reactions have defaults for what is empty, and their flux is rounded to six digits", async () => {
  const schema = {
    genome_reaction:
      "genome_id TEXT, reaction_id TEXT, genes TEXT, rich_media_flux REAL, rich_media_class TEXT",
  };
  const row = (genome_id: string, reaction_id: string | null, flux: number | null, rich: string | null) => ({
    genome_id,
    reaction_id,
    rich_media_flux: flux,
    rich_media_class: rich,
  });
  const made = await dashboardOf({
    genome_reaction: [
      row(USER, "r1", 1, "x"),
      row(USER, "__proto__", 0.0078125, "non_essential_x"),
      row(USER, "r1", -0.0078125, ""),
      row(USER, null, 1, "x"),
      row("G1", "r1", 1, "x"),
      row("G2", "r1", 1, "x"),
    ],
  }, { schema });
  const { reactions, stats, n_genomes, user_genome } = made.reactions_data;
  assert.deepEqual([user_genome, n_genomes, Object.keys(reactions)], [USER, 3, ["r1", "__proto__"]]);
  assert.deepEqual(reactions.r1, {
    genes: "",
    equation: "",
    equation_ids: "",
    directionality: "reversible",
    gapfilling: "none",
    conservation: 1,
    flux_rich: -0.007812,
    flux_min: 0,
    class_rich: "blocked",
    class_min: "blocked",
  });
  assert.deepEqual(Object.values(stats), [2, 1, 0, 1, 0, 1, 2]);
  assert.deepEqual(made.summary_stats.reactions, { total_reactions: 4, gapfilled_reactions: 0 });
});

Deno.test("a missing table leaves its part of the summary out", async () => {
  const schema = { genome_reaction: null, genome_phenotype: null, ani: null, gene_phenotype: null };
  const made = await dashboardOf({
    user_feature: [
      feature("a", { pangenome_is_core: 1 }),
      feature("r", { type: "rna", pangenome_is_core: 0 }),
    ],
  }, { schema });
  assert.deepEqual(made.summary_stats, {
    gene_categories: { total_genes: 1, core_genes: 1, accessory_genes: 1, unknown_genes: -1 },
    growth_phenotypes: null,
    comparison: { n_reference_genomes: 0, closest_ani: null },
    reactions: null,
    phenotype_landscape: null,
  });
  assert.deepEqual(made.reactions_data, {
    user_genome: USER,
    n_genomes: 0,
    reactions: {},
    gene_index: {},
    stats: {},
  });
});

Deno.test("the landscape of phenotypes is per genome, and may borrow the accuracy of the most similar reference", async () => {
  const row = (
    genome_id: string,
    id: number,
    one: string | null,
    gap_count: number | null,
    observed_objective: number | null = null,
  ) => ({
    genome_id,
    phenotype_id: `p${id}`,
    class: one,
    gap_count,
    observed_objective,
  });
  const rows = {
    genome_phenotype: [
      row(USER, 1, "P", 1),
      row(USER, 2, "N", 0),
      row(USER, 3, "P", null),
      row("E", 1, "CP", null, 0.5),
    ],
    ani: [{ genome1: "G1", genome2: USER, ani: 99.99995 }],
  };
  const entries = [
    { id: "E", positive: 0, negative: 0, total: 1, avg_gaps: 0, no_gap_pct: 0, accuracy: 1 },
    { id: USER, positive: 2, negative: 1, total: 3, avg_gaps: 0.5, no_gap_pct: 0.3333, accuracy: null },
  ];
  const alone = (await dashboardOf(rows)).summary_stats;
  assert.deepEqual(alone.growth_phenotypes, { positive_growth: 2, negative_growth: 1, total_phenotypes: 3 });
  assert.equal(alone.comparison.closest_ani, 99.9999);
  assert.deepEqual(alone.phenotype_landscape, { genomes: entries, user_genome_id: USER, has_accuracy: true });

  const reference = {
    phenotypeIds: ["p1", "p2", "p3", "p4"],
    genomes: [
      { id: "zero", accuracy: 0.9, vector: [0, 0, 0, 0] },
      { id: "best", accuracy: null, vector: [1, 1, 1, 0] },
      { id: "twin", accuracy: 0.5, vector: [1, 1, 1, 0] },
    ],
  };
  const { phenotype_landscape: given } = (await dashboardOf(rows, { reference })).summary_stats;
  assert.deepEqual(given, {
    genomes: [entries[0], {
      ...entries[1],
      accuracy: null,
      closest_experimental: "best",
      jaccard_similarity: 0.6667,
    }],
    user_genome_id: USER,
    reference_accuracies: [{ id: "zero", accuracy: 0.9 }, { id: "twin", accuracy: 0.5 }],
    has_accuracy: true,
  });
  const short = {
    ...reference,
    genomes: [...reference.genomes, { id: "short", accuracy: 0.1, vector: [1] }],
  };
  const { genomes } = (await dashboardOf(rows, { reference: short })).summary_stats.phenotype_landscape;
  assert.deepEqual([genomes[1].closest_experimental, genomes[1].jaccard_similarity], ["short", 1]);
});

Deno.test("reference genomes are sorted by code point, with defaults for what is null or missing", async () => {
  const made = await dashboardOf(
    { genome: [{ genome: "\u{10000}" }, { genome: "\uffff" }, { genome: USER }] },
    { schema: { genome: "genome TEXT PRIMARY KEY, ncbi_taxonomy TEXT" } },
  );
  assert.deepEqual(made.ref_genomes_data.map((genome: { genome_id: string }) => genome.genome_id), [
    USER,
    "\uffff",
    "\u{10000}",
  ]);
  assert.deepEqual(made.ref_genomes_data[0], {
    genome_id: USER,
    kind: "unknown",
    gtdb_taxonomy: "",
    ncbi_taxonomy: "",
    size: 0,
    checkm_completeness: null,
    checkm_contamination: null,
  });
});

Deno.test("a database of an older shape works, or is refused by the name of what it lacks", async () => {
  const first = {
    user_feature:
      "genome TEXT, contig TEXT, feature_id TEXT, length INTEGER, start INTEGER, strand TEXT, type TEXT, pangenome_cluster TEXT, pangenome_is_core INTEGER",
    pangenome_feature:
      "genome TEXT, contig TEXT, feature_id TEXT, pangenome_cluster TEXT, pangenome_is_core INTEGER",
  };
  const made = await dashboardOf({
    user_feature: [feature("a", { pangenome_cluster: "k" })],
    pangenome_feature: [{
      genome: "G1",
      contig: "c",
      feature_id: "f",
      pangenome_cluster: "k",
      pangenome_is_core: 1,
    }],
  }, { schema: first });
  assert.equal(made.genes_data[0][6], 2);
  assert.equal(made.tree_data.genome_stats.G1.core_pct, 1);
  await assert.rejects(
    dashboardOf({}, { schema: { user_feature: null } }),
    /must have table user_feature: there is none/,
  );
  await assert.rejects(
    dashboardOf({}, { schema: { user_feature: "genome TEXT" } }),
    /must have column user_feature\.contig/,
  );
  await assert.rejects(
    dashboardOf({ user_feature: [feature("a", { start: "late" })] }),
    /only numbers in user_feature\.start: it is one with a text there in row 1/,
  );
});
