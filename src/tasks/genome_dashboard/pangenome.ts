import { bytesOfText, textOfBytes } from "../../core/byte_text.ts";
import type { ForeignColumn } from "../../core/host.ts";
import type { Feature, Features, Source } from "./features.ts";
import type { Tables } from "./tables.ts";

/** The sources whose values are compared within a cluster. */
export const COMPARED = ["RAST", "KEGG", "GO", "EC", "bakta_product"] as const satisfies readonly Source[];
export type Compared = typeof COMPARED[number];

/** Members of a cluster that have a value, and how often the values that were asked for are among them. */
export interface Agreement {
  withValue: number;
  readonly equal: Map<string, number>;
}

/** What is known of one cluster after the table was read. */
export interface Cluster {
  readonly index: number;
  rows: number;
  genomes: number;
  isCore: boolean;
  readonly agreement: Partial<Record<Compared, Agreement>>;
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
  readonly contigs: Set<string>;
}

/** The pangenome table in one reading: per cluster and per genome what the files need, and no row. */
export interface Pangenome {
  /** Those of the user's features too, whether or not a genome of the table has them. */
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly members: ReadonlyMap<string, Member>;
  /** A NULL cluster that is core: it counts as one, and no genome has it. */
  readonly hasNamelessCore: boolean;
}

/** A set of small whole numbers as bits. */
export class IndexSet {
  #words = new Uint32Array(8);
  size = 0;

  get words(): Uint32Array {
    return this.#words;
  }

  add(index: number): boolean {
    const at = index >>> 5;
    if (at >= this.#words.length) {
      const grown = new Uint32Array(Math.max(at + 1, this.#words.length * 2));
      grown.set(this.#words);
      this.#words = grown;
    }
    const bit = 1 << (index & 31);
    if ((this.#words[at]! & bit) !== 0) return false;
    this.#words[at]! |= bit;
    this.size++;
    return true;
  }

  has(index: number): boolean {
    return ((this.#words[index >>> 5] ?? 0) & (1 << (index & 31))) !== 0;
  }

  *indices(): Generator<number> {
    for (let at = 0; at < this.#words.length; at++) {
      for (let word = this.#words[at]!; word !== 0; word &= word - 1) {
        yield at * 32 + 31 - Math.clz32(word & -word);
      }
    }
  }

  shared(other: IndexSet): number {
    const length = Math.min(this.#words.length, other.words.length);
    let count = 0;
    for (let at = 0; at < length; at++) count += bits(this.#words[at]! & other.words[at]!);
    return count;
  }
}

function bits(word: number): number {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Reads the table, looking closely only at the values that the user's genes have; empty when there is none. */
export function readPangenome(tables: Tables, features: Features): Pangenome {
  const reading = new Reading(features);
  const plan = planOf(tables);
  if (plan !== null) reading.read(tables, plan);
  return reading.result();
}

const TABLE = "pangenome_feature";
const FIRST = 3;

interface Plan {
  readonly columns: readonly ForeignColumn[];
  /** Where each compared source lies in a row; 0 where the table lacks it. */
  readonly sources: readonly { readonly source: Compared; readonly at: number }[];
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
    const at = columns.findIndex((column, index) => index > FIRST && column.name === name);
    return at === -1 ? columns.push({ name, as: "text" }) - 1 : at;
  };
  const short = tables.ontologies(TABLE);
  const sources = COMPARED.map((source) => ({ source, at: place(short.get(source)) })).filter(({ at }) =>
    at > 0
  );
  const keggAt = place(tables.column(TABLE, "ontology_KEGG"));
  const ecAt = place(tables.column(TABLE, "ontology_EC"));
  return { columns, sources, keggAt, ecAt };
}

class Reading {
  /** By ByteText; what is only read to be counted is never decoded. */
  readonly #clusters = new Map<string, Cluster>();
  readonly #members = new Map<string, Member>();
  #hasNamelessCore = false;

  constructor({ all }: Features) {
    for (const feature of all) {
      for (const id of feature.clusters) {
        const cluster = this.#cluster(bytesOfText(id));
        if (feature.type === "gene") this.#ask(cluster, feature);
      }
    }
  }

  read(tables: Tables, { columns, sources, keggAt, ecAt }: Plan): void {
    for (const row of tables.stream(TABLE, columns)) {
      const isCore = row[3] === 1;
      const member = row[0] === null ? null : this.#member(row[0] as string);
      if (member !== null) countRow(member, row, isCore, keggAt, ecAt);
      if (row[1] === null) {
        this.#hasNamelessCore ||= isCore;
        continue;
      }
      const cluster = this.#cluster(row[1] as string);
      cluster.rows++;
      cluster.isCore ||= isCore;
      if (member !== null) {
        member.isInTree = true;
        if (member.clusters.add(cluster.index)) cluster.genomes++;
      }
      for (const { source, at } of sources) {
        const value = row[at] as string | null;
        if (value === null || value === "") continue;
        const agreement = cluster.agreement[source];
        if (agreement === undefined) continue;
        agreement.withValue++;
        const equal = agreement.equal.get(value);
        if (equal !== undefined) agreement.equal.set(value, equal + 1);
      }
    }
  }

  result(): Pangenome {
    const clusters = new Map([...this.#clusters].map(([bytes, cluster]) => [textOfBytes(bytes), cluster]));
    const members = new Map([...this.#members.values()].map((member) => [member.id, member]));
    return { clusters, members, hasNamelessCore: this.#hasNamelessCore };
  }

  #ask(cluster: Cluster, gene: Feature): void {
    for (const source of COMPARED) {
      const value = gene.ontology[source];
      if (value === null || value === "") continue;
      cluster.agreement[source] ??= { withValue: 0, equal: new Map() };
      cluster.agreement[source].equal.set(bytesOfText(value), 0);
    }
  }

  #cluster(bytes: string): Cluster {
    const known = this.#clusters.get(bytes);
    if (known !== undefined) return known;
    const cluster: Cluster = {
      index: this.#clusters.size,
      rows: 0,
      genomes: 0,
      isCore: false,
      agreement: {},
    };
    this.#clusters.set(copied(bytes), cluster);
    return cluster;
  }

  #member(bytes: string): Member {
    const known = this.#members.get(bytes);
    if (known !== undefined) return known;
    const member: Member = {
      id: textOfBytes(bytes),
      clusters: new IndexSet(),
      isInTree: false,
      rows: 0,
      core: 0,
      kegg: 0,
      ec: 0,
      contigs: new Set(),
    };
    this.#members.set(copied(bytes), member);
    return member;
  }
}

function countRow(
  member: Member,
  row: readonly (string | number | null)[],
  isCore: boolean,
  keggAt: number,
  ecAt: number,
): void {
  member.rows++;
  if (isCore) member.core++;
  if (keggAt > 0 && row[keggAt]) member.kegg++;
  if (ecAt > 0 && row[ecAt]) member.ec++;
  const contig = row[2] as string | null;
  if (contig && !member.contigs.has(contig)) member.contigs.add(copied(contig));
}

/** Engines keep the whole piece alive that a part was cut from; this one stands alone. */
function copied(bytes: string): string {
  return JSON.parse(JSON.stringify(bytes));
}
