import { fileUrl } from "../../config/database_url.ts";
import { EXIT } from "../../core/errors.ts";
import { resolvePath } from "../../core/paths.ts";
import { backUp } from "../../executor/backup.ts";
import { type Cli, type GlobalFlags, withSession } from "../session.ts";
import { writeJson } from "./run.ts";

export interface BackupFlags extends GlobalFlags {
  readonly force?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** `glassbox backup FILE`: a consistent copy of the database while it is in use. */
export function backup(cli: Cli, flags: BackupFlags, file: string): Promise<number> {
  return withSession(cli, flags, async (session) => {
    const path = resolvePath(cli.host.processes.workingDirectory, file);
    const made = await backUp(session, { path, url: fileUrl, force: flags.force ?? false });
    if (flags.json) await writeJson(cli.host, made);
    await session.talk.say(`wrote ${made.bytes} bytes to ${made.path} · database id ${made.databaseId}`);
    if (made.lost > 0) {
      await session.talk.say(
        `${made.lost} ${made.lost === 1 ? "job was" : "jobs were"} running: lost in the copy, untouched here`,
      );
    }
    return EXIT.completed;
  });
}
