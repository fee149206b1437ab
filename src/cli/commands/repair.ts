import { fileUrl } from "../../config/database_url.ts";
import { EXIT, GlassboxError } from "../../core/errors.ts";
import type { Host } from "../../core/host.ts";
import { resolvePath } from "../../core/paths.ts";
import { makeDatabase } from "../../executor/new_database.ts";
import { type Repaired, repairInto } from "../../verify/repair.ts";
import { type Cli, type GlobalFlags, prepare, sayFirstLine, storeOptions } from "../session.ts";
import { table } from "../table.ts";
import { writeJson } from "./run.ts";

export type RepairFlags = GlobalFlags & { readonly json?: boolean | undefined };

/** `glassbox repair FILE`: a new database of what can be read of a damaged one, which is never changed. */
export async function repair(cli: Cli, flags: RepairFlags, file: string): Promise<number> {
  const { host } = cli;
  const { settings, talk } = await prepare(cli, flags);
  await sayFirstLine(cli, settings, talk, null);
  const options = await storeOptions(host, settings);
  const source = await demandDamaged(host, options.path, options.display);
  await demandUnused(host, source);
  const path = resolvePath(host.processes.workingDirectory, file);
  const mode = 0o600 | ((await host.files.info(source))?.mode ?? 0);
  const place = { path, force: false, mode, source, action: "repair into", exists: "name a new file" };
  const { made, bytes } = await makeDatabase(host, place, (temporary) =>
    repairInto(
      {
        url: fileUrl(temporary),
        token: null,
        path: temporary,
        display: path,
        expectId: null,
        runDirectory: `${temporary}.run`,
      },
      host,
      { path: source, display: options.display, expectId: settings.expectDatabase },
    ));
  if (flags.json) await writeJson(host, { path, bytes, ...made });
  else await host.terminal.stdout.write(tableOf(made));
  for (const line of [...summary(made), `wrote ${bytes} bytes to ${path} · database id ${made.databaseId}`]) {
    await talk.say(line);
  }
  return made.violations.length === 0 ? EXIT.completed : EXIT.io;
}

async function demandDamaged(host: Host, path: string | null, display: string): Promise<string> {
  if (path === null) {
    throw new GlassboxError(
      "not_built",
      `Cannot repair ${display} as it is a database server: repair its file where the server keeps it`,
    );
  }
  const info = await host.files.info(path).catch(() => null);
  if (info?.kind !== "file") {
    const what = info === null ? "there is no such file" : `it is a ${info.kind}`;
    throw new GlassboxError(
      "input_missing",
      `Cannot repair ${display} as ${what}: name the damaged file with --db`,
    );
  }
  await demandReadable(host, path, display);
  return await host.files.realPath(path) ?? path;
}

/** A disk that fails here and there is what this is for; a file that may not be read is another matter. */
async function demandReadable({ files }: Host, path: string, display: string): Promise<void> {
  try {
    for await (const _ of files.readPieces(path, 1)) break;
  } catch (error) {
    const code = (error as { code?: unknown } | null)?.code;
    if (code !== "EACCES" && code !== "EPERM") return;
    throw new GlassboxError("input_denied", `Cannot repair ${display} as permission to read it is denied`, {
      cause: error,
    });
  }
}

/** Whoever uses it would write on while we read, and what they wrote last would be missing. */
async function demandUnused({ files, locks }: Host, source: string): Promise<void> {
  const directory = `${source}.run/workers`;
  const names = await files.list(directory).catch(() => []);
  for (const name of names.filter((one) => one.endsWith(".lock"))) {
    // Where no lock file can be opened, as on a disk that went read-only, nobody can write either.
    const lock = await locks.tryAcquire(`${directory}/${name}`).catch(() => undefined);
    lock?.release();
    if (lock !== null) continue;
    throw new GlassboxError(
      "storage_busy",
      `Cannot repair ${source} as worker ${
        name.slice(0, -".lock".length)
      } uses it: stop what runs on it first`,
    );
  }
}

function tableOf({ tables }: Repaired): string {
  const rows = tables.map((one) =>
    [one.table, one.copied, one.damaged, one.orphaned, one.lostPages].map(String)
  );
  return table([["TABLE", "COPIED", "DAMAGED", "WITHOUT JOB", "LOST PAGES"], ...rows], (text) => text);
}

function* summary({ jobs, incomplete, removed, isSameId, violations }: Repaired): Generator<string> {
  yield `${jobs} ${jobs === 1 ? "job" : "jobs"} copied, ${incomplete.length} of them with something missing`;
  for (const id of incomplete) yield `job ${id} is incomplete: its event \`repaired\` says what is missing`;
  for (const id of removed) yield `job ${id} was left out: what can be read of it makes no sense`;
  if (!isSameId) yield "the id of the damaged database cannot be read: the new one has an id of its own";
  for (const { invariant, job, message } of violations) {
    yield `${invariant}  ${job === null ? "the database" : `job ${job}`} ${message}`;
  }
}
