/** Jobs accepted a second. A job counts once its row is committed under synchronous=FULL. */
import { createHost } from "../src/platform/host.ts";
import { idMaker, prepareJob } from "../src/executor/submit.ts";
import type { Store } from "../src/store/store.ts";
import { builtInTasks } from "../src/tasks/registry.ts";
import { postAll } from "./http_load.ts";
import { openBare } from "./libsql_limit.ts";
import type { Program, Room } from "./room.ts";
import { startServe } from "./service.ts";
import { type Contestant, interleave, quantile, type Sample, type Table } from "./table.ts";

const LIMIT = "libsql, one row a commit";
const CONNECTIONS = 16;
/** A queue that nobody claims from, so that nothing but submitting is measured. */
const REQUEST = { task: "exec", input: { program: "true" }, queue: "unclaimed" };

export async function measureSubmits(room: Room): Promise<Table> {
  const rounds = room.quick ? 1 : 4;
  const factor = room.quick ? 0.25 : 1;
  const store = await room.openStore(room.newDatabase());
  room.defer(() => store.close());
  const contestants = [
    bareLimit(room, 1000 * factor),
    ownStore(store, 1, 1000 * factor),
    ownStore(store, 64, 6400 * factor),
    ...await Promise.all(room.programs.map((program) => overHttp(room, program, 4000 * factor))),
  ];
  const rows = await interleave(contestants, rounds, room.quick ? 0 : 1);
  return {
    name: "submits",
    about: "acknowledged submits a second; how long one takes; peak memory of the server",
    columns: ["perSecond", "p50Ms", "p99Ms", "peakMb"],
    rows,
    compare: { column: "perSecond", with: [LIMIT] },
    rounds,
  };
}

function bareLimit(room: Room, count: number): Contestant {
  return {
    name: LIMIT,
    async run() {
      const bare = await openBare(room.newDatabase());
      const perSecond = bare.rowsPerSecond(count, JSON.stringify(REQUEST));
      await bare.close();
      return { perSecond };
    },
  };
}

/** The store in this process, with so many submits waiting at any time. */
function ownStore(store: Store, width: number, count: number): Contestant {
  const newId = idMaker(createHost());
  const submit = async () => {
    const started = performance.now();
    await store.jobs.submit(await prepareJob({ registry: builtInTasks }, newId(), REQUEST));
    return performance.now() - started;
  };
  return {
    name: `store, ${width} at once`,
    async run() {
      const latencies: number[] = [];
      let left = count;
      const started = performance.now();
      await Promise.all(Array.from({ length: width }, async () => {
        while (left-- > 0) latencies.push(await submit());
      }));
      return figures(count / (performance.now() - started) * 1000, latencies);
    },
  };
}

async function overHttp(room: Room, program: Program, requests: number): Promise<Contestant> {
  const service = await startServe(room, program, room.newDatabase());
  const body = JSON.stringify(REQUEST);
  return {
    name: `HTTP ${program.name}, ${CONNECTIONS} connections`,
    async run() {
      const load = { port: service.port, connections: CONNECTIONS, requests, path: "/api/v1/jobs", body };
      const { perSecond, latenciesMs } = await postAll(load);
      return { ...figures(perSecond, latenciesMs), peakMb: await service.peakMb() };
    },
  };
}

function figures(perSecond: number, latencies: readonly number[]): Sample {
  return { perSecond, p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) };
}
