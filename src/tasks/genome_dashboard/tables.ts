import { GlassboxError } from "../../core/errors.ts";
import type { ForeignColumn, ForeignDatabase, ForeignQuery } from "../../core/host.ts";

/** What to read of a table, by the name it has here: the column's own name and its kind. */
export type Spec = Readonly<Record<string, readonly [column: string, as: ForeignColumn["as"]]>>;

export type RowOf<Wanted extends Spec> = {
  -readonly [Key in keyof Wanted]: (Wanted[Key][1] extends "text" ? string : number) | null;
};

export interface ReadOptions {
  readonly where?: ForeignQuery["where"];
  readonly order?: ForeignQuery["order"];
}

/** The tables of one database, with columns found as SQL finds them: whatever the case of their letters. */
export class Tables {
  readonly #database: ForeignDatabase;
  readonly #display: string;

  constructor(database: ForeignDatabase, display: string) {
    this.#database = database;
    this.#display = display;
  }

  has(table: string): boolean {
    return this.#database.columns(table) !== null;
  }

  /** The column as it is spelled, or null when there is no such table or column. */
  column(table: string, name: string): string | null {
    const wanted = name.toLowerCase();
    return this.#database.columns(table)?.find((column) => column.toLowerCase() === wanted) ?? null;
  }

  hasAll(table: string, columns: readonly string[]): boolean {
    return columns.every((column) => this.column(table, column) !== null);
  }

  /** Throws an error that names what is missing. */
  demand(table: string, columns: readonly string[]): void {
    if (!this.has(table)) throw this.#missing(`table ${table}`);
    const missing = columns.find((column) => this.column(table, column) === null);
    if (missing !== undefined) throw this.#missing(`column ${table}.${missing}`);
  }

  /** The ontology columns by their short name, such as KEGG, whose case counts. */
  ontologies(table: string): Map<string, string> {
    const columns = (this.#database.columns(table) ?? []).filter((column) => column.startsWith("ontology_"));
    return new Map(columns.map((column) => [column.replaceAll("ontology_", ""), column]));
  }

  /** All rows; none when there is no such table. A column that is missing reads as null. */
  async read<Wanted extends Spec>(
    table: string,
    wanted: Wanted,
    options: ReadOptions = {},
  ): Promise<RowOf<Wanted>[]> {
    const rows: RowOf<Wanted>[] = [];
    await this.each(table, wanted, options, (row) => rows.push({ ...row }));
    return rows;
  }

  /** The same one by one, for who keeps less than it reads: the row is overwritten by the next. */
  async each<Wanted extends Spec>(
    table: string,
    wanted: Wanted,
    { where, order = "natural" }: ReadOptions,
    visit: (row: RowOf<Wanted>) => void,
  ): Promise<void> {
    const keys = Object.keys(wanted);
    const found = keys.flatMap((key) => {
      const [name, as] = wanted[key]!;
      const column = this.column(table, name);
      return column === null ? [] : [{ key, name: column, as }];
    });
    if (found.length === 0 || (where !== undefined && this.column(table, where.column) === null)) return;
    const query = { table, columns: found, order, ...(where === undefined ? {} : { where }) };
    const row: Record<string, string | number | null> = Object.fromEntries(keys.map((key) => [key, null]));
    await this.#database.each(query, (values) => {
      for (let at = 0; at < found.length; at++) row[found[at]!.key] = values[at]!;
      visit(row as RowOf<Wanted>);
    });
  }

  /** The rows as they come, for a table that is too long to be kept. */
  packed(
    table: string,
    columns: readonly ForeignColumn[],
    { where, order = "inserted" }: ReadOptions = {},
  ): ReturnType<ForeignDatabase["packed"]> {
    return this.#database.packed({ table, columns, order, ...(where === undefined ? {} : { where }) });
  }

  /** These columns as they are spelled, for `packed`; every one must be there. */
  columnsOf<Wanted extends Spec>(table: string, wanted: Wanted): ForeignColumn[] {
    return Object.values(wanted).map(([name, as]) => ({ name: this.column(table, name)!, as }));
  }

  #missing(what: string): GlassboxError {
    return new GlassboxError(
      "invalid_input",
      `Cannot make a dashboard of database ${this.#display} as it must have ${what}: there is none`,
    );
  }
}
