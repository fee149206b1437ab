/** The tree of files that a run leaves: what lies where, and how the pages find each other. */
import type { Files } from "../../core/host.ts";
import type { Extracted } from "./extract.ts";
import { type Json, toJson } from "./json.ts";
import { assets } from "./page/assets.gen.ts";
import type { AppConfig } from "./page/page_data.ts";
import { ZipPacker } from "./zip.ts";

/** A pangenome that was made into a dashboard. */
export interface Dashboard {
  /** Its place among all pangenomes, before any was skipped. */
  readonly index: number;
  readonly folder: string;
  readonly pangenomeId: string;
  readonly organism: string;
  readonly genomeId: string;
  readonly genes: number;
  readonly references: number;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}

/** The folder of a pangenome: its id with all that could mean something in a path or an address made harmless. */
export function folderOf(index: number, pangenomeId: string): string {
  const slug = pangenomeId.replace(/[^A-Za-z0-9._-]/gu, "_").slice(0, 180);
  return `pangenome_${index}_${slug === "" ? `pangenome_${index}` : slug}`;
}

/** Writes files below one directory, and packs the same files into a zip. */
export class OutputTree {
  readonly #files: Files;
  readonly #directory: string;
  readonly #zip = new ZipPacker();
  readonly #made = new Set<string>();
  sizeBytes = 0;

  constructor(files: Files, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  async write(name: string, text: string): Promise<number> {
    const bytes = new TextEncoder().encode(text);
    await this.#makeDirectory(name.split("/").slice(0, -1).join("/"));
    await this.#files.writeAtomic(`${this.#directory}/${name}`, bytes);
    this.#zip.add(name, bytes);
    this.sizeBytes += bytes.length;
    return bytes.length;
  }

  /** The page's own files, and what it is to show. */
  async writePage(folder: string, data: string): Promise<void> {
    for (const { path, text } of assets()) await this.write(`${folder}${path}`, text);
    await this.write(`${folder}data.js`, dataScript(data));
  }

  zip(): Promise<Uint8Array> {
    return this.#zip.finish();
  }

  async #makeDirectory(name: string): Promise<void> {
    if (this.#made.has(name)) return;
    await this.#files.makeDirectory(`${this.#directory}/${name}`);
    this.#made.add(name);
  }
}

/** As text to be parsed: in an object literal, a key like `__proto__` would mean something else. */
function dataScript(json: string): string {
  return `globalThis.glassboxData = JSON.parse(${JSON.stringify(json)});\n`;
}

/** What a page needs to find its siblings. */
export function appConfig(upa: string | null, dashboards: readonly Dashboard[], current: number): AppConfig {
  const { organism, pangenomeId } = dashboards[current]!;
  return {
    upa,
    navigation: {
      index_url: "../../index.html",
      tables_url: "../../tables/index.html",
      organism,
      pangenome_id: pangenomeId,
      is_multi_pangenome: dashboards.length > 1,
      current_index: current,
      siblings: dashboards.map((one) => ({
        organism: one.organism,
        pangenome_id: one.pangenomeId,
        n_genes: one.genes,
        url: `../../${encodeURIComponent(one.folder)}/heatmap/index.html`,
      })),
    },
  };
}

/** What the page of one dashboard shows: parts of the six files as they are. */
export function dashboardData(config: AppConfig, files: Extracted["files"]): string {
  const parts = {
    metadata: "metadata.json",
    genes: "genes_data.json",
    tree: "tree_data.json",
    summary: "summary_stats.json",
    reactions: "reactions_data.json",
  };
  const texts = Object.entries(parts).map(([name, file]) => `"${name}":${files.get(file)!}`);
  return `{"page":"dashboard","config":${toJson(config as unknown as Json)},${texts.join(",")}}`;
}

export function tablesData(upa: string | null, dashboards: readonly Dashboard[]): string {
  return toJson({
    page: "tables",
    upa,
    dashboards: dashboards.map(({ organism, pangenomeId, folder, files }) => ({
      organism,
      pangenomeId,
      files: files.map(({ name, bytes }) => ({
        name,
        bytes,
        url: `../${encodeURIComponent(folder)}/heatmap/${name}`,
      })),
    })),
  });
}

export function indexData(dashboards: readonly Dashboard[], skipped: readonly string[]): string {
  return toJson({
    page: "index",
    dashboards: dashboards.map(({ organism, pangenomeId, genes, references, folder }) => ({
      organism,
      pangenomeId,
      genes,
      references,
      url: `${encodeURIComponent(folder)}/heatmap/index.html`,
    })),
    skipped,
  });
}

/** Leads to the only dashboard; a folder's name has no character that means anything in HTML. */
export function redirectPage(folder: string): string {
  const url = `${encodeURIComponent(folder)}/heatmap/index.html`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=${url}">
<title>Genome dashboard</title>
</head>
<body><a href="${url}">Genome dashboard</a></body>
</html>
`;
}
