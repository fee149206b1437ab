import { GlassboxError } from "../../core/errors.ts";
import type { Features } from "./features.ts";
import { type Genome, type Genomes, ranksOf } from "./genomes.ts";
import type { Json } from "./json.ts";
import { averageLinkage, leafOrder } from "./linkage.ts";
import { IndexSet } from "./index_set.ts";
import type { Member, Pangenome } from "./pangenome.ts";
import type { Phenotypes } from "./phenotypes.ts";
import { round, round4 } from "./rounding.ts";
import { compareCodePoints } from "./text.ts";

/** What the tree is made from. */
export interface TreeTables {
  readonly genomes: Genomes;
  readonly features: Features;
  readonly pangenome: Pangenome;
  readonly ani: ReadonlyMap<string, number>;
  readonly phenotypes: Phenotypes | null;
}

/** Every genome is compared with every other, and all distances are in memory at once. */
const GENOMES_MAX = 4_000;

/** tree_data.json: the genomes by how many clusters they share. With fewer than two genomes it is a short form. */
export function treeData(tables: TreeTables): Json {
  const { userId } = tables.genomes;
  const own = userClusters(tables);
  const sets = clusterSets(own, tables);
  const ids = [...sets.keys()];
  if (ids.length > GENOMES_MAX) {
    throw new GlassboxError(
      "too_large",
      `Cannot make a tree of the genomes in pangenome_feature as there must be at most ${GENOMES_MAX}: there are ${ids.length}`,
    );
  }
  if (ids.length < 2) {
    return {
      genome_ids: ids,
      user_genome_id: userId,
      stats: { n_genomes: ids.length, n_clusters: own.size },
    };
  }
  const all = new IndexSet();
  for (const set of sets.values()) for (const index of set.indices()) all.add(index);
  const { distances, largest, smallest } = distanceMatrix([...sets.values()]);
  const core = coreClusters(tables);
  const linkage = averageLinkage(distances, ids.length);
  return {
    linkage,
    genome_ids: ids,
    leaf_order: leafOrder(linkage).map((leaf) => ids[leaf]!),
    user_genome_id: userId,
    genome_metadata: new Map(ids.map((id) => [id, metadataOf(id, tables)])),
    genome_stats: new Map(ids.map((id) => [id, statsOf(id, sets.get(id)!, core, tables)])),
    stats: {
      n_genomes: ids.length,
      n_clusters: all.size,
      n_reference: ids.length - 1,
      max_distance: round4(largest),
      min_distance: round4(smallest),
    },
  };
}

/** What the user genome's features say, whatever the pangenome table says of it. */
function userClusters({ features, pangenome }: TreeTables): IndexSet {
  const own = new IndexSet();
  for (const { clusters } of features.all) {
    for (const id of clusters) own.add(pangenome.clusters.get(id)!.index);
  }
  return own;
}

/** The user genome first, the others sorted. Where the pangenome table knows the user genome too, it is believed. */
function clusterSets(own: IndexSet, { genomes, pangenome }: TreeTables): Map<string, IndexSet> {
  const others = [...pangenome.members.values()].filter(({ isInTree }) => isInTree);
  const sets = new Map([[genomes.userId, own]]);
  for (const { id, clusters } of others.sort((a, b) => compareCodePoints(a.id, b.id))) sets.set(id, clusters);
  return sets;
}

function distanceMatrix(sets: readonly IndexSet[]) {
  const n = sets.length;
  const distances = new Float64Array(n * n);
  let [largest, smallest] = [-Infinity, Infinity];
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      const distance = distanceOf(sets[i]!, sets[j]!);
      distances[i * n + j] = distances[j * n + i] = distance;
      largest = Math.max(largest, distance);
      smallest = Math.min(smallest, distance);
    }
  }
  return { distances, largest, smallest };
}

/** The share of clusters that only one of the two has. */
function distanceOf(a: IndexSet, b: IndexSet): number {
  const shared = a.shared(b);
  const union = a.size + b.size - shared;
  return union === 0 ? 0 : (union - shared) / union;
}

function metadataOf(id: string, { genomes, ani, phenotypes }: TreeTables): Json {
  const genome = genomes.rows.find((row) => row.id === id);
  const growth = phenotypes?.hasClass ? phenotypes.byGenome.get(id) : undefined;
  return {
    taxonomy: genome?.ncbi || genome?.gtdb || "Unknown",
    tax: ranksOf(genome?.ncbi ?? null),
    gtdb_tax: ranksOf(genome?.gtdb ?? null),
    n_features: genome === undefined || !genomes.hasSize ? 0 : genome.size,
    ani_to_user: id === genomes.userId ? 1 : (ani.get(id) ?? 0) === 0 ? null : round4(ani.get(id)!),
    ...(genome !== undefined && genomes.hasKind ? { kind: genome.kind } : {}),
    ...checkm(genome),
    ...(growth === undefined ? {} : {
      phenotype: { positive_growth: growth.positive, negative_growth: growth.negative, total: growth.total },
    }),
  };
}

function checkm(genome: Genome | undefined): { [key: string]: number } {
  const { completeness = null, contamination = null } = genome ?? {};
  return {
    ...(completeness === null ? {} : { checkm_completeness: round(completeness, 2) }),
    ...(contamination === null ? {} : { checkm_contamination: round(contamination, 2) }),
  };
}

function statsOf(id: string, set: IndexSet, coreIds: CoreClusters, tables: TreeTables): Json {
  const { rows, core, kegg, ec, contigCount } = id === tables.genomes.userId
    ? userCounts(tables.features)
    : memberCounts(tables.pangenome.members.get(id)!);
  const share = (count: number) => rows === 0 ? 0 : round4(count / rows);
  return {
    n_genes: rows,
    n_clusters: set.size,
    core_pct: share(core),
    n_contigs: contigCount,
    missing_core: missingCore(set, coreIds),
    ko_pct: share(kegg),
    metabolic_genes: ec,
  };
}

interface Counts extends Pick<Member, "rows" | "core" | "kegg" | "ec"> {
  readonly contigCount: number;
}

function memberCounts(member: Member): Counts {
  return { ...member, contigCount: member.contigs.size };
}

function userCounts({ genes }: Features): Counts {
  return {
    rows: genes.length,
    core: genes.filter(({ isCore }) => isCore === 1).length,
    kegg: genes.filter(({ hasTreeKegg }) => hasTreeKegg).length,
    ec: genes.filter(({ hasTreeEc }) => hasTreeEc).length,
    contigCount: new Set(genes.flatMap(({ contig }) => contig ? [contig] : [])).size,
  };
}

/** How many of the clusters that some row calls core the genome lacks. */
function missingCore(set: IndexSet, { known, nameless }: CoreClusters): number {
  return known.size - known.shared(set) + nameless;
}

interface CoreClusters {
  readonly known: IndexSet;
  /** Those that no genome of the tree can have. */
  readonly nameless: number;
}

/** The clusters that some row calls core. */
function coreClusters({ pangenome, features }: TreeTables): CoreClusters {
  const known = new IndexSet();
  for (const [id, cluster] of pangenome.clusters) {
    if (cluster.isCore || features.coreClusters.has(id)) known.add(cluster.index);
  }
  const unseen = [...features.coreClusters].filter((id) => !pangenome.clusters.has(id)).length;
  return { known, nameless: unseen + (pangenome.hasNamelessCore ? 1 : 0) };
}
