import { GlassboxError, quoted } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { JobFailure } from "../core/job.ts";
import { baseName, directoryOf } from "../core/paths.ts";
import { Store, type StoreOptions } from "../store/store.ts";
import type { ExecutorContext } from "./context.ts";
import { lastWords } from "./reaper.ts";

type BackupContext = Pick<ExecutorContext, "host" | "store">;

export interface BackupTarget {
  /** Absolute. */
  readonly path: string;
  /** The same as a database URL. */
  readonly url: (path: string) => string;
  /** Replace a file that is there. */
  readonly force: boolean;
}

export interface Backup {
  readonly path: string;
  readonly bytes: number;
  readonly databaseId: string;
  readonly schema: number;
  /** Jobs that ran when the copy was made: in the copy they are lost. */
  readonly lost: number;
}

/** What SQLite keeps beside a database that is in use. */
const COMPANIONS = ["-wal", "-shm", "-journal"] as const;

/**
 * Makes a consistent copy while others write. It appears under its name whole and durable, or not at all. The copy
 * is the same database at an earlier time, with the same id.
 */
export async function backUp(context: BackupContext, target: BackupTarget): Promise<Backup> {
  const { host, store } = context;
  const source = await demandFile(context);
  await demandPlace(context, target);
  const temporary = `${directoryOf(target.path)}/.glassbox-backup-${host.random.uuid()}.tmp`;
  try {
    const mode = (await host.files.info(source))?.mode ?? 0o600;
    await host.files.writeAtomic(temporary, new Uint8Array(0), { mode });
    await store.copyInto(temporary);
    const lost = await settleCopy(host, {
      url: target.url(temporary),
      token: null,
      path: temporary,
      display: target.path,
      expectId: store.id,
      runDirectory: `${temporary}.run`,
    });
    await removeBeside(host, temporary);
    if (target.force) await removeCompanions(host, target.path);
    await host.files.publish(temporary, target.path, { replace: target.force });
    const bytes = (await host.files.info(target.path))?.sizeBytes ?? 0;
    return { path: target.path, bytes, databaseId: store.id, schema: store.schema, lost };
  } catch (error) {
    await removeBeside(host, temporary).catch(() => undefined);
    await host.files.remove(temporary).catch(() => undefined);
    throw isExists(error) ? exists(target.path) : error;
  }
}

async function demandFile({ host, store }: BackupContext): Promise<string> {
  if (!store.isEmbedded) {
    throw new GlassboxError(
      "not_built",
      `Cannot back up ${store.display} as it is a database server: use the server's own backups, ` +
        "or `glassbox jobs export` for single jobs",
    );
  }
  return await host.files.realPath(store.display) ?? store.display;
}

async function demandPlace({ host, store }: BackupContext, { path, force }: BackupTarget): Promise<void> {
  const directory = await host.files.info(directoryOf(path)).catch(() => null);
  if (directory?.kind !== "directory") {
    throw refusal(path, "its directory must exist: make it, or name another file");
  }
  const info = await host.files.info(path);
  if (info === null) return;
  if (info.kind !== "file") throw refusal(path, `it must be a file: it is a ${info.kind}`);
  const [own, there] = await Promise.all([host.files.realPath(store.display), host.files.realPath(path)]);
  if (own === there) throw refusal(path, "it must be another file than the database itself");
  if (!force) throw exists(path);
  // What is in them belongs to the old file, and would be read as the new one's.
  for (const companion of COMPANIONS.filter((one) => one !== "-shm")) {
    if (((await host.files.info(path + companion))?.sizeBytes ?? 0) === 0) continue;
    throw refusal(
      path,
      `what it replaces is in use: there is ${baseName(path)}${companion}. Name a new file`,
    );
  }
}

/**
 * Workers of the database are not workers of its copy. Without this, opening the copy on the same machine would take
 * them for dead and kill their jobs, which run on.
 */
async function settleCopy(host: Host, options: StoreOptions): Promise<number> {
  const store = await Store.open(options, host);
  let lost = 0;
  try {
    for (const worker of await store.workers.open()) {
      const held = await store.jobs.heldBy(worker.id);
      for (const job of held.running) {
        const fence = { jobId: job.id, worker: worker.id, epoch: job.epoch };
        const finish = { state: "failed" as const, resultJson: null, failure: LOST, evidence: null };
        await store.jobs.finish(fence, finish, await lastWords({ store }, job, fence));
      }
      for (const jobId of held.reserved) await store.jobs.abandon(jobId, worker.id, LOST);
      lost += held.running.length + held.reserved.length;
      await store.workers.markStopped(worker.id);
    }
    await store.seal();
  } finally {
    await store.close();
  }
  return lost;
}

const LOST: JobFailure = {
  code: "lost",
  message: "This is a backup that was made while the job ran; how it ended is not known here",
};

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

function exists(path: string): GlassboxError {
  return refusal(path, "it exists already: name a new file, or use --force");
}

function refusal(path: string, why: string): GlassboxError {
  return new GlassboxError("storage_cannot_create", `Cannot back up to ${quoted(path)} as ${why}`);
}
