import { z } from "zod";
import { displayCut } from "../../core/display.ts";
import { GlassboxError } from "../../core/errors.ts";
import { directoryOf } from "../../core/paths.ts";
import { fieldErrors } from "../../core/schema.ts";
import type { TaskContext } from "../../core/task.ts";
import { Clients } from "../../kbase/clients/clients.ts";
import { buildDashboards, type Built, type FetchedDatabase, NothingToRead, type Source } from "./build.ts";
import { localSource } from "./local_source.ts";
import type { Report } from "./report.ts";

/** The object that the genome datalake pipeline writes; only what the dashboards need of it. */
const DatalakeTables = z.looseObject({
  pangenome_data: z.array(z.looseObject({
    pangenome_id: z.string().nullish(),
    // The double l is what the pipeline writes.
    sqllite_tables_handle_ref: z.string().nullish(),
  })).nullish(),
});

type Pangenome = NonNullable<z.output<typeof DatalakeTables>["pangenome_data"]>[number];

/** Makes dashboards of the databases that an object in KBase names, and leaves them there as a report. */
export async function dashboardsOfObject(
  context: TaskContext,
  params: {
    readonly workspace_name?: string | null | undefined;
    readonly input_ref?: string | null | undefined;
  },
): Promise<{ report_name: string; report_ref: string }> {
  const { log } = context;
  if (context.kbase === null) {
    throw new GlassboxError(
      "invalid_input",
      "Cannot make dashboards as databases and output_dir must be given: workspace_name and input_ref are for a KBase job",
    );
  }
  const ref = required("input_ref", params.input_ref);
  const workspace = required("workspace_name", params.workspace_name);
  const clients = new Clients(context);
  await log(displayCut(`Workspace: ${workspace}, object: ${ref}`, 2_000));
  const pangenomes = await pangenomesOf(context, clients, ref);
  const run = `${context.kbase.scratch}/${crypto.randomUUID()}`;
  const downloads = `${run}_downloads`;
  const built = await buildDashboards(context, {
    sources: pangenomes.map((one, index) => {
      const pangenomeId = one.pangenome_id ?? `pangenome_${index}`;
      return kbaseSource(context, clients, `${downloads}/${index}`, { ...one, pangenome_id: pangenomeId });
    }),
    outputDirectory: run,
    upa: ref,
    reference: null,
  });
  await context.files.remove(downloads);
  const shockId = await upload(context, clients, run, built);
  return await report(context, clients, { workspace, shockId, built });
}

/** In the words of the app that this one stands in for. */
function required(key: string, value: string | null | undefined): string {
  if (value === null || value === undefined) throw new Error(`Required parameter '${key}' is missing`);
  return value;
}

async function pangenomesOf(
  { log }: TaskContext,
  clients: Clients,
  ref: string,
): Promise<readonly Pangenome[]> {
  await log(displayCut(`Fetching object ${ref}`, 2_000));
  const { data } = await clients.dataFileUtil.getObject(ref);
  const object = DatalakeTables.safeParse(data);
  if (!object.success) {
    const [first] = fieldErrors("data", object.error);
    throw new GlassboxError(
      "invalid_input",
      `Cannot use ${ref} as a GenomeDataLakeTables object: ${first!.field}: ${first!.message}`,
    );
  }
  const { pangenome_data: pangenomes } = object.data;
  if (pangenomes == null || pangenomes.length === 0) {
    throw new GlassboxError("invalid_input", "GenomeDataLakeTables object has no pangenome_data entries");
  }
  return pangenomes;
}

/** A database that lies in KBase: its handle leads to a stored file, which DataFileUtil brings to the scratch directory. */
function kbaseSource(
  context: TaskContext,
  clients: Clients,
  directory: string,
  pangenome: Pangenome,
): Source {
  const { pangenome_id: pangenomeId = null, sqllite_tables_handle_ref: hid } = pangenome;
  return {
    pangenomeId,
    async fetch(log): Promise<FetchedDatabase> {
      if (!hid) {
        throw new NothingToRead("it has no sqllite_tables_handle_ref, so there is no database to read");
      }
      await log(`Resolving handle ${hid}`);
      const [handle] = await clients.handles.resolve([hid]);
      if (!handle) throw new Error(`the handle service knows no handle ${hid}`);
      await log(`Shock node ${handle.id}`);
      await log("Downloading");
      await context.files.makeDirectory(directory);
      const file = await clients.dataFileUtil.fetchFile(
        { shockId: handle.id },
        `${directory}/`,
        `download of ${hid}`,
      );
      const place = await placeIn(context, directory, file.path);
      await log(`Downloaded ${file.name ?? "the file"} (${sizeText(file.bytes)})`);
      const local = await localSource(context.files, directory, place, pangenomeId).fetch(log);
      const display = handle.file_name ?? file.name ?? hid;
      return { path: local.path, display, dispose: () => context.files.remove(directory) };
    },
  };
}

/** What DataFileUtil says lies where it was told to put it, and nowhere else. */
async function placeIn({ files }: TaskContext, directory: string, path: string): Promise<string> {
  const [real, within] = await Promise.all([files.realPath(path), files.realPath(directory)]);
  if (real !== null && within !== null && directoryOf(real) === within) return path;
  throw new Error("DataFileUtil left the file somewhere else than it was told");
}

async function upload(
  { log }: TaskContext,
  clients: Clients,
  run: string,
  { sizeBytes }: Built,
): Promise<string> {
  await log(`Uploading ${sizeText(sizeBytes)}, to be packed as a zip`);
  const stored = await clients.dataFileUtil.storeFile(run, {
    pack: "zip",
    what: `upload of ${sizeText(sizeBytes)}`,
  });
  await log(`Upload complete: node ${stored.shockId} (${sizeText(stored.bytes)})`);
  return stored.shockId;
}

async function report(
  { log }: TaskContext,
  clients: Clients,
  { workspace, shockId, built }: {
    readonly workspace: string;
    readonly shockId: string;
    readonly built: Built;
  },
): Promise<{ report_name: string; report_ref: string }> {
  await log("Creating report");
  const { message, warnings, html_links, direct_html_link_index, html_window_height }: Report = built.report;
  const { name, ref } = await clients.report.create({
    workspace: { name: workspace },
    message,
    warnings,
    pages: {
      files: html_links.map((link) => ({ ...link, shock_id: shockId })),
      shown: direct_html_link_index,
    },
    htmlWindowHeight: html_window_height,
  });
  for (const { organism, genes } of built.dashboards) {
    await log(`SUCCESS: ${displayCut(organism, 500)}, ${genes} genes`);
  }
  await log(`SUCCESS: report ${name} at ${ref}`);
  return { report_name: name, report_ref: ref };
}

function sizeText(bytes: number | null): string {
  return bytes === null ? "of unknown size" : `${(bytes / 1024).toFixed(1)} KB`;
}
