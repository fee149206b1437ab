/** A small database in which every test changes what its rule is about, and what is made of it. */
import { join } from "node:path";
import { createHost } from "../../src/platform/host.ts";
import { extract } from "../../src/tasks/genome_dashboard/extract.ts";
import type { ReferencePhenotypes } from "../../src/tasks/genome_dashboard/reference_phenotypes.ts";
import { type Cell, type Rows, writeDatabase } from "../fixtures/genome/database.ts";

export const USER = "user_A";

type Row = Readonly<Record<string, Cell>>;

/** A feature of the user genome; what is not said is ordinary. */
export function feature(id: string, changes: Row = {}): Row {
  const usual = {
    genome: USER,
    contig: "c1",
    feature_id: id,
    length: 300,
    start: 1,
    strand: "+",
    type: "gene",
  };
  return { ...usual, ...changes };
}

/** A row of the pangenome. */
export function member(genome: string, cluster: string | null, changes: Row = {}): Row {
  const id = `${genome}_${++members}`;
  return { genome, contig: "p1", feature_id: id, cluster, is_core: 0, ...changes };
}

let members = 0;

export interface MadeOptions {
  readonly schema?: Readonly<Record<string, string | null>>;
  readonly pangenomeId?: string;
  readonly reference?: ReferencePhenotypes;
}

export interface Made {
  // deno-lint-ignore no-explicit-any
  readonly [file: string]: any;
}

/** The six files by their names without `.json`, made from a database with these rows. */
export async function dashboardOf(rows: Rows, options: MadeOptions = {}): Promise<Made> {
  const directory = await Deno.makeTempDir();
  const path = join(directory, "made.db");
  const withUser = rows.genome === undefined ? { genome: [{ genome: USER, kind: "user" }], ...rows } : rows;
  try {
    writeDatabase(path, withUser, options.schema);
    const database = await createHost().databases.openForeign(path, "made.db");
    try {
      const request = {
        pangenomeId: options.pangenomeId ?? "",
        display: "made.db",
        reference: options.reference ?? null,
      };
      const { files } = await extract(database, request);
      return Object.fromEntries(
        [...files].map(([name, text]) => [name.replace(".json", ""), JSON.parse(text)]),
      );
    } finally {
      await database.close();
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
