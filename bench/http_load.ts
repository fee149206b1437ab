/** A load maker as small as it can be, so that it takes little from what it measures. */

export interface Load {
  readonly port: number;
  readonly connections: number;
  readonly requests: number;
  readonly path: string;
  readonly body: string;
}

/** Sends the requests over connections that stay open, one at a time on each; gives requests a second. */
export async function postAll(load: Load): Promise<{ perSecond: number; latenciesMs: number[] }> {
  const latenciesMs: number[] = [];
  let left = load.requests;
  const started = performance.now();
  await Promise.all(Array.from({ length: load.connections }, async () => {
    const connection = await KeepAlive.open(load.port);
    while (left-- > 0) latenciesMs.push(await connection.post(load.path, load.body));
    connection.close();
  }));
  return { perSecond: load.requests / (performance.now() - started) * 1000, latenciesMs };
}

/** One connection to this machine. */
class KeepAlive {
  #connection: Deno.Conn;
  #port: number;
  #buffer = new Uint8Array(64 * 1024);

  private constructor(connection: Deno.Conn, port: number) {
    this.#connection = connection;
    this.#port = port;
  }

  static async open(port: number): Promise<KeepAlive> {
    return new KeepAlive(await Deno.connect({ hostname: "127.0.0.1", port }), port);
  }

  /** Resolves with how long the whole answer took; throws unless it is 201. */
  async post(path: string, body: string): Promise<number> {
    const started = performance.now();
    const request = new TextEncoder().encode(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${this.#port}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    for (let at = 0; at < request.length;) at += await this.#connection.write(request.subarray(at));
    const answer = await this.#answer();
    if (!answer.startsWith("HTTP/1.1 201")) throw new Error(`Expected 201: ${answer}`);
    return performance.now() - started;
  }

  close(): void {
    this.#connection.close();
  }

  async #answer(): Promise<string> {
    for (let filled = 0;;) {
      const count = await this.#connection.read(this.#buffer.subarray(filled));
      if (count === null) throw new Error("The server closed the connection");
      filled += count;
      const text = new TextDecoder().decode(this.#buffer.subarray(0, filled));
      const head = text.indexOf("\r\n\r\n");
      if (head === -1) continue;
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (filled >= head + 4 + length) return text;
    }
  }
}
