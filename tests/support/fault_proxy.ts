/** A TCP proxy that stands for a network: it may be cut, slow, or take bytes and never deliver them. */

export type Weather =
  | { readonly kind: "fair" }
  /** Connections are reset, new ones too. */
  | { readonly kind: "cut" }
  /** Connections stay open, but nothing comes through in either direction; what was under way never arrives. */
  | { readonly kind: "half-open" }
  /** Everything comes late. */
  | { readonly kind: "slow"; readonly delayMs: number };

export interface FaultProxy extends AsyncDisposable {
  readonly url: string;
  set(weather: Weather): void;
}

export function startFaultProxy(target: string): FaultProxy {
  const { hostname, port } = new URL(target);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  /** Connections that have lost bytes can only be closed. */
  const broken = new Set<Deno.Conn>();
  let weather: Weather = { kind: "fair" };

  const close = (conn: Deno.Conn) => {
    broken.delete(conn);
    if (open.delete(conn)) conn.close();
  };
  const pump = async (from: Deno.Conn, to: Deno.Conn) => {
    const buffer = new Uint8Array(65_536);
    try {
      for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
        const bytes = buffer.slice(0, count);
        if (weather.kind === "slow") await pause(weather.delayMs);
        if (weather.kind === "half-open") {
          broken.add(from);
          broken.add(to);
        }
        if (broken.has(from)) continue;
        for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
      }
    } catch {
      // One side was closed while the other was read: the end of this connection.
    }
  };
  const serve = async (client: Deno.Conn) => {
    open.add(client);
    if (weather.kind === "cut") return close(client);
    const server = await Deno.connect({ hostname, port: Number(port) });
    open.add(server);
    const both = [pump(client, server), pump(server, client)];
    await Promise.race(both);
    close(client);
    close(server);
    await Promise.all(both);
  };

  const serving = new Set<Promise<void>>();
  const accepting = (async () => {
    for await (const client of listener) {
      const served = serve(client).catch(() => close(client)).finally(() => serving.delete(served));
      serving.add(served);
    }
  })().catch(() => undefined);

  return {
    url: `http://127.0.0.1:${listener.addr.port}`,
    set: (next) => {
      weather = next;
      if (next.kind === "cut") { for (const conn of [...open]) close(conn); }
      if (next.kind === "fair") { for (const conn of [...broken]) close(conn); }
    },
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await accepting;
      for (const conn of [...open]) close(conn);
      await Promise.all(serving);
    },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
