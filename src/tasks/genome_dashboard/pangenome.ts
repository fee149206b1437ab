import type { ForeignColumn, PackedRows } from "../../core/host.ts";
import { ByteIndex } from "./byte_index.ts";
import type { Feature, Features, Source } from "./features.ts";
import { IndexSet } from "./index_set.ts";
import type { Tables } from "./tables.ts";

/** The sources whose values are compared within a cluster. */
export const COMPARED = ["RAST", "KEGG", "GO", "EC", "bakta_product"] as const satisfies readonly Source[];
export type Compared = typeof COMPARED[number];

/** Members of a cluster that have a value, and how often each value that was asked for is among them. */
export interface Agreement {
  withValue: number;
  /** The numbers of the values that were asked for. */
  readonly values: number[];
  readonly equal: number[];
}

/** What is known of one cluster after the table was read. */
export interface Cluster {
  readonly index: number;
  rows: number;
  genomes: number;
  isCore: boolean;
  /** By source, in the order of COMPARED; null where no gene of the user's has a value. */
  readonly agreement: (Agreement | null)[];
}

/** What is known of one genome of the pangenome. */
export interface Member {
  readonly id: string;
  readonly clusters: IndexSet;
  /** Whether any of its rows names a cluster: only then it is in the tree. */
  isInTree: boolean;
  rows: number;
  core: number;
  kegg: number;
  ec: number;
  readonly contigs: IndexSet;
}

/** The pangenome table in one reading: per cluster and per genome what the files need, and no row. */
export interface Pangenome {
  /** Those of the user's features too, whether or not a genome of the table has them. */
  readonly clusters: ReadonlyMap<string, Cluster>;
  /** The numbers of the values that were asked for. */
  readonly values: ReadonlyMap<string, number>;
  readonly members: ReadonlyMap<string, Member>;
  /** A NULL cluster that is core: it counts as one, and no genome has it. */
  readonly hasNamelessCore: boolean;
}

/** Reads the table, looking closely only at the values that the user's genes have; empty when there is none. */
export async function readPangenome(tables: Tables, features: Features): Promise<Pangenome> {
  const reading = new Reading(features);
  const plan = planOf(tables);
  if (plan !== null) await reading.read(tables, plan);
  return reading.result();
}

const TABLE = "pangenome_feature";
/** Where these lie in a row, behind the genome; the sources of annotation follow. */
const [CLUSTER, CONTIG, IS_CORE] = [1, 2, 3];

interface Plan {
  readonly columns: readonly ForeignColumn[];
  /** Where each source of COMPARED lies in a row; 0 where the table lacks it. */
  readonly sources: readonly number[];
  readonly keggAt: number;
  readonly ecAt: number;
}

function planOf(tables: Tables): Plan | null {
  if (!tables.has(TABLE)) return null;
  // The first shape of the table, of a few days, had these two names.
  const cluster = tables.column(TABLE, "cluster") ?? tables.column(TABLE, "pangenome_cluster");
  const isCore = tables.column(TABLE, "is_core") ?? tables.column(TABLE, "pangenome_is_core");
  tables.demand(TABLE, [
    "genome",
    "contig",
    ...(cluster === null ? ["cluster"] : []),
    ...(isCore === null ? ["is_core"] : []),
  ]);
  const columns: ForeignColumn[] = [
    { name: tables.column(TABLE, "genome")!, as: "text" },
    { name: cluster!, as: "text" },
    { name: tables.column(TABLE, "contig")!, as: "text" },
    { name: isCore!, as: "numberOrNull" },
  ];
  const place = (name: string | null | undefined): number => {
    if (name === null || name === undefined) return 0;
    const at = columns.findIndex((column, index) => index > IS_CORE && column.name === name);
    return at === -1 ? columns.push({ name, as: "text" }) - 1 : at;
  };
  const short = tables.ontologies(TABLE);
  const sources = COMPARED.map((source) => place(short.get(source)));
  const keggAt = place(tables.column(TABLE, "ontology_KEGG"));
  const ecAt = place(tables.column(TABLE, "ontology_EC"));
  return { columns, sources, keggAt, ecAt };
}

class Reading {
  readonly #clusterIds = new ByteIndex();
  readonly #clusters: Cluster[] = [];
  readonly #memberIds = new ByteIndex();
  readonly #members: Member[] = [];
  readonly #contigs = new ByteIndex();
  readonly #values = new ByteIndex();
  readonly #asked = new Map<string, number>();
  #hasNamelessCore = false;

