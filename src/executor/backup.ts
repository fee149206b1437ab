import { GlassboxError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import type { JobFailure } from "../core/job.ts";
import { Store, type StoreOptions } from "../store/store.ts";
import type { ExecutorContext } from "./context.ts";
import { makeDatabase } from "./new_database.ts";
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

/**
 * Makes a consistent copy while others write. It appears under its name whole and durable, or not at all. The copy
 * is the same database at an earlier time, with the same id.
 */
export async function backUp(context: BackupContext, target: BackupTarget): Promise<Backup> {
  const { host, store } = context;
  const source = await demandFile(context);
  const mode = (await host.files.info(source))?.mode ?? 0o600;
  const { made: lost, bytes } = await makeDatabase(
    host,
    { ...target, ...WORDS, source, mode },
    async (temporary) => {
      await store.copyInto(temporary);
      return await settleCopy(host, {
        url: target.url(temporary),
        token: null,
        path: temporary,
        display: target.path,
        expectId: store.id,
        runDirectory: `${temporary}.run`,
      });
    },
  );
  return { path: target.path, bytes, databaseId: store.id, schema: store.schema, lost };
}

const WORDS = { action: "back up to", exists: "name a new file, or use --force" };

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
