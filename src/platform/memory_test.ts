import assert from "node:assert/strict";
import type { SpawnRequest } from "../core/host.ts";
import { createMemoryHost, type Operation, type Script } from "./memory.ts";
import { nodeError } from "./node_error.ts";

const REQUEST: SpawnRequest = { program: "/bin/p", args: [], cwd: "/", env: {}, stdin: null, control: false };
const bytesOf = (text: string) => new TextEncoder().encode(text);

async function textOf(source: AsyncIterable<Uint8Array> | null): Promise<string> {
  let text = "";
  for await (const piece of source ?? []) text += new TextDecoder().decode(piece);
  return text;
}

function withProgram(script: Script) {
  return createMemoryHost({ programs: { "/bin/p": script } });
}

const codeIs = (code: string) => (error: Error & { code?: string }) => error.code === code;

Deno.test("advance() wakes sleepers in the order of their time, equals in the order they lay down", async () => {
  const { clock } = createMemoryHost({ nowMs: 5_000 });
  const woken: string[] = [];
  const sleeper = async (name: string, ms: number) => {
    await clock.sleep(ms);
    woken.push(`${name} at ${clock.monotonicMs()}`);
  };
  const sleeping = [sleeper("late", 30), sleeper("first", 10), sleeper("second", 10)];
  await clock.advance(9);
  assert.deepEqual([woken, clock.sleeping], [[], 3]);
  await clock.advance(91);
  await Promise.all(sleeping);
  assert.deepEqual(woken, ["first at 10", "second at 10", "late at 30"]);
  assert.deepEqual([clock.monotonicMs(), clock.nowMs(), clock.sleeping], [100, 5_100, 0]);
});

Deno.test("advance() wakes those who lie down again on the way", async () => {
  const { clock } = createMemoryHost();
  const seen: number[] = [];
  const ticking = (async () => {
    for (let tick = 0; tick < 3; tick++) {
      await clock.sleep(10);
      await clock.turn();
      seen.push(clock.monotonicMs());
    }
  })();
  await clock.advance(25);
  assert.deepEqual(seen, [10, 20]);
  await clock.advance(5);
  await ticking;
  assert.deepEqual(seen, [10, 20, 30]);
});

Deno.test("sleep() ends at once when aborted, and takes no time when there is none to take", async () => {
  const { clock } = createMemoryHost();
  const controller = new AbortController();
  const sleeping = clock.sleep(1_000, controller.signal);
  controller.abort();
  await sleeping;
  await clock.sleep(1_000, controller.signal);
  await clock.sleep(0);
  assert.deepEqual([clock.monotonicMs(), clock.sleeping], [0, 0]);
});

Deno.test("until() moves time just far enough, and throws when nothing can settle the promise", async () => {
  const { clock } = createMemoryHost();
  void clock.sleep(9_000);
  assert.equal(await clock.until(clock.sleep(4_000).then(() => "woken")), "woken");
  assert.equal(clock.monotonicMs(), 4_000);
  await assert.rejects(
    clock.until(clock.sleep(1_000).then(() => Promise.reject(new Error("its own")))),
    /its own/,
  );
  await assert.rejects(clock.until(new Promise(() => {})), /can never happen/);
});

Deno.test("settle() throws when something gives way for ever", async () => {
  const { clock } = createMemoryHost();
  let stop = false;
  const spinning = (async () => {
    while (!stop) await clock.turn();
  })();
  await assert.rejects(clock.settle(), /given way/);
  stop = true;
  await spinning;
});

