import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { WebSocket } from "ws";
import { LIMITS } from "../../src/core/limits.ts";
import { FIRST_MESSAGE_MS } from "../../src/server/socket.ts";
import { WatchMessage } from "../../src/server/watch.ts";
import {
  answer,
  hurried,
  problem,
  type Rig,
  script,
  settled,
  startRig,
  stretched,
  submit,
  until,
} from "./http_support.ts";

/** Writes `count` lines, one at a time, about a thousand a second, every third to stderr. */
function talker(count: number): Record<string, unknown> {
  return script(
    `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); if [ $((i % 3)) = 0 ]; then echo "line $i" >&2; ` +
      `else echo "line $i"; fi; [ $((i % 20)) = 0 ] && sleep 0.01; done`,
  );
}

/** 30,000 lines of 1,000 bytes: more than the buffers between two ends of a connection hold. */
const MUCH = "head -c 30000000 /dev/zero | tr '\\0' x | fold -w 1000";

async function watchersOf(rig: Rig): Promise<number> {
  return (await answer("about", await fetch(`${rig.url}/api/v1/about`))).watchers;
}

interface SentEvent {
  readonly id: string | null;
  readonly message: WatchMessage;
}

/** Reads server-sent events until the stream ends or `enough` says so; leaving closes the connection. */
async function readEvents(
  url: string,
  enough: (event: SentEvent) => boolean,
  headers: Record<string, string> = {},
): Promise<SentEvent[]> {
  const leaving = new AbortController();
  const response = await fetch(url, { headers, signal: leaving.signal });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const events: SentEvent[] = [];
  let text = "";
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
      const event = parseEvent(text.slice(0, end));
      text = text.slice(end + 2);
      if (event === null) continue;
      events.push(event);
      if (!enough(event)) continue;
      leaving.abort();
      return events;
    }
  }
  return events;
}

/** Null for a comment. Each message is held against the schema that /openapi.json shows. */
function parseEvent(block: string): SentEvent | null {
  if (block.startsWith(":")) return null;
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1] ?? null;
  const message = WatchMessage.parse(JSON.parse(field("data")!));
  assert.equal(field("event"), message.type);
  return { id: field("id"), message };
}

function lineSeqs(messages: readonly WatchMessage[]): number[] {
  return messages.flatMap((message) => message.type === "line" ? [message.seq] : []);
}

function eventSeqs(messages: readonly WatchMessage[]): number[] {
  return messages.flatMap((message) => message.type === "event" ? [message.seq] : []);
}

function oneTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

function assertLines(messages: readonly WatchMessage[], count: number): void {
  assert.deepEqual(lineSeqs(messages), oneTo(count));
  for (const message of messages) {
    if (message.type !== "line") continue;
    assert.equal(message.text, `line ${Number(message.text.slice(5))}`);
    assert.equal(message.stream, Number(message.text.slice(5)) % 3 === 0 ? "stderr" : "stdout");
  }
  const texts = messages.flatMap((message) => message.type === "line" ? [message.text] : []);
  assert.equal(new Set(texts).size, count);
}

