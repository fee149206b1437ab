/** A small program that the checks start: it does one thing with a host of its own. */

import * as fs from "node:fs";
import process from "node:process";
import type { Host } from "../../../src/core/host.ts";
import { codeOf } from "../../../src/platform/node_error.ts";

type Part = (host: Host, args: readonly string[]) => Promise<void>;

const codeOfFailure = (action: Promise<unknown>) =>
  action.then(() => "none", (error) => codeOf(error) ?? String(error));

const PARTS: Readonly<Record<string, Part>> = {
  async hold({ locks, terminal, clock }, [path]) {
    if (await locks.tryAcquire(path!) === null) {
      await terminal.stdout.write("busy\n");
      await locks.acquire(path!);
    }
    await terminal.stdout.write(`held ${fs.readFileSync(path!, "utf8")}\n`);
    await clock.sleep(60_000);
  },

  async count({ locks, clock }, [path, file, rounds]) {
    const lock = await locks.open(path!);
    for (let round = 0; round < Number(rounds); round++) {
      await lock.lock();
      const count = Number(fs.readFileSync(file!, "utf8"));
      if (round % 10 === 0) await clock.turn();
      fs.writeFileSync(file!, String(count + 1));
      lock.unlock();
    }
    lock.close();
  },

  async lines({ terminal }, [count]) {
    let ticked = false;
    setTimeout(() => ticked = true, 0);
    const writes: Promise<void>[] = [];
    for (let line = 1; line <= Number(count); line++) {
      writes.push(terminal.stdout.write(`${line} ${"x".repeat(100)}\n`));
    }
    await Promise.all(writes);
    await terminal.stderr.write(`ticked ${ticked}\n`);
  },

  async fail({ terminal, clock }) {
    let first = "none";
    while (first === "none") {
      first = await codeOfFailure(terminal.stdout.write("x"));
      await clock.turn();
    }
    await terminal.stderr.write(`${first} ${await codeOfFailure(terminal.stdout.write("y"))}\n`);
  },

  async control({ terminal }, [count]) {
    const output = terminal.descriptor(3);
    for (let round = 0; round < Number(count); round++) await output.write("y".repeat(10_000));
  },

  async "control-fail"({ terminal, clock }) {
    const output = terminal.descriptor(3);
    let first = "none";
    while (first === "none") {
      first = await codeOfFailure(output.write("x"));
      await clock.turn();
    }
    const second = await codeOfFailure(output.write("y"));
    process.exitCode = first === "EPIPE" && second === "EPIPE" ? 32 : 1;
  },

  async "unread-input"({ processes, terminal }) {
    const args = ["-c", "sleep 60 <&0 & exit 0"];
    const env = processes.environment;
    const stdin = new Uint8Array(1_000_000);
    const child = await processes.spawn({ program: "/bin/sh", args, cwd: "/", env, stdin, control: false });
    await child.exited;
    child.abandonPipes();
    await terminal.stdout.write("ended\n");
    // The leftover lives on until this process has shown that it can end before it.
    process.on("exit", () => child.signalGroup("SIGKILL"));
  },

  async stdin({ terminal }) {
    let length = 0;
    for await (const piece of terminal.stdin.read()) length += piece.length;
    await terminal.stdout.write(`${length} ${terminal.stdin.isTerminal}\n`);
  },

  async about({ about, processes, terminal }) {
    await terminal.stdout.write(JSON.stringify({ about, selfCommand: processes.selfCommand }));
  },

  async signals({ signals, terminal, clock }) {
    let seen = 0;
    const off = signals.on((name) => {
      if (++seen === 3) off();
      void terminal.stdout.write(`${name}\n`);
    });
    await terminal.stdout.write("ready\n");
    await clock.sleep(60_000);
  },

  async sleep({ clock, terminal }, [ms]) {
    await clock.sleep(Number(ms));
    await terminal.stdout.write("slept\n");
  },
};

/** Plays the part named by the first argument; false when there is no such part. */
export async function playPart(host: Host, [name, ...args]: readonly string[]): Promise<boolean> {
  const part = PARTS[name ?? ""];
  await part?.(host, args);
  return part !== undefined;
}
