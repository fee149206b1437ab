/** How long a whole process takes, from its spawn to its exit. */
import type { Room } from "./room.ts";
import { type Contestant, interleave, type Table } from "./table.ts";

const COLUMNS = ["exitMs", "firstLineMs", "cpuMs", "peakMb"];

export async function measureStart(room: Room): Promise<Table> {
  const rounds = room.quick ? 5 : 15;
  const rows = await interleave(await contestants(room), rounds, 1);
  return {
    name: "start",
    about: "a whole process: to its exit, to its first line on stderr; processor time; peak memory",
    columns: COLUMNS,
    rows,
    compare: { column: "exitMs", with: ["python3 -c pass", "sh -c true"] },
    rounds,
  };
}

async function contestants(room: Room): Promise<Contestant[]> {
  const hello = `${room.directory}/hello.js`;
  await Deno.writeTextFile(hello, 'console.error("hello");\n');
  const env = { GLASSBOX_DB: room.newDatabase() };
  const start = (name: string, argv: readonly string[]): Contestant => ({
    name,
    run: () => room.spawn(argv, env),
  });
  const own = room.programs.flatMap(({ name, argv }) => [
    start(`${name} version`, [...argv, "version"]),
    start(`${name} run -q -- true`, [...argv, "run", "-q", "--", "true"]),
    start(`${name} run -- true`, [...argv, "run", "--", "true"]),
    start(`${name} jobs list`, [...argv, "jobs", "list", "-q", "--limit", "1"]),
  ]);
  return [
    start("sh -c true", ["/bin/sh", "-c", "true"]),
    start("python3 -c pass", [room.python, "-c", "pass"]),
    start("deno run hello.js", [Deno.execPath(), "run", hello]),
    ...own,
  ];
}
