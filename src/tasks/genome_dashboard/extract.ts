import type { ForeignDatabase } from "../../core/host.ts";
import { readIdentity } from "./ani.ts";
import { readGeneFluxes } from "./essentiality.ts";
import { type Features, readFeatures } from "./features.ts";
import { readGenePhenotypes } from "./gene_phenotypes.ts";
import { geneRows } from "./genes.ts";
import { effectiveTaxonomy, type Genomes, organismOf, readGenomes } from "./genomes.ts";
import { type Json, toJson } from "./json.ts";
import { readPangenome } from "./pangenome.ts";
import { readPhenotypes } from "./phenotypes.ts";
import { reactionsByGene, reactionsData, readReactions } from "./reactions.ts";
import type { ReferencePhenotypes } from "./reference_phenotypes.ts";
import { summaryStats } from "./summary.ts";
import { Tables } from "./tables.ts";
import { compareCodePoints } from "./text.ts";
import { treeData } from "./tree.ts";

/** The six files of a dashboard, by name, as JSON text. */
export type DashboardFiles = ReadonlyMap<string, string>;

export interface Extracted {
  readonly organism: string;
  readonly genomeId: string;
  readonly files: DashboardFiles;
  readonly counts: {
    readonly ontologies: number;
    readonly references: number;
    readonly essentiality: number;
    readonly reactions: number;
    readonly phenotypes: number;
    readonly features: number;
    readonly genes: number;
  };
}

export interface ExtractRequest {
  /** Empty for a database that belongs to no named pangenome. */
  readonly pangenomeId: string;
  /** The database's name in errors. */
  readonly display: string;
  readonly reference: ReferencePhenotypes | null;
}

/** Reads one database and makes the six files of its dashboard. */
export async function extract(database: ForeignDatabase, request: ExtractRequest): Promise<Extracted> {
  const made = await make(database, request).catch(async (error) => {
    // Damage is why; what it led to is not.
    await database.sound();
    throw error;
  });
  await database.sound();
  return made;
}

async function make(database: ForeignDatabase, request: ExtractRequest): Promise<Extracted> {
  const tables = new Tables(database, request.display);
  const genomes = await readGenomes(tables, request.display);
  const { userId } = genomes;
  const [{ features, pangenome }, { identity, phenotypes, reactions, fluxes, genePhenotypes }] = await Promise
    .all([readGenes(tables, userId), readRest(tables, userId)]);
  const geneTables = {
    pangenome,
    reactions: reactionsByGene(tables, reactions, features.genes),
    fluxes,
    phenotypes: genePhenotypes,
  };
  const metadata = metadataOf(genomes, features, request.pangenomeId, pangenome.members.size);
  const files: Record<string, Json> = {
    "metadata.json": metadata,
    "tree_data.json": treeData({ genomes, features, pangenome, ani: identity.byGenome, phenotypes }),
    "reactions_data.json": reactionsData(reactions, userId, features.genes),
    "summary_stats.json": summaryStats({
      userId,
      features,
      pangenome,
      identity,
      phenotypes,
      reactions,
      reference: request.reference,
    }),
    "ref_genomes_data.json": refGenomes(genomes),
  };
  return {
    organism: metadata.organism,
    genomeId: userId,
    // Rows hold nothing but plain values, and there are hundreds of thousands of those.
    files: new Map([
      ["genes_data.json", JSON.stringify(geneRows(features.genes, geneTables))],
      ...Object.entries(files).map(([name, value]) => [name, toJson(value)] as const),
    ]),
    counts: {
      ontologies: tables.ontologies("user_feature").size,
      references: pangenome.members.size,
      essentiality: geneTables.fluxes.size,
      reactions: geneTables.reactions.size,
      phenotypes: geneTables.phenotypes.size,
      features: features.all.length,
      genes: features.genes.length,
    },
  };
}

async function readGenes(tables: Tables, userId: string) {
  const features = await readFeatures(tables, userId);
  return { features, pangenome: await readPangenome(tables, features) };
}

/** One after another, so that not all of it is in memory twice; beside the pangenome, which takes longer. */
async function readRest(tables: Tables, userId: string) {
  return {
    identity: await readIdentity(tables, userId),
    phenotypes: await readPhenotypes(tables, userId),
    reactions: await readReactions(tables, userId),
    fluxes: await readGeneFluxes(tables, userId),
    genePhenotypes: await readGenePhenotypes(tables, userId),
  };
}

function metadataOf(genomes: Genomes, features: Features, pangenomeId: string, references: number) {
  const pair = effectiveTaxonomy(genomes, pangenomeId);
  return {
    organism: organismOf(pair, genomes.userId),
    genome_id: genomes.userId,
    pangenome_id: pangenomeId,
    genome_assembly: pangenomeId || "Unknown",
    n_ref_genomes: references,
    n_genes: features.genes.length,
    n_contigs: new Set(features.all.flatMap(({ contig }) => contig === null ? [] : [contig])).size,
    taxonomy: pair.gtdb || pair.ncbi || "Unknown",
    database_type: "GenomeDataLakeTables",
  };
}

function refGenomes({ rows }: Genomes): Json {
  return rows.toSorted((a, b) => compareCodePoints(a.id, b.id)).map((genome) => ({
    genome_id: genome.id,
    kind: genome.kind ?? "unknown",
    gtdb_taxonomy: genome.gtdb ?? "",
    ncbi_taxonomy: genome.ncbi ?? "",
    size: genome.size ?? 0,
    checkm_completeness: genome.completeness,
    checkm_contamination: genome.contamination,
  }));
}
