/** The Host of a real machine: one implementation for Deno and Bun, made of `node:` builtins. */

import process from "node:process";
import type { Databases, Host, Network } from "../core/host.ts";
import { systemClock, systemRandom } from "./clock.ts";
import { createFiles } from "./files.ts";
import { fileLocks } from "./locks.ts";
import { bootId } from "./proc.ts";
import { createProcesses } from "./processes.ts";
import { compiled, engine, engineVersion, ownBinary, ownCommand } from "./runtime.ts";
import { systemSignals } from "./signals.ts";
import { createTerminal } from "./terminal.ts";

export interface HostOptions {
  /** Replaces what would be found out about starting this program again; tests run under another program. */
  readonly selfCommand?: readonly [string, ...string[]];
  /** How long the reading of a FIFO waits for somebody to write to it; 10 s when not given. */
  readonly fifoWaitMs?: number;
}

const FIFO_WAIT_MS = 10_000;

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
    files: createFiles(options.fifoWaitMs ?? FIFO_WAIT_MS),
    locks: fileLocks,
    processes: createProcesses(options.selfCommand ?? ownCommand()),
    terminal: createTerminal(),
    signals: systemSignals,
    network: lazyNetwork,
    databases: lazyDatabases,
  };
}

/** The listener brings half of the program with it, and only `serve` needs one. */
const lazyNetwork: Network = {
  async listen(request) {
    const { systemNetwork } = await import("./network.ts");
    return await systemNetwork.listen(request);
  },
};

/** SQLite is loaded only by who opens a database. */
const lazyDatabases: Databases = {
  async openForeign(path, display) {
    const { openForeign } = await import("./foreign_database.ts");
    return await openForeign(path, display);
  },
  async sha256(path) {
    const { sha256OfFile } = await import("./foreign_database.ts");
    return await sha256OfFile(path);
  },
};
