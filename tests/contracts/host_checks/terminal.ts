/** Standard streams, signals, time and chance. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { type Checks, finish, shell, start } from "./check.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const quoted = (command: readonly string[]) => command.map((word) => `'${word}'`).join(" ");

export const TERMINAL_CHECKS: Checks = {
  "stdout writes all bytes in order, also to a slow reader": async ({ host, program }) => {
    const { out, err } = await finish(await shell(host, `${quoted(program)} lines 3000 | (read x; cat)`));
    assert.equal(err, "ticked true\n");
    const lines = out.trimEnd().split("\n");
    assert.deepEqual([lines.length, lines[0], lines.at(-1)], [
      2999,
      `2 ${"x".repeat(100)}`,
      `3000 ${"x".repeat(100)}`,
    ]);
  },

  "stdout rejects with EPIPE when the reader has gone, each time": async ({ host, program }) => {
    const { err } = await finish(await shell(host, `${quoted(program)} fail | true`));
    assert.equal(err, "EPIPE EPIPE\n");
  },

  "stdout rejects with ENOSPC when the disk is full, each time": async ({ host, program }) => {
    const { err } = await finish(await shell(host, `${quoted(program)} fail > /dev/full`));
    assert.equal(err, "ENOSPC ENOSPC\n");
  },

  "descriptor() writes to the control channel and rejects when it is closed": async ({ host, program }) => {
    const child = await start(host, [...program, "control", "200"], { control: true });
    assert.equal((await finish(child)).control.length, 200 * 10_000);
    const deaf = await start(host, [...program, "control-fail"], { control: true, stdin: bytesOf("go") });
    deaf.abandonPipes();
    assert.deepEqual(await deaf.exited, { code: 32, signal: null });
  },

  "stdin is read to its end": async ({ host, program }) => {
    const { out } = await finish(
      await start(host, [...program, "stdin"], { stdin: new Uint8Array(300_000) }),
    );
    assert.equal(out, "300000 false\n");
  },

  "a program that has not read its open stdin ends by itself": async ({ host, program, directory }) => {
    await finish(await shell(host, `mkfifo ${directory}/p`));
    // The shell holds the writing end open, so this stdin never ends.
    const child = await shell(host, `exec 4<>${directory}/p; ${quoted(program)} about <&4 4<&-`);
    assert.equal((await finish(child)).code, 0);
  },

  "about and selfCommand lead back to the same program": async ({ host, program, directory }) => {
    const first = await finish(await start(host, [...program, "about"], { cwd: directory }));
    const { selfCommand, about } = JSON.parse(first.out);
    const second = await finish(await start(host, [...selfCommand, "about"]));
    assert.deepEqual(JSON.parse(second.out), { selfCommand, about });
    assert.ok(fs.existsSync(about.binary));
    assert.equal(about.engine, host.about.engine);
  },

  "signals.on() is called for each signal until it is taken off": async ({ host, program }) => {
    const child = await start(host, [...program, "signals"]);
    const iterator = child.stdout[Symbol.asyncIterator]();
    const next = async () => new TextDecoder().decode((await iterator.next()).value);
    assert.equal(await next(), "ready\n");
    for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
      child.signalGroup(signal);
      assert.equal(await next(), `${signal}\n`);
    }
    child.signalGroup("SIGTERM");
    assert.deepEqual(await child.exited, { code: null, signal: "SIGTERM" });
    child.abandonPipes();
  },
};

export const CLOCK_CHECKS: Checks = {
  "sleep() takes its time or ends at once when aborted": async ({ host }) => {
    const startMs = host.clock.monotonicMs();
    await host.clock.sleep(30);
    assert.ok(host.clock.monotonicMs() - startMs >= 28);
    const controller = new AbortController();
    const long = host.clock.sleep(2 ** 40, controller.signal);
    controller.abort();
    await long;
    await host.clock.sleep(2 ** 40, controller.signal);
    assert.ok(Math.abs(host.clock.nowMs() - Date.now()) < 1000);
  },

  "a sleep longer than a timer can hold does not end early": async ({ host }) => {
    const controller = new AbortController();
    let ended = false;
    const long = host.clock.sleep(2 ** 40, controller.signal).then(() => ended = true);
    await host.clock.sleep(20);
    assert.equal(ended, false);
    controller.abort();
    await long;
  },

  "a sleeping program stays alive to the end of its sleep": async ({ host, program }) => {
    assert.equal((await finish(await start(host, [...program, "sleep", "50"]))).out, "slept\n");
  },

  "random gives bytes of any number and version 4 uuids": async ({ host }) => {
    assert.equal(host.random.bytes(100_000).length, 100_000);
    assert.notDeepEqual(host.random.bytes(16), host.random.bytes(16));
    assert.match(host.random.uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    await Promise.resolve();
  },
};