  constructor({ all }: Features) {
    for (const { clusters, type, ontology } of all) {
      for (const id of clusters) {
        const cluster = this.#cluster(this.#clusterIds.addText(id));
        if (type === "gene") this.#ask(cluster, ontology);
      }
    }
  }

  async read(tables: Tables, plan: Plan): Promise<void> {
    const width = plan.columns.length;
    for await (const piece of tables.packed(TABLE, plan.columns)) {
      for (let row = 0; row < piece.count; row++) this.#row(piece, row * width, plan);
    }
  }

  result(): Pangenome {
    const clusters = new Map(this.#clusterIds.texts().map((id, index) => [id, this.#cluster(index)]));
    const members = new Map(this.#members.map((member) => [member.id, member]));
    return { clusters, values: this.#asked, members, hasNamelessCore: this.#hasNamelessCore };
  }

  /** Runs once for each row of the table, so nothing is made here that would have to be thrown away. */
  #row(piece: PackedRows, at: number, plan: Plan): void {
    const { bytes, starts, ends } = piece;
    const isCore = piece.numbers[at + IS_CORE] === 1;
    const memberEnd = ends[at]!;
    const member = memberEnd < 0 ? null : this.#member(this.#memberIds.add(bytes, starts[at]!, memberEnd));
    if (member !== null) this.#countRow(member, piece, at, isCore, plan);
    const clusterEnd = ends[at + CLUSTER]!;
    if (clusterEnd < 0) {
      if (isCore) this.#hasNamelessCore = true;
      return;
    }
    const cluster = this.#cluster(this.#clusterIds.add(bytes, starts[at + CLUSTER]!, clusterEnd));
    cluster.rows++;
    if (isCore) cluster.isCore = true;
    if (member !== null) {
      member.isInTree = true;
      if (member.clusters.add(cluster.index)) cluster.genomes++;
    }
    for (let source = 0; source < COMPARED.length; source++) {
      const column = plan.sources[source]!;
      const agreement = cluster.agreement[source]!;
      if (column > 0 && agreement !== null) {
        this.#compare(agreement, bytes, starts[at + column]!, ends[at + column]!);
      }
    }
  }

  #compare(agreement: Agreement, bytes: DataView, start: number, end: number): void {
    if (end <= start) return;
    agreement.withValue++;
    const { values, equal } = agreement;
    if (values.length === 1) {
      if (this.#values.is(values[0]!, bytes, start, end)) equal[0]!++;
      return;
    }
    const place = values.indexOf(this.#values.find(bytes, start, end));
    if (place !== -1) equal[place]!++;
  }

  #countRow(
    member: Member,
    { bytes, starts, ends }: PackedRows,
    at: number,
    isCore: boolean,
    plan: Plan,
  ): void {
    const { keggAt, ecAt } = plan;
    member.rows++;
    if (isCore) member.core++;
    if (keggAt > 0 && ends[at + keggAt]! > starts[at + keggAt]!) member.kegg++;
    if (ecAt > 0 && ends[at + ecAt]! > starts[at + ecAt]!) member.ec++;
    const [start, end] = [starts[at + CONTIG]!, ends[at + CONTIG]!];
    if (end > start) member.contigs.add(this.#contigs.add(bytes, start, end));
  }

  #ask(cluster: Cluster, ontology: Feature["ontology"]): void {
    for (let source = 0; source < COMPARED.length; source++) {
      const value = ontology[COMPARED[source]!];
      if (value === null || value === "") continue;
      const agreement = cluster.agreement[source] ??= { withValue: 0, values: [], equal: [] };
      const number = this.#numberOf(value);
      if (agreement.values.includes(number)) continue;
      agreement.values.push(number);
      agreement.equal.push(0);
    }
  }

  #numberOf(value: string): number {
    const known = this.#asked.get(value);
    if (known !== undefined) return known;
    const number = this.#values.addText(value);
    this.#asked.set(value, number);
    return number;
  }

  #cluster(index: number): Cluster {
    const known = this.#clusters[index];
    if (known !== undefined) return known;
    return this.#clusters[index] = {
      index,
      rows: 0,
      genomes: 0,
      isCore: false,
      agreement: COMPARED.map(() => null),
    };
  }

  #member(index: number): Member {
    return this.#members[index] ??= {
      id: this.#memberIds.text(index),
      clusters: new IndexSet(),
      isInTree: false,
      rows: 0,
      core: 0,
      kegg: 0,
      ec: 0,
      contigs: new IndexSet(),
    };
  }
}
