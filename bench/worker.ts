/** Jobs a second, from claim to done: `true` as a job, again and again. */
import { createHost } from "../src/platform/host.ts";
import { idMaker, prepareJob } from "../src/executor/submit.ts";
import type { Store } from "../src/store/store.ts";
import { builtInTasks } from "../src/tasks/registry.ts";
import type { Program, Room } from "./room.ts";
import { startWorker } from "./service.ts";
import { type Contestant, interleave, type Table } from "./table.ts";

const WIDTHS = [1, 4] as const;

export async function measureWorker(room: Room): Promise<Table> {
  const count = room.quick ? 60 : 200;
  const rounds = room.quick ? 1 : 3;
  const contestants = [
    ...WIDTHS.map((width) => bareSpawns(room, count, width)),
    ...room.programs.flatMap((program) => WIDTHS.map((width) => worker(room, program, count, width))),
  ];
  return {
    name: "worker",
    about:
      `${count} jobs \`true\`: jobs a second from the first claim to the last end; peak memory of the worker`,
    columns: ["perSecond", "peakMb"],
    rows: await interleave(contestants, rounds, 0),
    compare: { column: "perSecond", with: [bareName(1), bareName(4)] },
    rounds,
  };
}

function bareName(width: number): string {
  return `posix_spawn, ${width} at once`;
}

function bareSpawns(room: Room, count: number, width: number): Contestant {
  const argv = room.helper("spawn_limit", String(count), String(width));
  return { name: bareName(width), run: async () => ({ perSecond: Number(await room.output(argv)) }) };
}

function worker(room: Room, program: Program, count: number, width: number): Contestant {
  return {
    name: `${program.name} worker, ${width} at once`,
    async run() {
      const database = room.newDatabase();
      const store = await room.openStore(database);
      await submitAll(store, count);
      const service = await startWorker(room, program, database, width);
      const seconds = await drained(store, count);
      const peakMb = await service.peakMb();
      await service.stop();
      await store.close();
      return { perSecond: count / seconds, peakMb };
    },
  };
}

async function submitAll(store: Store, count: number): Promise<void> {
  const newId = idMaker(createHost());
  const request = { task: "exec", input: { program: "true" } };
  await Promise.all(Array.from({ length: count }, async () => {
    await store.jobs.submit(await prepareJob({ registry: builtInTasks }, newId(), request));
  }));
}

/** Waits until all are final, and gives the seconds between the first start and the last end as the rows have them. */
async function drained(store: Store, count: number): Promise<number> {
  for (;;) {
    const { completed, failed } = await store.jobs.count();
    if (failed > 0) throw new Error(`${failed} jobs failed`);
    if (completed === count) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const jobs = await store.jobs.list({ limit: count });
  const first = Math.min(...jobs.map((job) => job.startedAtMs ?? Infinity));
  return (Math.max(...jobs.map((job) => job.finishedAtMs ?? 0)) - first) / 1000;
}
