import { EXIT, GlassboxError, messageOf, quoted } from "../../core/errors.ts";
import { concatBytes } from "../../core/bytes.ts";
import { resolvePath } from "../../core/paths.ts";
import type { Cli } from "../session.ts";
import { table } from "../table.ts";
import { type JobsFlags, withJob } from "./jobs.ts";
import { writeJson } from "./run.ts";

/** Lists a job's artifacts, or writes one to standard output or to a file. */
export function jobsArtifacts(
  cli: Cli,
  flags: JobsFlags & { to?: string | undefined },
  word: string,
  name: string | undefined,
): Promise<number> {
  return withJob(cli, flags, word, async ({ host, store, talk }, id) => {
    if (name === undefined) {
      const artifacts = await store.artifacts.list(id);
      if (flags.json) await writeJson(host, artifacts);
      else if (artifacts.length === 0) await talk.say(`job ${id} left no artifacts`);
      else {
        const rows = artifacts.map((
          artifact,
        ) => [artifact.name, `${artifact.sizeBytes} bytes`, artifact.mediaType]);
        await host.terminal.stdout.write(table(rows, (text) => text));
      }
      return EXIT.completed;
    }
    const artifact = await store.artifacts.get(id, name);
    if (flags.to === undefined || flags.to === "-") {
      for await (const part of store.artifacts.parts(artifact)) await host.terminal.stdout.write(part);
      return EXIT.completed;
    }
    const path = resolvePath(host.processes.workingDirectory, flags.to);
    const parts: Uint8Array[] = [];
    for await (const part of store.artifacts.parts(artifact)) parts.push(part);
    await host.files.writeAtomic(path, concatBytes(parts), { sync: true }).catch((error) => {
      throw cannotWrite(flags.to ?? path, error);
    });
    await talk.say(`wrote ${path}`);
    return EXIT.completed;
  });
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission is denied",
  EISDIR: "it is a directory",
  ENOENT: "its directory does not exist",
  ENOTDIR: "a part of its path is not a directory",
  EPERM: "permission is denied",
  EROFS: "its file system is read-only",
};

/** A file that `--to` names and that cannot be made. */
export function cannotWrite(name: string, error: unknown): GlassboxError {
  const code = String((error as { code?: unknown } | null)?.code ?? "");
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new GlassboxError("storage_full", `Cannot write ${quoted(name)} as its disk is full`, {
      cause: error,
    });
  }
  const why = REASONS[code] ?? messageOf(error);
  return new GlassboxError("storage_cannot_create", `Cannot write ${quoted(name)} as ${why}`, {
    cause: error,
  });
}
