import { round4 } from "./rounding.ts";
import type { Tables } from "./tables.ts";

const TABLE = "gene_phenotype";

/** How a gene takes part in phenotypes, as model and experiment see it. */
export interface GenePhenotypes {
  readonly phenotypes: number;
  readonly fitness: number;
  readonly fitnessAverage: number;
  readonly agree: number;
  readonly agreeShare: number;
}

export const NO_PHENOTYPES: GenePhenotypes = {
  phenotypes: 0,
  fitness: 0,
  fitnessAverage: -1,
  agree: 0,
  agreeShare: -1,
};

const COLUMNS = {
  gene: ["gene_id", "text"],
  phenotype: ["phenotype_id", "text"],
  match: ["fitness_match", "text"],
  average: ["fitness_avg", "number"],
  essential: ["essentiality_fraction", "number"],
} as const;

/** By gene; a table or column that is missing leaves every gene without. */
export function readGenePhenotypes(tables: Tables, userId: string): Map<string, GenePhenotypes> {
  const names = Object.values(COLUMNS).map(([name]) => name);
  if (!tables.hasAll(TABLE, ["genome_id", ...names])) return new Map();
  const where = { column: tables.column(TABLE, "genome_id")!, is: userId };
  const byGene = new Map<string, Tally>();
  for (const row of tables.each(TABLE, COLUMNS, { where })) {
    if (row.gene === null) continue;
    const tally = byGene.get(row.gene) ?? { phenotypes: new Set(), fitness: 0, sum: 0, known: 0, agree: 0 };
    byGene.set(row.gene, tally);
    count(tally, row);
  }
  return new Map([...byGene].map(([gene, tally]) => [gene, phenotypesOf(tally)]));
}

interface Tally {
  readonly phenotypes: Set<string>;
  fitness: number;
  sum: number;
  known: number;
  agree: number;
}

type Row = {
  phenotype: string | null;
  match: string | null;
  average: number | null;
  essential: number | null;
};

function count(tally: Tally, { phenotype, match, average, essential }: Row): void {
  if (phenotype !== null) tally.phenotypes.add(phenotype);
  if (match !== "has_score") return;
  tally.fitness++;
  if (average !== null) {
    tally.sum += average;
    tally.known++;
  }
  if (((essential ?? 0) > 0) === ((average ?? 0) < 0)) tally.agree++;
}

function phenotypesOf({ phenotypes, fitness, sum, known, agree }: Tally): GenePhenotypes {
  return {
    phenotypes: phenotypes.size,
    fitness,
    fitnessAverage: known === 0 ? -1 : round4(sum / known),
    agree,
    agreeShare: fitness === 0 ? -1 : round4(agree / fitness),
  };
}
