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
  const byGene = Map.groupBy(tables.read(TABLE, COLUMNS, { where }), ({ gene }) => gene);
  return new Map([...byGene].flatMap(([gene, rows]) => gene === null ? [] : [[gene, phenotypesOf(rows)]]));
}

type Row = {
  phenotype: string | null;
  match: string | null;
  average: number | null;
  essential: number | null;
};

function phenotypesOf(rows: readonly Row[]): GenePhenotypes {
  const scored = rows.filter(({ match }) => match === "has_score");
  const averages = scored.map(({ average }) => average).filter((average) => average !== null);
  const agree =
    scored.filter(({ average, essential }) => ((essential ?? 0) > 0) === ((average ?? 0) < 0)).length;
  return {
    phenotypes:
      new Set(rows.map(({ phenotype }) => phenotype).filter((phenotype) => phenotype !== null)).size,
    fitness: scored.length,
    fitnessAverage: averages.length === 0 ? -1 : round4(averages.reduce((a, b) => a + b) / averages.length),
    agree,
    agreeShare: scored.length === 0 ? -1 : round4(agree / scored.length),
  };
}
