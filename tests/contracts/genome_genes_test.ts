/** genes_data.json, rule by rule, from databases made for each. */
import assert from "node:assert/strict";
import { dashboardOf, feature, type Made, member, USER } from "../support/genome_database.ts";
import type { Rows } from "../fixtures/genome/database.ts";

const FIELDS: Readonly<Record<string, number>> = Object.fromEntries(
  ("ID FID LENGTH START STRAND CONS_FRAC PAN_CAT FUNC N_KO N_COG N_PFAM N_GO LOC RAST_CONS KO_CONS GO_CONS EC_CONS AVG_CONS " +
    "BAKTA_CONS EC_AVG_CONS SPECIFICITY IS_HYPO HAS_NAME N_EC AGREEMENT CLUSTER_SIZE N_MODULES EC_MAP_CONS PROT_LEN REACTIONS " +
    "RICH_FLUX RICH_CLASS MIN_FLUX MIN_CLASS PSORTB_NEW ESSENTIALITY GENE_NAME N_PHENOTYPES N_FITNESS FITNESS_AVG " +
    "N_FITNESS_AGREE FITNESS_AGREE_PCT").split(" ").map((name, index) => [name, index]),
);

/** One value of each gene, in row order. */
function column(made: Made, name: string): unknown[] {
  return made.genes_data.map((row: unknown[]) => row[FIELDS[name]!]);
}

async function columnOf(name: string, rows: Rows): Promise<unknown[]> {
  return column(await dashboardOf(rows), name);
}

Deno.test("genes are those of type gene of the user genome, by start, id and contig", async () => {
  const made = await dashboardOf({
    user_feature: [
      feature("b", { start: 5, strand: "-" }),
      feature("x", { type: "CDS", start: 0 }),
      feature("Z", { start: 5, contig: "c2" }),
      feature("b", { start: 5, contig: "c0", length: 9, strand: "." }),
      feature("\u{10000}", { start: 7 }),
      feature("\uffff", { start: 7 }),
      feature("other", { genome: "user_B" }),
    ],
  });
  assert.deepEqual(column(made, "FID"), ["Z", "b", "b", "\uffff", "\u{10000}"]);
  assert.deepEqual(column(made, "ID"), [0, 1, 2, 3, 4]);
  assert.deepEqual(column(made, "LENGTH"), [300, 9, 300, 300, 300]);
  assert.deepEqual(column(made, "STRAND"), [1, 0, 0, 1, 1]);
  assert.equal(made.genes_data[0].length, 42);
});

Deno.test("clusters of a gene are cut at semicolons and the last colon, and the best of them counts", async () => {
  const pangenome_feature = [
    member("G1", "k:1"),
    member("G1", "k:1", { is_core: 1 }),
    member("G2", "k:1"),
    member("G2", ""),
    member("G3", "m"),
    member("G4", null),
  ];
  const made = await dashboardOf({
    user_feature: [
      feature("a", { start: 1, pangenome_cluster: " k:1:6 ; m:2" }),
      feature("b", { start: 2, pangenome_cluster: "k:1" }),
      feature("c", { start: 3, pangenome_cluster: ":7", pangenome_is_core: 1 }),
      feature("d", { start: 4, pangenome_cluster: " \u001c; " }),
      feature("e", { start: 5, pangenome_cluster: "m; k:1:9", pangenome_is_core: 0 }),
      feature("f", { start: 6, pangenome_cluster: "m", pangenome_is_core: "None" }),
      feature("g", { start: 7, pangenome_cluster: "nowhere" }),
    ],
    pangenome_feature,
  });
  assert.deepEqual(column(made, "CONS_FRAC"), [0.5, 0, 0.25, 0, 0.5, 0.25, 0]);
  assert.deepEqual(column(made, "PAN_CAT"), [2, 1, 2, 0, 1, 1, 1]);
  assert.deepEqual(column(made, "CLUSTER_SIZE"), [3, 0, 1, 0, 3, 1, 0]);
  assert.deepEqual(column(made, "SPECIFICITY").map((value) => value === -1), [
    false,
    false,
    false,
    true,
    false,
    false,
    false,
  ]);
});

