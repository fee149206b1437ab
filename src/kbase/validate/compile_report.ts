import { z } from "zod";
import { fieldErrors } from "../../core/schema.ts";
import { Findings } from "./finding.ts";

const Typed = z.object({ type: z.string(), comment: z.string() });
const Place = z.object({ start_line: z.int().positive(), end_line: z.int().positive() });

const Report = z.object({
  module_name: z.string().min(1),
  sdk_version: z.string(),
  sdk_git_commit: z.string(),
  impl_file_path: z.string(),
  spec_files: z.array(
    z.object({
      file_name: z.string().min(1),
      content: z.string(),
      is_main: z.union([z.literal(0), z.literal(1)]),
    }),
  ),
  function_places: z.record(z.string(), Place),
  functions: z.record(
    z.string(),
    z.object({
      name: z.string(),
      comment: z.string(),
      place: Place.nullable(),
      input: z.array(Typed),
      output: z.array(Typed),
    }),
  ),
});

/** Checks a compile_report.json by what those need who install a client of the module. */
export function checkCompileReport(document: unknown, file: string): Findings {
  const found = new Findings(file);
  const report = Report.safeParse(document);
  if (!report.success) {
    for (const { field, message } of fieldErrors("", report.error)) found.error(field, message);
    return found;
  }
  const main = report.data.spec_files.filter(({ is_main }) => is_main === 1);
  if (main.length !== 1) {
    found.error("spec_files", `must have exactly one with is_main 1: there are ${main.length}`);
  }
  return found;
}
