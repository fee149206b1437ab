import assert from "node:assert/strict";
import { connect } from "node:net";
import { systemClock } from "./clock.ts";
import { systemNetwork } from "./network.ts";

Deno.test({
  name:
    "listen() lets a peer that does not read cost little more than is on its way, and one that reads have it all",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const piece = new Uint8Array(16 * 1024);
    const total = 16 * 1024 * 1024;
    let made = 0;
    const body = () =>
      new ReadableStream<Uint8Array>({
        pull(controller) {
          made += piece.length;
          controller.enqueue(piece);
          if (made === total) controller.close();
        },
      }, { highWaterMark: 0 });
    const listener = await systemNetwork.listen({
      host: "127.0.0.1",
      port: 0,
      fetch: () => Promise.resolve(new Response(body())),
      upgrade: () => Promise.reject(new Error("nobody asks")),
    });
    try {
      const socket = connect(listener.port, "127.0.0.1");
      socket.pause();
      socket.write("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
      for (let before = -1; made === 0 || made > before;) {
        before = made;
        // Long enough for a peer that reads to be given megabytes.
        await systemClock.sleep(200);
      }
      assert.ok(made < 1.5 * 1024 * 1024, `${made} bytes were made for a peer that does not read`);
      let got = 0;
      socket.on("data", (bytes) => got += bytes.length);
      socket.resume();
      while (got < total) await new Promise((resolve) => socket.once("data", resolve));
      socket.destroy();
    } finally {
      await listener.close(0);
    }
  },
});
