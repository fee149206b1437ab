import { z } from "zod";
import { displayCut } from "../../core/display.ts";
import { GlassboxError } from "../../core/errors.ts";
import { defineTask, type TaskContext } from "../../core/task.ts";

const PANGENOMES_MAX = 1_000;

const path = z.string().min(1).max(4096).regex(/^\/[^\0]*$/, "must be an absolute path");
const pangenomeId = z.string().max(1_000).nullable();

/** One value where a list is meant is a list of one. */
function listOf<Item extends z.ZodType>(item: Item) {
  const list = z.array(item).min(1).max(PANGENOMES_MAX);
  return z.preprocess((value) => typeof value === "string" ? [value] : value, list);
}

const name = z.string().min(1).max(1_000);

/** What is asked of databases that lie here, and of those that a KBase object names: either, never both. */
const Input = z.lazy(() =>
  z.preprocess(
    withoutStrangers,
    z.strictObject({
      databases: listOf(path).optional()
        .describe("SQLite files of the genome datalake, one for each pangenome"),
      output_dir: path.optional()
        .describe("Where the dashboards are written; made when it is not there"),
      pangenome_ids: listOf(pangenomeId).nullish()
        .describe("The id of each database's pangenome, in the same order; null for one without"),
      reference_phenotypes: path.nullish()
        .describe(
          "A JSON file of genomes with known growth, {phenotype_ids, genomes: [{id, accuracy, vector}]}",
        ),
      workspace_name: name.nullish()
        .describe("As a KBase method, instead of all these: the workspace that gets the report"),
      input_ref: name.nullish()
        .describe("As a KBase method: the KBaseFBA.GenomeDataLakeTables object with the databases"),
    }).superRefine((input, { addIssue }) => {
      for (const [key, message] of wrongWith(input)) addIssue({ code: "custom", path: [key], message });
    }),
  )
);
type Input = z.output<typeof Input>;

const LOCAL_KEYS = ["databases", "output_dir", "pangenome_ids", "reference_phenotypes"] as const;

/** KBase's own app passes over what else its caller sends. */
function withoutStrangers(input: unknown): unknown {
  if (typeof input !== "object" || input === null || !("workspace_name" in input || "input_ref" in input)) {
    return input;
  }
  const known: readonly string[] = [...LOCAL_KEYS, "workspace_name", "input_ref"];
  return Object.fromEntries(Object.entries(input).filter(([key]) => known.includes(key)));
}

function wrongWith(input: Partial<Record<string, unknown>>): [string, string][] {
  const given = LOCAL_KEYS.filter((key) => input[key] != null);
  if (isForKbase(input)) {
    return given.map((key) => [key, "Must not stand beside workspace_name and input_ref"]);
  }
  const missing = (["databases", "output_dir"] as const).filter((key) => input[key] === undefined);
  const { databases, pangenome_ids: ids } = input;
  const isUneven = Array.isArray(databases) && Array.isArray(ids) && ids.length !== databases.length;
  return [
    ...missing.map((key): [string, string] => [key, "Is missing"]),
    ...(isUneven ? [["pangenome_ids", "Must have one entry for each database"] as [string, string]] : []),
  ];
}

/** An empty input too: only KBase leaves out all, and its callers expect its own words for that. */
function isForKbase(input: Partial<Record<string, unknown>>): boolean {
  return "workspace_name" in input || "input_ref" in input || Object.keys(input).length === 0;
}

const LocalOutput = z.lazy(() =>
  z.strictObject({
    output_dir: z.string(),
    size_bytes: z.int(),
    dashboards: z.array(z.strictObject({
      folder: z.string(),
      pangenome_id: z.string(),
      organism: z.string(),
      genome_id: z.string(),
      genes: z.int(),
      ref_genomes: z.int(),
    })),
    skipped: z.array(z.strictObject({ index: z.int(), pangenome_id: z.string(), reason: z.string() })),
    report: z.strictObject({
      message: z.string(),
      html_links: z.array(z.strictObject({ name: z.string(), label: z.string(), description: z.string() })),
    }),
  })
);

