import type { Identity } from "./ani.ts";
import type { Features } from "./features.ts";
import type { Json } from "./json.ts";
import type { Pangenome } from "./pangenome.ts";
import type { Growth, Phenotypes } from "./phenotypes.ts";
import type { Reactions } from "./reactions.ts";
import type { ReferencePhenotypes } from "./reference_phenotypes.ts";
import { round, round4 } from "./rounding.ts";
import { compareCodePoints } from "./text.ts";

export interface SummaryTables {
  readonly userId: string;
  readonly features: Features;
  readonly pangenome: Pangenome;
  readonly identity: Identity;
  readonly phenotypes: Phenotypes | null;
  readonly reactions: Reactions | null;
  readonly reference: ReferencePhenotypes | null;
}

/** summary_stats.json. A part whose table is missing is null. */
export function summaryStats(tables: SummaryTables): Json {
  const { userId, features, pangenome, identity, phenotypes, reactions } = tables;
  const core = features.all.filter(({ isCore }) => isCore === 1).length;
  const accessory = features.all.filter(({ isCore }) => isCore === 0).length;
  const total = features.genes.length;
  return {
    gene_categories: {
      total_genes: total,
      core_genes: core,
      accessory_genes: accessory,
      unknown_genes: total - core - accessory,
    },
    growth_phenotypes: phenotypes?.hasClass ? growthOf(phenotypes.byGenome.get(userId)) : null,
    comparison: { n_reference_genomes: pangenome.members.size, closest_ani: identity.closest },
    reactions: reactions === null
      ? null
      : { total_reactions: reactions.userRows.length, gapfilled_reactions: reactions.gapfilled },
    phenotype_landscape: phenotypes?.isWhole ? landscapeOf(phenotypes, tables) : null,
  };
}

function growthOf(growth: Growth | undefined): Json {
  const { positive = 0, negative = 0 } = growth ?? {};
  return { positive_growth: positive, negative_growth: negative, total_phenotypes: positive + negative };
}

function landscapeOf(phenotypes: Phenotypes, { userId, reference }: SummaryTables): Json {
  const best = reference === null ? null : closestOf(phenotypes, reference);
  const genomes = [...phenotypes.byGenome].sort(([a], [b]) => compareCodePoints(a, b)).map((
    [id, growth],
  ) => ({
    id,
    positive: growth.positive,
    negative: growth.negative,
    total: growth.total,
    avg_gaps: growth.withGaps === 0 ? 0 : round(growth.gaps / growth.withGaps, 2),
    no_gap_pct: round4(growth.noGaps / growth.total),
    accuracy: growth.observed ? 1 : null as number | null,
    ...(id === userId && best !== null ? best : {}),
  }));
  if (reference === null) {
    return {
      genomes,
      user_genome_id: userId,
      has_accuracy: genomes.some(({ accuracy }) => accuracy !== null),
    };
  }
  const accuracies = reference.genomes.filter(({ accuracy }) => accuracy !== null);
  return {
    genomes,
    user_genome_id: userId,
    reference_accuracies: accuracies.map(({ id, accuracy }) => ({ id, accuracy })),
    has_accuracy: true,
  };
}

/** The first reference genome that grows most like the user genome lends it its accuracy. */
function closestOf({ userGrowsOn }: Phenotypes, { phenotypeIds, genomes }: ReferencePhenotypes) {
  const own = phenotypeIds.map((id) => userGrowsOn.has(id));
  let best: { accuracy: number | null; id: string; similarity: number } | null = null;
  for (const { id, accuracy, vector } of genomes) {
    let [both, either] = [0, 0];
    // A vector of another length is compared as far as both go.
    own.slice(0, vector.length).forEach((grows, index) => {
      if (grows && vector[index] === 1) both++;
      if (grows || vector[index] === 1) either++;
    });
    const similarity = either === 0 ? 0 : both / either;
    if (best === null || similarity > best.similarity) best = { accuracy, id, similarity };
  }
  if (best === null) return null;
  return {
    accuracy: best.accuracy,
    closest_experimental: best.id,
    jaccard_similarity: round4(best.similarity),
  };
}
