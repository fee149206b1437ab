/** Lines of a child stored a second, and the memory that takes. */
import { createHost } from "../src/platform/host.ts";
import { Recorder } from "../src/logs/recorder.ts";
import { encodeFrames } from "../src/logs/frames.ts";
import { LIMITS } from "../src/core/limits.ts";
import { idMaker, prepareJob } from "../src/executor/submit.ts";
import type { Captured } from "../src/store/jobs.ts";
import type { Store } from "../src/store/store.ts";
import { builtInTasks } from "../src/tasks/registry.ts";
import { openBare } from "./libsql_limit.ts";
import type { Program, Room } from "./room.ts";
import { type Contestant, interleave, type Sample, type Table } from "./table.ts";

const PIPE_LIMIT = "cat, a line a write";
const STORE_LIMIT = "libsql, the same bytes";
const LINES_PER_WRITE = 1000;
/** As much as a pipe holds. */
const PIECE_BYTES = 64 * 1024;

export async function measureLines(room: Room): Promise<Table> {
  const count = room.quick ? 200_000 : 1_000_000;
  const rounds = room.quick ? 1 : 3;
  const store = await room.openStore(room.newDatabase());
  room.defer(() => store.close());
  const contestants = [
    throughCat(room, PIPE_LIMIT, count, 1),
    throughCat(room, `cat, ${LINES_PER_WRITE} lines a write`, count, LINES_PER_WRITE),
    bareLimit(room, count),
    recorder("recorder, storing nothing", count, () => Promise.resolve(() => Promise.resolve())),
    recorder("recorder and store", count, () => intoStore(store)),
    ...room.programs.flatMap((program) => [
      throughRun(room, program, count, 1),
      throughRun(room, program, count, LINES_PER_WRITE),
    ]),
  ];
  return {
    name: "lines",
    about: `${count.toLocaleString("en")} short lines: lines a second, start included; peak memory`,
    columns: ["perSecond", "seconds", "peakMb"],
    rows: await interleave(contestants, rounds, 0),
    compare: { column: "perSecond", with: [PIPE_LIMIT, STORE_LIMIT] },
    rounds,
  };
}

/** The pipe alone: from the writer through `cat` into nothing. */
function throughCat(room: Room, name: string, count: number, perWrite: number): Contestant {
  const words = room.helper("producer", "lines", String(count), String(perWrite));
  const script = `'${words.join("' '")}' | cat`;
  return {
    name,
    run: async () => perSecond(count, (await room.spawn(["/bin/sh", "-c", script])).exitMs),
  };
}

/** The same writer as a job. Its output goes to /dev/null, and to the database. */
function throughRun(room: Room, program: Program, count: number, perWrite: number): Contestant {
  const words = room.helper("producer", "lines", String(count), String(perWrite));
  return {
    name: `${program.name} run, ${perWrite === 1 ? "a line" : `${perWrite} lines`} a write`,
    async run() {
      const env = { GLASSBOX_DB: room.newDatabase() };
      const ended = await room.spawn([...program.argv, "run", "-q", "--", ...words], env);
      return { ...perSecond(count, ended.exitMs), peakMb: ended.peakMb };
    },
  };
}

/** The chunks that the lines become, stored as bare rows: what the database takes at best. */
function bareLimit(room: Room, count: number): Contestant {
  return {
    name: STORE_LIMIT,
    async run() {
      const lines = numbered(count).map((bytes, index) => ({
        seq: index + 1,
        stream: "stdout" as const,
        atMs: 0,
        end: "newline" as const,
        bytes,
      }));
      const frames = encodeFrames(lines);
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < frames.length; at += LIMITS.chunkBytesMax) {
        chunks.push(frames.slice(at, at + LIMITS.chunkBytesMax));
      }
      const bare = await openBare(room.newDatabase());
      const seconds = bare.storeBlobs(chunks, 4);
      await bare.close();
      return { perSecond: count / seconds, seconds };
    },
  };
}

function numbered(count: number): Uint8Array[] {
  const encoder = new TextEncoder();
  return Array.from({ length: count }, (_, index) => encoder.encode(String(index + 1)));
}

/** The recorder in this process, fed from memory. */
function recorder(
  name: string,
  count: number,
  open: () => Promise<(captured: Captured) => Promise<void>>,
): Contestant {
  return {
    name,
    async run() {
      const bytes = new TextEncoder().encode(
        Array.from({ length: count }, (_, index) => `${index + 1}\n`).join(""),
      );
      const store = await open();
      const started = performance.now();
      const recorder = new Recorder({
        clock: createHost().clock,
        firstSeq: 1,
        outputBytesMax: LIMITS.outputBytesDefault,
        store,
        onFailure: (error) => {
          throw error;
        },
      });
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        await recorder.push("stdout", bytes.subarray(at, at + PIECE_BYTES));
      }
      await store(await recorder.close());
      return perSecond(count, performance.now() - started);
    },
  };
}

/** A claimed job to record for. */
async function intoStore(store: Store): Promise<(captured: Captured) => Promise<void>> {
  const request = { task: "exec", input: { program: "true" } };
  const job = await prepareJob({ registry: builtInTasks }, idMaker(createHost())(), request);
  await store.jobs.submit(job);
  const filter = { jobId: job.id, queues: [], tasks: [] };
  const claimed = await store.jobs.claim("bench", filter);
  const fence = { jobId: job.id, worker: "bench", epoch: claimed!.epoch };
  return async (captured) => {
    if (captured.chunks.length > 0) await store.jobs.recordOutput(fence, captured);
  };
}

function perSecond(count: number, ms: number): Sample {
  return { perSecond: count / ms * 1000, seconds: ms / 1000 };
}
