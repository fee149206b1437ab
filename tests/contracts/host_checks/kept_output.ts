/** Output that is kept in files before it is handed on. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import process from "node:process";
import type { Host, KeepRequest } from "../../../src/core/host.ts";
import { type Checks, finish, readUntil, shell, textOf, waitUntil } from "./check.ts";

let marks = 0;

function keepIn(directory: string): KeepRequest & { readonly mark: string } {
  const value = `host-check-${process.pid}-${++marks}`;
  return {
    stdout: `${directory}/stdout`,
    stderr: `${directory}/stderr`,
    bytesMax: 1_000_000,
    marker: { name: "KEEPER_MARK", value },
    mark: `KEEPER_MARK=${value}`,
  };
}

async function keepersAre(host: Host, mark: string, count: number): Promise<void> {
  const areSo = async () => await host.processes.countMarked(mark) === count;
  await waitUntil(host, `there are ${count} keepers`, areSo);
}

export const KEPT_OUTPUT_CHECKS: Checks = {
  "spawn() keeps the output in files, as it was written": async ({ host, directory }) => {
    const keep = keepIn(directory);
    const script = "echo out; echo err >&2; echo three >&3; printf rest; exit 3";
    const child = await shell(host, script, { keep, control: true });
    const expected = { out: "out\nrest", err: "err\n", control: "three\n", code: 3, signal: null };
    assert.deepEqual(await finish(child), expected);
    assert.equal(fs.readFileSync(keep.stdout, "utf8"), "out\nrest");
    assert.equal(fs.readFileSync(keep.stderr, "utf8"), "err\n");
    assert.equal(fs.statSync(keep.stdout).mode & 0o777, 0o600);
  },

  "spawn() makes no file for a stream that has nothing": async ({ host, directory }) => {
    const keep = keepIn(directory);
    assert.equal((await finish(await shell(host, "echo err >&2", { keep }))).err, "err\n");
    assert.equal(fs.existsSync(keep.stdout), false);
  },

  "spawn() has a keeper for kept output until the output has ended": async ({ host, directory }) => {
    const keep = keepIn(directory);
    const child = await shell(host, "echo ready; exec sleep 60", { keep });
    await readUntil(child.stdout, "ready");
    await keepersAre(host, keep.mark, 1);
    child.signalGroup("SIGKILL");
    const rest = Promise.all([textOf(child.stdout), textOf(child.stderr)]);
    assert.equal((await child.exited).signal, "SIGKILL");
    await rest;
    await keepersAre(host, keep.mark, 0);
  },

  "spawn() hands kept output on in full when it is large": async ({ host, directory }) => {
    const keep = keepIn(directory);
    const child = await shell(host, "seq 1 200000; seq 1 50000 >&2", { keep });
    const { out, err } = await finish(child);
    const numbers = (last: number) => Array.from({ length: last }, (_, index) => `${index + 1}\n`).join("");
    assert.equal(out, numbers(200_000));
    assert.equal(err, numbers(50_000));
    assert.equal(fs.readFileSync(keep.stdout, "utf8"), out);
  },

  "release() gives disk space back and leaves the rest in place": async ({ host, directory }) => {
    const keep = keepIn(directory);
    const child = await shell(host, "head -c 20000000 /dev/zero | tr '\\0' a; read x < /dev/null", { keep });
    let length = 0;
    for await (const piece of child.stdout) {
      length += piece.length;
      child.kept?.release("stdout", Math.max(0, length - 100_000));
    }
    const { size, blocks } = fs.statSync(keep.stdout);
    assert.equal(size, 20_000_000);
    assert.ok(blocks * 512 < 10_000_000, `${blocks * 512} bytes are still on disk`);
    const tail = fs.readFileSync(keep.stdout).subarray(-100_000);
    assert.ok(tail.every((byte) => byte === 97));
    await finish(child);
  },

  "stop() keeps no more and goes on reading": async ({ host, directory }) => {
    const keep = keepIn(directory);
    const child = await shell(host, "echo one; read x; echo two; printf three", {
      keep,
      stdin: new TextEncoder().encode("go\n"),
    });
    const text = await readUntil(child.stdout, "one").then(async (first) => {
      child.kept?.stop();
      return first + await textOf(child.stdout);
    });
    assert.equal(text, "one\ntwo\nthree");
    assert.match("one\ntwo\nthree", new RegExp(`^${fs.readFileSync(keep.stdout, "utf8")}`));
    await keepersAre(host, keep.mark, 0);
    await textOf(child.stderr);
  },

  "spawn() hands output on when it cannot be kept": async ({ host, directory }) => {
    const keep = { ...keepIn(directory), stdout: `${directory}/no/such/place` };
    const { out, code } = await finish(await shell(host, "echo out", { keep }));
    assert.deepEqual([out, code], ["out\n", 0]);
  },

  "look() sees what every process of the group waits for, and whether it runs": async (
    { host, directory },
  ) => {
    const reader = await shell(
      host,
      `mkfifo ${directory}/fifo; exec 4<>${directory}/fifo; (read x <&4); true`,
    );
    const waits = () => reader.look().map(({ waitsFor }) => waitsFor);
    const isReading = () =>
      waits().some((one) => one?.call === "read" && one.descriptor === 0 && one.on === "pipe");
    await waitUntil(host, "a process of the group waits to read", isReading);
    assert.equal(reader.look().length, 2);
    reader.signalGroup("SIGKILL");
    await finish(reader);

    const writer = await shell(host, "exec yes");
    await waitUntil(host, "yes waits until it is read", () => {
      const one = writer.look()[0]?.waitsFor;
      return one?.call === "write" && one.descriptor === 1 && one.on === "pipe";
    });
    writer.signalGroup("SIGKILL");
    writer.abandonPipes();
    await finish(writer);

    const runner = await shell(host, "while :; do :; done");
    await waitUntil(
      host,
      "a shell runs",
      () => runner.look()[0]?.state === "R" && runner.look()[0]!.cpuMs > 0,
    );
    runner.signalGroup("SIGKILL");
    await finish(runner);
    assert.deepEqual(runner.look(), []);
  },

  "abandonPipes() ends the reading of kept output that a leftover holds open": async (
    { host, directory },
  ) => {
    const keep = keepIn(directory);
    const child = await shell(host, "setsid sleep 60 & echo $!", { keep });
    const pid = Number(await readUntil(child.stdout, "\n"));
    await child.exited;
    const rest = Promise.all([textOf(child.stdout), textOf(child.stderr)]);
    child.abandonPipes();
    assert.deepEqual(await rest, ["", ""]);
    await keepersAre(host, keep.mark, 0);
    process.kill(pid, "SIGKILL");
  },
};
