import { GlassboxError } from "../../core/errors.ts";
import type { Tables } from "./tables.ts";
import { isBlank, trim } from "./text.ts";

const COLUMNS = {
  id: ["genome", "text"],
  kind: ["kind", "text"],
  gtdb: ["gtdb_taxonomy", "text"],
  ncbi: ["ncbi_taxonomy", "text"],
  size: ["size", "number"],
  completeness: ["checkm_completeness", "numberOrNull"],
  contamination: ["checkm_contamination", "numberOrNull"],
} as const;

/** One row of table `genome`. */
export interface Genome {
  readonly id: string;
  readonly kind: string | null;
  readonly gtdb: string | null;
  readonly ncbi: string | null;
  readonly size: number | null;
  readonly completeness: number | null;
  readonly contamination: number | null;
}

export interface Genomes {
  /** In insertion order. */
  readonly rows: readonly Genome[];
  readonly hasKind: boolean;
  readonly hasSize: boolean;
  readonly userId: string;
}

/** Reads table `genome`, and finds the one genome in it that the dashboard is about. */
export async function readGenomes(tables: Tables, display: string): Promise<Genomes> {
  const read = tables.column("genome", "genome") === null
    ? []
    : await tables.read("genome", COLUMNS, { order: "inserted" });
  const rows = read.flatMap(({ id, ...rest }) => id === null ? [] : [{ id, ...rest }]);
  const hasKind = tables.column("genome", "kind") !== null;
  const userId = rows.find(({ kind }) => kind === "user")?.id ?? await userLikeId(tables, "genome") ??
    await userLikeId(tables, "id");
  if (userId === null) {
    throw new GlassboxError(
      "invalid_input",
      `Could not determine user genome ID from database: ${display} needs a row in table genome of kind user, or ` +
        "one whose genome starts with user_",
    );
  }
  return { rows, hasKind, hasSize: tables.column("genome", "size") !== null, userId };
}

/** LIKE ignores the case of ASCII letters only; with the flag `i`, a long s would be one of them. */
const LIKE_USER = /^[Uu][Ss][Ee][Rr]./su;

/** SQL's LIKE 'user_%': one character of any kind where the underscore stands. Read by the key where there is one. */
async function userLikeId(tables: Tables, column: string): Promise<string | null> {
  const rows = await tables.read("genome", { id: [column, "text"] });
  return rows.find(({ id }) => id !== null && LIKE_USER.test(id))
    ?.id ?? null;
}

export interface TaxonomyPair {
  readonly ncbi: string;
  readonly gtdb: string;
}

/** The user genome's own taxonomy, else that of the genome the pangenome is named after, else of a clade member. */
export function effectiveTaxonomy({ rows, userId }: Genomes, pangenomeId: string): TaxonomyPair {
  const candidates = [
    rows.find(({ id }) => id === userId),
    pangenomeId === "" ? undefined : rows.find(({ id }) => id === pangenomeId),
    rows.find(({ kind }) => kind === "clade_member"),
  ];
  const found = candidates.find((genome) => genome !== undefined && (genome.ncbi || genome.gtdb));
  return { ncbi: found?.ncbi || "", gtdb: found?.gtdb || "" };
}

/** The species of the first taxonomy that names one, else what the genome's id suggests. */
export function organismOf({ ncbi, gtdb }: TaxonomyPair, genomeId: string): string {
  return speciesOf(ncbi) ?? speciesOf(gtdb) ?? nameFromId(genomeId);
}

function speciesOf(taxonomy: string): string | null {
  const species = taxonomy.split(";").map(trim).findLast((part) => part.startsWith("s__") && part.length > 3);
  return species?.slice(3) ?? null;
}

function nameFromId(id: string): string {
  const words = id.replaceAll("user_", "").replaceAll("_RAST", "").replaceAll("_", " ");
  return words.replace(/(?<![\p{L}\p{N}_])K12(?![\p{L}\p{N}_])/gu, "K-12");
}

const RANKS: Readonly<Record<string, string>> = {
  d: "domain",
  p: "phylum",
  c: "class",
  o: "order",
  f: "family",
  g: "genus",
  s: "species",
};

/** `d__Bacteria;p__…` by the names of the ranks. */
export function ranksOf(taxonomy: string | null): Record<string, string> {
  const ranks: Record<string, string> = {};
  if (taxonomy === null || taxonomy === "Unknown") return ranks;
  for (const part of taxonomy.split(";").map(trim)) {
    const cut = part.indexOf("__");
    const rank = cut === -1 ? undefined : trim(part.slice(0, cut));
    if (rank === undefined || !Object.hasOwn(RANKS, rank) || isBlank(part.slice(cut + 2))) continue;
    ranks[RANKS[rank]!] = trim(part.slice(cut + 2));
  }
  return ranks;
}
