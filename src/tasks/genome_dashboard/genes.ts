import type { GeneFlux } from "./essentiality.ts";
import { NO_FLUX } from "./essentiality.ts";
import type { Feature } from "./features.ts";
import { type GenePhenotypes, NO_PHENOTYPES } from "./gene_phenotypes.ts";
import { geneName, isHypothetical, localisation, specificity } from "./gene_words.ts";
import type { Json } from "./json.ts";
import { type Cluster, COMPARED, type Pangenome } from "./pangenome.ts";
import { round4 } from "./rounding.ts";
import { isBlank, partsOf, trim } from "./text.ts";

/** What the row of a gene is made from, besides the gene itself. */
export interface GeneTables {
  readonly pangenome: Pangenome;
  /** The ids of its reactions, by gene, sorted. */
  readonly reactions: ReadonlyMap<string, readonly string[]>;
  readonly fluxes: ReadonlyMap<string, GeneFlux>;
  readonly phenotypes: ReadonlyMap<string, GenePhenotypes>;
}

/** The rows of genes_data.json: 42 values for each gene, in the order that consumers count on. */
export function geneRows(genes: readonly Feature[], tables: GeneTables): Json[] {
  return genes.map((gene, index) => geneRow(gene, index, tables));
}

function geneRow(gene: Feature, index: number, tables: GeneTables): Json {
  const { ontology, aliases } = gene;
  const clusters = gene.clusters.map((id) => tables.pangenome.clusters.get(id)!);
  const func = functionOf(gene);
  const flux = tables.fluxes.get(gene.id) ?? NO_FLUX;
  const phenotypes = tables.phenotypes.get(gene.id) ?? NO_PHENOTYPES;
  const scores = COMPARED.map((source, place) =>
    consistencyOf(ontology[source], place, clusters, tables.pangenome)
  );
  const [rast, kegg, go, ec, bakta] = scores;
  return [
    index,
    gene.id,
    gene.length,
    gene.start,
    gene.strand === "+" ? 1 : 0,
    conservation(clusters, tables.pangenome.members.size),
    category(gene, clusters),
    func,
    partsOf(ontology.KEGG).length,
    partsOf(ontology.COG).length,
    partsOf(ontology.PFAM).length,
    partsOf(ontology.GO).length,
    localisation(ontology.primary_localization_psortb),
    rast!,
    kegg!,
    go!,
    ec!,
    average(scores),
    bakta!,
    ec!,
    gene.clusters.length === 0 ? -1 : round4(specificity(func, evidenceOf(gene))),
    isHypothetical(ontology.RAST) && isHypothetical(ontology.bakta_product) ? 1 : 0,
    isBlank(aliases) ? 0 : 1,
    partsOf(ontology.EC).length,
    agreementOf(gene),
    Math.max(0, ...clusters.map(({ rows }) => rows)),
    0,
    -1,
    proteinLength(gene),
    (tables.reactions.get(gene.id) ?? []).join(";"),
    flux.richFlux,
    flux.richClass,
    flux.minimalFlux,
    flux.minimalClass,
    localisation(ontology.secondary_localization_psortb),
    flux.essentiality,
    geneName(aliases, gene.id),
    phenotypes.phenotypes,
    phenotypes.fitness,
    phenotypes.fitnessAverage,
    phenotypes.agree,
    phenotypes.agreeShare,
  ];
}

function functionOf({ ontology: { RAST, bakta_product } }: Feature): string {
  if (!isBlank(RAST)) return RAST!;
  return isBlank(bakta_product) ? "hypothetical protein" : bakta_product!;
}

function evidenceOf({ ontology, aliases }: Feature) {
  return {
    ec: ontology.EC,
    kegg: ontology.KEGG,
    aliases,
    cog: ontology.COG,
    go: ontology.GO,
    pfam: ontology.PFAM,
  };
}

/** The share of genomes that hold the best-known of the gene's clusters. */
function conservation(clusters: readonly Cluster[], genomes: number): number {
  if (clusters.length === 0 || genomes === 0) return 0;
  return round4(Math.max(...clusters.map((cluster) => cluster.genomes)) / genomes);
}

/** 0 in no cluster, 1 accessory, 2 core; the gene's own flag decides where it has one. */
function category({ clusters: ids, isCore }: Feature, clusters: readonly Cluster[]): number {
  if (ids.length === 0) return 0;
  if (isCore === 1) return 2;
  if (isCore === 0) return 1;
  return clusters.some((cluster) => cluster.isCore) ? 2 : 1;
}

/** The best share, over the gene's clusters, of members whose raw text is the same as the gene's; -1 for none. */
function consistencyOf(
  value: string | null,
  source: number,
  clusters: readonly Cluster[],
  { values }: Pangenome,
): number {
  if (value === null || value === "" || isBlank(value)) return -1;
  const number = values.get(value)!;
  let best = -1;
  for (const { agreement } of clusters) {
    const found = agreement[source]!;
    if (found === null || found.withValue === 0) continue;
    best = Math.max(best, found.equal[found.values.indexOf(number)]! / found.withValue);
  }
  return best === -1 ? -1 : round4(best);
}

function average(scores: readonly number[]): number {
  const known = scores.filter((score) => score >= 0);
  return known.length === 0 ? -1 : round4(known.reduce((a, b) => a + b) / known.length);
}

/** How far two sources agree on the function: 0 both know nothing, 1 one does, 2 both differ, 3 the same words. */
function agreementOf({ ontology: { RAST, bakta_product, KEGG } }: Feature): number {
  const baktaKnows = !isHypothetical(bakta_product);
  if (isBlank(RAST)) return (KEGG === null || KEGG === "" ? 0 : 1) + (baktaKnows ? 1 : 0);
  const known = (isHypothetical(RAST) ? 0 : 1) + (baktaKnows ? 1 : 0);
  if (known < 2) return known;
  return trim(RAST!) === trim(bakta_product!) ? 3 : 2;
}

function proteinLength({ proteinLetters, length }: Feature): number {
  return proteinLetters > 10 ? proteinLetters : Math.floor((length ?? 0) / 3);
}
