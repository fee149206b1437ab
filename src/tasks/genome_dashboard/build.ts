import { displayCut } from "../../core/display.ts";
import { GlassboxError, messageOf } from "../../core/errors.ts";
import type { TaskContext } from "../../core/task.ts";
import { extract, type Extracted } from "./extract.ts";
import { type Json, toJson } from "./json.ts";
import {
  appConfig,
  type Dashboard,
  dashboardData,
  folderOf,
  indexData,
  OutputTree,
  redirectPage,
  tablesData,
} from "./output.ts";
import type { ReferencePhenotypes } from "./reference_phenotypes.ts";
import { type Report, reportOf, type Skipped, skippedText } from "./report.ts";

/** A pangenome that names no database: it is skipped with a warning, as nothing went wrong. */
export class NothingToRead extends Error {}

/** One pangenome to make a dashboard of. */
export interface Source {
  /** Null and empty for one that has no id. */
  readonly pangenomeId: string | null;
  /** Brings the database here. What it throws is why the pangenome is skipped. */
  fetch(log: (line: string) => Promise<void>): Promise<FetchedDatabase>;
}

export interface FetchedDatabase {
  readonly path: string;
  /** Its name in errors: what the user called it. */
  readonly display: string;
  /** Called when it has been read. */
  dispose(): Promise<void>;
}

export interface BuildRequest {
  readonly sources: readonly Source[];
  readonly outputDirectory: string;
  /** The object the databases come from; null when they come from files. */
  readonly upa: string | null;
  readonly reference: ReferencePhenotypes | null;
}

export interface Built {
  readonly dashboards: readonly Dashboard[];
  readonly skipped: readonly Skipped[];
  readonly report: Report;
  readonly sizeBytes: number;
  readonly zip: Uint8Array;
}

type Surroundings = Pick<TaskContext, "log" | "progress" | "event" | "files" | "databases" | "signal">;

/** Makes a dashboard of every source that can be read, and the pages that lead to them. */
export async function buildDashboards(context: Surroundings, request: BuildRequest): Promise<Built> {
  return await new Builder(context, request).build();
}

class Builder {
  readonly #context: Surroundings;
  readonly #request: BuildRequest;
  readonly #tree: OutputTree;
  readonly #dashboards: Dashboard[] = [];
  /** What the pages show; kept until all pages know their siblings. */
  readonly #extracted: Extracted["files"][] = [];
  readonly #skipped: Skipped[] = [];

  constructor(context: Surroundings, request: BuildRequest) {
    this.#context = context;
    this.#request = request;
    this.#tree = new OutputTree(context.files, request.outputDirectory);
  }

  async build(): Promise<Built> {
    const { sources, outputDirectory } = this.#request;
    await this.#log(`Found ${sources.length} pangenome(s)`);
    await this.#log(`Output directory: ${outputDirectory}`);
    for (const [index, source] of sources.entries()) {
      await this.#context.progress(index / sources.length, `pangenome ${index + 1} of ${sources.length}`);
      if (this.#context.signal.aborted) throw new Error("The job was stopped");
      await this.#one(index, source);
    }
    if (this.#dashboards.length === 0) {
      const reasons = this.#skipped.map(skippedText).join("; ");
      throw new GlassboxError("invalid_input", `No pangenomes could be processed successfully: ${reasons}`);
    }
    await this.#pages();
    const zip = await this.#tree.zip();
    await this.#context.progress(1, "done");
    return {
      dashboards: this.#dashboards,
      skipped: this.#skipped,
      report: reportOf(this.#dashboards, this.#skipped),
      sizeBytes: this.#tree.sizeBytes,
      zip,
    };
  }

  /** Adds a dashboard, or a reason why there is none; the run goes on either way. */
  async #one(index: number, source: Source): Promise<void> {
    const id = source.pangenomeId ?? "";
    const shownId = id === "" ? `pangenome_${index}` : id;
    await this.#log(`Processing pangenome ${index + 1}/${this.#request.sources.length}: ${shownId}`);
    let extracted: Extracted;
    try {
      extracted = await this.#extract(id, source);
    } catch (error) {
      const skipped = { index, pangenomeId: shownId, reason: messageOf(error) };
      this.#skipped.push(skipped);
      const level = error instanceof NothingToRead ? "WARNING" : "ERROR";
      await this.#log(`${level}: ${skippedText(skipped)}`, "stderr");
      await this.#context.event("pangenome_skipped", { ...skipped, reason: displayCut(skipped.reason, 500) });
      return;
    }
    await this.#keep(index, id, extracted);
  }

  async #extract(pangenomeId: string, source: Source): Promise<Extracted> {
    const fetched = await source.fetch((line) => this.#log(`  ${line}`));
    try {
      await this.#log("  Extracting data");
      const database = await this.#context.databases.openForeign(fetched.path, fetched.display);
      try {
        return await extract(database, {
          pangenomeId,
          display: fetched.display,
          reference: this.#request.reference,
        });
      } finally {
        await database.close();
      }
    } catch (error) {
      await this.#logRefused(fetched);
      throw error;
    } finally {
      await fetched.dispose();
    }
  }

  /** Names the very file that was refused, as there may be others of its name by the time somebody looks. */
  async #logRefused({ path, display }: FetchedDatabase): Promise<void> {
    const hash = await this.#context.databases.sha256(path).catch(() => null);
    if (hash !== null) await this.#log(`  Refused ${display} with SHA-256 ${hash}`, "stderr");
  }

