/** Databases as nobody would make them: bytes turned over, cut, moved, and schemas that lie. */
import { DatabaseSync } from "node:sqlite";
import { writeGenomes } from "../../fixtures/genome/database.ts";
import { randomOf, type SeededRandom } from "../random.ts";

const PAGE_BYTES = 4096;

/** Statements of which some make a database that is sound and wrong. */
const LIES = [
  "DROP TABLE genome",
  "DROP TABLE user_feature",
  "DROP TABLE pangenome_feature",
  "DROP TABLE genome_reaction",
  "DELETE FROM genome",
  "UPDATE genome SET kind = 'clade', genome = 'x' || rowid",
  "UPDATE user_feature SET start = 'late'",
  "UPDATE user_feature SET length = 9e999, start = -9223372036854775808",
  "UPDATE user_feature SET feature_id = x'00ff', protein_sequence = CAST(x'fffe00c3' AS TEXT)",
  "UPDATE user_feature SET pangenome_cluster = ';:;::;' || char(0) || pangenome_cluster",
  "UPDATE pangenome_feature SET cluster = NULL",
  "UPDATE pangenome_feature SET is_core = 'None', contig = ''",
  "UPDATE pangenome_feature SET ontology_RAST = zeroblob(100000)",
  "UPDATE pangenome_feature SET genome = 'user_GCF_000005845.2.RAST', contig = rowid",
  "UPDATE genome_reaction SET genes = '((((' || genes, reaction_id = '__proto__' || rowid",
  "UPDATE genome_reaction SET rich_media_flux = -9e999, genome_id = NULL",
  "UPDATE gene_phenotype SET fitness_avg = 'None'",
  "UPDATE genome_phenotype SET gap_count = 1e308",
  "UPDATE ani SET ani = -9e999",
  "ALTER TABLE user_feature RENAME COLUMN contig TO kontig",
  "ALTER TABLE pangenome_feature RENAME TO p; CREATE VIEW pangenome_feature AS SELECT * FROM p",
  "ALTER TABLE genome RENAME TO g; CREATE VIEW genome AS SELECT *, readfile('/etc/passwd') AS kind2 FROM g",
  "CREATE TRIGGER t AFTER DELETE ON genome BEGIN SELECT writefile('/tmp/no', 'x'); END",
  "CREATE VIRTUAL TABLE f USING fts5(a); DROP TABLE f_data",
  "DROP TABLE ani; CREATE VIRTUAL TABLE ani USING rtree(id, a, b)",
  "CREATE INDEX i ON pangenome_feature (hex(randomblob(1)) ) WHERE 0",
  "PRAGMA user_version = -1; PRAGMA application_id = 252006673",
  "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE genome (genome TEXT)' WHERE name = 'genome'",
  "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE ' WHERE name = 'ani'",
  "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'user_feature'",
  "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 999999 WHERE name = 'pangenome_feature'",
  "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET type = 'table', rootpage = 1 WHERE name = 'ani'",
];

export interface Mutant {
  readonly what: string;
  readonly bytes: Uint8Array;
}

/** Mutants of one small database, the same for the same seed. */
export class Mutants {
  readonly #directory: string;
  readonly #whole: Uint8Array;

  constructor(directory: string) {
    this.#directory = directory;
    const path = `${directory}/whole.db`;
    writeGenomes(path, { genes: 12, genomes: 2 });
    this.#whole = Deno.readFileSync(path);
  }

  get whole(): Uint8Array {
    return this.#whole;
  }

  make(seed: number): Mutant {
    const random = randomOf(seed);
    const kinds = [() => this.#flipped(random), () => this.#cut(random), () => this.#lie(random)];
    return random.pick([...kinds, kinds[0]!, kinds[0]!])();
  }

  /** A few bytes anywhere, or in the headers of the file and its pages, where they mean most. */
  #flipped(random: SeededRandom): Mutant {
    const bytes = this.#whole.slice();
    const isHead = random.int(0, 1) === 0;
    const places = Array.from({ length: random.int(1, 12) }, () => {
      const page = random.int(0, bytes.length / PAGE_BYTES - 1) * PAGE_BYTES;
      return isHead ? (page + random.int(0, page === 0 ? 112 : 16)) : random.int(0, bytes.length - 1);
    });
    for (const at of places) bytes[at] = random.pick([bytes[at]! ^ (1 << random.int(0, 7)), 0, 0xff, 0x7f]);
    return { what: `bytes ${places.join(" ")}`, bytes };
  }

  #cut(random: SeededRandom): Mutant {
    const at = random.int(0, this.#whole.length - 1);
    const to = random.pick([at, at - at % PAGE_BYTES]);
    if (random.int(0, 1) === 0) return { what: `cut at ${to}`, bytes: this.#whole.slice(0, to) };
    const bytes = this.#whole.slice();
    bytes.copyWithin(at, 0, Math.min(PAGE_BYTES, bytes.length - at));
    return { what: `first page again at ${at}`, bytes };
  }

  #lie(random: SeededRandom): Mutant {
    const path = `${this.#directory}/lie.db`;
    Deno.writeFileSync(path, this.#whole);
    const lies = Array.from({ length: random.int(1, 3) }, () => random.pick(LIES));
    const database = new DatabaseSync(path, { enableDoubleQuotedStringLiterals: true });
    for (const lie of lies) {
      try {
        database.exec(lie);
      } catch {
        // What one lie has broken, the next may not be able to change.
      }
    }
    database.close();
    return { what: lies.join("; "), bytes: Deno.readFileSync(path) };
  }
}
