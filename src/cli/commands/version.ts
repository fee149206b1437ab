import { EXIT } from "../../core/errors.ts";
import type { About } from "../../core/host.ts";
import { VERSION } from "../../core/version.ts";
import type { Cli } from "../session.ts";
import { writeJson } from "./run.ts";

/** What `version` and `--version` print. */
export function versionText({ engine, engineVersion, platform }: About): string {
  return `glassbox ${VERSION} (${engine} ${engineVersion} ${platform})`;
}

/** `glassbox version`: needs no database. */
export async function version(cli: Cli, flags: { json?: boolean | undefined }): Promise<number> {
  const { engine, engineVersion, platform, compiled, binary } = cli.host.about;
  if (flags.json) {
    await writeJson(cli.host, { version: VERSION, engine, engineVersion, platform, compiled, binary });
  } else {
    await cli.host.terminal.stdout.write(`${versionText(cli.host.about)}\n`);
  }
  return EXIT.completed;
}
