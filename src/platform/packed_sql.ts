/**
 * SQL that gives many rows as one value of bytes, to be read by `packed_rows.ts`: a call of the library for each
 * value would take several times as long, and text must leave it as bytes. A text is `5:hello`, or `:` for NULL; a
 * number ends with a semicolon, which stands alone for NULL.
 */

import type { ForeignColumn, ForeignQuery } from "../core/host.ts";

/** Few enough for their text to stay small, many enough for a call to cost nothing beside them. */
const ROWS_AT_ONCE = 2_000;

/** A function of SQLite takes 100 arguments; a text column needs three of them. */
const COLUMNS_IN_ONE_CALL = 30;

export function packedSql(rowsSql: string): string {
  return rowsSql.replace(/^SELECT (.*) FROM/, "SELECT CAST(group_concat($1, '') AS BLOB), 0, '' FROM");
}

/** A table may have columns of these names, which then no longer mean the row's own number. */
export function rowIdOf(columns: readonly string[]): string | null {
  const taken = new Set(columns.map((name) => name.toLowerCase()));
  return ["rowid", "_rowid_", "oid"].find((name) => !taken.has(name)) ?? null;
}

export function selectOf(
  { table, columns, where, order }: ForeignQuery,
  rowId: string | null,
  after: boolean,
): string {
  const packs = columns.map(packOf);
  const calls: string[] = [];
  for (let at = 0; at < packs.length; at += COLUMNS_IN_ONE_CALL) {
    calls.push(`concat(${packs.slice(at, at + COLUMNS_IN_ONE_CALL).join(",")})`);
  }
  const odd = columns.map(oddOf).filter((one) => one !== null).map((one) => `(${one})`).join("+") || "0";
  const row = calls.join("||");
  const source = quotedName(table);
  if (order === "natural" || where !== undefined || rowId === null) {
    const condition = where === undefined ? "" : ` WHERE ${quotedName(where.column)} = ?`;
    return `SELECT CAST(group_concat(${row}, '') AS BLOB), max(${odd}), '' FROM ${source}${condition}`;
  }
  return `SELECT CAST(group_concat(p, '') AS BLOB), max(o), CAST(max(r) AS TEXT) FROM (
    SELECT ${rowId} r, ${row} p, ${odd} o FROM ${source}
    ${after ? `WHERE ${rowId} > CAST(? AS INTEGER)` : ""} ORDER BY ${rowId} LIMIT ${ROWS_AT_ONCE})`;
}

function packOf({ name, as }: ForeignColumn): string {
  const column = quotedName(name);
  if (as === "text") return `octet_length(${column}),':',${column}`;
  return `CASE typeof(${column}) WHEN 'integer' THEN ${column} WHEN 'real' THEN quote(${column}) END,';'`;
}

/** The condition under which a value is refused. */
export function oddOf({ name, as }: ForeignColumn): string | null {
  const column = quotedName(name);
  if (as === "text") return `typeof(${column}) = 'blob'`;
  if (as === "numberOrNull") return null;
  return `typeof(${column}) = 'blob' OR (typeof(${column}) = 'text' AND trim(${column}) <> '')`;
}

export function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
