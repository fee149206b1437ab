/** Databases for tests: an embedded file or a libSQL server, each test its own, all closed at its end. */
import { type Client, createClient } from "@libsql/client";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Host } from "../../src/core/host.ts";
import type { Job } from "../../src/core/job.ts";
import { encodeFrames } from "../../src/logs/frames.ts";
import { createHost } from "../../src/platform/host.ts";
import { Store, type StoreOptions } from "../../src/store/store.ts";
import type { ClaimFilter } from "../../src/store/claims.ts";
import type { LineChunk } from "../../src/store/line_writes.ts";
import type { Fence, Finish, NewJob } from "../../src/store/transitions.ts";
import { startSqld } from "./sqld.ts";

export type Backend = "file" | "server";
export const BACKENDS: readonly Backend[] = ["file", "server"];

/** This machine as a store sees it, with what a test puts in its way. */
export function storeHost(changed: Partial<Host> = {}): Host {
  return { ...createHost(), ...changed };
}

export interface TestDatabase extends AsyncDisposable {
  readonly backend: Backend;
  /** The file of an embedded database; of a server, what it keeps its files in. */
  readonly path: string;
  readonly directory: string;
  readonly options: StoreOptions;
  open(host?: Host, changed?: Partial<StoreOptions>): Promise<Store>;
  /** A client that knows nothing of glassbox. */
  raw(): Client;
}

/** A new, empty database. Disposing closes every store and client opened on it and removes all of it. */
export async function testDatabase(backend: Backend): Promise<TestDatabase> {
  const directory = await mkdtemp(join(tmpdir(), "glassbox-store-test-"));
  const path = join(directory, "data", "glassbox.db");
  const server = backend === "server" ? await startSqld(path) : null;
  const options = fileOptions(path);
  if (server !== null) Object.assign(options, { url: server.url, path: null, display: server.url });
  const opened: { close(): void | Promise<void> }[] = [];
  return {
    backend,
    path,
    directory,
    options,
    open: async (host = storeHost(), changed = {}) => {
      const store = await Store.open({ ...options, ...changed }, host);
      opened.push(store);
      return store;
    },
    raw: () => {
      const client = createClient({ url: options.url, ...(server === null ? { timeout: 5_000 } : {}) });
      opened.push(client);
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      for (const one of opened) await one.close();
      await server?.[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

export function fileOptions(path: string): StoreOptions {
  return {
    url: `file:${path}`,
    token: null,
    path,
    display: path,
    expectId: null,
    runDirectory: `${path}.run`,
  };
}

let jobs = 0;

/** A job as `submit` takes it; ids sort in the order in which they were made here. */
export function newJob(changed: Partial<NewJob> = {}): NewJob {
  const id = `job-${String(++jobs).padStart(8, "0")}-${crypto.randomUUID().slice(0, 8)}`;
  return {
    id,
    task: "exec",
    inputJson: '{"program":"true"}',
    requestSha256: "0".repeat(64),
    key: null,
    queue: "default",
    priority: 0,
    timeoutMs: null,
    graceMs: 5_000,
    outputBytesMax: 1_000_000,
    maxAttempts: 1,
    backoffMs: 1_000,
    delayMs: 0,
    concurrencyKey: null,
    reservedFor: null,
    retryOf: null,
    ...changed,
  };
}

export function claimAny(changed: Partial<ClaimFilter> = {}): ClaimFilter {
  return { jobId: null, queues: ["default"], tasks: ["exec"], ...changed };
}

export function fenceOf(job: Job): Fence {
  return { jobId: job.id, worker: job.owner ?? "", epoch: job.epoch };
}

/** A new job that `worker` has claimed. */
export async function runningJob(
  store: Store,
  worker: string,
  changed: Partial<NewJob> = {},
): Promise<Fence> {
  const job = newJob(changed);
  await store.jobs.submit(job);
  const claimed = await store.jobs.claim(worker, claimAny({ jobId: job.id }));
  if (claimed === null) throw new Error(`Cannot claim job ${job.id}, which was just submitted`);
  return fenceOf(claimed);
}

export const COMPLETED: Finish = {
  state: "completed",
  resultJson: '{"ok":true}',
  failure: null,
  evidence: null,
};
export const NO_OUTPUT = { chunks: [], partials: {} } as const;

/** Lines of stdout as one chunk. */
export function chunkOf(firstSeq: number, texts: readonly (string | Uint8Array)[]): LineChunk {
  const lines = texts.map((text, index) => ({
    seq: firstSeq + index,
    stream: "stdout" as const,
    atMs: 1_700_000_000_000 + index,
    end: "newline" as const,
    bytes: typeof text === "string" ? new TextEncoder().encode(text) : text,
  }));
  return { firstSeq, lastSeq: firstSeq + lines.length - 1, frames: encodeFrames(lines) };
}
