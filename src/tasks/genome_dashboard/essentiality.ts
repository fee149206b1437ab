import { round4 } from "./rounding.ts";
import type { Tables } from "./tables.ts";
import { compareCodePoints } from "./text.ts";

const TABLE = "genome_gene_reaction_essentially_test";

/** What flux analysis says of one gene in two media. */
export interface GeneFlux {
  readonly richFlux: number;
  readonly richClass: number;
  readonly minimalFlux: number;
  readonly minimalClass: number;
  readonly essentiality: number;
}

export const NO_FLUX: GeneFlux = {
  richFlux: -1,
  richClass: -1,
  minimalFlux: -1,
  minimalClass: -1,
  essentiality: -1,
};

const COLUMNS = {
  gene: ["gene_id", "text"],
  richFlux: ["rich_media_flux", "number"],
  richClass: ["rich_media_class", "text"],
  minimalFlux: ["minimal_media_flux", "number"],
  minimalClass: ["minimal_media_class", "text"],
} as const;

/** By gene; a table or column that is missing leaves every gene without. */
export async function readGeneFluxes(tables: Tables, userId: string): Promise<Map<string, GeneFlux>> {
  const names = Object.values(COLUMNS).map(([name]) => name);
  if (!tables.hasAll(TABLE, ["genome_id", ...names])) return new Map();
  const where = { column: tables.column(TABLE, "genome_id")!, is: userId };
  const byGene = Map.groupBy(await tables.read(TABLE, COLUMNS, { where }), ({ gene }) => gene);
  return new Map([...byGene].flatMap(([gene, rows]) => gene === null ? [] : [[gene, fluxOf(rows)]]));
}

type Row = {
  richFlux: number | null;
  richClass: string | null;
  minimalFlux: number | null;
  minimalClass: string | null;
};

function fluxOf(rows: readonly Row[]): GeneFlux {
  const weight = rows.reduce((sum, { richClass }) => sum + weightOf(richClass), 0);
  return {
    richFlux: largest(rows.map(({ richFlux }) => richFlux)),
    richClass: classCode(rows.map(({ richClass }) => richClass ?? "")),
    minimalFlux: largest(rows.map(({ minimalFlux }) => minimalFlux)),
    minimalClass: classCode(rows.map(({ minimalClass }) => minimalClass ?? "")),
    essentiality: round4(weight / rows.length),
  };
}

function weightOf(fluxClass: string | null): number {
  return fluxClass === "essential" ? 1 : fluxClass === "variable" ? 0.5 : 0;
}

function largest(values: readonly (number | null)[]): number {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? -1 : known.reduce((a, b) => Math.max(a, b));
}

/** The class that is last in the alphabet stands for all rows of a gene. */
function classCode(classes: readonly string[]): number {
  const last = classes.reduce((a, b) => compareCodePoints(a, b) < 0 ? b : a);
  if (last === "essential") return 0;
  if (["variable", "forward_only", "reverse_only"].includes(last)) return 1;
  return last === "blocked" ? 2 : -1;
}
