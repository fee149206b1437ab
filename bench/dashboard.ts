/** A genome dashboard of a whole bacterium among 40 genomes, as a command, beside only reading the same rows. */
import { writeGenomes } from "../tests/fixtures/genome/database.ts";
import type { Room } from "./room.ts";
import { type Contestant, interleave, type Table } from "./table.ts";

const GENES = 5_000;
const GENOMES = 40;

/** The rows and columns that the dashboard cannot do without, fetched and thrown away. */
const READ = `import sqlite3, sys
columns = "genome, contig, cluster, is_core, ontology_RAST, ontology_KEGG, ontology_GO, ontology_EC, ontology_bakta_product"
for row in sqlite3.connect(sys.argv[1]).execute("SELECT " + columns + " FROM pangenome_feature"): pass`;

export async function measureDashboard(room: Room): Promise<Table> {
  const rounds = room.quick ? 3 : 9;
  const database = `${room.directory}/pangenome.db`;
  writeGenomes(database, { genes: GENES, genomes: GENOMES });
  const env = { GLASSBOX_DB: room.newDatabase() };
  const own = room.programs.map(({ name, argv }): Contestant => ({
    name,
    run: () => {
      const settings = [
        `databases=${database}`,
        `output_dir=${room.directory}/out`,
        "pangenome_ids=GB_GCA_1000000.1",
      ];
      const flags = settings.flatMap((setting) => ["--set", setting]);
      return room.spawn([...argv, "run", "-q", "genome-dashboard", ...flags], env);
    },
  }));
  const read: Contestant = {
    name: "python3 reads",
    run: () => room.spawn([room.python, "-S", "-c", READ, database]),
  };
  return {
    name: "dashboard",
    about:
      `a genome dashboard of ${GENES} genes among ${GENOMES} genomes, the whole command; the largest process's memory`,
    columns: ["exitMs", "cpuMs", "peakMb"],
    rows: await interleave([read, ...own], rounds, 1),
    compare: { column: "exitMs", with: ["python3 reads"] },
    rounds,
  };
}
