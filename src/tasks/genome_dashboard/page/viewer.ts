/** The pages of a finished dashboard. Data come from data.js beside the page, so that it opens from a disk too. */

import { drawTree } from "./tree_view.ts";
import { element, fill } from "./element.ts";
import { GENE_FIELDS, geneTable } from "./gene_table.ts";
import type { AppConfig, DashboardData, Gene, IndexData, PageData, TablesData } from "./page_data.ts";

const data = (globalThis as unknown as { glassboxData: PageData }).glassboxData;
const page = document.getElementById("page")!;

if (data.page === "dashboard") showDashboard(data);
else if (data.page === "index") showIndex(data);
else showTables(data);

function showDashboard({ config, metadata, genes, tree, summary, reactions }: DashboardData): void {
  document.title = `${metadata.organism} · genome dashboard`;
  fill(
    page,
    navigation(config),
    element("h1", {}, metadata.organism),
    element(
      "p",
      { class: "quiet" },
      `Genome ${metadata.genome_id} · pangenome ${metadata.pangenome_id || "not named"}`,
    ),
    element("p", { class: "quiet" }, metadata.taxonomy),
    facts([
      ["Genes", metadata.n_genes],
      ["Contigs", metadata.n_contigs],
      ["Core genes", summary.gene_categories.core_genes],
      ["Accessory genes", summary.gene_categories.accessory_genes],
      ["In no cluster or unknown", summary.gene_categories.unknown_genes],
      ["Reference genomes", metadata.n_ref_genomes],
      ["Closest genome (ANI, %)", summary.comparison.closest_ani],
      ["Mean consistency", meanConsistency(genes)],
      ["Genes below 0.5", genes.filter((gene) => inconsistent(gene)).length],
      ["Reactions", summary.reactions?.total_reactions ?? null],
      ["Gap-filled reactions", summary.reactions?.gapfilled_reactions ?? null],
      ["Essential in rich medium", reactions.stats.essential_rich ?? null],
      ["Phenotypes with growth", summary.growth_phenotypes?.positive_growth ?? null],
      ["Phenotypes without", summary.growth_phenotypes?.negative_growth ?? null],
    ]),
    element("h2", {}, "Genomes by shared gene clusters"),
    drawTree(tree),
    element("h2", {}, "Genes"),
    geneTable(genes),
  );
}

function navigation({ navigation }: AppConfig): HTMLElement {
  const links = navigation.siblings.map(({ organism, url, pangenome_id: id }, index) =>
    index === navigation.current_index
      ? element("strong", {}, `${organism} (${id})`)
      : element("a", { href: url }, `${organism} (${id})`)
  );
  return element(
    "nav",
    {},
    ...(navigation.is_multi_pangenome
      ? [element("a", { href: navigation.index_url }, "All dashboards"), ...links]
      : []),
    element("a", { href: navigation.tables_url }, "Files"),
  );
}

function meanConsistency(genes: readonly Gene[]): string {
  const at = GENE_FIELDS.indexOf("AVG_CONS");
  const known = genes.map((gene) => gene[at] as number).filter((value) => value >= 0);
  return known.length === 0 ? "none" : (known.reduce((a, b) => a + b, 0) / known.length).toFixed(3);
}

function inconsistent(gene: Gene): boolean {
  const value = gene[GENE_FIELDS.indexOf("AVG_CONS")] as number;
  return value >= 0 && value < 0.5;
}

function facts(entries: readonly (readonly [name: string, value: string | number | null])[]): HTMLElement {
  return element(
    "dl",
    { class: "facts" },
    ...entries.map(([name, value]) =>
      element(
        "div",
        {},
        element("dt", {}, name),
        element("dd", {}, value === null ? "no data" : value.toLocaleString("en")),
      )
    ),
  );
}

function showIndex({ dashboards, skipped }: IndexData): void {
  document.title = "Genome Datalake Dashboards";
  fill(
    page,
    element("h1", {}, "Genome Datalake Dashboards"),
    element("p", {}, `${dashboards.length} pangenome dashboards`),
    tableOf(
      ["Organism", "Pangenome ID", "Genes", "Ref Genomes", "Actions"],
      dashboards.map(({ organism, pangenomeId, genes, references, url }) => [
        organism,
        pangenomeId,
        genes,
        references,
        element("a", { href: url }, "Dashboard"),
        element("a", { href: "tables/index.html" }, "Tables"),
      ]),
    ),
    ...skipped.map((text) => element("p", { class: "quiet" }, text)),
  );
}

function showTables({ dashboards, upa }: TablesData): void {
  document.title = "Files of the dashboards";
  fill(
    page,
    element("nav", {}, element("a", { href: "../index.html" }, "Dashboards")),
    element("h1", {}, "Files"),
    element("p", { class: "quiet" }, upa === null ? "" : `From object ${upa}`),
    tableOf(
      ["Organism", "Pangenome ID", "File", "Bytes"],
      dashboards.flatMap(({ organism, pangenomeId, files }) =>
        files.map(({ name, url, bytes }) => [organism, pangenomeId, element("a", { href: url }, name), bytes])
      ),
    ),
  );
}

type Cell = string | number | HTMLElement;

function tableOf(heads: readonly string[], rows: readonly (readonly Cell[])[]): HTMLElement {
  const body = rows.map((cells) => {
    const tds = cells.slice(0, heads.length).map((cell) =>
      element(
        "td",
        typeof cell === "number" ? { class: "number" } : {},
        typeof cell === "number" ? cell.toLocaleString("en") : cell,
      )
    );
    for (const rest of cells.slice(heads.length)) tds.at(-1)!.append(" ", rest as HTMLElement);
    return element("tr", {}, ...tds);
  });
  const head = element("tr", {}, ...heads.map((name) => element("th", { scope: "col" }, name)));
  return element(
    "div",
    { class: "wide" },
    element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)),
  );
}
