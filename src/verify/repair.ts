import { GlassboxError } from "../core/errors.ts";
import type { Host } from "../core/host.ts";
import { fill, type TableSalvage } from "../store/salvage/fill.ts";
import { Mending } from "../store/salvage/mending.ts";
import { Store, type StoreOptions } from "../store/store.ts";
import type { Violation } from "./check.ts";
import { type Mended, mendJob } from "./mend.ts";
import { verifyDatabase } from "./verify.ts";

export interface Repaired {
  readonly databaseId: string;
  /** False when the id of the damaged database could not be read, so that the new one has its own. */
  readonly isSameId: boolean;
  readonly tables: readonly TableSalvage[];
  readonly jobs: number;
  /** Jobs of which something is missing; each says what in its event `repaired`. */
  readonly incomplete: readonly string[];
  /** Jobs that made no sense as far as they could be read, and were left out. */
  readonly removed: readonly string[];
  /** Empty unless repairing itself is at fault. */
  readonly violations: readonly Violation[];
}

export interface Damaged {
  readonly path: string;
  readonly display: string;
  /** What its id must begin with; null when any will do. */
  readonly expectId: string | null;
}

const JOBS_AT_ONCE = 200;

/** Makes a new database of what can be read of the damaged one at `path`, and checks it with the one checker. */
export async function repairInto(
  options: StoreOptions,
  host: Host,
  damaged: Damaged,
): Promise<Repaired> {
  const store = await Store.open(options, host);
  try {
    const filled = await store.salvaging((core, files) => fill(core, files, damaged.path, damaged.display));
    const mending = store.salvaging((core) => new Mending(core));
    refuseOther(damaged, filled.databaseId);
    await mending.tie();
    const incomplete: string[] = [];
    const removed: string[] = [];
    let jobs = 0;
    for await (const id of jobIds(store)) {
      const job = await store.jobs.find(id);
      const { as }: Mended = job === null
        ? { as: "removed" } as Mended
        : await mendJob(store, mending, job, host.clock.nowMs());
      if (as === "removed") removed.push(id);
      else jobs++;
      if (as === "incomplete") incomplete.push(id);
    }
    await mending.tie();
    const { violations } = await verifyDatabase(store, { isWorkerAlive: () => true });
    await store.seal();
    const databaseId = filled.databaseId ?? store.id;
    const { tables } = filled;
    return {
      databaseId,
      isSameId: filled.databaseId !== null,
      tables,
      jobs,
      incomplete,
      removed,
      violations,
    };
  } finally {
    await store.close();
  }
}

function refuseOther({ display, expectId }: Damaged, id: string | null): void {
  if (expectId === null || id?.startsWith(expectId)) return;
  throw new GlassboxError(
    "storage_other_database",
    `Cannot repair the database ${display} as its id must begin with ${expectId}: it is ${
      id ?? "not readable"
    }`,
  );
}

async function* jobIds(store: Store): AsyncGenerator<string> {
  for (let before: string | null = null;;) {
    const ids: string[] = await store.jobs.ids(before, JOBS_AT_ONCE);
    yield* ids;
    if (ids.length < JOBS_AT_ONCE) return;
    before = ids.at(-1)!;
  }
}