/** As KBase's apps tell where their report is. */
const KbaseOutput = z.strictObject({ report_name: z.string(), report_ref: z.string() });

const Output = z.lazy(() => z.union([LocalOutput, KbaseOutput]));

/** Dashboards of user genomes among their pangenomes, from databases that lie on this machine or in KBase. */
export const genomeDashboard = defineTask({
  name: "genome-dashboard",
  summary: "Make an offline dashboard of genomes from genome datalake databases",
  isolation: "child",
  input: Input,
  output: Output,
  resolvePaths,
  kbase: {
    method: "KBDatalakeDashboard.run_genome_datalake_dashboard",
    authentication: "required",
    parameters: ["object"],
  },
  async run(context, input) {
    await banner(context, input);
    if (!isForKbase(input)) return await dashboardsOfFiles(context, input);
    const { dashboardsOfObject } = await import("./kbase_way.ts");
    return await dashboardsOfObject(context, input);
  },
});

async function dashboardsOfFiles(
  context: TaskContext,
  { databases, output_dir, pangenome_ids, reference_phenotypes }: Input,
): Promise<z.input<typeof LocalOutput>> {
  if (databases === undefined || output_dir === undefined) {
    throw new GlassboxError(
      "invalid_input",
      "Cannot make dashboards as databases and output_dir are missing",
    );
  }
  if (context.kbase !== null) {
    // Whoever calls a service has no business with the files of its machine.
    throw new GlassboxError("invalid_input", "Cannot read databases of this machine for a KBase method");
  }
  const [{ buildDashboards }, { localSource }, { readReferencePhenotypes }] = await Promise.all([
    import("./build.ts"),
    import("./local_source.ts"),
    import("./reference_phenotypes.ts"),
  ]);
  const reference = reference_phenotypes == null
    ? null
    : await readReferencePhenotypes(context.files, reference_phenotypes);
  const sources = databases.map((database, index) =>
    localSource(context.files, context.directory, database, pangenome_ids?.[index] ?? null)
  );
  await demandDirectory(context, output_dir);
  const built = await buildDashboards(context, {
    sources,
    outputDirectory: output_dir,
    upa: null,
    reference,
  });
  await context.artifact("genome-dashboard.zip", built.zip);
  for (const { organism, genes } of built.dashboards) {
    await context.log(`SUCCESS: ${displayCut(organism, 500)}, ${genes} genes`);
  }
  return {
    output_dir,
    size_bytes: built.sizeBytes,
    dashboards: built.dashboards.map((one) => ({
      folder: one.folder,
      pangenome_id: one.pangenomeId,
      organism: one.organism,
      genome_id: one.genomeId,
      genes: one.genes,
      ref_genomes: one.references,
    })),
    skipped: built.skipped.map(({ index, pangenomeId, reason }) => ({
      index,
      pangenome_id: pangenomeId,
      reason,
    })),
    report: { message: built.report.message, html_links: [...built.report.html_links] },
  };
}

async function banner(context: TaskContext, params: unknown): Promise<void> {
  const line = "=".repeat(60);
  for (const text of [line, "Genome Datalake Dashboard", line]) await context.log(text);
  await context.log(displayCut(`START with params: ${JSON.stringify(params)}`, 2_000));
}

async function demandDirectory({ files }: TaskContext, path: string): Promise<void> {
  try {
    await files.makeDirectory(path);
  } catch (error) {
    const code = String((error as { code?: unknown } | null)?.code ?? error);
    throw new GlassboxError(
      "output_failed",
      `Cannot write to output_dir ${path} as it must be a directory: ${code}`,
    );
  }
}

function resolvePaths(input: unknown, absolute: (path: string) => string): unknown {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return input;
  const resolved = (value: unknown): unknown =>
    typeof value === "string" && value !== ""
      ? absolute(value)
      : Array.isArray(value)
      ? value.map(resolved)
      : value;
  return Object.fromEntries(
    Object.entries(input).map(([key, value]) =>
      ["databases", "output_dir", "reference_phenotypes"].includes(key)
        ? [key, resolved(value)]
        : [key, value]
    ),
  );
}
