import { z } from "zod";
import type { CallbackClient } from "./callback.ts";

/** A file of a report: where it comes from is exactly one of these. */
export type ReportFile =
  & { readonly name: string; readonly label?: string; readonly description?: string }
  & ({ readonly path: string } | { readonly shock_id: string });

export interface ExtendedReport {
  readonly workspace: { readonly id: number } | { readonly name: string };
  readonly message?: string;
  readonly warnings?: readonly string[];
  readonly objectsCreated?: readonly { readonly ref: string; readonly description?: string }[];
  /** Pages; `shown` is the one to open with. */
  readonly pages?: { readonly files: readonly ReportFile[]; readonly shown: number };
  readonly files?: readonly ReportFile[];
  readonly directHtml?: string;
  readonly name?: string;
  /** In pixels, whole. */
  readonly htmlWindowHeight?: number;
}

const Created = z.tuple([z.looseObject({ name: z.string().min(1), ref: z.string().min(1) })]);

/** KBase's module for what an app shows when it has ended. */
export class KBaseReport {
  readonly #callback: CallbackClient;

  constructor(callback: CallbackClient) {
    this.#callback = callback;
  }

  /** What is undefined is left out, as KBaseReport refuses keys it does not know and some that are null. */
  async create(report: ExtendedReport): Promise<{ name: string; ref: string }> {
    const { workspace, pages } = report;
    const params = {
      ...("id" in workspace ? { workspace_id: workspace.id } : { workspace_name: workspace.name }),
      message: report.message ?? "",
      ...(report.warnings === undefined ? {} : { warnings: report.warnings }),
      objects_created: report.objectsCreated ?? [],
      ...(pages === undefined ? {} : { html_links: pages.files, direct_html_link_index: pages.shown }),
      ...(report.files === undefined ? {} : { file_links: report.files }),
      ...(report.directHtml === undefined ? {} : { direct_html: report.directHtml }),
      ...(report.name === undefined ? {} : { report_object_name: report.name }),
      ...(report.htmlWindowHeight === undefined ? {} : { html_window_height: report.htmlWindowHeight }),
    };
    const [{ name, ref }] = await this.#callback.run("KBaseReport.create_extended_report", [params], Created);
    return { name, ref };
  }
}
