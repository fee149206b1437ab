import { ByteIndex } from "./byte_index.ts";
import type { Feature } from "./features.ts";
import { IndexSet } from "./index_set.ts";
import type { Json } from "./json.ts";
import { round, round4 } from "./rounding.ts";
import type { Tables } from "./tables.ts";
import { compareCodePoints, wordsOf } from "./text.ts";

const TABLE = "genome_reaction";

const COLUMNS = {
  id: ["reaction_id", "text"],
  genes: ["genes", "text"],
  equation: ["equation_names", "text"],
  equationIds: ["equation_ids", "text"],
  directionality: ["directionality", "text"],
  gapfilling: ["gapfilling_status", "text"],
  richFlux: ["rich_media_flux", "number"],
  richClass: ["rich_media_class", "text"],
  minimalFlux: ["minimal_media_flux", "number"],
  minimalClass: ["minimal_media_class", "text"],
} as const;

/** One reaction of the user genome's model. */
export interface Reaction {
  readonly id: string | null;
  readonly genes: string | null;
  readonly equation: string | null;
  readonly equationIds: string | null;
  readonly directionality: string | null;
  readonly gapfilling: string | null;
  readonly richFlux: number | null;
  readonly richClass: string | null;
  readonly minimalFlux: number | null;
  readonly minimalClass: string | null;
}

/** Table `genome_reaction`. */
export interface Reactions {
  readonly userRows: readonly Reaction[];
  readonly gapfilled: number;
  readonly genomes: number;
  /** How many genomes have a reaction. */
  readonly genomesWith: ReadonlyMap<string, number>;
}

/** Null when there is no such table. */
export async function readReactions(tables: Tables, userId: string): Promise<Reactions | null> {
  if (!tables.has(TABLE)) return null;
  const genomeColumn = tables.column(TABLE, "genome_id");
  const userRows = genomeColumn === null
    ? []
    : await tables.read(TABLE, COLUMNS, { where: { column: genomeColumn, is: userId } });
  return {
    userRows,
    gapfilled: userRows.filter(({ gapfilling }) => gapfilling !== null && gapfilling !== "none").length,
    ...await countGenomes(tables),
  };
}

/** How many genomes there are, and how many have each reaction. */
async function countGenomes(tables: Tables): Promise<Pick<Reactions, "genomes" | "genomesWith">> {
  const names = { genome: ["genome_id", "text"], id: ["reaction_id", "text"] } as const;
  if (!tables.hasAll(TABLE, ["genome_id"])) return { genomes: 0, genomesWith: new Map() };
  const genomes = new ByteIndex();
  const ids = new ByteIndex();
  const having: IndexSet[] = [];
  const hasIds = tables.column(TABLE, names.id[0]) !== null;
  const columns = tables.columnsOf(TABLE, hasIds ? names : { genome: names.genome });
  for await (const { count, bytes, starts, ends } of tables.packed(TABLE, columns)) {
    for (let at = 0; at < count * columns.length; at += columns.length) {
      // Rows without a genome are no genome more, but together they have a reaction as one has it.
      const genome = ends[at]! < 0 ? 0 : 1 + genomes.add(bytes, starts[at]!, ends[at]!);
      if (!hasIds || ends[at + 1]! < 0) continue;
      (having[ids.add(bytes, starts[at + 1]!, ends[at + 1]!)] ??= new IndexSet()).add(genome);
    }
  }
  return {
    genomes: genomes.size,
    genomesWith: new Map(ids.texts().map((id, index) => [id, having[index]!.size])),
  };
}

/** The ids of the reactions that name a gene, by gene, sorted; nothing where a column is missing. */
export function reactionsByGene(
  tables: Tables,
  reactions: Reactions | null,
  genes: readonly Feature[],
): Map<string, readonly string[]> {
  if (reactions === null || !tables.hasAll(TABLE, ["genome_id", "reaction_id", "genes"])) return new Map();
  const known = new Set(genes.map(({ id }) => id));
  const found = new Map<string, Set<string>>();
  for (const { id, genes: rule } of reactions.userRows) {
    if (id === null) continue;
    for (const { tag } of tagsOf(rule ?? "", known)) {
      if (known.has(tag)) found.set(tag, (found.get(tag) ?? new Set()).add(id));
    }
  }
  return new Map([...found].map(([gene, ids]) => [gene, [...ids].sort(compareCodePoints)]));
}