Deno.test("shares are rounded with ties to the even digit", async () => {
  const pangenome_feature = Array.from(
    { length: 32 },
    (_, index) => member(`G${index}`, index === 0 ? "one" : index < 4 ? "three" : "x"),
  );
  const user_feature = [
    feature("a", { start: 1, pangenome_cluster: "one" }),
    feature("b", { start: 2, pangenome_cluster: "three" }),
  ];
  assert.deepEqual(await columnOf("CONS_FRAC", { user_feature, pangenome_feature }), [0.0312, 0.0938]);
});

Deno.test("functions fall back from RAST to Bakta to hypothetical, and stay untrimmed", async () => {
  const texts: [string | null, string | null, string | null, number, number][] = [
    [" Kinase ", "kinase", null, 0, 2],
    [" Kinase", "Kinase\u0085", null, 0, 3],
    ["\u001f", " Lyase", null, 0, 1],
    [null, null, "K1", 1, 1],
    [null, "Lyase", "K1", 0, 2],
    [null, " ", null, 1, 0],
    ["fig|83333.1: Hypothetical protein", "HYPOTHETICAL PROTEIN ", null, 1, 0],
    ["\ufeff", null, null, 0, 1],
  ];
  const made = await dashboardOf({
    user_feature: texts.map(([ontology_RAST, ontology_bakta_product, ontology_KEGG], index) =>
      feature(`g${index}`, { start: index, ontology_RAST, ontology_bakta_product, ontology_KEGG })
    ),
  });
  const [rast, bakta] = [texts.map(([one]) => one), texts.map(([, one]) => one)];
  const none = "hypothetical protein";
  assert.deepEqual(column(made, "FUNC"), [
    rast[0],
    rast[1],
    bakta[2],
    none,
    bakta[4],
    none,
    rast[6],
    "\ufeff",
  ]);
  assert.deepEqual(column(made, "IS_HYPO"), texts.map(([, , , hypothetical]) => hypothetical));
  assert.deepEqual(column(made, "AGREEMENT"), texts.map(([, , , , agreement]) => agreement));
});

Deno.test("terms are the parts between semicolons that are not blank", async () => {
  const made = await dashboardOf({
    user_feature: [feature("a", {
      ontology_KEGG: "K1; K2;; \u2003;",
      ontology_COG: "COG0527; E",
      ontology_PFAM: "",
      ontology_GO: ";",
      ontology_EC: "1.1.1.1",
    })],
  });
  assert.deepEqual(["N_KO", "N_COG", "N_PFAM", "N_GO", "N_EC"].map((name) => column(made, name)[0]), [
    2,
    2,
    0,
    0,
    1,
  ]);
});

Deno.test("places in the cell are known by their exact names", async () => {
  const names = [
    "Cytoplasmic",
    "CytoMembrane",
    "CytoplasmicMembrane",
    "Cytoplasmic Membrane",
    "Periplasmic",
    "OuterMembrane",
    "Outer Membrane",
    "Extracellular",
    "cytoplasmic",
    "",
    null,
    " Cytoplasmic",
    "toString",
  ];
  const made = await dashboardOf({
    user_feature: names.map((ontology_primary_localization_psortb, start) =>
      feature(`g${start}`, {
        start,
        ontology_primary_localization_psortb,
        ontology_secondary_localization_psortb: "Periplasmic",
      })
    ),
  });
  assert.deepEqual(column(made, "LOC"), [0, 1, 1, 1, 2, 3, 3, 4, 5, 5, 5, 5, 5]);
  assert.deepEqual(new Set(column(made, "PSORTB_NEW")), new Set([2]));
});

