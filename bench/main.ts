/** `deno task bench`: measures, and prints ratios within one run. */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { measureContainer } from "./container.ts";
import { measureDashboard } from "./dashboard.ts";
import { measureLatency } from "./latency.ts";
import { measureLines } from "./lines.ts";
import { describeMachine, formatMachine } from "./machine.ts";
import { measureCommand, measureFirst, measureOrbit, measureStarts, measureStiff } from "./portraits.ts";
import { measurePhasePage } from "./phase_page.ts";
import { Room } from "./room.ts";
import { measureLorenz, measureLotkaVolterra } from "./right_sides.ts";
import { measureStart } from "./start.ts";
import { measureSubmits } from "./submits.ts";
import { formatTable, type Table } from "./table.ts";
import { measureWorker } from "./worker.ts";

const BENCHMARKS: Readonly<Record<string, (room: Room) => Promise<Table>>> = {
  start: measureStart,
  submits: measureSubmits,
  lines: measureLines,
  latency: measureLatency,
  worker: measureWorker,
  "portrait-orbit": measureOrbit,
  "portrait-starts": measureStarts,
  "portrait-stiff": measureStiff,
  "portrait-first": measureFirst,
  "portrait-command": measureCommand,
  "rhs-lorenz": measureLorenz,
  "rhs-lotka-volterra": measureLotkaVolterra,
  dashboard: measureDashboard,
  "phase-page": measurePhasePage,
  container: measureContainer,
};

const NAMES = Object.keys(BENCHMARKS).join(", ");

const HELP = `deno task bench [NAME…] [--quick] [--json FILE] [--binary FILE] [--within DIRECTORY]

Measures glassbox beside the limits of this machine, in turn within one run, and prints medians and ratios. Absolute
figures say more about the machine than about glassbox; the ratios are what to compare.

  NAME                ${NAMES}; all when left out.
  --quick             Fewer rounds: under a minute, and only good enough to see large differences.
  --json FILE         Also write all rounds there.
  --binary FILE       The binary to measure; dist/glassbox in the project when left out.
  --within DIRECTORY  Where the databases are made; the temporary directory when left out.

Needs python3, chromium for phase-page, and podman with buildah for container. Exit: 0 measured, 64 wrong arguments.`;

interface Options {
  readonly names: readonly string[];
  readonly quick: boolean;
  readonly json: string | null;
  readonly binary: string;
  readonly within: string | null;
}

const options = parseOptions(Deno.args);
if (options !== null) await measure(options);

async function measure(options: Options): Promise<void> {
  let tables: Table[] = [];
  const machine = await inRoom(options, (room) => describeMachine(room));
  console.log(`${formatMachine(machine)}\n`);
  for (const name of options.names) {
    const started = performance.now();
    const table = await inRoom(options, BENCHMARKS[name]!);
    console.log(`${formatTable(table)}\n${((performance.now() - started) / 1000).toFixed(0)} s\n`);
    tables = [...tables, table];
  }
  if (options.json === null) return;
  await Deno.writeTextFile(options.json, `${JSON.stringify({ machine, tables }, null, 2)}\n`);
}

/** Each benchmark has a room of its own, so that none meets what another left. */
async function inRoom<T>(options: Options, work: (room: Room) => Promise<T>): Promise<T> {
  await using room = await Room.create(options);
  return await work(room);
}

function parseOptions(args: string[]): Options | null {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        quick: { type: "boolean", default: false },
        json: { type: "string" },
        binary: { type: "string" },
        within: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    const unknown = positionals.find((name) => !Object.hasOwn(BENCHMARKS, name));
    if (unknown !== undefined) throw new Error(`Cannot measure "${unknown}": there are ${NAMES}`);
    if (!values.help) {
      return { ...defaults(), ...values, names: positionals.length ? positionals : allNames() };
    }
    console.log(HELP);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    Deno.exitCode = 64;
  }
  return null;
}

function allNames(): string[] {
  return Object.keys(BENCHMARKS);
}

function defaults(): Pick<Options, "json" | "binary" | "within"> {
  return {
    json: null,
    binary: fileURLToPath(new URL("../dist/glassbox", import.meta.url)),
    within: null,
  };
}
