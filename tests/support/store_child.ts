/**
 * Another process on a test's database: `deno run -A store_child.ts VERB PATH …`. It says what it did as JSON lines
 * on stdout, and waits for lines on stdin where its test decides when it goes on.
 */
import { createClient } from "@libsql/client";
import { isGlassboxError } from "../../src/core/errors.ts";
import { Store } from "../../src/store/store.ts";
import { claimAny, fileOptions, newJob, storeHost } from "./store_fixture.ts";

const VERBS: Record<string, (path: string, ...rest: string[]) => Promise<void>> = {
  open,
  claim,
  submit,
  hold,
  "hold-write-lock": holdWriteLock,
  fill,
};

const words = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).getReader();

function say(fact: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(fact)}\n`));
}

/** Says that it is ready, and waits for any word. */
async function ready(): Promise<void> {
  say("ready");
  await words.read();
}

async function open(path: string, times: string): Promise<void> {
  await ready();
  const opening = Array.from({ length: Number(times) }, () => Store.open(fileOptions(path), storeHost()));
  const stores = await Promise.all(opening);
  say(stores.map(({ id, schema }) => ({ id, schema })));
  for (const store of stores) await store.close();
}

async function claim(path: string, worker: string): Promise<void> {
  const store = await Store.open(fileOptions(path), storeHost());
  await ready();
  const ids: string[] = [];
  let longestMs = 0;
  for (;;) {
    const start = performance.now();
    const job = await store.jobs.claim(worker, claimAny());
    longestMs = Math.max(longestMs, performance.now() - start);
    if (job === null) break;
    ids.push(job.id);
  }
  say({ ids, longestMs });
  await store.close();
}

async function submit(path: string, count: string): Promise<void> {
  const store = await Store.open(fileOptions(path), storeHost());
  for (let done = 0; done < Number(count); done++) {
    await ready();
    say(await store.jobs.submit(newJob()));
  }
  await store.close();
}

/** A program that knows nothing of our lock holds SQLite's own. */
async function hold(path: string): Promise<void> {
  const client = createClient({ url: `file:${path}`, timeout: 5_000 });
  const transaction = await client.transaction("write");
  await ready();
  await transaction.rollback();
  client.close();
  say("released");
}

/** A glassbox that was killed in the middle of a commit: it holds our lock and SQLite's, and never ends. */
async function holdWriteLock(path: string): Promise<void> {
  const lock = await storeHost().locks.open(`${path}.lock`);
  await lock.lock();
  const transaction = await createClient({ url: `file:${path}` }).transaction("write");
  await transaction.execute("UPDATE meta SET value = value");
  await ready();
}

/**
 * Fills a small file system through the store and frees it again: submits until refused, once more, removes a
 * ballast, submits, and opens anew. Says what was acknowledged and what is there.
 */
async function fill(directory: string): Promise<void> {
  const path = `${directory}/glassbox.db`;
  const ballast = `${directory}/ballast`;
  const store = await Store.open(fileOptions(path), storeHost());
  await Deno.writeFile(ballast, new Uint8Array(600_000));
  const acknowledged: string[] = [];
  const refused: string[] = [];
  const codes: string[] = [];
  const trySubmit = async (bytes: number) => {
    const job = newJob({ inputJson: JSON.stringify("x".repeat(bytes)) });
    try {
      await store.jobs.submit(job);
      acknowledged.push(job.id);
    } catch (error) {
      refused.push(job.id);
      codes.push(isGlassboxError(error) ? error.code : String(error));
    }
  };
  while (codes.length === 0 && acknowledged.length < 10_000) await trySubmit(16_000);
  for (let count = 0; count < 5; count++) await trySubmit(64_000);
  const readableWhenFull = (await store.jobs.list({ limit: 10_000 })).length;
  const acknowledgedWhenFull = acknowledged.length;
  await Deno.remove(ballast);
  const refusedBefore = refused.length;
  for (let count = 0; count < 10; count++) await trySubmit(1_000);
  await store.close();
  const again = await Store.open(fileOptions(path), storeHost());
  const there = (await again.jobs.list({ limit: 10_000 })).map(({ id }) => id);
  await again.close();
  const client = createClient({ url: `file:${path}` });
  const check = (await client.execute("PRAGMA integrity_check")).rows[0]?.[0];
  client.close();
  say({
    codes,
    acknowledgedWhenFull,
    readableWhenFull,
    refusedAfterSpace: refused.length - refusedBefore,
    acknowledged,
    refused,
    there,
    check,
  });
}

const [verb, ...args] = Deno.args;
await VERBS[verb ?? ""]!(...(args as [string, ...string[]]));
Deno.exit(0);
