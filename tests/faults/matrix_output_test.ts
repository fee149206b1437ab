/** Rows 35 to 43 of the fault matrix but 38 to 40: output of every kind, places that go away, slow disks and callers. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { LIMITS } from "../../src/core/limits.ts";
import { seededRandom } from "../../src/platform/memory_clock.ts";
import { needsTrace, withFault } from "../support/faults.ts";
import { newSandbox, type Sandbox, type Server } from "../support/glassbox.ts";
import { complaints, linesOf, listJobs, showJob } from "../support/jobs.ts";
import { demandRecovery, oneProgram } from "../support/matrix.ts";
import { eventually, makeGate } from "../support/processes.ts";
import { rigRun } from "../support/rig.ts";
import { throughShell } from "../support/shell.ts";

const { seed: SEED, rounds: STREAMS, long: IS_LONG } = rigRun("matrix_output", { short: 30, long: 1_000 });

const SHORT_LINES = 200_000;
const LINES = IS_LONG ? 1_000_000 : SHORT_LINES;

function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function submit(url: string, program: string, args: readonly string[], more = {}): Promise<string> {
  const response = await fetch(`${url}/api/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ task: "exec", input: { program, args, ...more } }),
  });
  const { id } = await response.json();
  assert.equal(response.status, 201);
  return id;
}

async function ended(sandbox: Sandbox, id: string) {
  return await eventually(`job ${id} ended`, async () => {
    const shown = await showJob(sandbox, id);
    return ["queued", "running"].includes(shown.job.state) ? null : shown;
  });
}

/** The kernel's high-water mark of a process's memory. */
function peakBytes(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) * 1024;
}

/** What a job wrote, hashed where the program writes it: 100 MB need not pass through the test. */
async function storedSha256(sandbox: Sandbox, id: string): Promise<string> {
  const script = '"$@" | sha256sum';
  await using piped = throughShell(sandbox, script, ["jobs", "logs", "-q", "--raw", id]);
  return (await piped.ended).out.slice(0, 64);
}

