import type { Tables } from "./tables.ts";

const TABLE = "genome_phenotype";

const COLUMNS = {
  genome: ["genome_id", "text"],
  phenotype: ["phenotype_id", "text"],
  class: ["class", "text"],
  gaps: ["gap_count", "number"],
  observed: ["observed_objective", "number"],
} as const;

/** How one genome grows, over all its phenotypes. */
export interface Growth {
  positive: number;
  negative: number;
  total: number;
  /** Sum and count of the gap counts that are known, and how many of them are 0. */
  gaps: number;
  withGaps: number;
  noGaps: number;
  /** Whether an experiment saw any growth. */
  observed: boolean;
}

/** Table `genome_phenotype`. */
export interface Phenotypes {
  readonly byGenome: ReadonlyMap<string, Growth>;
  /** The phenotypes in which the user genome is predicted to grow. */
  readonly userGrowsOn: ReadonlySet<string>;
  readonly hasClass: boolean;
  /** Whether every column is there that the landscape is drawn from. */
  readonly isWhole: boolean;
}

/** Null when there is no such table. */
export async function readPhenotypes(tables: Tables, userId: string): Promise<Phenotypes | null> {
  if (!tables.has(TABLE)) return null;
  const byGenome = new Map<string, Growth>();
  const classes = new Map<string, string | null>();
  await tables.each(TABLE, COLUMNS, {}, (row) => {
    if (row.genome === null) return;
    const growth = byGenome.get(row.genome) ?? newGrowth();
    byGenome.set(row.genome, growth);
    count(growth, row);
    if (row.genome === userId && row.phenotype !== null) classes.set(row.phenotype, row.class);
  });
  const grows = [...classes].filter(([, one]) => one === "P").map(([id]) => id);
  return {
    byGenome,
    userGrowsOn: new Set(grows),
    hasClass: tables.hasAll(TABLE, ["genome_id", "class"]),
    isWhole: tables.hasAll(TABLE, Object.values(COLUMNS).map(([name]) => name)),
  };
}

function newGrowth(): Growth {
  return { positive: 0, negative: 0, total: 0, gaps: 0, withGaps: 0, noGaps: 0, observed: false };
}

function count(
  growth: Growth,
  row: { class: string | null; gaps: number | null; observed: number | null },
): void {
  growth.total++;
  if (row.class === "P") growth.positive++;
  if (row.class === "N") growth.negative++;
  if (row.gaps !== null) {
    growth.gaps += row.gaps;
    growth.withGaps++;
    if (row.gaps === 0) growth.noGaps++;
  }
  if ((row.observed ?? 0) > 0) growth.observed = true;
}
