import { GlassboxError, isGlassboxError } from "../core/errors.ts";
import type { Files, Host, ReusableLock } from "../core/host.ts";
import { LIMITS } from "../core/limits.ts";
import { directoryOf } from "../core/paths.ts";
import { Artifacts } from "./artifacts.ts";
import { Changes } from "./changes.ts";
import { Connection, type ConnectionOptions, statement } from "./connection.ts";
import { DatabaseFile } from "./database_file.ts";
import type { Result, Statement } from "./driver.ts";
import { copyJob } from "./export.ts";
import { fileError } from "./failures.ts";
import { explained } from "./explained.ts";
import { Jobs } from "./jobs.ts";
import { Lines } from "./lines.ts";
import { Retention } from "./retention.ts";
import { Schedules } from "./schedules.ts";
import {
  type DatabaseIdentity,
  migrate,
  readIdentity,
  refuseNewer,
  SCHEMA_VERSION,
  schemaGuard,
} from "./schema.ts";
import type { StoreCore } from "./store_core.ts";
import { Queues } from "./queues.ts";
import { Workers } from "./workers.ts";
import { Writer } from "./writer.ts";

export interface StoreOptions extends ConnectionOptions {
  /** Refuse a database whose id does not begin with this. */
  readonly expectId: string | null;
  /** Where lock files and unrecorded outcomes of this database live; the same for all who use it on this machine. */
  readonly runDirectory: string;
}

/** The open database. `close` it, once or more, and everything written is settled first. */
export class Store {
  readonly jobs: Jobs;
  readonly lines: Lines;
  readonly artifacts: Artifacts;
  readonly workers: Workers;
  readonly queues: Queues;
  readonly schedules: Schedules;
  readonly retention: Retention;
  readonly changes: Changes;
  readonly id: string;
  readonly schema: number;
  readonly display: string;
  readonly runDirectory: string;
  readonly isEmbedded: boolean;
  #core: StoreCore;
  #connection: Connection;
  #writer: Writer;
  #lock: ReusableLock | null;
  /** Null for a server. */
  #file: DatabaseFile | null;
  #files: Files;
  #refusal: GlassboxError | null = null;
  #isClosed = false;

  private constructor(
    connection: Connection,
    writer: Writer,
    lock: ReusableLock | null,
    identity: DatabaseIdentity,
    options: StoreOptions,
    host: Host,
    file: DatabaseFile | null,
  ) {
    this.#connection = connection;
    this.#writer = writer;
    this.#lock = lock;
    this.id = identity.id;
    this.schema = identity.schema;
    this.display = options.display;
    this.runDirectory = options.runDirectory;
    this.isEmbedded = connection.isEmbedded;
    this.#files = host.files;
    this.#file = file;
    this.changes = new Changes(host.clock, () => connection.dataVersion());
    const core: StoreCore = this.#core = {
      read: (query) => connection.read(query).catch((error) => this.#refuse(error)),
      refusal: () => this.#refusal ?? this.#overload(),
      readTogether: (queries) => connection.readTogether(queries).catch((error) => this.#refuse(error)),
      write: async (statements, topics = []) => {
        if (this.#isClosed) {
          throw new GlassboxError(
            "shutting_down",
            `Cannot write to ${this.display} as this process has closed it`,
          );
        }
        const results = await this.#written(statements);
        this.changes.notify(topics);
        return results;
      },
    };
    this.jobs = new Jobs(core, host);
    this.lines = new Lines(core);
    this.artifacts = new Artifacts(core, host);
    this.workers = new Workers(core, host);
    this.queues = new Queues(core);
    this.schedules = new Schedules(core, host);
    this.retention = new Retention(core);
  }

  /** Opens, and where needed creates or migrates, the database. */
  static async open(options: StoreOptions, host: Host): Promise<Store> {
    const lock = await openLock(options, host);
    let connection: Connection | null = null;
    try {
      const place: { file: DatabaseFile | null } = { file: null };
      connection = await Connection.open(options, host.clock, () => place.file?.check() ?? Promise.resolve());
      const writer = new Writer(connection, lock, host.clock, [schemaGuard()]);
      const identity = await identify(connection, writer, host, options.path);
      refuseOther(options, identity);
      if (options.path !== null) {
        place.file = await DatabaseFile.at(options.path, options.display, host.files);
      }
      return new Store(connection, writer, lock, identity, options, host, place.file);
    } catch (error) {
      connection?.close();
      lock?.close();
      throw error;
    }
  }

  /** Refuses new jobs with this error, while what runs may still be recorded; null takes them again. */
  refuseNew(refusal: GlassboxError | null): void {
    this.#refusal = refusal;
  }

  get takesNew(): boolean {
    return this.#refusal === null;
  }

  /** A disk that is slower than jobs come in: those that run must not wait behind ever more new ones. */
  #overload(): GlassboxError | null {
    const { waiting } = this.#writer;
    if (waiting < LIMITS.writesWaitingMax) return null;
    return new GlassboxError(
      "storage_busy",
      `Cannot accept another job as ${waiting} writes wait for the database ${this.display}: try again`,
    );
  }

