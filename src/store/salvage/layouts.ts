import type { SqlValue } from "../driver.ts";
import { statement } from "../driver.ts";
import type { StoreCore } from "../store_core.ts";
import type { Value } from "./cells.ts";

/** How the rows of a table lie in the file, and what they may hold. */
export interface Layout {
  readonly table: string;
  /** False for one that is a tree in the order of its key. */
  readonly hasRowIds: boolean;
  /** In the order of a record. */
  readonly columns: readonly Column[];
  /** Every record has so many values at least: columns that came later have defaults. */
  readonly leastColumns: number;
  /** True where each row belongs to a job. */
  readonly isOfJob: boolean;
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly mayBeNull: boolean;
  readonly isJson: boolean;
}

const JSON_COLUMNS = ["input", "result", "failure", "evidence", "data", "request"];

/** The tables of a sound database of this build, those first to which others refer. */
export async function readLayouts(core: StoreCore): Promise<Layout[]> {
  const tables = await core.read(statement(
    "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%'",
  ));
  const layouts: Layout[] = [];
  for (const { name, wr } of tables) {
    const rows = await core.read(
      statement("SELECT * FROM pragma_table_info(?) ORDER BY cid", String(name)),
    );
    const isKeyed = Number(wr) === 1;
    const isKey = (row: typeof rows[number]) => Number(row.pk) > 0;
    const keys = rows.filter(isKey).sort((a, b) => Number(a.pk) - Number(b.pk));
    const ordered = isKeyed ? [...keys, ...rows.filter((row) => !isKey(row))] : rows;
    const columns = ordered.map((row) => ({
      name: String(row.name),
      type: String(row.type),
      mayBeNull: Number(row.notnull) === 0 && !isKey(row),
      isJson: JSON_COLUMNS.includes(String(row.name)),
    }));
    const needed = ordered.map((row) => isKey(row) || Number(row.notnull) === 1 && row.dflt_value === null);
    layouts.push({
      table: String(name),
      hasRowIds: !isKeyed,
      columns,
      leastColumns: needed.lastIndexOf(true) + 1,
      isOfJob: columns.some((column) => column.name === "job_id"),
    });
  }
  return layouts.sort((a, b) => Number(a.isOfJob) - Number(b.isOfJob));
}

/** What a row of this table would be given as; null when the values cannot be one. */
export function rowOf(layout: Layout, values: readonly Value[] | null): SqlValue[] | null {
  if (values === null || values.length < layout.leastColumns || values.length > layout.columns.length) {
    return null;
  }
  const row: SqlValue[] = [];
  for (const [index, value] of values.entries()) {
    const taken = valueFor(layout.columns[index]!, value);
    if (taken === undefined) return null;
    row.push(taken);
  }
  return row;
}

function valueFor(column: Column, value: Value): SqlValue | undefined {
  if (value.type === "null") return column.mayBeNull ? null : undefined;
  if (value.type === "number") {
    return column.type === "INTEGER" && Number.isSafeInteger(value.number) ? value.number : undefined;
  }
  if (value.type === "blob") return column.type === "BLOB" ? value.bytes : undefined;
  return column.type === "TEXT" ? textOf(value.bytes, column.isJson) : undefined;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text that is not UTF-8 must not come into a database: its reader would be ended for it. */
function textOf(bytes: Uint8Array, isJson: boolean): string | undefined {
  try {
    const text = decoder.decode(bytes);
    if (isJson) JSON.parse(text);
    return text.includes("\0") ? undefined : text;
  } catch {
    return undefined;
  }
}
