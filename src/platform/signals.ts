/** The signals that ask this process to stop. */

import process from "node:process";
import type { Signals } from "../core/host.ts";

const NAMES = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const UNCAUGHT = ["uncaughtException", "unhandledRejection"] as const;

export const systemSignals: Signals = {
  on(handler) {
    const listeners = NAMES.map((name) => ({ name, listener: () => handler(name) }));
    for (const { name, listener } of listeners) process.on(name, listener);
    return () => {
      for (const { name, listener } of listeners) process.off(name, listener);
    };
  },
  onUncaught(handler) {
    for (const name of UNCAUGHT) process.on(name, handler);
    return () => {
      for (const name of UNCAUGHT) process.off(name, handler);
    };
  },
};
