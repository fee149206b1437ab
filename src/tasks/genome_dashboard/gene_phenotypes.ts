import { ByteIndex } from "./byte_index.ts";
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
export async function readGenePhenotypes(
  tables: Tables,
  userId: string,
): Promise<Map<string, GenePhenotypes>> {
  const names = Object.values(COLUMNS).map(([name]) => name);
  if (!tables.hasAll(TABLE, ["genome_id", ...names])) return new Map();
  const where = { column: tables.column(TABLE, "genome_id")!, is: userId };
  const genes = new ByteIndex();
  const tallies: Tally[] = [];
  const words = new ByteIndex();
  const hasScore = words.addText("has_score");
  const phenotypes = new ByteIndex();
  const columns = tables.columnsOf(TABLE, COLUMNS);
  for await (const { count, bytes, starts, ends, numbers } of tables.packed(TABLE, columns, { where })) {
    for (let at = 0; at < count * columns.length; at += columns.length) {
      if (ends[at]! < 0) continue;
      const tally = tallies[genes.add(bytes, starts[at]!, ends[at]!)] ??= newTally();
      const [start, end] = [starts[at + PHENOTYPE]!, ends[at + PHENOTYPE]!];
      tally.phenotypes.add(end < 0 ? NAMELESS : phenotypes.add(bytes, start, end));
      const match = at + MATCH;
      if (ends[match]! >= 0 && words.is(hasScore, bytes, starts[match]!, ends[match]!)) {
        countScore(tally, numbers[at + AVERAGE]!, numbers[at + ESSENTIAL]!);
      }
    }
  }
  return new Map(genes.texts().map((gene, index) => [gene, phenotypesOf(tallies[index]!)]));
}

/** Where these lie in a row, behind the gene. */
const [PHENOTYPE, MATCH, AVERAGE, ESSENTIAL] = [1, 2, 3, 4];

/** All phenotypes without an id count as one more. */
const NAMELESS = -1;

interface Tally {
  readonly phenotypes: Set<number>;
  fitness: number;
  sum: number;
  known: number;
  agree: number;
}

function newTally(): Tally {
  return { phenotypes: new Set(), fitness: 0, sum: 0, known: 0, agree: 0 };
}

/** NaN stands for NULL, which counts as 0 where signs are compared. */
function countScore(tally: Tally, average: number, essential: number): void {
  tally.fitness++;
  if (!Number.isNaN(average)) {
    tally.sum += average;
    tally.known++;
  }
  if ((essential > 0) === (average < 0)) tally.agree++;
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