  async #keep(index: number, id: string, { organism, genomeId, counts, files }: Extracted): Promise<void> {
    const folder = folderOf(index, id);
    for (const line of countLines(counts)) await this.#log(`  ${line}`);
    await this.#log(`  Organism: ${organism}`);
    await this.#log(`  Genes: ${counts.genes}, Ref genomes: ${counts.references}`);
    const written: { name: string; bytes: number }[] = [];
    for (const [name, text] of files) {
      const bytes = await this.#tree.write(`${folder}/heatmap/${name}`, text);
      await this.#log(`  Wrote ${name} (${kilobytes(bytes)} KB)`);
      written.push({ name, bytes });
    }
    this.#extracted.push(files);
    this.#dashboards.push({
      index,
      folder,
      pangenomeId: id === "" ? `pangenome_${index}` : id,
      organism,
      genomeId,
      genes: counts.genes,
      references: counts.references,
      files: written,
    });
    await this.#context.event("pangenome_done", {
      index,
      folder,
      organism: displayCut(organism, 200),
      genes: counts.genes,
      references: counts.references,
    });
    await this.#log("  Done");
  }

  async #pages(): Promise<void> {
    const { upa } = this.#request;
    for (const [current, dashboard] of this.#dashboards.entries()) {
      const config = appConfig(upa, this.#dashboards, current);
      const folder = `${dashboard.folder}/heatmap/`;
      await this.#tree.write(`${folder}app-config.json`, JSON.stringify(config, null, 4));
      await this.#tree.writePage(folder, dashboardData(config, this.#extracted[current]!));
    }
    await this.#log(`Wrote app-config.json for ${this.#dashboards.length} dashboard(s)`);
    await this.#log("Generating index page");
    await this.#tree.write("tables/app-config.json", toJson({ upa } as Json));
    await this.#tree.writePage("tables/", tablesData(upa, this.#dashboards));
    if (this.#dashboards.length === 1) {
      await this.#tree.write("index.html", redirectPage(this.#dashboards[0]!.folder));
    } else {
      await this.#tree.writePage("", indexData(this.#dashboards, this.#skipped.map(skippedText)));
    }
    await this.#log(`Total output size: ${kilobytes(this.#tree.sizeBytes)} KB`);
  }

  /** Names from a database may hold anything; a line of the log stays one line. */
  #log(line: string, stream: "stdout" | "stderr" = "stdout"): Promise<void> {
    return this.#context.log(displayCut(line, 2_000), stream);
  }
}

function countLines(counts: Extracted["counts"]): string[] {
  return [
    `Ontology columns: ${counts.ontologies}`,
    `Reference genomes: ${counts.references}`,
    `Genes with essentiality data: ${counts.essentiality}`,
    `Genes with reactions: ${counts.reactions}`,
    `Genes with phenotypes: ${counts.phenotypes}`,
    `Features: ${counts.features}`,
  ];
}

function kilobytes(bytes: number): string {
  return (bytes / 1024).toFixed(1);
}
