/** The Host of a real machine: one implementation for Deno and Bun, made of `node:` builtins. */

import process from "node:process";
import type { Host } from "../core/host.ts";
import { systemClock, systemRandom } from "./clock.ts";
import { systemFiles } from "./files.ts";
import { fileLocks } from "./locks.ts";
import { systemNetwork } from "./network.ts";
import { bootId } from "./proc.ts";
import { createProcesses } from "./processes.ts";
import { compiled, engine, engineVersion, ownBinary, ownCommand } from "./runtime.ts";
import { systemSignals } from "./signals.ts";
import { createTerminal } from "./terminal.ts";

export interface HostOptions {
  /** Replaces what would be found out about starting this program again; tests run under another program. */
  readonly selfCommand?: readonly [string, ...string[]];
}

/** Makes the host of this process. It touches neither stdin nor any signal until it is asked to. */
export function createHost(options: HostOptions = {}): Host {
  return {
    about: {
      engine,
      engineVersion: engineVersion(),
      platform: `${process.platform}-${process.arch}`,
      compiled,
      binary: ownBinary(),
      bootId: bootId(),
    },
    clock: systemClock,
    random: systemRandom,
    files: systemFiles,
    locks: fileLocks,
    processes: createProcesses(options.selfCommand ?? ownCommand()),
    terminal: createTerminal(),
    signals: systemSignals,
    network: systemNetwork,
  };
}