/** A WebSocket as a test sees it. */
class Client {
  readonly socket: WebSocket;
  readonly messages: (WatchMessage | { type: "error"; code: string; detail: string })[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  #heard: () => void = () => {};

  constructor(rig: Rig, path: string) {
    this.socket = new WebSocket(`ws://127.0.0.1:${rig.port}${path}`);
    this.socket.on("message", (data) => {
      const message = JSON.parse(String(data));
      this.messages.push(message.type === "error" ? message : WatchMessage.parse(message));
      this.#heard();
    });
    this.closed = new Promise((resolve, reject) => {
      this.socket.on("close", (code, reason) => resolve({ code, reason: String(reason) }));
      this.socket.on("error", reject);
    });
  }

  get told(): WatchMessage[] {
    return this.messages.filter((message) => message.type !== "error");
  }

  opened(): Promise<void> {
    return new Promise((resolve) => this.socket.once("open", () => resolve()));
  }

  /** Resolves when what was heard so far is as wanted. */
  async hears(isEnough: () => boolean): Promise<void> {
    while (!isEnough()) await new Promise<void>((resolve) => this.#heard = resolve);
  }
}

Deno.test("SSE gives a job's whole life, and unfinished text before its line", async () => {
  await using rig = await startRig();
  const go = join(rig.directory, "go");
  const id = await submit(
    rig,
    script(`printf 'half'; until [ -e '${go}' ]; do sleep 0.01; done; echo ' whole'; exit 3`),
  );
  const events = await readEvents(`${rig.url}/api/v1/jobs/${id}/stream`, ({ message }) => {
    if (message.type === "partial" && message.text === "half") void writeFile(go, "");
    return false;
  });
  const messages = events.map(({ message }) => message);
  assert.deepEqual(messages.at(-1), { type: "end", state: "failed", reason: "final" });
  assert.deepEqual(lineSeqs(messages), [1]);
  assert.deepEqual(eventSeqs(messages), oneTo(eventSeqs(messages).length));
  const shown = messages.flatMap((one) =>
    one.type === "partial" || one.type === "line" ? [[one.type, one.text]] : []
  );
  assert.deepEqual(shown, [["partial", "half"], ["line", "half whole"], ["partial", ""]]);
  assert.deepEqual(events.map(({ id, message }) => id === null ? message.type : null).filter(Boolean), [
    "partial",
    "partial",
    "end",
  ]);
});

Deno.test("SSE resumes after any id: each line and event once, however often the watcher leaves", async () => {
  await using rig = await startRig();
  const count = 3_000;
  const id = await submit(rig, talker(count));
  const seen: WatchMessage[] = [];
  let last: string | null = null;
  let visits = 0;
  while (seen.at(-1)?.type !== "end") {
    visits += 1;
    let ids = 0;
    const stay = 1 + (visits * 37) % 211;
    const headers: Record<string, string> = last === null ? {} : { "last-event-id": last };
    const events = await readEvents(
      `${rig.url}/api/v1/jobs/${id}/stream`,
      (event) => event.id !== null && ++ids >= stay,
      headers,
    );
    for (const event of events) {
      if (event.message.type !== "partial") seen.push(event.message);
      last = event.id ?? last;
    }
  }
  assert.ok(visits > 15, `${visits} visits`);
  assertLines(seen, count);
  assert.deepEqual(eventSeqs(seen), oneTo(eventSeqs(seen).length));
  // What a watcher gets who comes once, afterwards, is the same.
  const replay = await readEvents(`${rig.url}/api/v1/jobs/${id}/stream`, () => false);
  const whole = (messages: WatchMessage[]) => messages.filter(({ type }) => type === "line");
  assert.deepEqual(whole(replay.map(({ message }) => message)), whole(seen));
});

Deno.test("SSE takes the position from the query, and the header goes before it", async () => {
  await using rig = await startRig();
  const id = await submit(rig, script("seq 1 5"));
  await settled(rig, id);
  const url = `${rig.url}/api/v1/jobs/${id}/stream`;
  const after = async (query: string, headers: Record<string, string> = {}) =>
    lineSeqs((await readEvents(url + query, () => false, headers)).map(({ message }) => message));
  assert.deepEqual(await after("?after=L3.E0"), [4, 5]);
  assert.deepEqual(await after("?after=L3.E0", { "last-event-id": "L4.E2" }), [5]);
  assert.deepEqual(await after("?after=L5.E4"), []);
  for (const bad of ["x", "L1", "1", "L-1.E0", "L6.E0", "L0.E99", "L99999999999999999.E0", "L1.E1.x"]) {
    await problem(await fetch(`${url}?after=${bad}`), 400, "usage");
    await problem(await fetch(url, { headers: { "last-event-id": bad } }), 400, "usage");
  }
  await problem(await fetch(`${url}?since=1`), 422, "invalid_input");
  const head = await fetch(url, { method: "HEAD" });
  assert.deepEqual([head.status, head.headers.get("content-type")], [200, "text/event-stream"]);
  assert.equal(await watchersOf(rig), 0);
});

Deno.test("SSE shows that it lives while there is nothing to tell", async () => {
  await using rig = await startRig({ clock: hurried(15_000) });
  const id = await submit(rig, script("sleep 60"));
  const leaving = new AbortController();
  const response = await fetch(`${rig.url}/api/v1/jobs/${id}/stream`, { signal: leaving.signal });
  let text = "";
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    // The first may come between the job's first events, so that only two on end show that there was nothing to tell.
    if (text.includes(": \n\n: \n\n")) break;
  }
  assert.match(text, /^id: [^]*\n\n: \n\n: \n\n/);
  leaving.abort();
});

Deno.test("a watcher that leaves is followed no longer", async () => {
  await using rig = await startRig();
  const id = await submit(rig, script("echo a; sleep 60"));
  await readEvents(`${rig.url}/api/v1/jobs/${id}/stream`, ({ message }) => message.type === "line");
  await until(() => watchersOf(rig), (count) => count === 0);
  const client = new Client(rig, `/ws/${id}?afterLine=0`);
  await client.hears(() => lineSeqs(client.told).length === 1);
  assert.equal(await watchersOf(rig), 1);
  client.socket.terminate();
  await until(() => watchersOf(rig), (count) => count === 0);
});

Deno.test("fault 43: SSE drops a watcher that never reads", async () => {
  await using rig = await startRig({ clock: hurried(15_000) });
  const id = await submit(rig, script(MUCH));
  await settled(rig, id);
  const stuck = connect(rig.port, "127.0.0.1");
  stuck.on("error", () => undefined);
  stuck.write(`GET /api/v1/jobs/${id}/stream HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\n\r\n`);
  await new Promise<void>((resolve) => stuck.once("readable", () => resolve()));
  await until(() => watchersOf(rig), (count) => count === 0);
  const got = await new Promise<string>((resolve) => {
    let text = "";
    stuck.setEncoding("latin1");
    stuck.on("data", (data) => text += data);
    stuck.on("close", () => resolve(text));
  });
  assert.match(got, /^HTTP\/1.1 200 /);
  assert.doesNotMatch(got, /event: end/);
});

Deno.test("a socket tells the same as SSE", async () => {
  await using rig = await startRig();
  const id = await submit(rig, talker(100));
  const client = new Client(rig, `/ws/${id}`);
  const { code } = await client.closed;
  assert.equal(code, 1000);
  const bySse = (await readEvents(`${rig.url}/api/v1/jobs/${id}/stream`, () => false)).map(({ message }) =>
    message
  );
  const lasting = (messages: WatchMessage[]) => messages.filter(({ type }) => type !== "partial");
  const byType = (messages: WatchMessage[], type: string) =>
    lasting(messages).filter((one) => one.type === type);
  for (const type of ["line", "event", "end"]) {
    assert.deepEqual(byType(client.told, type), byType(bySse, type));
  }
  assertLines(client.told, 100);
});

Deno.test("a socket resumes after any numbers: each line and event once, by query and by message", async () => {
  // A resume message that comes too late finds that the socket tells everything from the first line on.
  await using rig = await startRig({ clock: stretched(FIRST_MESSAGE_MS) });
  const count = 3_000;
  const id = await submit(rig, talker(count));
  const seen: WatchMessage[] = [];
  let [afterLine, afterEvent, visits] = [0, 0, 0];
  while (seen.at(-1)?.type !== "end") {
    visits += 1;
    const byQuery = visits % 2 === 1;
    const client = new Client(
      rig,
      `/ws/${id}${byQuery ? `?afterLine=${afterLine}&afterEvent=${afterEvent}` : ""}`,
    );
    await client.opened();
    if (!byQuery) client.socket.send(JSON.stringify({ type: "resume", afterLine, afterEvent }));
    const stay = 1 + (visits * 53) % 307;
    await client.hears(() =>
      client.told.filter(({ type }) => type !== "partial").length >= stay ||
      client.told.at(-1)?.type === "end"
    );
    client.socket.terminate();
    for (const message of client.told) {
      if (message.type === "partial") continue;
      seen.push(message);
      if (message.type === "line") afterLine = message.seq;
      if (message.type === "event") afterEvent = message.seq;
    }
  }
  assert.ok(visits > 10, `${visits} visits`);
  assertLines(seen, count);
  assert.deepEqual(eventSeqs(seen), oneTo(eventSeqs(seen).length));
});

Deno.test("a socket answers what it does not understand, and stays open", async () => {
  await using rig = await startRig();
  const id = await submit(rig, script("echo a; echo b; sleep 60"));
  const client = new Client(rig, `/ws/${id}?afterLine=0`);
  await client.hears(() => lineSeqs(client.told).length === 2);
  const rows: [sent: string, code: string][] = [
    ["{", "bad_json"],
    ["[]", "invalid_input"],
    ['{"type":"subscribe"}', "invalid_input"],
    ['{"type":"resume","afterLine":-1}', "invalid_input"],
    ['{"type":"resume","afterLine":1.5}', "invalid_input"],
    ['{"type":"resume","colour":"red"}', "invalid_input"],
    ['{"type":"resume","afterLine":3}', "usage"],
    ['{"type":"resume","afterEvent":99}', "usage"],
  ];
  const errors = () => client.messages.flatMap((message) => message.type === "error" ? [message] : []);
  for (const [index, [sent, code]] of rows.entries()) {
    client.socket.send(sent);
    await client.hears(() => errors().length > index);
    assert.equal(errors()[index]!.code, code, sent);
  }
  assert.equal(errors().length, rows.length);
  assert.equal(client.socket.readyState, WebSocket.OPEN);
  // After all that it still resumes, and gives the second line again because it was asked to.
  client.socket.send('{"type":"resume","afterLine":1}');
  await client.hears(() => lineSeqs(client.told).length === 3);
  assert.deepEqual(lineSeqs(client.told), [1, 2, 2]);
  for (let count = 0; count < 30; count++) client.socket.send("junk");
  assert.equal((await client.closed).code, 1008);
});

Deno.test("a socket closes on what it cannot take", async () => {
  await using rig = await startRig();
  const id = await submit(rig, script("sleep 60"));
  const binary = new Client(rig, `/ws/${id}`);
  await binary.opened();
  binary.socket.send(new Uint8Array([1, 2, 3]));
  assert.equal((await binary.closed).code, 1003);

  const large = new Client(rig, `/ws/${id}`);
  await large.opened();
  large.socket.send("x".repeat(LIMITS.socketMessageBytesMax + 1));
  assert.equal((await large.closed).code, 1009);

  for (const unknown of ["01m8000000000000000000000x", "x", "%00"]) {
    assert.equal((await new Client(rig, `/ws/${unknown}`).closed).code, 4404, unknown);
  }
  await problem(await fetch(`${rig.url}/ws/${id}`), 400, "usage");
  for (const path of [`/ws/${id}?afterLine=-1`, `/ws/${id}?after=1`, "/ws", "/nope", `/ws/${id}/x`]) {
    await assert.rejects(new Client(rig, path).closed, /Unexpected server response: 4(22|04)/, path);
  }
});

Deno.test("fault 43: a socket whose watcher takes nothing is dropped, and told where to resume", async () => {
  let speed = 100, lastMs = 0, shownMs = 0;
  await using rig = await startRig({
    // Only the wait for room measures time by this clock, so making it pass quickly shortens that wait alone.
    clock: (real) => ({
      nowMs: () => real.nowMs(),
      monotonicMs: () => {
        const nowMs = real.monotonicMs();
        shownMs += (nowMs - lastMs) * speed;
        lastMs = nowMs;
        return shownMs;
      },
      turn: () => real.turn(),
      sleep: (ms, signal) => real.sleep(ms, signal),
    }),
  });
  const id = await submit(rig, script(MUCH));
  await settled(rig, id);
  const client = new Client(rig, `/ws/${id}?afterLine=0`);
  await client.opened();
  client.socket.pause();
  await until(() => watchersOf(rig), (count) => count === 0);
  // From here on watchers take what they are sent, as soon as a busy machine lets them.
  speed = 1;
  client.socket.resume();
  const { code, reason } = await client.closed;
  assert.equal(code, 1013);
  const lines = lineSeqs(client.told);
  assert.deepEqual(lines, oneTo(lines.length));
  const [, line, event] = /afterLine=(\d+)&afterEvent=(\d+)$/.exec(reason)!;
  assert.equal(Number(line), lines.length);
  const rest = new Client(rig, `/ws/${id}?afterLine=${line}&afterEvent=${event}`);
  assert.equal((await rest.closed).code, 1000);
  assert.deepEqual([...lines, ...lineSeqs(rest.told)], oneTo(30_000));
});

/** How long after it was written each of 40 lines was seen, the shortest first. */
async function lagsOf(rig: Rig): Promise<number[]> {
  const id = await submit(
    rig,
    script("i=0; while [ $i -lt 40 ]; do i=$((i+1)); date +%s%3N; sleep 0.02; done"),
  );
  const lags: number[] = [];
  await readEvents(`${rig.url}/api/v1/jobs/${id}/stream`, ({ message }) => {
    if (message.type === "line") lags.push(Date.now() - Number(message.text));
    return false;
  });
  assert.equal(lags.length, 40);
  return lags.sort((a, b) => a - b);
}

Deno.test("what a watcher waits for is seen soon", async () => {
  await using rig = await startRig();
  // Tried again, as the machine may be busy; a server that is late is so each time.
  let lags: number[] = [];
  for (let attempt = 0; attempt < 5; attempt++) {
    lags = await lagsOf(rig);
    if (lags[35]! <= 250) return;
  }
  assert.fail(`lags in ms: ${lags.join(" ")}`);
});
