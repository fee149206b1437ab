import type { Files } from "../../core/host.ts";
import { GlassboxError } from "../../core/errors.ts";
import { type SqlValue, type Statement, statement } from "../driver.ts";
import { SCHEMA_VERSION } from "../schema.ts";
import type { StoreCore } from "../store_core.ts";
import { type Layout, readLayouts, rowOf } from "./layouts.ts";
import { openPages, type Pages } from "./pages.ts";
import { recordsOn, survey } from "./survey.ts";

/** What became of the rows of one table. */
export interface TableSalvage {
  readonly table: string;
  readonly copied: number;
  /** Rows that are there and cannot be read, or are none that glassbox writes. */
  readonly damaged: number;
  /** Rows left out as the job they belong to is gone. */
  readonly orphaned: number;
  /** Pages that cannot be read; nobody knows how many rows were on them. */
  readonly lostPages: number;
}

export interface Filled {
  readonly tables: readonly TableSalvage[];
  /** The id that the damaged database had and the new one now has; null when it could not be read. */
  readonly databaseId: string | null;
}

type Counts = { -readonly [key in keyof TableSalvage]: TableSalvage[key] };

interface NewRow {
  readonly layout: Layout;
  readonly values: readonly SqlValue[];
  readonly counts: Counts;
}

const BATCH = { rows: 256, bytes: 1024 * 1024 };

/** Copies all rows that can be read of the damaged file at `path` into a new database; the file is only read. */
export async function fill(core: StoreCore, files: Files, path: string, display: string): Promise<Filled> {
  const pages = await openPages(files, path);
  const layouts = await readLayouts(core);
  const surveyed = await survey(pages, layouts);
  const tables: TableSalvage[] = [];
  const meta = new Map<string, string>();
  const batch = new Batch(core);
  for (const layout of layouts) {
    const lostPages = surveyed.lostPages.get(layout.table) ?? 0;
    const counts = { table: layout.table, copied: 0, damaged: 0, orphaned: 0, lostPages };
    for (const page of surveyed.pagesOf.get(layout.table) ?? []) {
      for await (const values of rowsOn(pages, page, layout)) {
        if (values === null) counts.damaged++;
        else if (layout.table === "meta") meta.set(String(values[0]), String(values[1]));
        else await batch.add({ layout, values, counts });
      }
    }
    await batch.write();
    if (layout.table !== "meta") tables.push(counts);
  }
  demandOurs(display, surveyed.tables, meta, tables);
  return { tables, databaseId: await takeId(core, meta.get("database_id")) };
}

async function* rowsOn(pages: Pages, page: number, layout: Layout): AsyncGenerator<SqlValue[] | null> {
  for await (const values of recordsOn(pages, page)) yield rowOf(layout, values);
}

/** Rows on their way into the new database, some at a time. */
class Batch {
  readonly #core: StoreCore;
  #rows: NewRow[] = [];
  #bytes = 0;

  constructor(core: StoreCore) {
    this.#core = core;
  }

  async add(row: NewRow): Promise<void> {
    this.#rows.push(row);
    for (const value of row.values) {
      this.#bytes += typeof value === "object" ? value?.length ?? 0 : String(value).length;
    }
    if (this.#rows.length >= BATCH.rows || this.#bytes >= BATCH.bytes) await this.write();
  }

  async write(): Promise<void> {
    if (this.#rows.length === 0) return;
    const rows = this.#rows;
    this.#rows = [];
    this.#bytes = 0;
    const results = await this.#core.write(rows.map(insertion));
    for (const [index, { layout, values, counts }] of rows.entries()) {
      if (results[index]!.rowsAffected === 1) counts.copied++;
      else if (layout.isOfJob && !await this.#hasJob(values[0]!)) counts.orphaned++;
      else counts.damaged++;
    }
  }

  async #hasJob(id: SqlValue): Promise<boolean> {
    return (await this.#core.read(statement("SELECT 1 FROM jobs WHERE id = ?", id))).length === 1;
  }
}

/** What a rule of the table refuses is left out. Columns that came after the row was written take their defaults. */
function insertion({ layout, values }: NewRow): Statement {
  const columns = layout.columns.slice(0, values.length).map(({ name }) => name).join(", ");
  const places = values.map((_, index) => `?${index + 1}`).join(", ");
  const condition = layout.isOfJob ? " WHERE EXISTS (SELECT 1 FROM jobs WHERE id = ?1)" : "";
  return statement(
    `INSERT OR IGNORE INTO ${layout.table} (${columns}) SELECT ${places}${condition}`,
    ...values,
  );
}

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function demandOurs(
  display: string,
  names: readonly string[],
  meta: ReadonlyMap<string, string>,
  tables: readonly TableSalvage[],
): void {
  const schema = Number(meta.get("schema"));
  if (schema > SCHEMA_VERSION) {
    throw new GlassboxError(
      "storage_newer_schema",
      `Cannot repair ${display} as it has schema ${schema} and this glassbox knows ${SCHEMA_VERSION}: ` +
        "use the newer glassbox that wrote it",
    );
  }
  if (meta.has("database_id") || tables.some(({ copied }) => copied > 0)) return;
  if (names.length > 0 && !names.includes("jobs")) {
    throw new GlassboxError(
      "storage_foreign",
      `Cannot repair ${display} as it is the database of another program: name another with --db`,
    );
  }
  throw new GlassboxError(
    "storage_not_database",
    `Cannot repair ${display} as nothing in it can be read as a row of glassbox: bring back a backup`,
  );
}

async function takeId(core: StoreCore, id: string | undefined): Promise<string | null> {
  if (id === undefined || !ID.test(id)) return null;
  await core.write([statement("UPDATE meta SET value = ? WHERE name = 'database_id'", id)]);
  return id;
}