for (const program of oneProgram()) {
  const name = `(${program.name})`;

  Deno.test(`fault 35: a flood of lines ${name} is kept whole and in order, and others are served meanwhile`, async () => {
    await using sandbox = await newSandbox(program);
    await using server = await sandbox.serve();
    const id = await submit(server.url, "seq", ["1", String(LINES)]);
    const waits: number[] = [];
    for (let isOver = false; !isOver || waits.length < 20;) {
      const startedMs = performance.now();
      await submit(server.url, "true", []);
      waits.push(performance.now() - startedMs);
      isOver = (await (await fetch(`${server.url}/api/v1/jobs/${id}`)).json()).state !== "running";
    }
    waits.sort((a, b) => a - b);
    const p99 = waits[Math.floor(waits.length * 0.99)]!;
    assert.ok(p99 < 1_000, `a submission took ${p99} ms`);
    const { job, attempts } = await ended(sandbox, id);
    assert.equal(job.state, "completed");
    assert.equal(attempts[0]!.evidence?.lineCount, LINES);
    const expected = Array.from({ length: LINES }, (_, i) => `${i + 1}\n`).join("");
    assert.equal(await storedSha256(sandbox, id), sha256(expected));
    const peak = peakBytes(server.pid);
    assert.ok(peak <= 250_000_000, `the server took ${peak} bytes`);
    await demandRecovery(sandbox);
  });

  Deno.test(`fault 36: one line of 100 MB ${name} is cut into pieces, and no byte of it is lost`, async () => {
    await using sandbox = await newSandbox(program);
    await using server = await sandbox.serve();
    const bytes = 100_000_000;
    const script = `head -c ${bytes} /dev/zero | tr '\\0' x`;
    const id = await submit(server.url, "sh", ["-c", script]);
    const { job, attempts } = await ended(sandbox, id);
    assert.equal(job.state, "completed");
    const { outputBytes, lineCount, droppedBytes } = attempts[0]!.evidence!;
    assert.deepEqual([outputBytes, droppedBytes], [bytes, 0]);
    assert.equal(lineCount, Math.ceil(bytes / LIMITS.lineBytesMax));
    const answer = await fetch(`${server.url}/api/v1/jobs/${id}/logs?after=${lineCount - 2}`);
    const { lines } = await answer.json();
    assert.deepEqual(lines.map(({ end }: { end: string }) => end), ["cut", "eof"]);
    assert.equal(await storedSha256(sandbox, id), sha256(new Uint8Array(bytes).fill(120)));
    const peak = peakBytes(server.pid);
    assert.ok(
      peak <= (program.name === "binary" ? 200_000_000 : 250_000_000),
      `the server took ${peak} bytes`,
    );
    await demandRecovery(sandbox);
  });

  Deno.test(`fault 37: any bytes in any pieces ${name} are kept, shown escaped, and numbered (seed ${SEED})`, async () => {
    await using sandbox = await newSandbox(program);
    await using server = await sandbox.serve(["--workers", "4"]);
    const random = seededRandom(SEED);
    const writer = `
import os, sys, time
data = open(sys.argv[1], "rb").read()
for size in map(int, sys.argv[2].split(",")):
    os.write(1, data[:size])
    data = data[size:]
    time.sleep(0.001)`;
    const written = new Map<string, Uint8Array>();
    for (let round = 0; round < STREAMS; round++) {
      const bytes = awkward(random.bytes(2_000));
      const path = join(sandbox.directory, `stream-${round}`);
      await Deno.writeFile(path, bytes);
      const sizes = [...random.bytes(12)].map((size) => String(size * 2));
      const args = ["-c", writer, path, [...sizes, String(bytes.length)].join(",")];
      written.set(await submit(server.url, "python3", args), bytes);
    }
    for (const [id, bytes] of written) {
      const { job } = await ended(sandbox, id);
      assert.equal(job.state, "completed", `seed ${SEED}`);
      const raw = new Uint8Array(
        await (await fetch(`${server.url}/api/v1/jobs/${id}/logs`, {
          headers: { accept: "application/octet-stream" },
        })).arrayBuffer(),
      );
      assert.equal(sha256(raw), sha256(bytes), `seed ${SEED}, job ${id}`);
    }
    const [id] = written.keys();
    const shown = (await sandbox.run(["jobs", "logs", "-q", id!])).stdout;
    // Neither a control character but the newline, nor a bare byte that is no text.
    new TextDecoder("utf-8", { fatal: true }).decode(shown);
    assert.equal(shown.find((byte) => byte < 32 && byte !== 10 && byte !== 9), undefined);
    const seqs = (await linesOf(sandbox, id!)).map(({ seq }) => seq);
    assert.deepEqual(seqs, seqs.map((_, i) => i + 1));
    await demandRecovery(sandbox);
  });

  Deno.test(`fault 41: a directory that is gone before the program starts ${name} is named, with start_failed and 69`, async () => {
    await using sandbox = await newSandbox(program);
    const cwd = join(sandbox.directory, "work");
    await using server = await sandbox.serve();
    const id = await submit(server.url, "true", [], { cwd });
    const { job } = await ended(sandbox, id);
    assert.equal(job.failure?.code, "start_failed");
    assert.equal(job.failure.message, `Cannot start in ${cwd} as it is not a directory that can be read`);
    await Deno.mkdir(cwd);
    assert.equal(
      (await ended(sandbox, await submit(server.url, "true", [], { cwd }))).job.state,
      "completed",
    );
    const alone = await sandbox.run(["run", "--cwd", `${cwd}/gone`, "--", "true"]);
    assert.equal(alone.code, 69);
    assert.match(complaints(alone.err)[0]!, /Cannot start in \S+\/work\/gone as it is not a directory/);
    await demandRecovery(sandbox);
  });

  Deno.test(`fault 41: a working directory removed under its program ${name} costs what was to be in it, by name, and the server goes on`, async () => {
    await using sandbox = await newSandbox(program);
    await using server = await sandbox.serve();
    const gate = await makeGate(sandbox.directory);
    const cwd = join(sandbox.directory, "work");
    await Deno.mkdir(cwd);
    const id = await submit(server.url, "sh", ["-c", `echo up; read x < ${gate.path}; echo on`], {
      cwd,
      outputs: [{ path: "report.html" }],
    });
    await eventually("it runs", async () => (await linesOf(sandbox, id)).length === 1);
    await Deno.remove(cwd, { recursive: true });
    await gate.open();
    const { job } = await ended(sandbox, id);
    assert.equal(job.failure?.code, "missing_output");
    assert.match(job.failure.message, /its output report\.html is not there$/);
    assert.deepEqual((await linesOf(sandbox, id)).map(({ text }) => text), ["up", "on"]);
    await demandRecovery(sandbox);
  });

  Deno.test(`fault 41: everything beside the database removed under a job ${name} costs no line and no record`, async () => {
    await using sandbox = await newSandbox(program);
    await using server = await sandbox.serve();
    const gate = await makeGate(sandbox.directory);
    const id = await submit(server.url, "sh", ["-c", `echo up; read x < ${gate.path}; seq 1 10000`]);
    await eventually("it runs", async () => (await linesOf(sandbox, id)).length === 1);
    const attempts = `${sandbox.database}.run/attempts`;
    await eventually("they are gone", async () => {
      // The server may put something into a directory that was just found empty.
      await Deno.remove(attempts, { recursive: true }).catch(() => undefined);
      return !existsSync(attempts);
    });
    await gate.open();
    const shown = await ended(sandbox, id);
    assert.equal(shown.job.state, "completed", JSON.stringify(shown.job.failure));
    assert.equal(shown.attempts[0]!.evidence?.lineCount, 10_001);
    await demandRecovery(sandbox);
  });

  Deno.test({
    ...needsTrace(
      `fault 42: a disk that takes 500 ms for each sync ${name} slows jobs down and loses nothing`,
    ),
    async fn() {
      await using sandbox = await newSandbox(program);
      await sandbox.run(["run", "--", "true"]);
      // Left to the sandbox to end: a tracer that is killed would leave the server running.
      const server = await withFault(sandbox, "fdatasync,fsync:delay_enter=500000").serve();
      const { url } = server;
      const startedMs = performance.now();
      const ids = await Promise.all(
        Array.from({ length: 8 }, () => submit(url, "sh", ["-c", "echo a; echo b"])),
      );
      const tookMs = performance.now() - startedMs;
      assert.ok(tookMs >= 450, `the disk was not slow: ${tookMs} ms`);
      const health = performance.now();
      assert.equal((await fetch(`${url}/health`)).status, 200);
      assert.ok(performance.now() - health < 5_000);
      for (const id of ids) {
        const { job } = await ended(sandbox, id);
        assert.deepEqual([job.state, job.epoch], ["completed", 1]);
        assert.deepEqual((await linesOf(sandbox, id)).map(({ text }) => text), ["a", "b"]);
      }
      // The signal is for the server itself: strace, when it is killed, leaves what it traces running.
      const [traced] = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, "utf8").trim().split(
        " ",
      );
      Deno.kill(Number(traced), "SIGTERM");
      assert.equal((await server.ended).code, 0);
      await demandRecovery(sandbox);
    },
  });

  Deno.test(`fault 43: more watchers than there may be, none of whom reads ${name}, cost bounded memory and nobody's job`, async () => {
    await using sandbox = await newSandbox(program);
    await using server = await sandbox.serve();
    const gate = await makeGate(sandbox.directory);
    const id = await submit(server.url, "sh", ["-c", `seq 1 200; read x < ${gate.path}`]);
    await eventually("it has written", async () => {
      return (await (await fetch(`${server.url}/api/v1/jobs/${id}`)).json()).lastLine >= 200;
    });
    const before = peakBytes(server.pid);
    const stalled = await Promise.all(
      Array.from({ length: LIMITS.watchersMax }, () => stall(server, `/api/v1/jobs/${id}/stream`)),
    );
    try {
      await eventually("all of them watch", async () => {
        const { watchers } = await (await fetch(`${server.url}/api/v1/about`)).json();
        return watchers >= LIMITS.watchersMax;
      });
      const refused = await fetch(`${server.url}/api/v1/jobs/${id}/stream`);
      assert.equal(refused.status, 503);
      assert.equal((await refused.json()).code, "too_many_watchers");
      assert.ok(Number(refused.headers.get("retry-after")) > 0);
      const other = await submit(server.url, "echo", ["on"]);
      assert.equal((await ended(sandbox, other)).job.state, "completed");
      const grown = peakBytes(server.pid) - before;
      assert.ok(grown < 300 * 1024 * 1024, `1,000 stalled watchers took ${grown} bytes`);
    } finally {
      for (const socket of stalled) socket.destroy();
    }
    await gate.open();
    assert.equal((await ended(sandbox, id)).job.state, "completed");
    await eventually("they are gone", async () => {
      return (await (await fetch(`${server.url}/api/v1/about`)).json()).watchers === 0;
    });
    await demandRecovery(sandbox);
  });

  Deno.test(`fault 43: watchers who stop reading in a long output ${name} cost less than 1 MiB each, and no caller waits for them`, async () => {
    await using sandbox = await newSandbox(program);
    await using server = await sandbox.serve();
    const gate = await makeGate(sandbox.directory);
    const id = await submit(server.url, "sh", ["-c", `seq 1 300000; read x < ${gate.path}`]);
    await eventually("it has written", async () => {
      return (await (await fetch(`${server.url}/api/v1/jobs/${id}`)).json()).lastLine >= 300_000;
    });
    const before = peakBytes(server.pid);
    const count = LIMITS.watchersMax / 2;
    const stalled = await Promise.all([
      ...Array.from({ length: count }, () => stall(server, `/api/v1/jobs/${id}/stream`)),
      ...Array.from({ length: count }, () => stall(server, `/ws/${id}?afterLine=0`, UPGRADE)),
    ]);
    try {
      let slowestMs = 0;
      const watching = async () => {
        const startedMs = performance.now();
        const { watchers } = await (await fetch(`${server.url}/api/v1/about`)).json();
        slowestMs = Math.max(slowestMs, performance.now() - startedMs);
        return watchers;
      };
      await eventually("all of them watch", async () => await watching() === LIMITS.watchersMax);
      // Those of the sockets take nothing for 10 s and are dropped, and those of the streams after 15 s.
      await eventually("all of one kind were dropped", async () => await watching() <= count);
      const grown = peakBytes(server.pid) - before;
      assert.ok(grown < LIMITS.watchersMax * 1024 * 1024, `1,000 stalled watchers took ${grown} bytes`);
      assert.ok(slowestMs < 1_000, `an answer took ${slowestMs} ms`);
    } finally {
      for (const socket of stalled) socket.destroy();
    }
    await gate.open();
    assert.equal((await ended(sandbox, id)).job.state, "completed");
    await demandRecovery(sandbox);
  });

  Deno.test(`fault 43: a caller who never ends its header ${name} is cut off within 15 s`, async () => {
    await using sandbox = await newSandbox(program);
    await using server = await sandbox.serve();
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    const startedMs = performance.now();
    socket.write("GET /health HTTP/1.1\r\nHost: a\r\n");
    await new Promise<void>((resolve) =>
      socket.on("error", () => undefined).resume().on("close", () => resolve())
    );
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs > 5_000 && tookMs < 15_000, `${tookMs} ms`);
    await demandRecovery(sandbox);
    assert.ok((await listJobs(sandbox)).length > 0);
  });
}

/** Random bytes in which NUL, CR, LF, escape sequences and halves of characters are common. */
function awkward(random: Uint8Array): Uint8Array {
  const favourites = [0, 10, 13, 27, 0xc3, 0xa4, 0xe2, 0x80, 0xa8, 0xff, 0xf0, 0x9f, 0x98, 0x80, 10, 65];
  return random.map((byte) => byte < 128 ? favourites[byte % favourites.length]! : byte);
}

const UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/** Asks for a stream and never reads any of it. */
function stall(server: Server, path: string, fields = ""): Promise<Socket> {
  const { port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), "127.0.0.1", () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${fields}\r\n`);
      resolve(socket);
    });
    socket.pause();
    socket.once("error", reject);
    socket.on("error", () => undefined);
  });
}