Deno.test("consistency compares raw texts within each cluster, and takes the best", async () => {
  const made = await dashboardOf({
    user_feature: [
      feature("a", {
        start: 1,
        pangenome_cluster: "k; m",
        ontology_RAST: "X",
        ontology_KEGG: "K1; K2",
        ontology_GO: " ",
        ontology_EC: "",
      }),
      feature("b", { start: 2, pangenome_cluster: "k", ontology_RAST: "Y", ontology_KEGG: "K2; K1" }),
      feature("c", { start: 3, pangenome_cluster: "none", ontology_RAST: "X" }),
    ],
    pangenome_feature: [
      member("G1", "k", {
        ontology_RAST: "X",
        ontology_KEGG: "K1; K2",
        ontology_GO: " ",
        ontology_EC: "1.1",
      }),
      member("G2", "k", { ontology_RAST: "Y", ontology_KEGG: "K2; K1" }),
      member("G3", "k", { ontology_RAST: " ", ontology_KEGG: "" }),
      member("G3", "m", { ontology_RAST: "x" }),
    ],
  });
  assert.deepEqual(column(made, "RAST_CONS"), [0.3333, 0.3333, -1]);
  assert.deepEqual(column(made, "KO_CONS"), [0.5, 0.5, -1]);
  assert.deepEqual(column(made, "GO_CONS"), [-1, -1, -1]);
  assert.deepEqual(column(made, "EC_CONS"), [-1, -1, -1]);
  assert.deepEqual(column(made, "EC_AVG_CONS"), [-1, -1, -1]);
  assert.deepEqual(column(made, "AVG_CONS"), [0.4166, 0.4166, -1]);
});

Deno.test("specificity is the best evidence, raised by EC in the words and capped by vague ones", async () => {
  const cases: [string, Record<string, string>, number][] = [
    ["Hypothetical protein ", { ontology_EC: "1" }, 0],
    ["Kinase", {}, 0.3],
    ["Kinase", { ontology_PFAM: "P" }, 0.4],
    ["Kinase", { ontology_GO: "G" }, 0.5],
    ["Kinase", { aliases: ";", ontology_COG: "C" }, 0.6],
    ["YjeC homolog", { ontology_KEGG: "K" }, 0.8],
    ["Kinase (EC 1.1)", { ontology_EC: "E" }, 1],
    ["Conserved protein of unknown function", { ontology_EC: "E" }, 0.2],
    ["DUF12 protein", { ontology_EC: "E" }, 0.3],
    ["Putative kinase", { ontology_EC: "E" }, 0.5],
    ["Putative kinase", { ontology_PFAM: "P" }, 0.4],
  ];
  const user_feature = cases.map(([ontology_RAST, evidence], start) =>
    feature(`g${start}`, { start, pangenome_cluster: "k", ontology_RAST, ...evidence })
  );
  assert.deepEqual(await columnOf("SPECIFICITY", { user_feature }), cases.map(([, , wanted]) => wanted));
});

Deno.test("proteins shorter than eleven letters give way to a third of the length", async () => {
  const user_feature = [
    feature("a", { start: 1, protein_sequence: "\u{10000}".repeat(10) + "A" }),
    feature("b", { start: 2, protein_sequence: "ABCDEFGHIJ", length: 302 }),
    feature("c", { start: 3, length: 0 }),
    feature("d", { start: 4, length: null }),
  ];
  assert.deepEqual(await columnOf("PROT_LEN", { user_feature }), [11, 100, 0, 0]);
});

Deno.test("gene names are the first alias of three letters that is no accession", async () => {
  const aliases = [
    "alias:GeneID:1;alias:ab;alias: thrL ;alias:b0001",
    "NP_1;WP_2;YP_3;ECK4;JW5;EcoGene6;GeneID7",
    "alias:ab;cd",
    "g3; alias:alias:x; xyz",
    null,
  ];
  const user_feature = aliases.map((one, start) => feature(`g${start}`, { start, aliases: one }));
  const made = await dashboardOf({ user_feature });
  assert.deepEqual(column(made, "GENE_NAME"), ["thrL", "", "ab", "xyz", ""]);
  assert.deepEqual(column(made, "HAS_NAME"), [1, 1, 1, 1, 0]);
});

