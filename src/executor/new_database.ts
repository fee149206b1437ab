import { GlassboxError, quoted } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { baseName, directoryOf } from "../core/paths.ts";

export interface NewDatabase {
  /** Absolute. */
  readonly path: string;
  /** Replace a file that is there. */
  readonly force: boolean;
  readonly mode: number;
  /** The file it is made of, which must be another one. */
  readonly source: string;
  /** For messages, as in "back up to". */
  readonly action: string;
  /** What to do about a file that is there. */
  readonly exists: string;
}

/** What SQLite keeps beside a database that is in use. */
const COMPANIONS = ["-wal", "-shm", "-journal"] as const;

/**
 * Has a database made in a file with a temporary name, empty and private to whoever `mode` says, and gives it its own
 * when it is done: it appears whole and durable, or not at all.
 */
export async function makeDatabase<T>(
  host: Host,
  place: NewDatabase,
  make: (temporary: string) => Promise<T>,
): Promise<{ made: T; bytes: number }> {
  const { path, force, mode } = place;
  await demandPlace(host, place);
  const temporary = `${directoryOf(path)}/.glassbox-new-${host.random.uuid()}.tmp`;
  try {
    await host.files.writeAtomic(temporary, new Uint8Array(0), { mode });
    const made = await make(temporary);
    await removeBeside(host, temporary);
    if (force) await removeCompanions(host, path);
    await host.files.publish(temporary, path, { replace: force });
    return { made, bytes: (await host.files.info(path))?.sizeBytes ?? 0 };
  } catch (error) {
    await removeBeside(host, temporary).catch(() => undefined);
    await host.files.remove(temporary).catch(() => undefined);
    throw isExists(error) ? exists(place) : error;
  }
}

async function demandPlace(host: Host, place: NewDatabase): Promise<void> {
  const { path, force, source } = place;
  const directory = await host.files.info(directoryOf(path)).catch(() => null);
  if (directory?.kind !== "directory") {
    throw refusal(place, "its directory must exist: make it, or name another file");
  }
  const info = await host.files.info(path);
  if (info === null) return;
  if (info.kind !== "file") throw refusal(place, `it must be a file: it is a ${info.kind}`);
  const [own, there] = await Promise.all([host.files.realPath(source), host.files.realPath(path)]);
  if (own === there) throw refusal(place, "it must be another file than the database itself");
  if (!force) throw exists(place);
  // What is in them belongs to the old file, and would be read as the new one's.
  for (const companion of COMPANIONS.filter((one) => one !== "-shm")) {
    if (((await host.files.info(path + companion))?.sizeBytes ?? 0) === 0) continue;
    throw refusal(
      place,
      `what it replaces is in use: there is ${baseName(path)}${companion}. Name a new file`,
    );
  }
}

async function removeBeside(host: Host, temporary: string): Promise<void> {
  for (const end of [".lock", ".run"]) await host.files.remove(temporary + end);
  await removeCompanions(host, temporary);
}

async function removeCompanions(host: Host, path: string): Promise<void> {
  for (const companion of COMPANIONS) await host.files.remove(path + companion);
}

function isExists(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "EEXIST";
}

function exists(place: NewDatabase): GlassboxError {
  return refusal(place, `it exists already: ${place.exists}`);
}

function refusal({ action, path }: NewDatabase, why: string): GlassboxError {
  return new GlassboxError("storage_cannot_create", `Cannot ${action} ${quoted(path)} as ${why}`);
}