Deno.test("random follows from the seed alone", () => {
  const [one, same, other] = [1, 1, 2].map((seed) => createMemoryHost({ seed }).random);
  assert.deepEqual(one!.bytes(64), same!.bytes(64));
  assert.equal(one!.uuid(), same!.uuid());
  assert.notDeepEqual(one!.bytes(64), other!.bytes(64));
  assert.match(one!.uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const counts = new Array<number>(256).fill(0);
  for (const byte of other!.bytes(256_000)) counts[byte]!++;
  assert.ok(Math.min(...counts) > 850 && Math.max(...counts) < 1_150, `${counts}`);
});

Deno.test("files behave like files", async () => {
  const { files } = createMemoryHost();
  await files.makeDirectory("/a/b");
  await files.writeAtomic("/a/b/f", bytesOf("0123456789"), { mode: 0o600 });
  assert.deepEqual(await files.info("/a/b/../b/f"), {
    kind: "file",
    sizeBytes: 10,
    mode: 0o600,
    identity: "/a/b/f",
  });
  assert.equal(await textOf(files.readPieces("/a/b/f", 4)), "0123456789");
  assert.equal((await files.read("/a/b/f", 10)).length, 10);
  assert.deepEqual([await files.list("/"), await files.list("/a"), await files.list("/a/b")], [["a", "tmp"], [
    "b",
  ], [
    "f",
  ]]);
  assert.equal(await files.realPath("/a/b/f"), "/a/b/f");
  assert.notEqual(await files.temporaryDirectory("x-"), await files.temporaryDirectory("x-"));
  await files.remove("/a");
  assert.deepEqual([await files.info("/a/b/f"), await files.realPath("/a")], [null, null]);
});

Deno.test("files reject as Node does", async () => {
  const { files } = createMemoryHost();
  await files.makeDirectory("/a");
  await files.writeAtomic("/f", bytesOf("12"));
  await assert.rejects(files.read("/f", 1), codeIs("EFBIG"));
  await assert.rejects(files.read("/no", 1), codeIs("ENOENT"));
  await assert.rejects(files.read("/a", 1), codeIs("EISDIR"));
  await assert.rejects(files.list("/no"), codeIs("ENOENT"));
  await assert.rejects(files.list("/f"), codeIs("ENOTDIR"));
  await assert.rejects(files.writeAtomic("/no/f", bytesOf("")), codeIs("ENOENT"));
  await assert.rejects(files.writeAtomic("/f/g", bytesOf("")), codeIs("ENOTDIR"));
  await assert.rejects(files.writeAtomic("/a", bytesOf("")), codeIs("EISDIR"));
  await assert.rejects(files.makeDirectory("/f"), codeIs("EEXIST"));
});

Deno.test("read() gives a copy that cannot change the file", async () => {
  const { files } = createMemoryHost();
  const written = bytesOf("abc");
  await files.writeAtomic("/f", written);
  written[0] = 0;
  (await files.read("/f", 9))[1] = 0;
  assert.deepEqual(await files.read("/f", 9), bytesOf("abc"));
});

Deno.test("faults sees every operation first and may fail it", async () => {
  const seen: Operation[] = [];
  const host = createMemoryHost({
    programs: { "/bin/p": () => 0 },
    faults(operation) {
      seen.push(operation);
      if (operation.name === "files.writeAtomic") throw nodeError("ENOSPC", "no space");
    },
  });
  await assert.rejects(host.files.writeAtomic("/f", bytesOf("")), codeIs("ENOSPC"));
  assert.equal(await host.files.info("/f"), null);
  await host.processes.spawn(REQUEST);
  (await host.locks.acquire("/lock")).release();
  assert.deepEqual(seen.map(({ name, subject }) => `${name} ${subject}`), [
    "files.writeAtomic /f",
    "files.info /f",
    "processes.spawn /bin/p",
    "locks.acquire /lock",
  ]);
});

Deno.test("locks exclude each other and go to who asked first", async () => {
  const { locks, clock } = createMemoryHost();
  const first = await locks.acquire("/tmp/lock");
  assert.equal(await locks.tryAcquire("/tmp/../tmp/lock"), null);
  const reusable = await locks.open("/tmp/lock");
  const order: string[] = [];
  const second = reusable.lock().then(() => order.push("second"));
  const third = locks.acquire("/tmp/lock").then((lock) => (order.push("third"), lock));
  await clock.settle();
  assert.deepEqual(order, []);
  first.release();
  first.release();
  await second;
  await clock.settle();
  assert.deepEqual(order, ["second"]);
  reusable.close();
  (await third).release();
  const free = await locks.tryAcquire("/tmp/lock");
  assert.ok(free);
  await assert.rejects(locks.acquire("/no/lock"), codeIs("ENOENT"));
});

Deno.test("spawn() plays the script and keeps its streams apart", async () => {
  const host = withProgram(async ({ request, clock, stdout, stderr, control }) => {
    await stdout(`args ${request.args}`);
    await clock.sleep(500);
    await stderr("err");
    await control(`${request.env["A"]}`);
    return 3;
  });
  const child = await host.processes.spawn({ ...REQUEST, args: ["x", "y"], env: { A: "b" }, control: true });
  const reading = Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    textOf(child.control),
    child.exited,
  ]);
  const expected = ["args x,y", "err", "b", { code: 3, signal: null }];
  assert.deepEqual(await host.clock.until(reading), expected);
  assert.equal(host.clock.monotonicMs(), 500);
});

