/** Files and locks. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { type Checks, finish, readUntil, rejectsWith, shell, start } from "./check.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const asText = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

export const FILE_CHECKS: Checks = {
  "info() tells kind, size and mode, and null for nothing": async ({ host, directory }) => {
    fs.writeFileSync(`${directory}/f`, "abc", { mode: 0o640 });
    fs.symlinkSync("f", `${directory}/link`);
    fs.symlinkSync("nowhere", `${directory}/dangling`);
    const { identity, ...link } = (await host.files.info(`${directory}/link`))!;
    assert.deepEqual(link, { kind: "file", sizeBytes: 3, mode: 0o640 });
    assert.match(identity, /^\d+:\d+$/);
    assert.equal((await host.files.info(directory))?.kind, "directory");
    assert.equal((await host.files.info("/dev/null"))?.kind, "other");
    for (const name of ["dangling", "nothing", "f/below"]) {
      assert.equal(await host.files.info(`${directory}/${name}`), null);
    }
    assert.equal(await host.files.realPath(`${directory}/link`), `${fs.realpathSync(directory)}/f`);
    assert.equal(await host.files.realPath(`${directory}/dangling`), null);
  },

  "read() reads up to its bound and not a byte more": async ({ host, directory }) => {
    fs.writeFileSync(`${directory}/f`, "0123456789");
    assert.equal(asText(await host.files.read(`${directory}/f`, 10)), "0123456789");
    await rejectsWith("EFBIG", host.files.read(`${directory}/f`, 9));
    fs.writeFileSync(`${directory}/empty`, "");
    assert.equal((await host.files.read(`${directory}/empty`, 0)).length, 0);
    await rejectsWith("ENOENT", host.files.read(`${directory}/nothing`, 9));
    await rejectsWith("EISDIR", host.files.read(directory, 9));
  },

  "read() bounds what has no size beforehand": async ({ host }) => {
    await rejectsWith("EFBIG", host.files.read("/dev/zero", 1_000_000));
    assert.match(asText(await host.files.read("/proc/self/status", 1_000_000)), /^Name:/);
    await rejectsWith("EFBIG", host.files.read("/proc/self/status", 20));
  },

  "read() reads a FIFO to its end": async ({ host, directory }) => {
    const writer = await shell(host, `mkfifo ${directory}/p; echo ready; (echo a; echo b) > ${directory}/p`);
    await readUntil(writer.stdout, "ready");
    assert.equal((await host.files.info(`${directory}/p`))?.kind, "fifo");
    assert.equal(asText(await host.files.read(`${directory}/p`, 100)), "a\nb\n");
    await finish(writer);
  },

  "read() gives up on a FIFO that nobody writes to": async ({ host, directory }) => {
    await finish(await shell(host, `mkfifo ${directory}/p`));
    await rejectsWith("ETIMEDOUT", host.files.read(`${directory}/p`, 100));
  },

  "readPieces() yields full pieces and the rest": async ({ host, directory }) => {
    fs.writeFileSync(`${directory}/f`, "0123456789");
    const pieces: string[] = [];
    for await (const piece of host.files.readPieces(`${directory}/f`, 4)) pieces.push(asText(piece));
    assert.deepEqual(pieces, ["0123", "4567", "89"]);
  },

  "writeAtomic() replaces the whole file and keeps its mode to itself": async ({ host, directory }) => {
    const file = `${directory}/f`;
    await host.files.writeAtomic(file, bytesOf("one"), { mode: 0o600, sync: true });
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    await host.files.writeAtomic(file, bytesOf("two"));
    assert.equal(fs.readFileSync(file, "utf8"), "two");
    assert.deepEqual(await host.files.list(directory), ["f"]);
  },

  "writePieces() writes all pieces or nothing, and says how many bytes they were": async (
    { host, directory },
  ) => {
    const file = `${directory}/f`;
    const pieces = async function* (isWhole: boolean) {
      yield bytesOf("one");
      await Promise.resolve();
      if (!isWhole) throw new Error("broken off");
      yield bytesOf("two");
    };
    assert.equal(await host.files.writePieces(file, pieces(true)), 6);
    await assert.rejects(host.files.writePieces(file, pieces(false)), /broken off/);
    assert.equal(fs.readFileSync(file, "utf8"), "onetwo");
    assert.deepEqual(fs.readdirSync(directory), ["f"]);
    assert.equal(await (await host.files.blob(file)).text(), "onetwo");
  },

  "link() names what is elsewhere, and replaces nothing": async ({ host, directory }) => {
    fs.writeFileSync(`${directory}/f`, "abc");
    await host.files.link(`${directory}/f`, `${directory}/link`);
    assert.equal(fs.readFileSync(`${directory}/link`, "utf8"), "abc");
    await rejectsWith("EEXIST", host.files.link(`${directory}/f`, `${directory}/link`));
  },

  "writeAtomic() leaves nothing behind when it fails": async ({ host, directory }) => {
    fs.mkdirSync(`${directory}/d/below`, { recursive: true });
    await rejectsWith(
      ["EISDIR", "ENOTEMPTY", "EEXIST"],
      host.files.writeAtomic(`${directory}/d`, bytesOf("x")),
    );
    await rejectsWith("ENOENT", host.files.writeAtomic(`${directory}/nothing/f`, bytesOf("x")));
    assert.deepEqual(await host.files.list(directory), ["d"]);
  },

  "publish() gives a finished file its name, and replaces only when asked": async ({ host, directory }) => {
    const [from, to] = [`${directory}/from`, `${directory}/to`];
    await host.files.writeAtomic(from, bytesOf("one"));
    await host.files.publish(from, to, { replace: false });
    assert.deepEqual(await host.files.list(directory), ["to"]);
    await host.files.writeAtomic(from, bytesOf("two"));
    await rejectsWith("EEXIST", host.files.publish(from, to, { replace: false }));
    assert.equal(fs.readFileSync(to, "utf8"), "one");
    await host.files.publish(from, to, { replace: true });
    assert.equal(fs.readFileSync(to, "utf8"), "two");
    assert.deepEqual(await host.files.list(directory), ["to"]);
    await rejectsWith("ENOENT", host.files.publish(from, to, { replace: true }));
  },

  "syncDirectories() passes over what is not there or may not be opened": async ({ host, directory }) => {
    await host.files.makeDirectory(`${directory}/a/b`);
    await host.files.syncDirectories(`${directory}/a/b`);
    await host.files.syncDirectories(`${directory}/a/b/not/there`);
    fs.chmodSync(`${directory}/a`, 0o300);
    await host.files.syncDirectories(`${directory}/a/b`);
    fs.chmodSync(`${directory}/a`, 0o700);
    await host.files.remove(`${directory}/a`);
  },

  "remove() also takes what somebody puts into a directory meanwhile": async ({ host, directory }) => {
    for (let round = 0; round < 100; round++) {
      await host.files.makeDirectory(`${directory}/a/b`);
      const path = `${directory}/a/late`;
      const create = () => fs.promises.open(path, "w").then((file) => file.close(), () => undefined);
      const late = (async () => {
        for (let times = 0; times < 5; times++) await create();
      })();
      await host.files.remove(`${directory}/a`);
      await late;
      assert.equal(await host.files.info(`${directory}/a`), null);
    }
  },

  "makeDirectory(), list() and remove() work on whole trees": async ({ host, directory }) => {
    await host.files.makeDirectory(`${directory}/a/b`, 0o700);
    await host.files.makeDirectory(`${directory}/a/b`);
    assert.equal(fs.statSync(`${directory}/a/b`).mode & 0o777, 0o700);
    for (const name of ["z", "ä", "B"]) fs.writeFileSync(`${directory}/a/${name}`, "");
    assert.deepEqual(await host.files.list(`${directory}/a`), ["B", "b", "z", "ä"]);
    await rejectsWith("ENOENT", host.files.list(`${directory}/nothing`));
    await host.files.remove(`${directory}/a`);
    await host.files.remove(`${directory}/a`);
    assert.deepEqual(await host.files.list(directory), []);
    const temporary = await host.files.temporaryDirectory("glassbox-check-");
    assert.deepEqual(await host.files.list(temporary), []);
    await host.files.remove(temporary);
  },
};

export const LOCK_CHECKS: Checks = {
  "acquire() excludes others of the same process": async ({ host, directory }) => {
    const path = `${directory}/lock`;
    const first = await host.locks.acquire(path);
    assert.equal(await host.locks.tryAcquire(path), null);
    const order: string[] = [];
    const second = host.locks.acquire(path).then((lock) => (order.push("second has it"), lock));
    await host.clock.turn();
    order.push("first lets go");
    first.release();
    first.release();
    (await second).release();
    assert.deepEqual(order, ["first lets go", "second has it"]);
    const third = await host.locks.tryAcquire(path);
    assert.ok(third);
    third.release();
  },

  "acquire() excludes another process until it is killed": async ({ host, directory, program }) => {
    const path = `${directory}/lock`;
    const holder = await start(host, [...program, "hold", path]);
    await readUntil(holder.stdout, "held");
    assert.equal(await host.locks.tryAcquire(path), null);
    const waiting = host.locks.acquire(path);
    holder.signalGroup("SIGKILL");
    (await waiting).release();
    holder.abandonPipes();
    await holder.exited;
  },

  "a lock does not outlive its holder in a child of the holder": async ({ host, directory }) => {
    const lock = await host.locks.acquire(`${directory}/lock`);
    const child = await start(host, ["/bin/sleep", "60"]);
    lock.release();
    const again = await host.locks.tryAcquire(`${directory}/lock`);
    assert.ok(again);
    again.release();
    child.signalGroup("SIGKILL");
    await finish(child);
  },

  "open() gives a lock to be taken again and again": async ({ host, directory }) => {
    const path = `${directory}/lock`;
    const [one, two] = [await host.locks.open(path), await host.locks.open(path)];
    let inside = 0;
    const work = async (lock: typeof one) => {
      for (let round = 0; round < 50; round++) {
        await lock.lock();
        assert.equal(++inside, 1);
        await host.clock.turn();
        inside--;
        lock.unlock();
        await host.clock.turn();
      }
    };
    await Promise.all([work(one), work(two)]);
    await one.lock();
    one.close();
    await two.lock();
    two.close();
  },

  "locks keep counts by several processes whole": async ({ host, directory, program }) => {
    fs.writeFileSync(`${directory}/count`, "0");
    const counters = await Promise.all(
      [1, 2, 3].map(() =>
        start(host, [...program, "count", `${directory}/lock`, `${directory}/count`, "200"])
      ),
    );
    for (const counter of counters) assert.equal((await finish(counter)).err, "");
    assert.equal(fs.readFileSync(`${directory}/count`, "utf8"), "600");
  },

  "locks reject where no file can be made": async ({ host, directory }) => {
    await rejectsWith("ENOENT", host.locks.acquire(`${directory}/nothing/lock`));
    await rejectsWith("EISDIR", host.locks.open(directory));
  },
};
