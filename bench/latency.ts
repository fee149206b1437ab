/** How late a line is where people see it: between the child's write and its arrival there. */
import type { Program, Room } from "./room.ts";
import { type Service, startServe } from "./service.ts";
import { quantile, type Row, type Sample, type Table } from "./table.ts";

const PAUSE_MS = 5;

export async function measureLatency(room: Room): Promise<Table> {
  const rounds = room.quick ? 1 : 3;
  const count = room.quick ? 300 : 1000;
  const rows: Row[] = [];
  for (const program of room.programs) {
    const service = await startServe(room, program, room.newDatabase());
    const seen = new Map<string, number[][]>();
    for (let round = 0; round < rounds; round++) {
      const late = {
        ...await onTheCommandLine(room, program, count),
        ...await overHttp(room, service, count),
      };
      for (const [where, ms] of Object.entries(late)) seen.set(where, [...seen.get(where) ?? [], ms]);
    }
    await service.stop();
    for (const [where, late] of seen) rows.push(row(`${program.name}: ${where}`, late));
  }
  return {
    name: "latency",
    about: `a line each ${PAUSE_MS} ms: milliseconds from the child's write until it is seen`,
    columns: ["p50Ms", "p95Ms", "p99Ms", "maxMs", "lines"],
    rows,
    compare: { column: "p99Ms", with: [] },
    rounds,
  };
}

function row(name: string, late: readonly number[][]): Row {
  return { name, medians: quantiles(late.flat()), rounds: late.map(quantiles) };
}

function quantiles(late: readonly number[]): Sample {
  return {
    p50Ms: quantile(late, 0.5),
    p95Ms: quantile(late, 0.95),
    p99Ms: quantile(late, 0.99),
    maxMs: Math.max(...late),
    lines: late.length,
  };
}

/** `run` shows the lines; another process, which knows the database alone, follows them. */
async function onTheCommandLine(
  room: Room,
  program: Program,
  count: number,
): Promise<Record<string, number[]>> {
  const database = room.newDatabase();
  const glassbox = [...program.argv, "--db", database, "-q"];
  const clock = room.helper("producer", "clock", String(count), String(PAUSE_MS));
  const shown = stamped(room, [...glassbox, "run", "--", ...clock]);
  const id = await firstJob(room, database);
  const followed = stamped(room, [...glassbox, "jobs", "logs", id, "--follow"]);
  return { "stdout of run": await shown, "jobs logs --follow, another process": await followed };
}

/** The id of the first job, once it is there. */
async function firstJob(room: Room, database: string): Promise<string> {
  const store = await room.openStore(database);
  try {
    for (;;) {
      const [job] = await store.jobs.list({ limit: 1 });
      if (job !== undefined) return job.id;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  } finally {
    await store.close();
  }
}

/** How late stamp.py found each line that a program showed. */
async function stamped(room: Room, argv: readonly string[]): Promise<number[]> {
  const script = `'${argv.join("' '")}' | '${room.helper("stamp").join("' '")}'`;
  return JSON.parse(await room.output(["/bin/sh", "-c", script]));
}

/** A watcher of the event stream of a job that runs in the server. */
async function overHttp(room: Room, service: Service, count: number): Promise<Record<string, number[]>> {
  const [program, ...args] = room.helper("producer", "clock", String(count), String(PAUSE_MS));
  const origin = `http://127.0.0.1:${service.port}`;
  const id = await submit(service.port, JSON.stringify({ task: "exec", input: { program, args } }));
  const late = await room.output(room.helper("stamp", `${origin}/api/v1/jobs/${id}/stream`));
  return { "event stream of serve": JSON.parse(late) };
}

/** Not by `fetch`, which would ask the proxy of the environment for this machine itself. */
async function submit(port: number, body: string): Promise<string> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const head = `POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  await connection.write(new TextEncoder().encode(head + body));
  const answer = await new Response(connection.readable).text();
  return JSON.parse(answer.slice(answer.indexOf("\r\n\r\n"))).id;
}
