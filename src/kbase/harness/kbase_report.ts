import { z } from "zod";
import type { Files } from "../../core/host.ts";
import { baseName } from "../../core/paths.ts";
import { upaOf } from "../clients/data_file_util.ts";
import { answerError, only, type StandIn } from "./answer.ts";
import { pack } from "./packing.ts";
import type { SharedTmp } from "./shared_tmp.ts";
import type { LocalStore, StoredFile } from "./store.ts";

export interface KBaseReportOptions {
  readonly files: Files;
  readonly store: LocalStore;
  readonly tmp: SharedTmp;
  readonly blobUrl: () => string;
  readonly uuid: () => string;
}

const PIECE_BYTES = 256 * 1024;

const text = z.string().nullish();

const ReportFile = z.strictObject({
  name: z.string().min(1),
  path: z.string().optional(),
  shock_id: z.string().optional(),
  template: z.unknown().optional(),
  label: text,
  description: text,
}).refine(
  ({ path, shock_id, template }) =>
    [path, shock_id, template].filter((one) => one !== undefined).length === 1,
  { message: "must have exactly one of path, shock_id and template" },
);
type ReportFile = z.output<typeof ReportFile>;

const pixels = z.int("must be a whole number of pixels").min(1).nullish();

const Extended = z.strictObject({
  workspace_id: z.int().min(0).optional(),
  workspace_name: z.string().min(1).optional(),
  message: text,
  direct_html: text,
  warnings: z.array(z.string()).optional(),
  objects_created: z.array(z.strictObject({ ref: z.string().min(1), description: text })).optional(),
  html_links: z.array(ReportFile).optional(),
  direct_html_link_index: z.int().min(0).nullish(),
  file_links: z.array(ReportFile).optional(),
  template: z.unknown().optional(),
  report_object_name: z.string().optional(),
  html_window_height: pixels,
  summary_window_height: pixels,
}).refine(({ workspace_id, workspace_name }) => workspace_id !== undefined || workspace_name !== undefined, {
  message: "must have workspace_id or workspace_name",
}).refine((report) => (report.html_links === undefined) === (report.direct_html_link_index === undefined), {
  message: "html_links and direct_html_link_index must come together",
}).refine(
  ({ template, html_links, direct_html }) =>
    template === undefined || (html_links === undefined && direct_html === undefined),
  { message: "template excludes direct_html and html_links" },
);

const Simple = z.looseObject({
  report: z.looseObject({
    text_message: text,
    direct_html: text,
    warnings: z.array(z.string()).nullish(),
    objects_created: z.array(z.looseObject({ ref: z.string(), description: text })).nullish(),
  }),
  workspace_id: z.int().optional(),
  workspace_name: z.string().optional(),
});

/** A stand-in for KBaseReport, as strict as the module itself. */
export function kbaseReport(options: KBaseReportOptions): StandIn {
  return {
    create_extended_report: async (params, { provenance }) => {
      const report = only(Extended, params);
      if (report.template !== undefined) {
        throw answerError("The stand-in renders no templates: give KBaseReport's image");
      }
      const index = report.direct_html_link_index;
      if (typeof index === "number" && report.html_links!.length <= index) {
        throw answerError("list index out of range");
      }
      const html = await linked(options, report.html_links ?? [], true, index ?? null);
      const files = await linked(options, report.file_links ?? [], false, null);
      const data = {
        text_message: report.message ?? "",
        warnings: report.warnings ?? [],
        objects_created: report.objects_created ?? [],
        file_links: files,
        html_links: html,
        direct_html: report.direct_html ?? null,
        direct_html_link_index: index ?? null,
        html_window_height: report.html_window_height ?? null,
        summary_window_height: report.summary_window_height ?? null,
      };
      const place = report.workspace_id ?? report.workspace_name!;
      return [await saved(options, place, data, report.report_object_name, provenance)];
    },
    create: async (params, { provenance }) => {
      const { report, workspace_id, workspace_name } = only(Simple, params);
      const place = workspace_id ?? workspace_name;
      if (place === undefined) throw answerError("must have workspace_id or workspace_name");
      return [await saved(options, place, report, undefined, provenance)];
    },
    status: () => Promise.resolve([{ state: "OK", message: "a stand-in", version: "3.2.1" }]),
  };
}

async function saved(
  { store, uuid }: KBaseReportOptions,
  workspace: string | number,
  data: object,
  named: string | undefined,
  provenance: readonly unknown[],
): Promise<{ ref: string; name: string }> {
  const name = named ?? `report_${uuid()}`;
  const { info } = await store.save(workspace, { type: "KBaseReport.Report", name, data, provenance });
  return { ref: upaOf(info), name };
}

async function linked(
  options: KBaseReportOptions,
  links: readonly ReportFile[],
  isPage: boolean,
  shown: number | null,
): Promise<object[]> {
  const done: object[] = [];
  for (const [index, link] of links.entries()) {
    const stored = await storedOf(options, link, isPage, index === shown);
    const handle = options.store.addHandle(stored, stored.name).hid;
    const { name, label, description } = link;
    const url = `${options.blobUrl()}/node/${stored.id}`;
    done.push({ handle, name, label: label ?? null, description: description ?? null, URL: url });
  }
  return done;
}

async function storedOf(
  { files, store, tmp, uuid }: KBaseReportOptions,
  { name, path, shock_id, template }: ReportFile,
  isPage: boolean,
  isShown: boolean,
): Promise<StoredFile> {
  if (template !== undefined) {
    throw answerError("The stand-in renders no templates: give KBaseReport's image");
  }
  if (shock_id !== undefined) {
    const stored = store.file(shock_id);
    if (stored === null) throw answerError(`Node not found: ${shock_id}`);
    if (isPage) await demandZip(files, stored);
    return stored;
  }
  const place = await tmp.locate(path!);
  const kind = (await files.info(place))?.kind;
  if (kind === undefined) throw answerError(`${path} does not exist`);
  if (kind === "directory" && isShown && (await files.info(`${place}/${name}`))?.kind !== "file") {
    throw answerError(`${name} is not in ${path}`);
  }
  let upload = place;
  if (kind === "directory") upload = await pack(files, place, "zip", tmp.directory);
  else if (isPage) upload = await pageDirectory(files, place, `${tmp.directory}/${uuid()}`, name);
  return await store.addFile(baseName(upload), files.readPieces(upload, PIECE_BYTES));
}

/** A single page becomes a directory of its own, and that a zip. */
async function pageDirectory(files: Files, page: string, directory: string, name: string): Promise<string> {
  if (name.includes("/")) throw answerError(`${name} must be a plain name for a page that is one file`);
  await files.makeDirectory(directory);
  await files.writePieces(`${directory}/${name}`, files.readPieces(page, PIECE_BYTES));
  return await pack(files, directory, "zip", "/");
}

/** The viewer unpacks what a page's node holds. */
async function demandZip(files: Files, stored: StoredFile): Promise<void> {
  for await (const piece of files.readPieces(stored.path, 4)) {
    if (piece[0] === 0x50 && piece[1] === 0x4b) return;
    break;
  }
  throw answerError(
    `Node ${stored.id} (${stored.name}) of html_links must be a zip file: the viewer unpacks it`,
  );
}
