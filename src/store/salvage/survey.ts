import { recordBytes, type TreePage, treePage, type Value, valuesOf } from "./cells.ts";
import { type Layout, rowOf } from "./layouts.ts";
import type { Pages } from "./pages.ts";

/** What of a damaged file belongs to which table. */
export interface Survey {
  /** The pages with rows of a table, in the order of its tree; then those that no tree leads to any more. */
  readonly pagesOf: ReadonlyMap<string, readonly number[]>;
  /** How many pages of a table cannot be read, each with an unknown number of rows. */
  readonly lostPages: ReadonlyMap<string, number>;
  /** The names of all tables that the file itself tells. */
  readonly tables: readonly string[];
}

/** They look like entries of an index, so without their tree they cannot be told. */
const NEVER_ADRIFT = ["queues"];

/**
 * Finds the pages of every table. Where a tree is cut off, what hung below is known by the form of its rows; pages
 * that were free are left alone, as what still stands in them was deleted.
 */
export async function survey(pages: Pages, layouts: readonly Layout[]): Promise<Survey> {
  const roots = await readRoots(pages);
  const claimed = new Set<number>();
  const pagesOf = new Map<string, number[]>();
  const lostPages = new Map<string, number>();
  let isWhole = roots.isWhole;
  for (const layout of layouts) {
    const root = roots.byTable.get(layout.table);
    const walked = root === undefined ? { found: [], lost: 1 } : await walk(pages, root, layout, claimed);
    pagesOf.set(layout.table, walked.found);
    lostPages.set(layout.table, walked.lost);
    isWhole &&= walked.lost === 0;
  }
  if (!isWhole) await addAdrift(pages, layouts, claimed, pagesOf);
  return { pagesOf, lostPages, tables: [...roots.byTable.keys()] };
}

/** Reads the schema, the first page's own tree: where the tree of each table begins. */
async function readRoots(pages: Pages): Promise<{ byTable: Map<string, number>; isWhole: boolean }> {
  const byTable = new Map<string, number>();
  const text = new TextDecoder();
  const { found, lost } = await walk(pages, 1, SCHEMA, new Set());
  for (const page of found) {
    for await (const values of recordsOn(pages, page)) {
      const row = rowOf(SCHEMA, values);
      if (row === null || text.decode((values![0] as { bytes: Uint8Array }).bytes) !== "table") continue;
      byTable.set(String(row[1]), Number(row[3]));
    }
  }
  return { byTable, isWhole: lost === 0 };
}

const schemaColumn = (name: string, type: string) => ({ name, type, mayBeNull: true, isJson: false });

const SCHEMA: Layout = {
  table: "sqlite_schema",
  hasRowIds: true,
  columns: [
    schemaColumn("type", "TEXT"),
    schemaColumn("name", "TEXT"),
    schemaColumn("tbl_name", "TEXT"),
    schemaColumn("rootpage", "INTEGER"),
    schemaColumn("sql", "TEXT"),
  ],
  leastColumns: 5,
  isOfJob: false,
};

/** The pages of one tree that hold rows, in order. A page that is met twice is damage, and ends there. */
async function walk(
  pages: Pages,
  root: number,
  layout: Layout,
  claimed: Set<number>,
): Promise<{ found: number[]; lost: number }> {
  const found: number[] = [];
  let lost = 0;
  const waiting = [root];
  for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
    const page = claimed.has(number) ? null : await readTreePage(pages, number);
    if (page === null || page.isTable !== layout.hasRowIds || !await isOf(pages, number, page, layout)) {
      lost++;
      continue;
    }
    claimed.add(number);
    if (page.records.length > 0) found.push(number);
    waiting.push(...page.children.toReversed());
  }
  return { found, lost };
}

async function readTreePage(pages: Pages, number: number): Promise<TreePage | null> {
  if (number < 1 || number > pages.count) return null;
  const bytes = await pages.read(number);
  return bytes === null ? null : treePage(bytes, number, pages.usableBytes);
}

/** True for a page with no rows, and for one of which at least one can be this table's. */
async function isOf(pages: Pages, number: number, page: TreePage, layout: Layout): Promise<boolean> {
  if (page.records.length === 0) return true;
  for await (const values of recordsOn(pages, number)) if (rowOf(layout, values) !== null) return true;
  return false;
}

/** The records of a page; null for one that cannot be read. */
export async function* recordsOn(pages: Pages, number: number): AsyncGenerator<Value[] | null> {
  const bytes = await pages.read(number);
  const page = bytes === null ? null : treePage(bytes, number, pages.usableBytes);
  for (const place of page?.records ?? []) {
    const record = place === null ? null : await recordBytes(pages, bytes!, page!.isTable, place);
    yield record === null ? null : valuesOf(record);
  }
}

async function addAdrift(
  pages: Pages,
  layouts: readonly Layout[],
  claimed: ReadonlySet<number>,
  pagesOf: ReadonlyMap<string, number[]>,
): Promise<void> {
  const free = await freePages(pages, claimed);
  for (let number = 2; number <= pages.count; number++) {
    if (claimed.has(number) || free.has(number)) continue;
    const page = await readTreePage(pages, number);
    if (page === null || page.records.length === 0) continue;
    const own: Layout[] = [];
    for (const layout of layouts) {
      if (layout.hasRowIds !== page.isTable || NEVER_ADRIFT.includes(layout.table)) continue;
      if (await isOf(pages, number, page, layout)) own.push(layout);
    }
    if (own.length === 1) pagesOf.get(own[0]!.table)!.push(number);
  }
}

/**
 * Pages that hold nothing, though they look as they did. The list of them begins in the first page; each of its own
 * pages is known by its form, so that the list need not be whole.
 */
async function freePages(pages: Pages, claimed: ReadonlySet<number>): Promise<Set<number>> {
  const free = new Set<number>();
  for (let number = 2; number <= pages.count; number++) {
    if (claimed.has(number)) continue;
    const bytes = await pages.read(number);
    if (bytes === null) continue;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const count = view.getUint32(4);
    if (view.getUint32(0) > pages.count || count > pages.usableBytes / 4 - 2) continue;
    const listed = Array.from({ length: count }, (_, index) => view.getUint32(8 + 4 * index));
    if (listed.some((one) => one < 2 || one > pages.count || claimed.has(one))) continue;
    for (const one of [number, ...listed]) free.add(one);
  }
  return free;
}