Deno.test("spawn() makes a script wait whose output nobody reads", async () => {
  let written = 0;
  const host = withProgram(async ({ stdout }) => {
    for (; written < 10; written++) await stdout(new Uint8Array(30_000));
    return 0;
  });
  const child = await host.processes.spawn(REQUEST);
  await host.clock.settle();
  assert.equal(written, 2);
  assert.equal((await textOf(child.stdout)).length, 300_000);
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});

Deno.test("signalGroup() ends a script at once unless it handles the signal", async () => {
  const told: string[] = [];
  const host = withProgram(async ({ request, clock, onSignal, stdout }) => {
    const stopped = new AbortController();
    if (request.args[0] === "polite") {
      onSignal((signal) => {
        told.push(signal);
        stopped.abort();
      });
    }
    await clock.sleep(1_000, stopped.signal);
    await stdout("cleaned up");
    return 7;
  });
  const polite = await host.processes.spawn({ ...REQUEST, args: ["polite"] });
  const rude = await host.processes.spawn(REQUEST);
  await host.clock.settle();
  polite.signalGroup("SIGTERM");
  rude.signalGroup("SIGTERM");
  assert.deepEqual(await polite.exited, { code: 7, signal: null });
  assert.deepEqual(await rude.exited, { code: null, signal: "SIGTERM" });
  await host.clock.advance(2_000);
  assert.deepEqual([await textOf(polite.stdout), await textOf(rude.stdout), told], ["cleaned up", "", [
    "SIGTERM",
  ]]);
  const stubborn = await host.processes.spawn({ ...REQUEST, args: ["polite"] });
  await host.clock.settle();
  stubborn.signalGroup("SIGKILL");
  assert.deepEqual(await stubborn.exited, { code: null, signal: "SIGKILL" });
});

Deno.test("leaveBehind() holds the pipes open after the end until abandoned or killed", async () => {
  const host = withProgram(async ({ stdout, leaveBehind }) => {
    leaveBehind();
    await stdout("out");
    return 0;
  });
  const [one, two] = [await host.processes.spawn(REQUEST), await host.processes.spawn(REQUEST)];
  let ended = false;
  const reading = textOf(one.stdout).finally(() => ended = true);
  await one.exited;
  await host.clock.settle();
  assert.equal(ended, false);
  one.abandonPipes();
  two.signalGroup("SIGKILL");
  assert.deepEqual([await reading, await textOf(two.stdout)], ["out", "out"]);
  assert.deepEqual(await two.exited, { code: 0, signal: null });
});

Deno.test("a script that throws ends like a program that aborts", async () => {
  const host = withProgram(() => {
    throw new Error("broken");
  });
  const child = await host.processes.spawn(REQUEST);
  assert.deepEqual(await child.exited, { code: null, signal: "SIGABRT" });
  assert.equal(await textOf(child.stderr), "broken\n");
});

Deno.test("usage() and identity belong to one child", async () => {
  const host = withProgram(async ({ usage, clock }) => {
    usage({ peakMemoryBytes: 42, cpuMs: 7 });
    await clock.sleep(10);
    return 0;
  });
  const [one, two] = [await host.processes.spawn(REQUEST), await host.processes.spawn(REQUEST)];
  await host.clock.settle();
  assert.notDeepEqual(one.identity, two.identity);
  assert.deepEqual(one.usage(), { peakMemoryBytes: 42, cpuMs: 7 });
  await host.clock.advance(10);
  assert.deepEqual(one.usage(), { peakMemoryBytes: null, cpuMs: null });
});

Deno.test("killMarked() kills the living that carry the exact mark", async () => {
  const host = withProgram(async ({ clock }) => {
    await clock.sleep(100);
    return 0;
  });
  const marked = await host.processes.spawn({ ...REQUEST, env: { MARK: "x" } });
  const other = await host.processes.spawn({ ...REQUEST, env: { MARK: "xy" } });
  assert.equal(await host.processes.killMarked("MARK=x"), 1);
  assert.equal(await host.processes.killMarked("MARK=x"), 0);
  assert.deepEqual(await marked.exited, { code: null, signal: "SIGKILL" });
  assert.deepEqual(await host.clock.until(other.exited), { code: 0, signal: null });
});

