import { fileUrl } from "../../config/database_url.ts";
import { EXIT, GlassboxError, quoted } from "../../core/errors.ts";
import { directoryOf, resolvePath } from "../../core/paths.ts";
import { Store } from "../../store/store.ts";
import type { Cli } from "../session.ts";
import { type JobsFlags, withJob } from "./jobs.ts";

/**
 * Writes one job's whole history as a database of its own, which every glassbox and sqlite3 can read. It appears
 * under its name whole and durable, or not at all: half a history would read as if it were the whole.
 */
export function jobsExport(cli: Cli, flags: JobsFlags & { to: string }, word: string): Promise<number> {
  return withJob(cli, flags, word, async ({ host, store, talk }, id) => {
    const path = resolvePath(host.processes.workingDirectory, flags.to);
    if (await host.files.info(path).catch(() => null) !== null) throw exists(flags.to);
    const parent = directoryOf(path);
    if ((await host.files.info(parent).catch(() => null))?.kind !== "directory") {
      throw new GlassboxError(
        "storage_cannot_create",
        `Cannot export to ${quoted(flags.to)} as its directory must exist: there is no directory ${parent}`,
      );
    }
    const temporary = `${parent === "/" ? "" : parent}/.glassbox-export-${host.random.uuid()}.tmp`;
    const runDirectory = await host.files.temporaryDirectory("glassbox-export-");
    try {
      const options = { token: null, path: temporary, display: path, expectId: null, runDirectory };
      const target = await Store.open({ ...options, url: fileUrl(temporary) }, host);
      try {
        await store.exportJob(id, target);
        // Else what was written may lie beside the file, which is to be whole by itself.
        await target.seal();
      } finally {
        await target.close();
      }
      await host.files.publish(temporary, path, { replace: false }).catch((error) => {
        throw (error as { code?: unknown }).code === "EEXIST" ? exists(flags.to) : error;
      });
    } finally {
      await host.files.remove(runDirectory);
      for (const end of ["", ".lock", "-wal", "-shm", "-journal"]) await host.files.remove(temporary + end);
    }
    await talk.say(`wrote job ${id} to ${path}`);
    return EXIT.completed;
  });
}

function exists(to: string): GlassboxError {
  return new GlassboxError(
    "storage_cannot_create",
    `Cannot export to ${quoted(to)} as it exists already: name a new file`,
  );
}
