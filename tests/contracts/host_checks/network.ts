/** Listening: HTTP, streams and WebSockets. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import * as net from "node:net";
import type { Host, Listener, ListenRequest, Socket, SocketHandler } from "../../../src/core/host.ts";
import { LIMITS } from "../../../src/core/limits.ts";
import { type Checks, rejectsWith, waitUntil } from "./check.ts";

const UPGRADE = [
  "Host: a",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13",
];

const NO_UPGRADE: ListenRequest["upgrade"] = () => new Response("no sockets here", { status: 404 });

async function serving(
  host: Host,
  request: Partial<ListenRequest>,
  use: (listener: Listener) => Promise<void>,
) {
  const fetch = () => new Response("ok");
  const listener = await host.network.listen({
    host: "127.0.0.1",
    port: 0,
    fetch,
    upgrade: NO_UPGRADE,
    ...request,
  });
  try {
    await use(listener);
  } finally {
    await listener.close(0);
  }
}

/** A bare connection that keeps what it is told. */
class Peer {
  text = "";
  closed = false;
  closedAtMs = Infinity;
  readonly socket: net.Socket;

  constructor(port: number, first: readonly (string | Uint8Array)[]) {
    this.socket = net.connect(port, "127.0.0.1", () => first.forEach((data) => this.socket.write(data)));
    this.socket.on("data", (data) => this.text += data.toString("latin1"));
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.closed = true;
      this.closedAtMs = performance.now();
    });
  }
}

function head(line: string, ...fields: string[]): string {
  return [`${line} HTTP/1.1`, ...fields, "", ""].join("\r\n");
}

/** The first answer to one request, over a connection of its own: at least its head, and all up to `wanted`. */
async function ask(host: Host, port: number, request: string, wanted = "\r\n\r\n"): Promise<string> {
  const peer = new Peer(port, [request]);
  await waitUntil(host, `an answer to ${request}`, () => peer.text.includes(wanted) || peer.closed);
  peer.socket.destroy();
  return peer.text;
}

function frame(opcode: number, payload: Uint8Array): Uint8Array {
  const length = payload.length;
  const size = length < 126
    ? [0x80 | length]
    : length < 65_536
    ? [0x80 | 126, length >> 8, length & 255]
    : [0x80 | 127, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 255, length & 255];
  return Buffer.concat([Uint8Array.from([0x80 | opcode, ...size, 0, 0, 0, 0]), payload]);
}

