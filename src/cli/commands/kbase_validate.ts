import { displayText } from "../../core/display.ts";
import { EXIT, GlassboxError, quoted } from "../../core/errors.ts";
import { resolvePath } from "../../core/paths.ts";
import { validate } from "../../kbase/validate/validate.ts";
import { type Cli, type GlobalFlags, prepare } from "../session.ts";
import { writeJson } from "./run.ts";

/** `glassbox kbase validate`: exit 0 when KBase would take the module, 65 when it would not. */
export async function validateModule(
  cli: Cli,
  flags: GlobalFlags & { readonly json?: boolean | undefined },
  named: string | undefined,
): Promise<number> {
  const { host } = cli;
  const { talk } = await prepare(cli, flags);
  const directory = resolvePath(host.processes.workingDirectory, named ?? ".");
  if ((await host.files.info(directory).catch(() => null))?.kind !== "directory") {
    throw new GlassboxError(
      "input_missing",
      `Cannot check ${quoted(named ?? ".")} as it must be a directory`,
    );
  }
  const { files, findings } = await validate(host.files, directory);
  const errors = findings.filter(({ level }) => level === "error").length;
  if (flags.json) await writeJson(host, { valid: errors === 0, files, findings });
  else {
    for (const { level, file, where, message } of findings) {
      const place = where === "" ? file : `${file}: ${where}`;
      await host.terminal.stdout.write(`${displayText(`${level}: ${place}: ${message}`)}\n`);
    }
  }
  const warnings = findings.length - errors;
  await talk.say(`${files.length} file(s) checked: ${errors} error(s), ${warnings} warning(s)`);
  return errors === 0 ? EXIT.completed : EXIT.data;
}