Deno.test("fluxes take the largest value and the last class of the alphabet over a gene's rows", async () => {
  const row = (gene_id: string, flux: number | null, rich: string | null) => ({
    genome_id: USER,
    gene_id,
    rich_media_flux: flux,
    rich_media_class: rich,
    minimal_media_flux: -2,
    minimal_media_class: "reverse_only",
  });
  const made = await dashboardOf({
    user_feature: ["a", "b", "c", "d"].map((id, start) => feature(id, { start })),
    genome_gene_reaction_essentially_test: [
      row("a", 0.0078125, "essential"),
      row("a", null, "variable"),
      row("a", -1, "blocked"),
      row("b", null, null),
      row("c", Infinity, "blocked"),
      { ...row("d", 5, "essential"), genome_id: "other" },
    ],
  });
  assert.deepEqual(column(made, "RICH_FLUX"), [0.0078125, -1, null, -1]);
  assert.deepEqual(column(made, "RICH_CLASS"), [1, -1, 2, -1]);
  assert.deepEqual(column(made, "MIN_FLUX"), [-2, -2, -2, -1]);
  assert.deepEqual(column(made, "MIN_CLASS"), [1, 1, 1, -1]);
  assert.deepEqual(column(made, "ESSENTIALITY"), [0.5, 0, 0, -1]);
});

Deno.test("phenotypes count what has a score, and where fitness and essentiality agree", async () => {
  const row = (phenotype_id: string, match: string, average: number | null, essential: number | null) => ({
    genome_id: USER,
    gene_id: "a",
    phenotype_id,
    fitness_match: match,
    fitness_avg: average,
    essentiality_fraction: essential,
  });
  const made = await dashboardOf({
    user_feature: [feature("a"), feature("b", { start: 2 })],
    gene_phenotype: [
      row("p1", "has_score", -0.5, 0.1),
      row("p2", "has_score", 0.25, null),
      row("p3", "has_score", null, 0.2),
      row("p4", "no_score_for_gene_phenotype", -3, 1),
    ],
  });
  const names = ["N_PHENOTYPES", "N_FITNESS", "FITNESS_AVG", "N_FITNESS_AGREE", "FITNESS_AGREE_PCT"];
  assert.deepEqual(names.map((name) => column(made, name)), [[4, 0], [3, 0], [-0.125, -1], [2, 0], [
    0.6667,
    -1,
  ]]);
});

Deno.test("reactions find genes by whole ids first, and cut only what is no id", async () => {
  const reaction = (reaction_id: string | null, genes: string | null) => ({
    genome_id: USER,
    reaction_id,
    genes,
  });
  const made = await dashboardOf({
    user_feature: ["fig|1.2.peg.4", "b0001", "b00", "X.CDS.12", "and", "a"].map((id, start) =>
      feature(id, { start })
    ),
    genome_reaction: [
      reaction("rxn2", "(fig|1.2.peg.4 or b0001)AND X.CDS.12"),
      reaction("rxn1", "b0001 OR b0001"),
      reaction("rxn3", "b0001|b00 a"),
      reaction(null, "b0001"),
      reaction("rxn4", "CDS fig|9"),
      reaction("rxn5", null),
    ],
  });
  assert.deepEqual(column(made, "REACTIONS"), ["rxn2", "rxn1;rxn2;rxn3", "rxn3", "rxn2", "", "rxn3"]);
  const index = made.reactions_data.gene_index;
  assert.deepEqual(index, { "fig|1.2.peg.4": [0], b0001: [1], "X.CDS.12": [3], b00: [2], a: [5], CDS: [3] });
});
