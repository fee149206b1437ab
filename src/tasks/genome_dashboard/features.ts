import type { Tables } from "./tables.ts";
import { compareCodePoints, trim } from "./text.ts";

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
  readonly protein: string | null;
  readonly clusters: readonly string[];
  /** 1 or 0 where the table says so; anything else is unknown. */
  readonly isCore: number | null;
  readonly ontology: Readonly<Record<Source, string | null>>;
  /** The two columns that the tree's statistics name in full. */
  readonly treeKegg: string | null;
  readonly treeEc: string | null;
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

export function readFeatures(tables: Tables, userId: string): Features {
  tables.demand(TABLE, ["genome", "contig", "feature_id", "length", "start", "strand", "type"]);
  tables.demand(TABLE, ["pangenome_cluster", "pangenome_is_core"]);
  const all = readAll(tables, userId);
  const genes = all.filter(({ type }) => type === "gene").sort(compareFeatures);
  return { all, genes, coreClusters: readCoreClusters(tables) };
}

function readAll(tables: Tables, userId: string): Feature[] {
  const short = tables.ontologies(TABLE);
  const rows = tables.read(TABLE, {
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
  }, { where: { column: tables.column(TABLE, "genome")!, is: userId } });
  return rows.map(({ id, clusters, ...rest }) => {
    const sources = rest as unknown as Record<string, string | null>;
    const ontology = Object.fromEntries(
      SOURCES.map((source) => [source, sources[`source.${source}`] ?? null]),
    );
    return {
      ...rest,
      id: id ?? "",
      clusters: clusterIds(clusters),
      ontology: ontology as Feature["ontology"],
    };
  });
}

function readCoreClusters(tables: Tables): Set<string> {
  const rows = tables.read(TABLE, {
    clusters: ["pangenome_cluster", "text"],
    isCore: ["pangenome_is_core", "numberOrNull"],
  });
  return new Set(rows.filter(({ isCore }) => isCore === 1).flatMap(({ clusters }) => clusterIds(clusters)));
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