export const HTTP_CHECKS: Checks = {
  "listen() hands over method, URL, headers and body": async ({ host }) => {
    const fetch = async (request: Request) =>
      Response.json([request.method, request.url, request.headers.get("x-a"), await request.text()]);
    await serving(host, { fetch }, async ({ port }) => {
      const url = `http://127.0.0.1:${port}/p%20q?x=1&y=%C3%A4`;
      const body = "ä".repeat(100_000);
      const answer = await globalThis.fetch(url, { method: "POST", body, headers: { "x-a": "b" } });
      assert.deepEqual(await answer.json(), ["POST", url, "b", body]);
    });
  },

  "listen() refuses what is no clear HTTP": async ({ host }) => {
    let seen = 0;
    await serving(host, { fetch: () => (seen++, new Response()) }, async ({ port }) => {
      const many = Array.from({ length: LIMITS.headersMax }, (_, at) => `X${at}: 1`);
      const refusals: [string, string][] = [
        ["431", head("GET /", "Host: a", `X: ${"x".repeat(LIMITS.headerBytesMax)}`)],
        ["431", head("GET /", "Host: a", ...many)],
        ["400", head("GET /")],
        ["400", head("GET /", "Host:")],
        ["400", head("GET /", "Host: a", "Host: b")],
        ["400", head("GET /", "Host: a@b")],
        ["400", head("GET /", "Host: a/b")],
        ["400", head("GET http://other/", "Host: a")],
        ["400", head("POST /", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked")],
        ["400", head("POST /", "Host: a", "Content-Length: -1")],
        ["400", head("HOWDY /", "Host: a")],
        ["400", "\x00garbage\r\n\r\n"],
        ["400", head("GET /", ...UPGRADE.slice(1))],
        ["400", head("GET /", ...UPGRADE, "Host: b")],
      ];
      for (const [status, request] of refusals) {
        assert.match(
          await ask(host, port, request),
          new RegExp(`^HTTP/1.1 ${status} `),
          JSON.stringify(request),
        );
      }
      assert.equal(seen, 0);
    });
  },

  "listen() takes headers up to the bound, a whole URL of the same host and an upgrade it does not know":
    async (
      { host },
    ) => {
      const fetch = (request: Request) => new Response(request.url);
      await serving(host, { fetch }, async ({ port }) => {
        const long = head("GET /", "Host: a", `X: ${"x".repeat(LIMITS.headerBytesMax - 100)}`);
        assert.match(await ask(host, port, long), /^HTTP\/1.1 200 /);
        const whole = await ask(host, port, head("GET http://a/b", "Host: a"), "http://a/b");
        assert.match(whole, /http:\/\/a\/b$/);
        const h2c = head(
          "GET /",
          "Host: a",
          "Connection: Upgrade, HTTP2-Settings",
          "Upgrade: h2c",
          "HTTP2-Settings: AA",
        );
        assert.match(await ask(host, port, h2c), /^HTTP\/1.1 200 /);
      });
    },

  "listen() answers 500 without a word when fetch throws": async ({ host }) => {
    const fetch = () => {
      throw new Error("a secret");
    };
    await serving(host, { fetch }, async ({ port }) => {
      const answer = await globalThis.fetch(`http://127.0.0.1:${port}/`);
      const body = await answer.text();
      assert.deepEqual([answer.status, body.includes("secret")], [500, false]);
      assert.equal(JSON.parse(body).code, "internal");
    });
  },

  "listen() sends each piece of a streamed answer at once": async ({ host }) => {
    let controller!: ReadableStreamDefaultController<Uint8Array>;
    const fetch = () => new Response(new ReadableStream({ start: (given) => void (controller = given) }));
    await serving(host, { fetch }, async ({ port }) => {
      const peer = new Peer(port, [head("GET /", "Host: a")]);
      await waitUntil(host, "the head", () => peer.text.includes("\r\n\r\n"));
      for (const piece of ["one", "two", "three"]) {
        controller.enqueue(new TextEncoder().encode(piece));
        await waitUntil(host, piece, () => peer.text.includes(piece));
      }
      peer.socket.destroy();
    });
  },

  "listen() cancels the stream and aborts the request of a client that leaves": async ({ host }) => {
    const told: string[] = [];
    const fetch = (request: Request) => {
      request.signal.addEventListener("abort", () => told.push("aborted"));
      const start = (controller: ReadableStreamDefaultController) => controller.enqueue(new Uint8Array(9));
      return new Response(new ReadableStream({ start, cancel: () => void told.push("cancelled") }));
    };
    await serving(host, { fetch }, async ({ port }) => {
      const peer = new Peer(port, [head("GET /", "Host: a")]);
      await waitUntil(host, "the head", () => peer.text.includes("\r\n\r\n"));
      peer.socket.destroy();
      await waitUntil(host, "cancelled and aborted", () => told.length === 2);
      assert.deepEqual(told.sort(), ["aborted", "cancelled"]);
    });
  },

  "listen() asks a stream for no more than a slow client takes": async ({ host }) => {
    let pulled = 0;
    const pull = (controller: ReadableStreamDefaultController) => {
      pulled++;
      controller.enqueue(new Uint8Array(65_536));
    };
    await serving(host, { fetch: () => new Response(new ReadableStream({ pull })) }, async ({ port }) => {
      const peer = new Peer(port, [head("GET /", "Host: a")]);
      peer.socket.pause();
      let last = -1;
      while (last !== pulled) {
        last = pulled;
        for (let turn = 0; turn < 200; turn++) await host.clock.turn();
        assert.ok(pulled < 2_000, `${pulled} pieces were made for a client that reads none`);
      }
      peer.socket.destroy();
    });
  },

  "listen() rejects when the port is taken": async ({ host }) => {
    await serving(host, {}, async ({ port }) => {
      const again = { host: "127.0.0.1", port, fetch: () => new Response(), upgrade: NO_UPGRADE };
      await rejectsWith("EADDRINUSE", host.network.listen(again));
    });
  },
};

const ECHO: SocketHandler = {
  open: (socket) => socket.send("welcome"),
  message: (socket, text) =>
    text === "bye" ? socket.close(4001, "told") : socket.send(`${text?.length}:${text?.[0]}`),
  closed: () => {},
};

/** Sends frames after an upgrade and waits for `wanted` bytes of the answer. */
async function converse(host: Host, frames: readonly Uint8Array[], wanted: string): Promise<void> {
  await serving(host, { upgrade: () => ECHO }, async ({ port }) => {
    const peer = new Peer(port, [head("GET /", ...UPGRADE), ...frames]);
    await waitUntil(
      host,
      `${JSON.stringify(wanted)} in ${JSON.stringify(peer.text)}`,
      () => peer.text.includes(wanted),
    );
    peer.socket.destroy();
  });
}

export const SOCKET_CHECKS: Checks = {
  "upgrade() opens a WebSocket that echoes, tells binary frames and closes with a code": async ({ host }) => {
    const closed: string[] = [];
    const upgrade = (request: Request) => ({
      ...ECHO,
      closed: () => closed.push(new URL(request.url).search),
    });
    await serving(host, { upgrade }, async ({ port }) => {
      const client = new WebSocket(`ws://127.0.0.1:${port}/x?q=1`);
      const got: unknown[] = [];
      client.onmessage = (event) => {
        got.push(event.data);
        if (got.length === 1) { for (const data of ["hey", new Uint8Array(2), "bye"]) client.send(data); }
      };
      const end = await new Promise<CloseEvent>((resolve) => client.onclose = resolve);
      assert.deepEqual(got, ["welcome", "3:h", "undefined:undefined"]);
      assert.deepEqual([end.code, end.reason], [4001, "told"]);
      await waitUntil(host, "closed() is called", () => closed.length > 0);
      assert.deepEqual(closed, ["?q=1"]);
    });
  },

  "upgrade() refuses with a whole Response": async ({ host }) => {
    const upgrade = (request: Request) =>
      new Response(`not ${request.headers.get("origin")}`, { status: 403, headers: { "x-a": "b" } });
    await serving(host, { upgrade }, async ({ port }) => {
      const peer = new Peer(port, [head("GET /", ...UPGRADE, "Origin: http://evil")]);
      await waitUntil(host, "the connection is closed", () => peer.closed);
      assert.match(
        peer.text,
        /^HTTP\/1.1 403 Forbidden\r\n(.*\r\n)*x-a: b\r\n(.*\r\n)*\r\nnot http:\/\/evil$/,
      );
    });
  },

  "upgrade() answers 500 when it throws": async ({ host }) => {
    const upgrade = () => Promise.reject(new Error("a secret"));
    await serving(host, { upgrade }, async ({ port }) => {
      assert.match(await ask(host, port, head("GET /", ...UPGRADE)), /^HTTP\/1.1 500 /);
    });
  },

  "a handler that throws closes its socket with 1011": async ({ host }) => {
    const message = () => {
      throw new Error("a secret");
    };
    await serving(host, { upgrade: () => ({ ...ECHO, message }) }, async ({ port }) => {
      const peer = new Peer(port, [head("GET /", ...UPGRADE), frame(1, Uint8Array.of(97))]);
      await waitUntil(host, "the socket is closed", () => peer.text.includes("\x88\x10\x03\xf3"));
      assert.doesNotMatch(peer.text, /secret/);
      peer.socket.destroy();
    });
  },

  "upgrade() loses nothing that the client sends while it decides": async ({ host }) => {
    let decide!: (handler: SocketHandler) => void;
    const upgrade = () => new Promise<SocketHandler>((resolve) => decide = resolve);
    await serving(host, { upgrade }, async ({ port }) => {
      const early = frame(1, new TextEncoder().encode("early"));
      const peer = new Peer(port, [head("GET /", ...UPGRADE), early]);
      await waitUntil(host, "upgrade() is asked", () => decide !== undefined);
      peer.socket.write(early);
      await host.clock.turn();
      decide(ECHO);
      await waitUntil(host, "both echoes", () => peer.text.split("5:e").length === 3);
      peer.socket.destroy();
    });
  },

  "a text frame of the largest size is taken, a larger one closes with 1009": async ({ host }) => {
    const max = LIMITS.socketMessageBytesMax;
    await converse(host, [frame(1, new Uint8Array(max).fill(97))], `${max}:a`);
    await converse(host, [frame(1, new Uint8Array(max + 1).fill(97))], "\x88\x02\x03\xf1");
  },

  "a text frame that is not UTF-8 closes with 1007": async ({ host }) => {
    await converse(host, [frame(1, Uint8Array.of(0xff, 0xfe))], "\x88\x02\x03\xef");
  },

  "bufferedBytes grows while the client does not read": async ({ host }) => {
    let socket: Socket | undefined;
    const upgrade = () => ({ ...ECHO, open: (opened: Socket) => void (socket = opened) });
    await serving(host, { upgrade }, async ({ port }) => {
      const peer = new Peer(port, [head("GET /", ...UPGRADE)]);
      peer.socket.pause();
      await waitUntil(host, "the socket is open", () => socket !== undefined);
      for (let message = 0; message < 300; message++) socket!.send("x".repeat(65_536));
      assert.ok(socket!.bufferedBytes > 1_000_000, `${socket!.bufferedBytes} bytes`);
      peer.socket.resume();
      await waitUntil(host, "all has left", () => socket!.bufferedBytes === 0);
      peer.socket.destroy();
    });
  },
};

export const CLOSE_CHECKS: Checks = {
  "close() resolves at once when nothing is open": async ({ host }) => {
    await serving(host, {}, async (listener) => {
      await (await globalThis.fetch(`http://127.0.0.1:${listener.port}/`)).text();
      const startMs = host.clock.monotonicMs();
      await listener.close(60_000);
      assert.ok(host.clock.monotonicMs() - startMs < 5_000);
    });
  },

  "close() does not wait for an upgrade that is never decided": async ({ host }) => {
    let asked = false;
    const upgrade = () => new Promise<never>(() => asked = true);
    await serving(host, { upgrade }, async ({ port }) => {
      new Peer(port, [head("GET /", ...UPGRADE)]);
      await waitUntil(host, "upgrade() is asked", () => asked);
    });
  },

  "close() stops accepting at once and ends streams and sockets after the grace": async ({ host }) => {
    const fetch = () => new Response(new ReadableStream({ start: (c) => c.enqueue(new Uint8Array(9)) }));
    const listener = await host.network.listen({ host: "127.0.0.1", port: 0, fetch, upgrade: () => ECHO });
    const stream = new Peer(listener.port, [head("GET /", "Host: a")]);
    const client = new WebSocket(`ws://127.0.0.1:${listener.port}/`);
    const end = new Promise<{ code: number; atMs: number }>((resolve) =>
      client.onclose = ({ code }) => resolve({ code, atMs: performance.now() })
    );
    await new Promise((resolve) => client.onmessage = resolve);
    await waitUntil(host, "the stream is open", () => stream.text.includes("\r\n\r\n"));
    const startMs = performance.now();
    const closing = listener.close(200);
    const late = new Peer(listener.port, [head("GET /", "Host: a")]);
    await waitUntil(host, "a new connection is refused", () => late.closed);
    assert.equal(late.text, "");
    await closing;
    const { code, atMs } = await end;
    assert.equal(code, 1001);
    await waitUntil(host, "the stream is closed", () => stream.closed);
    // By when each was seen to end, as a busy machine may have looked after the refused one only then.
    const endedMs = Math.min(atMs, stream.closedAtMs) - startMs;
    assert.ok(endedMs >= 195, `stream and socket were ended after ${endedMs} ms`);
    assert.ok(late.closedAtMs - startMs <= endedMs, "whoever came late was refused before they were ended");
  },
};
