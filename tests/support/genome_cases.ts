/** Cases of the genome dashboard that lie in a directory: a database, what to pass with it, and the files to expect. */
import { existsSync } from "node:fs";
import { join } from "node:path";

/** The six files of a dashboard. */
export const DASHBOARD_FILES = [
  "genes_data.json",
  "metadata.json",
  "tree_data.json",
  "reactions_data.json",
  "summary_stats.json",
  "ref_genomes_data.json",
];

export interface GenomeCase {
  readonly name: string;
  readonly directory: string;
  readonly input: {
    readonly databases: readonly string[];
    readonly pangenome_ids: readonly (string | null)[];
    readonly reference_phenotypes?: string;
  };
}

/** Every folder of `directory` with a case.json; none when there is no such directory. */
export function readGenomeCases(directory: string): GenomeCase[] {
  if (!existsSync(directory)) return [];
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  return names.filter((name) => existsSync(join(directory, name, "case.json"))).map((name) => {
    const folder = join(directory, name);
    const { pangenome_id, reference_phenotypes } = JSON.parse(
      Deno.readTextFileSync(join(folder, "case.json")),
    );
    const database = ["db.sqlite", "db.sqlite.gz"].map((file) => join(folder, file)).find((file) =>
      existsSync(file)
    )!;
    return {
      name,
      directory: folder,
      input: {
        databases: [database],
        pangenome_ids: [pangenome_id ?? null],
        ...(reference_phenotypes ? { reference_phenotypes: join(folder, "reference_phenotypes.json") } : {}),
      },
    };
  });
}
