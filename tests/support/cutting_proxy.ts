/** A TCP proxy that can lose answers: the request arrives and is acted on, but nobody hears of it. */
export interface CuttingProxy extends AsyncDisposable {
  readonly url: string;
  /** From now on the connection is cut where an answer to a request that holds `text` would begin, `times` times. */
  cutAnswers(text: string, times: number): void;
  /** Answers that were cut so far. */
  readonly cuts: number;
}

export function startCuttingProxy(target: string): CuttingProxy {
  const { hostname, port } = new URL(target);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const state = { text: "", left: 0, cuts: 0 };
  const close = (conn: Deno.Conn) => {
    if (open.delete(conn)) conn.close();
  };

  const serve = async (client: Deno.Conn) => {
    open.add(client);
    const server = await Deno.connect({ hostname, port: Number(port) });
    open.add(server);
    let isDoomed = false;
    let seen = "";
    const upward = pump(client, server, (bytes) => {
      seen = (seen + new TextDecoder("latin1").decode(bytes)).slice(-100_000);
      if (state.left > 0 && seen.includes(state.text)) {
        state.left--;
        isDoomed = true;
        seen = "";
      }
      return true;
    });
    const downward = pump(server, client, () => {
      if (isDoomed) state.cuts++;
      return !isDoomed;
    });
    await Promise.race([upward, downward]);
    close(client);
    close(server);
    await Promise.all([upward, downward]);
  };

  const serving: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const client of listener) serving.push(serve(client).catch(() => close(client)));
  })().catch(() => undefined);

  return {
    url: `http://127.0.0.1:${listener.addr.port}`,
    cutAnswers: (text, times) => Object.assign(state, { text, left: times }),
    get cuts() {
      return state.cuts;
    },
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await accepting;
      for (const conn of [...open]) close(conn);
      await Promise.all(serving);
    },
  };
}

/** Copies until the end, an error, or until `mayPass` says no. */
async function pump(from: Deno.Conn, to: Deno.Conn, mayPass: (bytes: Uint8Array) => boolean): Promise<void> {
  const buffer = new Uint8Array(65_536);
  try {
    for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
      const bytes = buffer.slice(0, count);
      if (!mayPass(bytes)) return;
      for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
    }
  } catch {
    // One side was closed while the other was read: the end of this connection.
  }
}
