import type { Dashboard } from "./output.ts";

/** A pangenome that could not be made into a dashboard, and why. */
export interface Skipped {
  readonly index: number;
  readonly pangenomeId: string;
  readonly reason: string;
}

/** A page of the output, as a KBase report links to it; all of them lie in the same zip. */
export interface ReportLink {
  readonly name: string;
  readonly label: string;
  readonly description: string;
}

export interface Report {
  /** What was skipped and why; empty when nothing was. */
  readonly message: string;
  readonly warnings: readonly string[];
  readonly html_links: readonly ReportLink[];
  readonly direct_html_link_index: 0;
  readonly html_window_height: 800;
}

/** What a report on these dashboards says, but for where the zip lies. */
export function reportOf(dashboards: readonly Dashboard[], skipped: readonly Skipped[]): Report {
  const warnings = skipped.map(skippedText);
  return {
    message: warnings.join("\n"),
    warnings,
    html_links: dashboards.length === 1 ? linksOfOne(dashboards[0]!) : linksOfMany(dashboards),
    direct_html_link_index: 0,
    html_window_height: 800,
  };
}

export function skippedText({ index, pangenomeId, reason }: Skipped): string {
  return `Skipped pangenome ${index + 1} (${pangenomeId}): ${reason}`;
}

const TABLES: ReportLink = {
  name: "tables/index.html",
  label: "BERDL Tables Viewer",
  description: "Interactive table viewer for genome datalake tables",
};

function linksOfOne({ folder, organism }: Dashboard): ReportLink[] {
  const page = {
    name: `${folder}/heatmap/index.html`,
    label: `Datalake Dashboard - ${organism}`,
    description: `Interactive dashboard for ${organism}`,
  };
  return [page, TABLES];
}

function linksOfMany(dashboards: readonly Dashboard[]): ReportLink[] {
  const index = {
    name: "index.html",
    label: "Datalake Dashboard Index",
    description: `Index of ${dashboards.length} pangenome dashboards`,
  };
  const pages = dashboards.map(({ folder, organism, genes, references }) => ({
    name: `${folder}/heatmap/index.html`,
    label: organism,
    description: `Dashboard: ${genes} genes, ${references} ref genomes`,
  }));
  return [index, TABLES, ...pages];
}
