import type { Tables } from "./tables.ts";
import { codePoints, compareCodePoints, trim } from "./text.ts";

/** The sources of annotation that a gene's values are taken from, by the short names of their columns. */
export const SOURCES = [
  "RAST",
  "KEGG",
  "GO",
  "EC",
  "bakta_product",
  "COG",
  "PFAM",
  "primary_localization_psortb",
  "secondary_localization_psortb",
] as const;
export type Source = typeof SOURCES[number];

/** One feature of the user genome. */
export interface Feature {
  readonly id: string;
  readonly contig: string | null;
  readonly length: number | null;
  readonly start: number | null;
  readonly strand: string | null;
  readonly type: string | null;
  readonly aliases: string | null;
  /** How many characters its protein has. */
  readonly proteinLetters: number;
  readonly clusters: readonly string[];
  /** 1 or 0 where the table says so; anything else is unknown. */
  readonly isCore: number | null;
  readonly ontology: Readonly<Record<Source, string | null>>;
  /** Whether the two columns that the tree's statistics name in full hold anything. */
  readonly hasTreeKegg: boolean;
  readonly hasTreeEc: boolean;
}

export interface Features {
  /** All features of the user genome, of any type. */
  readonly all: readonly Feature[];
  /** Those of type `gene`, in the order of the dashboard. */
  readonly genes: readonly Feature[];
  /** Clusters that any genome's feature of this table says are core. */
  readonly coreClusters: ReadonlySet<string>;
}

const TABLE = "user_feature";

export async function readFeatures(tables: Tables, userId: string): Promise<Features> {
  tables.demand(TABLE, ["genome", "contig", "feature_id", "length", "start", "strand", "type"]);
  tables.demand(TABLE, ["pangenome_cluster", "pangenome_is_core"]);
  const all = await readAll(tables, userId);
  const genes = all.filter(({ type }) => type === "gene").sort(compareFeatures);
  return { all, genes, coreClusters: await readCoreClusters(tables) };
}

async function readAll(tables: Tables, userId: string): Promise<Feature[]> {
  const short = tables.ontologies(TABLE);
  const features: Feature[] = [];
  const columns = {
    id: ["feature_id", "text"],
    contig: ["contig", "text"],
    length: ["length", "number"],
    start: ["start", "number"],
    strand: ["strand", "text"],
    type: ["type", "text"],
    aliases: ["aliases", "text"],
    protein: ["protein_sequence", "text"],
    clusters: ["pangenome_cluster", "text"],
    isCore: ["pangenome_is_core", "numberOrNull"],
    treeKegg: ["ontology_KEGG", "text"],
    treeEc: ["ontology_EC", "text"],
    ...Object.fromEntries(SOURCES.flatMap((source) => {
      const column = short.get(source);
      return column === undefined ? [] : [[`source.${source}`, [column, "text"] as const]];
    })),
  } as const;
  const where = { column: tables.column(TABLE, "genome")!, is: userId };
  await tables.each(TABLE, columns, { where }, (row) => {
    features.push({
      id: row.id ?? "",
      contig: row.contig,
      length: row.length,
      start: row.start,
      strand: row.strand,
      type: row.type,
      aliases: row.aliases,
      proteinLetters: codePoints(row.protein ?? ""),
      clusters: clusterIds(row.clusters),
      isCore: row.isCore,
      ontology: ontologyOf(row as unknown as SourceRow),
      hasTreeKegg: Boolean(row.treeKegg),
      hasTreeEc: Boolean(row.treeEc),
    });
  });
  return features;
}

type SourceRow = Readonly<Record<`source.${Source}`, string | null | undefined>>;

/** Written out, as an object whose shape is known is made in a fraction of the time. */
function ontologyOf(row: SourceRow): Feature["ontology"] {
  return {
    RAST: row["source.RAST"] ?? null,
    KEGG: row["source.KEGG"] ?? null,
    GO: row["source.GO"] ?? null,
    EC: row["source.EC"] ?? null,
    bakta_product: row["source.bakta_product"] ?? null,
    COG: row["source.COG"] ?? null,
    PFAM: row["source.PFAM"] ?? null,
    primary_localization_psortb: row["source.primary_localization_psortb"] ?? null,
    secondary_localization_psortb: row["source.secondary_localization_psortb"] ?? null,
  };
}

async function readCoreClusters(tables: Tables): Promise<Set<string>> {
  const ids = new Set<string>();
  const columns = {
    clusters: ["pangenome_cluster", "text"],
    isCore: ["pangenome_is_core", "numberOrNull"],
  } as const;
  await tables.each(TABLE, columns, {}, ({ clusters, isCore }) => {
    if (isCore === 1) { for (const id of clusterIds(clusters)) ids.add(id); }
  });
  return ids;
}

/** `idA:6; idB:41` names two clusters with their sizes; what follows the last colon of a part is dropped. */
export function clusterIds(text: string | null): string[] {
  return (text ?? "").split(";").map(trim).filter((part) => part !== "").map((part) => {
    const colon = part.lastIndexOf(":");
    return colon === -1 ? part : trim(part.slice(0, colon));
  });
}

function compareFeatures(a: Feature, b: Feature): number {
  return (a.start ?? -Infinity) - (b.start ?? -Infinity) || compareCodePoints(a.id, b.id) ||
    compareCodePoints(a.contig ?? "", b.contig ?? "");
}