  /** Bytes of the write-ahead log of an embedded file. */
  async walBytes(): Promise<number> {
    if (this.#file === null) return 0;
    return (await this.#files.info(`${this.#file.path}-wal`).catch(() => null))?.sizeBytes ?? 0;
  }

  /** Rejects with `storage_gone` once the file that was opened is no longer at its path: nothing may be written then. */
  async checkPlace(): Promise<void> {
    await this.#file?.check();
  }

  /** A commit counts only when the file that took it still is the one that others will open. */
  async #written(statements: readonly Statement[]): Promise<Result[]> {
    try {
      const results = await this.#writer.write(statements);
      await this.#file?.check();
      return results;
    } catch (error) {
      await this.#file?.check();
      // The guard's own words are SQLite's: whether it was the guard is looked up.
      if (isGlassboxError(error, "storage_io") || isGlassboxError(error, "internal")) {
        await this.demandSchema().catch((other) => {
          if (isGlassboxError(other, "storage_newer_schema")) throw other;
        });
      }
      return await this.#refuse(error);
    }
  }

  async #refuse(error: unknown): Promise<never> {
    throw this.#file === null ? error : await explained(error, this.#file, this.#files);
  }

  /** Throws `storage_newer_schema` when a newer glassbox has migrated the database since it was opened. */
  async demandSchema(): Promise<void> {
    refuseNewer(this.#connection, await readIdentity(this.#connection));
  }

  /** What SQLite itself finds wrong with the file, or with references between rows; empty when all is sound. */
  async integrityErrors(): Promise<string[]> {
    const rows = await this.#core.read(statement("PRAGMA quick_check(20)"));
    const broken = await this.#core.read(statement("PRAGMA foreign_key_check"));
    const found = rows.map((row) => String(Object.values(row)[0])).filter((text) => text !== "ok");
    return [...found, ...broken.map((row) => `a row of ${row.table} refers to a job that is not there`)];
  }

  /** Copies one job's whole history into `target`, an empty database. */
  async exportJob(jobId: string, target: Store): Promise<void> {
    await copyJob(this.#core, target.#core, jobId);
  }

  /** Copies an embedded database as it is now into an empty or new file, without free pages; others may write on. */
  async copyInto(path: string): Promise<void> {
    await this.#connection.read(statement("VACUUM INTO ?", path));
  }

  /** For `salvage/`, which fills this database, a new one, with rows of a damaged one, and is loaded only then. */
  salvaging<T>(work: (core: StoreCore, files: Files) => T): T {
    return work(this.#core, this.#files);
  }

  /** Makes the file alone the whole database, to be moved or copied; the next to open it changes that back. */
  async seal(): Promise<void> {
    await this.#writer.exclusively(() => this.#connection.disableWal());
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.changes.close();
    await this.#writer.drained();
    if (this.#file?.isGone) await this.#connection.emptyWal();
    this.#connection.close();
    this.#lock?.close();
  }
}

/** The write lock lies beside the file itself, not beside a link to it, so that every path to it meets the same lock. */
async function openLock(options: StoreOptions, host: Host): Promise<ReusableLock | null> {
  if (options.path === null) return null;
  const info = await host.files.info(options.path).catch(() => null);
  if (info?.kind === "directory") {
    throw new GlassboxError(
      "storage_cannot_create",
      `Cannot use ${options.path} as a database as it is a directory: name a file in it with --db`,
    );
  }
  if (options.expectId !== null && info === null) {
    throw new GlassboxError(
      "storage_other_database",
      `Cannot use the database ${options.path} as its id must begin with ${options.expectId}: there is no such file`,
    );
  }
  try {
    await host.files.makeDirectory(directoryOf(options.path));
    const real = await host.files.realPath(options.path);
    return await host.locks.open(`${real ?? options.path}.lock`);
  } catch (error) {
    throw fileError(error, options.path);
  }
}

async function identify(
  connection: Connection,
  writer: Writer,
  host: Host,
  path: string | null,
): Promise<DatabaseIdentity> {
  const found = await readIdentity(connection);
  refuseNewer(connection, found);
  const isReady = !connection.isEmbedded || found !== null && await connection.hasWal();
  if (found?.schema === SCHEMA_VERSION && isReady) return found;
  return await writer.exclusively(async () => {
    // SQLite makes sure of the file's name, but not of directories that were made for it: a power cut could take them
    // with all that is in them. Whoever finds tables in it may count on this having been done.
    if (found === null && path !== null) await host.files.syncDirectories(await directoryBehind(host, path));
    if (!isReady) await connection.enableWal();
    try {
      return await migrate(connection, host);
    } catch (error) {
      // On a server there is no lock: the other starter's transaction won, and its result is what we wanted.
      const now = await readIdentity(connection).catch(() => null);
      if (now?.schema === SCHEMA_VERSION && !isGlassboxError(error, "storage_newer_schema")) return now;
      throw error;
    }
  });
}

async function directoryBehind(host: Host, path: string): Promise<string> {
  return directoryOf(await host.files.realPath(path) ?? path);
}

function refuseOther(options: StoreOptions, identity: DatabaseIdentity): void {
  if (options.expectId === null || identity.id.startsWith(options.expectId)) return;
  throw new GlassboxError(
    "storage_other_database",
    `Cannot use the database ${options.display} as its id must begin with ${options.expectId}: it is ${identity.id}`,
  );
}