interface Tag {
  readonly tag: string;
  /** False for a run of letters that was cut out of a longer word. */
  readonly isWhole: boolean;
}

/** The genes a rule names. A word that is a gene's id stands for it whole; any other is cut into names. */
function tagsOf(rule: string, known: ReadonlySet<string>): Tag[] {
  return wordsOf(rule).flatMap((word): Tag[] => {
    if (isOperator(word)) return [];
    if (known.has(word)) return [{ tag: word, isWhole: true }];
    const runs = word.match(/[A-Za-z][A-Za-z0-9_]+/g) ?? [];
    return runs.filter((run) => !isOperator(run)).map((run) => ({ tag: run, isWhole: run === word }));
  });
}

function isOperator(word: string): boolean {
  return /^(and|or)$/i.test(word);
}

/** reactions_data.json; a short form without the table. */
export function reactionsData(reactions: Reactions | null, userId: string, genes: readonly Feature[]): Json {
  if (reactions === null) {
    return { user_genome: userId, n_genomes: 0, reactions: {}, gene_index: {}, stats: {} };
  }
  const byId = new Map<string, Reaction>();
  for (const row of reactions.userRows) if (row.id !== null) byId.set(row.id, row);
  return {
    user_genome: userId,
    n_genomes: reactions.genomes,
    reactions: new Map([...byId].map(([id, row]) => [id, reactionEntry(id, row, reactions)])),
    gene_index: geneIndex([...byId.values()], genes),
    stats: statsOf([...byId.values()]),
  };
}

function reactionEntry(id: string, row: Reaction, { genomes, genomesWith }: Reactions): Json {
  return {
    genes: row.genes || "",
    equation: row.equation || "",
    equation_ids: row.equationIds || "",
    directionality: row.directionality || "reversible",
    gapfilling: row.gapfilling || "none",
    conservation: genomes === 0 ? 0 : round4((genomesWith.get(id) ?? 0) / genomes),
    flux_rich: round(row.richFlux ?? 0, 6),
    flux_min: round(row.minimalFlux ?? 0, 6),
    class_rich: row.richClass || "blocked",
    class_min: row.minimalClass || "blocked",
  };
}

/**
 * Row numbers of genes by the names that rules use; a whole name that is no id stands for all ids that hold it. An id
 * that repeats keeps its first place, and means its last row.
 */
function geneIndex(rows: readonly Reaction[], genes: readonly Feature[]): Map<string, number[]> {
  const byId = new Map(genes.map(({ id }, index) => [id, index]));
  const index = new Map<string, number[]>();
  const known = new Set(byId.keys());
  for (const { tag, isWhole } of rows.flatMap(({ genes: rule }) => tagsOf(rule ?? "", known))) {
    if (index.has(tag)) continue;
    const exact = byId.get(tag);
    const found = exact !== undefined
      ? [exact]
      : isWhole
      ? [...byId].flatMap(([id, row]) => id.includes(tag) ? [row] : [])
      : [];
    if (found.length > 0) index.set(tag, found);
  }
  return index;
}

function statsOf(rows: readonly Reaction[]): Json {
  const rich = rows.map(({ richClass }) => richClass || "blocked");
  const minimal = rows.map(({ minimalClass }) => minimalClass || "blocked");
  const active = (classes: readonly string[]) => classes.filter((one) => one !== "blocked").length;
  const essential = (classes: readonly string[]) => classes.filter((one) => one.includes("essential")).length;
  return {
    total_reactions: rows.length,
    active_rich: active(rich),
    active_min: active(minimal),
    essential_rich: essential(rich),
    essential_min: essential(minimal),
    blocked_rich: rows.length - active(rich),
    blocked_min: rows.length - active(minimal),
  };
}
