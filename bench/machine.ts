/** What the figures were seen on. Names of machines and people are left out on purpose. */
import * as os from "node:os";
import type { Room } from "./room.ts";

export interface Machine {
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  readonly engines: readonly string[];
  readonly python: string;
  /** Appends with fdatasync(2) a second where the databases of the benchmarks lie. */
  readonly syncsPerSecond: number;
  /** Processes that wanted to run in the last minute, before the benchmarks. */
  readonly loadAverage: number;
}

export async function describeMachine(room: Room): Promise<Machine> {
  const versions = await Promise.all(room.programs.map(async ({ name, argv }) => {
    const version = JSON.parse(await room.output([...argv, "version", "--json"]));
    return `${name}: ${version.engine} ${version.engineVersion}`;
  }));
  return {
    cores: navigator.hardwareConcurrency,
    memoryGb: Math.round(os.totalmem() / 2 ** 30),
    system: `${Deno.build.os} ${os.release().replace(/[-+].*$/, "")} ${Deno.build.arch}`,
    engines: versions,
    python: (await room.output([room.python, "--version"])).trim(),
    syncsPerSecond: Math.round(Number(await room.output(room.helper("fsync_limit", room.directory)))),
    loadAverage: Number(os.loadavg()[0]!.toFixed(2)),
  };
}

export function formatMachine(machine: Machine): string {
  return [
    `${machine.cores} cores, ${machine.memoryGb} GB, ${machine.system}, ${machine.syncsPerSecond} fdatasync/s, ` +
    `load ${machine.loadAverage}`,
    [...machine.engines, machine.python].join(" · "),
  ].join("\n");
}
