/** Processes: pipes, groups, ends and searches. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { type Checks, finish, readUntil, rejectsWith, shell, start, textOf, waitUntil } from "./check.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const exists = (pid: number) => fs.existsSync(`/proc/${pid}`);
const openDescriptors = () => fs.readdirSync("/proc/self/fd").length;

function stateOf(pid: number): string {
  return fs.readFileSync(`/proc/${pid}/stat`, "latin1").replace(/.*\) /s, "")[0]!;
}

function writtenBy(pid: number): number {
  return Number(/wchar: (\d+)/.exec(fs.readFileSync(`/proc/${pid}/io`, "utf8"))![1]);
}

export const PIPE_CHECKS: Checks = {
  "spawn() keeps stdout, stderr and the control channel apart": async ({ host }) => {
    const child = await shell(host, "echo out; echo err >&2; echo three >&3; exit 3", { control: true });
    const expected = { out: "out\n", err: "err\n", control: "three\n", code: 3, signal: null };
    assert.deepEqual(await finish(child), expected);
  },

  "spawn() gives the child no descriptor that was not asked for": async ({ host, directory }) => {
    const lock = await host.locks.acquire(`${directory}/lock`);
    const { out } = await finish(await shell(host, "exec ls -l /proc/self/fd"));
    lock.release();
    assert.doesNotMatch(out, new RegExp(directory));
    assert.doesNotMatch(out, / 3 -> (socket|pipe)/);
  },

  "spawn() passes exactly the environment but never BUN_BE_BUN": async ({ host }) => {
    const env = { A: "1", "B C": "ä\n=x", BUN_BE_BUN: "1" };
    const { out } = await finish(await start(host, ["/usr/bin/env", "-0"], { env }));
    assert.deepEqual(out.split("\0").sort(), ["", "A=1", "B C=ä\n=x"]);
  },

  "spawn() passes arguments unchanged": async ({ host }) => {
    const args = ["", " ", "ä 漢\u{1f600}", "a\nb", "--", "-x", "\"'$HOME", "*"];
    const { out } = await finish(await start(host, ["/usr/bin/printf", "%s\\0", ...args]));
    assert.deepEqual(out.split("\0").slice(0, -1), args);
  },

  "spawn() leaves the arguments alone when they name its own engine": async ({ host, program: [engine] }) => {
    const script = `${engine} -p 1`;
    const expected = await finish(await start(host, ["/bin/sh"], { stdin: bytesOf(script) }));
    assert.deepEqual(await finish(await start(host, [engine, "-p", "1"])), expected);
    assert.deepEqual(await finish(await shell(host, script)), expected);
    const { out } = await finish(await start(host, ["/usr/bin/printf", "%s ", engine, "-p", "1"]));
    assert.equal(out, `${engine} -p 1 `);
  },

  "spawn() writes the whole input and closes it": async ({ host }) => {
    const stdin = new Uint8Array(3_000_000).map((_, at) => at % 251);
    const child = await start(host, ["/bin/cat"], { stdin });
    let [sum, length] = [0, 0];
    for await (const piece of child.stdout) {
      for (const byte of piece) sum += byte;
      length += piece.length;
    }
    assert.equal((await finish(child)).code, 0);
    assert.deepEqual([length, sum], [stdin.length, stdin.reduce((total, byte) => total + byte, 0)]);
  },

  "spawn() gives /dev/null for no input and an empty pipe for empty input": async ({ host }) => {
    const script = "readlink /proc/self/fd/0; wc -c";
    assert.equal((await finish(await shell(host, script))).out, "/dev/null\n0\n");
    const empty = await finish(await shell(host, script, { stdin: new Uint8Array(0) }));
    assert.match(empty.out, /^pipe:.*\n0\n$/);
  },

  "spawn() survives a child that does not read its input": async ({ host }) => {
    const child = await shell(host, "exec <&-; echo done", { stdin: new Uint8Array(1_000_000) });
    assert.equal((await finish(child)).out, "done\n");
  },

  "spawn() connects pipes that the child can open by name": async ({ host }) => {
    const child = await shell(host, "cat /dev/stdin | tee /dev/stderr > /dev/stdout", {
      stdin: bytesOf("hey"),
    });
    assert.deepEqual(await finish(child), { out: "hey", err: "hey", control: "", code: 0, signal: null });
  },

  "spawn() keeps output that is read only after the end": async ({ host }) => {
    const child = await shell(host, "seq 1 9000; echo e >&2");
    await child.exited;
    await host.clock.turn();
    const { out, err } = await finish(child);
    assert.deepEqual([out.length, err], [43_893, "e\n"]);
  },

  "stdout pauses the child while nobody reads": async ({ host }) => {
    const child = await start(host, ["/usr/bin/yes"]);
    const iterator = child.stdout[Symbol.asyncIterator]();
    await iterator.next();
    let [written, samples] = [0, 0];
    await waitUntil(host, "yes has been blocked for 20 looks on end", () => {
      const blocked = stateOf(child.pid) === "S" && writtenBy(child.pid) === written;
      written = writtenBy(child.pid);
      samples = blocked ? samples + 1 : 0;
      return samples === 20;
    });
    assert.ok(written < 2_000_000, `${written} bytes were taken ahead`);
    for (let piece = 0; piece < 20; piece++) assert.equal((await iterator.next()).done, false);
    child.signalGroup("SIGKILL");
    child.abandonPipes();
    await child.exited;
  },

  "abandonPipes() ends reading that leftovers would keep open": async ({ host }) => {
    const child = await shell(host, "sleep 60 & echo $! started; exit 0");
    const leftover = parseInt(await readUntil(child.stdout, "started"));
    assert.deepEqual(await child.exited, { code: 0, signal: null });
    const reading = Promise.all([textOf(child.stdout), textOf(child.stderr)]);
    await host.clock.turn();
    child.abandonPipes();
    await reading;
    assert.notEqual(stateOf(leftover), "Z");
    child.signalGroup("SIGKILL");
    await waitUntil(host, "the leftover is gone", () => !exists(leftover) || stateOf(leftover) === "Z");
  },

  "abandonPipes() lets go of input that a leftover never reads": async ({ host, program }) => {
    const { out, code } = await finish(await start(host, [...program, "unread-input"]));
    assert.deepEqual([out, code], ["ended\n", 0]);
  },

  "abandonPipes() before any reading leaves nothing to read": async ({ host }) => {
    const child = await shell(host, "exec sleep 60", { control: true });
    child.abandonPipes();
    child.abandonPipes();
    child.signalGroup("SIGKILL");
    assert.equal((await finish(child)).signal, "SIGKILL");
  },

  "spawn() starts hundreds at once and gives every descriptor back": async ({ host }) => {
    await finish(await shell(host, ":"));
    const before = openDescriptors();
    const run = async (name: string) => {
      const child = await shell(host, `cat; echo ${name} >&2; echo x${name} >&3`, {
        stdin: bytesOf(name),
        control: true,
      });
      assert.deepEqual(await finish(child), {
        out: name,
        err: `${name}\n`,
        control: `x${name}\n`,
        code: 0,
        signal: null,
      });
    };
    for (let round = 0; round < 3; round++) {
      await Promise.all(Array.from({ length: 80 }, (_, at) => run(`${at}`)));
    }
    const deaf = Array.from({ length: 40 }, () => shell(host, ":", { stdin: new Uint8Array(300_000) }));
    for (const child of await Promise.all(deaf)) await finish(child);
    await waitUntil(host, "the descriptors are closed", () => openDescriptors() <= before + 4);
  },
};

export const END_CHECKS: Checks = {
  "spawn() rejects with the kernel's code when nothing can be started": async ({ host, directory }) => {
    fs.writeFileSync(`${directory}/plain`, "no program");
    await rejectsWith("ENOENT", start(host, [`${directory}/nothing`]));
    await rejectsWith("ENOENT", start(host, ["/bin/true"], { cwd: `${directory}/nothing` }));
    await rejectsWith("EACCES", start(host, [`${directory}/plain`]));
    await rejectsWith("EACCES", start(host, [directory]));
    await rejectsWith("E2BIG", start(host, ["/bin/true", "x".repeat(200_000)]));
  },

  "spawn() gives a script without a #! line to the shell": async ({ host, directory }) => {
    fs.writeFileSync(`${directory}/script`, 'echo "ran $1"\n', { mode: 0o755 });
    assert.equal((await finish(await start(host, [`${directory}/script`, "it"]))).out, "ran it\n");
  },

  "exited tells the signal that ended the child": async ({ host }) => {
    const child = await start(host, ["/bin/sleep", "60"]);
    child.signalGroup("SIGTERM");
    assert.deepEqual(await child.exited, { code: null, signal: "SIGTERM" });
    await finish(child);
  },

  "exited tells the code of a child that handles the signal": async ({ host }) => {
    const child = await shell(host, "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    await readUntil(child.stdout, "ready");
    child.signalGroup("SIGTERM");
    assert.deepEqual(await child.exited, { code: 7, signal: null });
    child.abandonPipes();
  },

  "signalGroup() reaches the children of the child": async ({ host }) => {
    const child = await shell(host, "sh -c 'trap \"\" TERM; echo ready; exec sleep 60' & wait");
    await readUntil(child.stdout, "ready");
    child.signalGroup("SIGKILL");
    assert.equal((await child.exited).signal, "SIGKILL");
    await textOf(child.stdout);
    child.abandonPipes();
  },

  "signalGroup() still reaches leftovers after the child has ended": async ({ host }) => {
    const child = await shell(host, "sleep 60 & exit 0");
    await child.exited;
    child.signalGroup("SIGKILL");
    assert.deepEqual(await Promise.all([textOf(child.stdout), textOf(child.stderr)]), ["", ""]);
    child.signalGroup("SIGKILL");
  },

  "identity is the pid and start time that the kernel shows": async ({ host }) => {
    const child = await start(host, ["/bin/sleep", "60"]);
    const fields = fs.readFileSync(`/proc/${child.pid}/stat`, "latin1").replace(/.*\) /s, "").split(" ");
    assert.deepEqual(child.identity, { pid: child.pid, startTicks: fields[19] });
    assert.equal(fields[2], String(child.pid), "the child leads its own group");
    child.signalGroup("SIGKILL");
    await finish(child);
    assert.match((await start(host, ["/bin/true"])).identity.startTicks, /^\d+$/);
  },

  "usage() tells memory and time while the child lives": async ({ host }) => {
    const child = await shell(
      host,
      "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo ready; sleep 60",
    );
    await readUntil(child.stdout, "ready");
    const { peakMemoryBytes, cpuMs } = child.usage();
    assert.ok((peakMemoryBytes ?? 0) > 100_000, `${peakMemoryBytes} bytes`);
    assert.ok((cpuMs ?? 0) >= 10, `${cpuMs} ms`);
    child.signalGroup("SIGKILL");
    await finish(child);
    assert.deepEqual(child.usage(), { peakMemoryBytes: null, cpuMs: null });
  },

  "killMarked() kills by an exact entry of the environment and counts": async ({ host }) => {
    const marker = `GLASSBOX_CHECK=${host.random.uuid()} x`;
    const [name, value] = marker.split("=") as [string, string];
    const env = { PATH: "/usr/bin:/bin" };
    const script = "sleep 60 & echo ready; wait";
    const marked = await shell(host, script, { env: { ...env, [name]: value } });
    const other = await shell(host, script, { env: { ...env, [name]: `${value}y` } });
    await Promise.all([readUntil(marked.stdout, "ready"), readUntil(other.stdout, "ready")]);
    await waitUntil(host, "sleep has been started", () => {
      const children = fs.readFileSync(`/proc/${marked.pid}/task/${marked.pid}/children`, "utf8").trim();
      return children !== "" && fs.readFileSync(`/proc/${children}/comm`, "utf8") === "sleep\n";
    });
    assert.equal(await host.processes.killMarked(marker), 2);
    assert.equal((await marked.exited).signal, "SIGKILL");
    assert.equal(await host.processes.killMarked(marker), 0);
    assert.doesNotMatch(stateOf(other.pid), /[ZX]/);
    other.signalGroup("SIGKILL");
    await Promise.all([finish(marked), finish(other)]);
  },
};

export const SEARCH_CHECKS: Checks = {
  "findProgram() searches the child's PATH as execvp does": async ({ host, directory }) => {
    const find = (name: string, PATH: string) => host.processes.findProgram(name, directory, { PATH });
    for (const name of ["a", "b", "c"]) fs.mkdirSync(`${directory}/${name}`);
    fs.writeFileSync(`${directory}/a/tool`, "");
    fs.mkdirSync(`${directory}/b/tool`);
    fs.writeFileSync(`${directory}/c/tool`, "", { mode: 0o755 });
    fs.writeFileSync(`${directory}/here`, "", { mode: 0o755 });
    const [a, b, c] = ["a", "b", "c"].map((name) => `${directory}/${name}`);
    assert.deepEqual(await find("tool", `${a}:${b}:${c}`), { path: `${c}/tool` });
    assert.deepEqual(await find("tool", `${a}:/nowhere`), { missing: "not-executable" });
    assert.deepEqual(await find("tool", `${b}`), { missing: "not-executable" });
    assert.deepEqual(await find("tool", "/nowhere"), { missing: "not-found" });
    assert.deepEqual(await find("here", "/nowhere:"), { path: `${directory}/here` });
    assert.deepEqual(await find("tool", "c"), { path: `${c}/tool` });
    assert.deepEqual(await find("./c/tool", ""), { path: `${c}/tool` });
    assert.deepEqual(await find("b/../c/tool", ""), { path: `${c}/tool` });
    assert.deepEqual(await find("c/nothing", `${c}`), { missing: "not-found" });
    assert.deepEqual(await find("", `${c}`), { missing: "not-found" });
  },

  "findProgram() falls back to the standard directories without a PATH": async ({ host }) => {
    const found = await host.processes.findProgram("sh", "/", {});
    assert.match("path" in found ? found.path : found.missing, /^(\/usr)?\/bin\/sh$/);
  },

  "processes tells about this process": async ({ host }) => {
    const { self, environment, workingDirectory } = host.processes;
    assert.equal(self.pid, Number(fs.readlinkSync("/proc/self")));
    assert.match(self.startTicks, /^\d+$/);
    assert.equal(typeof environment["PATH"], "string");
    assert.equal(workingDirectory, fs.readlinkSync("/proc/self/cwd"));
    assert.match(host.about.bootId, /^[0-9a-f-]{36}$/);
    await Promise.resolve();
  },
};
