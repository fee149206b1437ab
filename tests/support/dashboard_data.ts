/** What the harness is given for a dashboard: an object, and the databases behind its handles. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeGenomes } from "../fixtures/genome/database.ts";
import type { Sandbox } from "./glassbox.ts";

export const METHOD = "KBDatalakeDashboard.run_genome_datalake_dashboard";

export interface Pangenome {
  readonly pangenome_id?: string | null;
  readonly sqllite_tables_handle_ref?: string | null;
}

/** A data directory with one object, and two databases behind the handles KBH_1 and KBH_2. */
export async function makeDashboardData(
  sandbox: Sandbox,
  pangenomes: readonly Pangenome[] = [ONE],
): Promise<string> {
  const data = join(sandbox.directory, "data");
  await mkdir(join(data, "objects/lab"), { recursive: true });
  await mkdir(join(data, "files"));
  writeGenomes(join(data, "files/one.db"), { genes: 30, genomes: 3 });
  writeGenomes(join(data, "files/two.db"), { genes: 20, genomes: 2 });
  const handles = { KBH_1: "files/one.db", KBH_2: "files/two.db" };
  await writeFile(join(data, "handles.json"), JSON.stringify(handles));
  const object = {
    type: "KBaseFBA.GenomeDataLakeTables-1.0",
    data: { name: "t", pangenome_data: pangenomes },
  };
  await writeFile(join(data, "objects/lab/tables.json"), JSON.stringify(object));
  return data;
}

export const ONE: Pangenome = { pangenome_id: "GB_GCA_1.1", sqllite_tables_handle_ref: "KBH_1" };
