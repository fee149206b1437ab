import { fileUrl } from "../../config/database_url.ts";
import { EXIT, GlassboxError, quoted } from "../../core/errors.ts";
import { directoryOf, resolvePath } from "../../core/paths.ts";
import { Store } from "../../store/store.ts";
import type { Cli } from "../session.ts";
import { type JobsFlags, withJob } from "./jobs.ts";

/** Writes one job's whole history as a database of its own, which every glassbox and sqlite3 can read. */
export function jobsExport(cli: Cli, flags: JobsFlags & { to: string }, word: string): Promise<number> {
  return withJob(cli, flags, word, async ({ host, store, talk }, id) => {
    const path = resolvePath(host.processes.workingDirectory, flags.to);
    if (await host.files.info(path).catch(() => null) !== null) {
      throw new GlassboxError(
        "storage_cannot_create",
        `Cannot export to ${quoted(flags.to)} as it exists already: name a new file`,
      );
    }
    const parent = directoryOf(path);
    if ((await host.files.info(parent).catch(() => null))?.kind !== "directory") {
      throw new GlassboxError(
        "storage_cannot_create",
        `Cannot export to ${quoted(flags.to)} as its directory must exist: there is no directory ${parent}`,
      );
    }
    const runDirectory = await host.files.temporaryDirectory("glassbox-export-");
    try {
      const options = { url: fileUrl(path), token: null, path, display: path, expectId: null, runDirectory };
      const target = await Store.open(options, host);
      try {
        await store.exportJob(id, target);
        // Else what was written may lie beside the file, which is to be whole by itself.
        await target.seal();
      } finally {
        await target.close();
      }
    } catch (error) {
      // Half a history would read as if it were the whole.
      for (const ending of ["", "-wal", "-shm", "-journal"]) await host.files.remove(`${path}${ending}`);
      throw error;
    } finally {
      await host.files.remove(runDirectory);
      for (const end of [".lock", "-wal", "-shm"]) await host.files.remove(path + end);
    }
    await talk.say(`wrote job ${id} to ${path}`);
    return EXIT.completed;
  });
}