Deno.test("findProgram() knows the scripts, and spawn() rejects for anything else", async () => {
  const host = withProgram(() => 0);
  await host.files.writeAtomic("/tmp/plain", bytesOf("x"));
  const find = (name: string) => host.processes.findProgram(name, "/bin", { PATH: "/tmp:/bin" });
  assert.deepEqual(await find("p"), { path: "/bin/p" });
  assert.deepEqual(await find("./p"), { path: "/bin/p" });
  assert.deepEqual(await find("plain"), { missing: "not-executable" });
  assert.deepEqual(await find("nothing"), { missing: "not-found" });
  await assert.rejects(host.processes.spawn({ ...REQUEST, program: "/nothing" }), codeIs("ENOENT"));
  await assert.rejects(host.processes.spawn({ ...REQUEST, program: "/tmp/plain" }), codeIs("EACCES"));
});

Deno.test("terminal keeps what was written and fails when told to", async () => {
  const { terminal } = createMemoryHost({ stdin: "typed" });
  await terminal.stdout.write("a");
  await terminal.stdout.write(bytesOf("b"));
  await terminal.descriptor(3).write("control");
  assert.deepEqual([terminal.stdout.text, terminal.stdout.writes.length, terminal.stderr.text], [
    "ab",
    2,
    "",
  ]);
  assert.equal(terminal.descriptor(3).text, "control");
  assert.equal(await textOf(terminal.stdin.read()), "typed");
  terminal.stdout.failure = nodeError("EPIPE", "broken pipe");
  await assert.rejects(terminal.stdout.write("c"), codeIs("EPIPE"));
  assert.equal(terminal.stdout.text, "ab");
});

Deno.test("raise() calls the handlers that are on", () => {
  const host = createMemoryHost();
  const seen: string[] = [];
  const off = host.signals.on((signal) => seen.push(signal));
  host.raise("SIGINT");
  off();
  host.raise("SIGTERM");
  assert.deepEqual(seen, ["SIGINT"]);
});

Deno.test("network hands requests to fetch and sockets to upgrade until it is closed", async () => {
  const { network } = createMemoryHost();
  const told: string[] = [];
  const request = {
    host: "127.0.0.1",
    port: 0,
    fetch: (asked: Request) => new Response(asked.url),
    upgrade: (asked: Request) =>
      asked.url.endsWith("/no") ? new Response(null, { status: 403 }) : {
        open: (socket: { send(text: string): void }) => socket.send("welcome"),
        message: (socket: { send(text: string): void }, text: string | null) => socket.send(`echo ${text}`),
        closed: () => told.push("closed"),
      },
  };
  const listener = await network.listen(request);
  assert.equal(network.listeners[0], listener);
  await assert.rejects(network.listen({ ...request, port: listener.port }), codeIs("EADDRINUSE"));
  assert.equal(await (await listener.fetch(new Request("http://a/x"))).text(), "http://a/x");
  assert.ok(await listener.connect(new Request("http://a/no")) instanceof Response);
  const client = await listener.connect(new Request("http://a/yes"));
  assert.ok(!(client instanceof Response));
  client.send("hey");
  client.send(null);
  await listener.close(0);
  client.send("late");
  client.close();
  assert.deepEqual(client.received, ["welcome", "echo hey", "echo null"]);
  assert.deepEqual([client.closedWith, told], [{ code: 1001, reason: "shutting down" }, ["closed"]]);
  await assert.rejects(listener.fetch(new Request("http://a/x")), codeIs("ECONNREFUSED"));
  await network.listen({ ...request, port: listener.port });
});

Deno.test("two hosts of the same seed and script tell the same story", async () => {
  const play = async () => {
    const host = withProgram(async ({ clock, stdout }) => {
      for (let step = 0; step < 5; step++) {
        await clock.sleep(host.random.bytes(1)[0]!);
        await stdout(`${step} at ${clock.nowMs()} ${host.random.uuid()}\n`);
      }
      return 0;
    });
    const children = [await host.processes.spawn(REQUEST), await host.processes.spawn(REQUEST)];
    return await host.clock.until(Promise.all(children.map((child) => textOf(child.stdout))));
  };
  assert.deepEqual(await play(), await play());
});
